"""Transfer, §§ 2.3 and 2.4 of the DUAL paper: networks trained on simulations segment another microscope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import mean
from typing import Any

import numpy as np

from vitreous.benchmark.comparison import Scale, spread, values_of
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.runner import Record, Row, selected
from vitreous.benchmark.transfer_averages import Detected, averaged_detections, averages_section
from vitreous.benchmark.transfer_worlds import (
    AVERAGED,
    GRAND,
    SOURCE,
    SPACING_ANGSTROM,
    STRUCTURES,
    TARGET,
    UNLABELLED,
    Array,
    Labels,
    Shape,
    labelled,
    standardized,
    taken,
)
from vitreous.core import AS_IS, Progress, measure_voxels
from vitreous.inference import choose_device
from vitreous.methods.adaptation import AdaptationConfig, objective_for
from vitreous.methods.dual import Dual, DualConfig
from vitreous.methods.dual.method import standardized_density
from vitreous.methods.dual.simulation import simulated_tomogram
from vitreous.methods.noise_model import estimate_noise_spectrum
from vitreous.metrics import class_overlaps, dice
from vitreous.report import TableSection
from vitreous.report.figures import dots_svg
from vitreous.segmentation import (
    ModelDescription,
    SegmentationModel,
    build_network,
    labels_of,
    segment_volume,
)
from vitreous.segmentation.tomogram_samples import LabelledBox, TomogramSamples
from vitreous.training import TrainingVolume, train
from vitreous.workflows.denoise import DenoiseSettings, fit, prepared_model, untrained
from vitreous.workflows.denoise.model import cleared_prediction
from vitreous.workflows.denoise.values import TrainedModel

OURS, PLAIN, CLEAN, CONVERTED = "dual", "gaussian", "clean", ", converted"
PHYSICS, CEILING = "physics, other microscope", "physics, same microscope"
TRUE = "true labels"
METHODS = (PLAIN, PHYSICS, OURS, CLEAN, CLEAN + CONVERTED, CEILING, TRUE)
ASKED = 5.0  # Dice points of DUAL's simulations above those with Gaussian noise
Listener = Any  # a Progress; caches tell them apart by identity, which the protocol does not promise
SCORES = ("dice", *(f"dice_{name}" for name in STRUCTURES), "dice_any")
TEXT = (
    f"Grand models of {', '.join(STRUCTURES)} (phantoms) become training tomograms in different ways, the "
    "same network learns three classes from each, and segments a held-out tomogram of another microscope: "
    f"±{TARGET.highest_deg:.0f}° in {TARGET.step_deg:.0f}°, {TARGET.defocus_um:.0f} µm under focus, "
    f"noise/signal {TARGET.noise_to_signal:.0f}. `gaussian`: white noise on the densities, as strong as the "
    "noise model finds it in the target. `dual`: DUAL, trained on unlabelled tomograms of the target "
    "microscope and the grand models. `physics`: the simulator, as another microscope "
    f"(±{SOURCE.highest_deg:.0f}°, {SOURCE.defocus_um:.0f} µm, noise/signal {SOURCE.noise_to_signal:.0f}), "
    "or as the very same, which nobody knows of a real one: a ceiling. `clean`: no noise at all; "
    "`clean, converted`: the same network, unchanged, on what DUAL's denoiser makes of the held-out "
    f"tomogram. `{TRUE}`: no network, for what is averaged. Dice is the mean over classes; `any`: all as one."
)


@dataclass(frozen=True)
class Setup:
    """Sizes of an experiment.

    Parameters
    ----------
    shape
        (z, y, x) of every box.
    grand, unlabelled
        How many grand models there are to train on, and tomograms for DUAL.
    draws
        Noise draws of each grand model.
    dual_steps, dual_width, steps, width, batch
        Of both trainings; 0 stands for the paper's settings of DUAL.
    side
        Of the crops that networks are trained on.
    tomograms
        Held-out ones that particles are picked and averaged from; the first is the one that is scored.
    """

    shape: Shape
    grand: int
    unlabelled: int
    draws: int
    dual_steps: int
    dual_width: int
    steps: int
    width: int
    batch: int
    side: int = 32
    tomograms: int = 4

    @property
    def dual(self) -> DualConfig:
        """DUAL's settings."""
        if not self.dual_steps:
            ours = {"noise_prior": True, "through_denoiser": False, "departure": DualConfig().departure}
            return DualConfig.paper().model_copy(update=ours)
        return DualConfig(steps=self.dual_steps, width=self.dual_width, binning=1)


SCALES: dict[Scale, Setup] = {
    "small": Setup((48, 112, 112), 3, 2, 1, 240, 8, 240, 8, 4),
    "full": Setup((96, 192, 192), 6, 4, 2, 1200, 16, 1500, 16, 8),
    "paper": Setup((180, 512, 512), 8, 4, 4, 0, 32, 20_000, 32, 16, 64),
}


def transfer_rows(
    scale: Scale, seeds: Sequence[int], only: Sequence[str], progress: Progress
) -> Iterator[Row]:
    """All rows of a scale, seed after seed."""
    for seed in seeds:
        for method in selected(only, METHODS):
            key = {"scale": scale, "seed": seed, "method": method}
            yield Row(key, partial(measure_transfer, SCALES[scale], seed, method, progress))


def measure_transfer(setup: Setup, seed: int, method: str, progress: Listener) -> Record:
    """Train one network, segment the held-out tomogram of a seed, and average what is found in all of them.

    `seconds` are those of the training and one tomogram.
    """
    with measured_cost() as cost:
        labels = segmented(setup, seed, method, seed, progress)
    found = scored(labels, labelled(setup.shape, seed).labels)
    with measured_cost() as later:
        boxes = [seed, *(AVERAGED + 10 * seed + number for number in range(1, setup.tomograms))]
        given = [labels, *(segmented(setup, seed, method, box, progress) for box in boxes[1:])]
        detected = [
            Detected(taken(TARGET, setup.shape, box), one, labelled(setup.shape, box))
            for box, one in zip(boxes, given, strict=True)
        ]
        found |= averaged_detections(detected, TARGET)
    return {**found, "averaging_seconds": later["seconds"], **cost}


def segmented(setup: Setup, seed: int, method: str, box: int, progress: Listener) -> Labels:
    """The labels that the network of a method and seed gives the target's tomogram of a box."""
    if method == TRUE:
        return labelled(setup.shape, box).labels
    model = trained_network(setup, seed, method.removesuffix(CONVERTED), progress)
    tomogram = taken(TARGET, setup.shape, box)
    if method.endswith(CONVERTED):
        tomogram = converted(setup, seed, tomogram, progress)
    return labels_of(segment_volume(model, tomogram, AS_IS, progress=progress))


def scored(found: Labels, truth: Labels) -> Record:
    """Dice of every class, their mean, and of all as one."""
    each = class_overlaps(found, truth)
    of = {f"dice_{name}": each.get(number, (0.0, 0.0))[0] for number, name in enumerate(STRUCTURES, 1)}
    return {"dice": mean(of.values()), **of, "dice_any": float(dice(found > 0, truth > 0))}


def training_volumes(
    setup: Setup, seed: int, method: str, progress: Listener
) -> tuple[list[Array], list[Labels]]:
    """Standardized training tomograms of all grand models, made in a method's way, and their labels."""
    made, truth = [], []
    for number in range(setup.grand):
        grand = GRAND + number
        model = labelled(setup.shape, grand)
        for draw in range(1 if method == CLEAN else setup.draws):
            rng = np.random.default_rng([seed, grand, draw])
            if method in (PHYSICS, CEILING):
                scope = TARGET if method == CEILING else SOURCE
                volume = scope.tomogram(model.density, int(rng.integers(2**31)))
            elif method == OURS:
                volume = dual_tomogram(setup, seed, model.density, int(rng.integers(2**31)), progress)
            else:
                volume = standardized(-model.density)
                if method == PLAIN:
                    level = np.float32(noise_to_signal(setup))
                    noise = rng.standard_normal(volume.shape, np.float32)
                    volume = standardized(volume + level * noise)
            made.append(volume)
            truth.append(model.labels)
    return made, truth


@lru_cache(maxsize=2)
def noise_to_signal(setup: Setup) -> float:
    """Of the target's unlabelled tomograms, as the noise model finds it."""
    shares = []
    for number in range(setup.unlabelled):
        data = taken(TARGET, setup.shape, UNLABELLED + number)
        shares.append(estimate_noise_spectrum(data, measure_voxels(data).normalization).noise_share)
    share = min(mean(shares), 0.99)
    return float((share / (1 - share)) ** 0.5)


@lru_cache(maxsize=1)
def trained_network(setup: Setup, seed: int, method: str, progress: Listener) -> SegmentationModel:
    """The segmentation network after a training on labelled crops, made in a method's way."""
    values, truth = training_volumes(setup, seed, method, progress)
    description = ModelDescription(
        width=setup.width,
        classes=("background", *STRUCTURES),
        voxel_spacing_angstrom=SPACING_ANGSTROM,
        side=setup.side,
    )
    config = AdaptationConfig(
        steps=setup.steps, width=setup.width, batch=setup.batch, patch_side=setup.side, schedule="cosine"
    )
    compute = choose_device("auto")
    boxes = [LabelledBox(v, k) for v, k in zip(values, truth, strict=True)]
    samples = TomogramSamples(boxes, None, setup.side, strengths=(1.0, 1.0))
    network = build_network(description, seed)
    objective = objective_for("source-only", network, samples, None, config, compute.device)
    train(objective, config.training_settings(seed, compute.device, compute.precision), progress)
    return SegmentationModel(objective.trained.eval(), description)


@lru_cache(maxsize=2)
def trained_dual(setup: Setup, seed: int, progress: Listener) -> TrainedModel:
    """DUAL between the target's unlabelled tomograms and the grand models."""
    clean = tuple(
        standardized_density(-labelled(setup.shape, GRAND + n).density, f"grand model {n}", SPACING_ANGSTROM)
        for n in range(setup.grand)
    )
    noisy = []
    for number in range(setup.unlabelled):
        data = taken(TARGET, setup.shape, UNLABELLED + number)
        name = f"tomogram {number}"
        normalization = measure_voxels(data).normalization
        noisy.append(TrainingVolume(data, normalization, name=name, voxel_spacing_angstrom=SPACING_ANGSTROM))

    def method_of(config: DualConfig, precision: str) -> Dual:
        return Dual(config, precision=precision, clean=clean)

    model = untrained(method_of, setup.dual, choose_device("auto"), seed)
    model, prepared = prepared_model(model, noisy, seed)
    return fit(model, prepared, DenoiseSettings(method="dual", seed=seed), progress)


def dual_tomogram(setup: Setup, seed: int, density: Array, noise_seed: int, progress: Listener) -> Array:
    """A tomogram that DUAL simulates from a grand model."""
    model = trained_dual(setup, seed, progress)
    network: Any = model.network
    normalization = standardized_density(-density, "grand model", SPACING_ANGSTROM).normalization
    made = simulated_tomogram(network, -density, normalization, noise_seed, progress, model.compute.device)
    return standardized(made)


def converted(setup: Setup, seed: int, tomogram: Array, progress: Listener) -> Array:
    """The clean representation of a tomogram, as `vitreous dual convert --to clean` makes it."""
    model = trained_dual(setup, seed, progress)
    method: Any = model.method
    normalization = measure_voxels(tomogram).normalization
    name = "held-out tomogram"
    volume = TrainingVolume(tomogram, normalization, name=name, voxel_spacing_angstrom=SPACING_ANGSTROM)
    prepared = method.prepare(volume)
    tile = method.tile or setup.dual.patch_side
    return standardized(cleared_prediction(model, prepared, tile, seed, progress)[0])


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """Dice in percent, and what was asked for."""
    sections = []
    for scale in dict.fromkeys(r["scale"] for r in records):
        of = {m: [r for r in records if (r["method"], r["scale"]) == (m, scale)] for m in METHODS}
        of = {name: found for name, found in of.items() if found}
        rows = [
            [
                name,
                str(len(found)),
                *(spread([100 * v for v in values_of(found, score)], score) for score in SCORES),
                spread(values_of(found, "seconds"), "seconds"),
            ]
            for name, found in of.items()
            if name != TRUE
        ]
        header = ["method", "seeds", *(s.replace("_", " ") for s in SCORES), "seconds"]
        dots = {"dice": {n: [100 * v for v in values_of(of[n], "dice")] for n in of if n != TRUE}}
        figure = dots_svg(dots, "Dice in percent")
        sections.append(TableSection(f"Dice in percent, scale {scale}", TEXT, header, rows, figure))
        sections += asked(of) + averages_section(scale, of)
    return sections


def asked(of: dict[str, list[Record]]) -> list[TableSection]:
    """By how many points DUAL's simulations are ahead, seed by seed."""
    plain = {r["seed"]: r["dice"] for r in of.get(PLAIN, ())}
    ahead = [100 * (r["dice"] - plain[r["seed"]]) for r in of.get(OURS, ()) if r["seed"] in plain]
    if not ahead:
        return []
    row = [
        f"{OURS} above {PLAIN}",
        str(len(ahead)),
        f"{ASKED:+.0f}",
        f"{mean(ahead):+.1f}",
        f"{min(ahead):+.1f}",
    ]
    header = ["Dice points", "seeds", "asked", "mean", "least"]
    return [TableSection("What was asked for", header=header, rows=[row])]
