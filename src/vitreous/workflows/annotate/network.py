"""The segmentation network: simulated specimens to learn from, training, and the probabilities it gives."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vitreous.core import Volume, as_spacing, measure_voxels
from vitreous.io import open_volume, write_volume
from vitreous.methods.adaptation import AdaptationConfig, AdaptationObjective, objective_for
from vitreous.segmentation import (
    ModelDescription,
    SegmentationModel,
    build_network,
    labels_of,
    load_segmentation_model,
    save_segmentation_model,
    segment_volume,
)
from vitreous.segmentation.tomogram_samples import (
    PROPER,
    STRENGTHS,
    LabelledBox,
    TomogramSamples,
    UnlabelledCrops,
    class_weights,
)
from vitreous.training import CheckpointStore, TrainingSettings, train
from vitreous.workflows.adapt.model import posed_in_time
from vitreous.workflows.annotate.dual_specimens import dual_specimens
from vitreous.workflows.annotate.request import FIRST_BUDGET_SHARE, file_name
from vitreous.workflows.annotate.specimens import (
    DEFOCUS_UM,
    WITHOUT_WEDGE_DEG,
    SpecimenPlan,
    specimens,
)
from vitreous.workflows.annotate.subject import ALPHA
from vitreous.workflows.annotate.work import Work

SIDE = 32  # voxels of a crop
SPECIMENS = 6
ROOM = 2.5  # a specimen is so many crops wide, and one and a quarter high
STEPS, WIDTH = 2000, 16
ADAPTATION = AdaptationConfig(
    learning_rate=4e-3,
    schedule="cosine",
    batch=2,
    patch_side=SIDE,
    noise="none",  # crops of specimens have the tomogram's own noise already
    adversarial=0.0,  # of every ten particles two were lost where features had to look alike
    pseudo_from=0.6,
)
FEWEST_STEPS = 30
ARCHITECTURE = "unet-norm"
SYMMETRIC_DEG = 6.0  # tilt ranges so near to symmetric let crops be turned over


def simulate(work: Work) -> dict[str, Any]:
    """Write the specimens, values and labels: noise-free ones, or those of a DUAL with noise of its own."""
    subject, settings = work.subject, work.request.settings
    defocus = DEFOCUS_UM if settings.defocus_um is None else (settings.defocus_um,) * 2
    wide = int(ROOM * SIDE)
    plan = SpecimenPlan(SPECIMENS, (SIDE + SIDE // 4, wide, wide), defocus, settings.seed)
    if work.learnt is None:
        binned = subject.prepared.binning > 1
        boxes = specimens(work.particles, subject.style, plan, work.progress, binned=binned)
    else:
        # As both were measured, where there is no gold.
        deviation = math.sqrt(float(subject.noise.mean()) + subject.style.signal_deviation**2)
        boxes = dual_specimens(work.learnt, work.particles, subject.style, plan, deviation, work.progress)
    spacing = as_spacing(subject.style.simulated_spacing_angstrom)
    for index, box in enumerate(boxes):
        for name, data in (("values", box.values), ("labels", box.labels.astype(np.int8))):
            path = work.place("training", f"specimen_{index}_{name}.mrc")
            write_volume(path, Volume(data, spacing), overwrite=True, label=f"vitreous annotate: {name}")
    return {"specimens": len(boxes), "classes": list(work.names), "plan": asdict(plan)}


def simulated_boxes(work: Work) -> list[LabelledBox]:
    """The specimens that `simulate` wrote."""
    boxes = []
    for index in range(int(work.facts["simulate"]["specimens"])):
        values, labels = (
            np.array(open_volume(work.place("training", f"specimen_{index}_{name}.mrc")).data)
            for name in ("values", "labels")
        )
        boxes.append(LabelledBox(values.astype(np.float32), labels.astype(np.uint8)))
    return boxes


def train_network(work: Work) -> dict[str, Any]:
    """Train on the specimens under the tomogram's noise, and on the tomogram if asked, and save the model."""
    subject, settings, compute = work.subject, work.request.settings, work.compute
    description = ModelDescription(
        architecture=ARCHITECTURE,
        width=WIDTH,
        classes=("background", *work.names),
        voxel_spacing_angstrom=subject.spacing_angstrom,
        side=SIDE,
        protein="bright",
    )
    source, target, weights = domains(work)
    method = "source-only" if target is None else "vox-uda"

    def posed(config: AdaptationConfig) -> tuple[AdaptationObjective, TrainingSettings]:
        network = build_network(description, settings.seed)
        objective = objective_for(method, network, source, target, config, compute.device)
        return objective, config.training_settings(settings.seed, compute.device, compute.precision)

    config = ADAPTATION.model_copy(update={"steps": settings.steps or STEPS, "class_weights": weights})
    budget = settings.time_budget_seconds
    if budget is not None:
        budget *= 1 - FIRST_BUDGET_SHARE
    store = CheckpointStore(work.place("checkpoints"))
    objective, training = posed_in_time(posed, config, budget, work.progress, store, fewest=FEWEST_STEPS)
    record = train(objective, training, work.progress, store)
    facts = {"seed": settings.seed, "steps": training.steps}
    save_segmentation_model(work.place("model"), SegmentationModel(objective.trained, description), facts)
    return {
        "steps": training.steps,
        "warnings": hardly_trained(training.steps),
        "figures": dict(record.monitored[-1][1]) if record.monitored else {},
        "losses": [round(v, 4) for v in record.losses],
        "rollbacks": record.rollbacks,
    }


def hardly_trained(steps: int) -> list[str]:
    """That a network had few steps to learn in, as a sentence; none if it had enough."""
    few = f"The segmentation network was trained for {steps} steps only; {STEPS} are usual."
    return [few] if steps < STEPS // 2 else []


def domains(work: Work) -> tuple[TomogramSamples, UnlabelledCrops | None, tuple[float, ...]]:
    """Crops of the specimens, those of the tomogram if it is to be adapted to, and what each class weighs."""
    subject, settings = work.subject, work.request.settings
    searched, _ = subject.split(settings.seed)
    deviation = float(searched.std())
    boxes = [
        LabelledBox(np.clip(box.values, -subject.clip, subject.clip) / np.float32(deviation), box.labels)
        for box in simulated_boxes(work)
    ]
    lowest, highest = subject.style.tilt_range_deg or WITHOUT_WEDGE_DEG
    about_tilt_axis = (0, 2) if subject.style.tilt_axis == 1 else (0, 1)
    turns = PROPER if abs(lowest + highest) < SYMMETRIC_DEG else ((), about_tilt_axis)
    # Specimens of a DUAL have the tomogram's own noise, but not what was added to the searched copy.
    added, own, strengths = ALPHA**2, 1.0, STRENGTHS
    if work.learnt is not None:
        own, strengths = 0.0, (1.0, 1.0)
    noise = subject.noise * (own + added) / deviation**2
    target = None
    if settings.adapt:
        target = UnlabelledCrops(measure_voxels(searched).normalization.apply(searched), SIDE, turns=turns)
    return (
        TomogramSamples(boxes, noise, SIDE, strengths=strengths, turns=turns),
        target,
        class_weights(boxes, 1 + len(work.names)),
    )


def segment(work: Work) -> dict[str, Any]:
    """Write the probabilities of each class at the working voxel spacing."""
    subject = work.subject
    model = load_segmentation_model(work.place("model"), work.compute.device)
    searched, _ = subject.split(work.request.settings.seed)
    constants = measure_voxels(searched).normalization
    chances = segment_volume(model, searched, constants, progress=work.progress)
    spacing = as_spacing(subject.spacing_angstrom)
    for name, chance in zip(model.description.classes[1:], chances[1:], strict=True):
        path = probability_file(work, name)
        write_volume(path, Volume(chance, spacing), overwrite=True, label=f"vitreous annotate: {name}")
    labels = labels_of(chances)
    shares = np.bincount(labels.ravel(), minlength=len(model.description.classes)) / labels.size
    return {"shares": dict(zip(model.description.classes, shares.round(5).tolist(), strict=True))}


def probability_file(work: Work, class_name: str) -> Path:
    """Where the probabilities of a class are."""
    return work.place("probabilities", f"{file_name(class_name)}.mrc")
