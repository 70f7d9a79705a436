"""What a chain will take, before it begins: memory at the most, and time from a few training steps."""

from __future__ import annotations

import torch

from vitreous.core import InputError
from vitreous.inference import available_memory, parse_memory
from vitreous.inference.memory import BASE_BYTES, GIGABYTE
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig
from vitreous.methods.supervised.pairs import COARSEST_ANGSTROM
from vitreous.training import seconds_per_step
from vitreous.workflows.annotate.alignment import MOST_JUDGED
from vitreous.workflows.annotate.boxes import AT_ONCE, boxes_for
from vitreous.workflows.annotate.network import STEPS
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.denoise import DenoiseSettings, Source, plan_denoising

TRAINING_BYTES = 600_000_000  # of the segmentation network and its batch, rounded up
ALIGNED = 6  # copies of a box while it is aligned, spectra among them
COPIES = 3  # of the boxes that are averaged
VOLUMES = 10  # arrays of the working volume's size at once: both copies, and the noise as it is drawn
FINER_VOLUMES = 7  # in the voxels of averages: the tomogram, its judging copy, the noise as it is drawn
# Measured on one tomogram of 64 × 192 × 192 voxels, in steps of the denoising network; where these are fast,
# in bfloat16, aligning is not: 80 and 157 s for three structures, of which it told 100 and 126.
SEGMENTATION_STEP = 0.65
ADAPTED = 1.5  # times that, where the last part of the training looks at the tomogram too
LEARNT_SPECIMENS = 2000  # of such steps, where a DUAL makes the specimens
REST_STEPS, REST_STEPS_PER_STRUCTURE, REST_STEPS_PER_VOXEL = 300, 350, 1.6e-4


def bytes_needed(work: Work) -> int:
    """Memory that the chain takes at its peak.

    Raises
    ------
    InputError
        If denoising cannot be done within `--max-memory` at all.
    """
    subject, settings = work.subject, work.request.settings
    denoising = plan_denoising(
        Source(subject.volume), DenoiseSettings(device=settings.device, max_memory=settings.max_memory)
    ).memory.peak_bytes
    classes = 2 * len(work.names) * subject.working.nbytes
    return max(denoising, BASE_BYTES + max(TRAINING_BYTES, bytes_of_boxes(work)) + bytes_held(work) + classes)


def bytes_of_boxes(work: Work) -> int:
    """Memory that aligning and averaging take at their peak, volumes apart."""
    side = max(boxes_for(work, template).side for template in work.templates.values())
    aligning = 4 * ALIGNED * AT_ONCE * side**3
    averaging = 4 * COPIES * MOST_JUDGED * (finer_by(work) * side) ** 3
    return max(aligning, averaging)


def bytes_held(work: Work) -> int:
    """Memory that the tomogram takes with its copies."""
    working, finer = work.subject.working.nbytes, finer_by(work)
    held = working * VOLUMES + work.subject.volume.data.size
    return held + (FINER_VOLUMES * working * finer**3 if finer > 1 else 0)


def finer_by(work: Work) -> int:
    """How many times finer the voxels of averages are than those of the search."""
    return work.subject.prepared.binning // work.subject.averaging_binning


def check_memory(work: Work, needed: int) -> str:
    """How much memory is needed, in words; InputError if that is more than there is or may be used."""
    free = available_memory(torch.device("cpu"))  # where all but networks works
    limit = work.request.settings.max_memory
    allowed = free if limit is None else min(free, parse_memory(limit))
    if needed > allowed:
        text = f"needs {needed / GIGABYTE:.1f} GB of memory and {allowed / GIGABYTE:.3g} GB may be used"
        remedy = "crop it, or ask for fewer structures"
        if 2 * work.subject.spacing_angstrom <= COARSEST_ANGSTROM:
            remedy = f"add --binning {2 * work.subject.prepared.binning}, {remedy}"
        raise InputError(text, path=work.request.input, remedy=remedy)
    return f"up to {needed / GIGABYTE:.1f} GB of memory"


def minutes_needed(work: Work) -> float:
    """Time of the whole chain on this machine, from timing a few steps of the denoising network."""
    subject, settings, device = work.subject, work.request.settings, work.compute.device
    method = NoiseModel(NoiseModelConfig(steps=settings.steps)).adapted([subject.prepared])
    objective = method.objective(method.build_network(0), [subject.prepared], device)
    training = method.config.training_settings(0, device, work.compute.precision)
    step = seconds_per_step(objective, training)
    trainings = settings.time_budget_seconds
    if trainings is None:
        dearer = ADAPTED if settings.adapt else 1.0
        trainings = step * (training.steps + dearer * SEGMENTATION_STEP * (settings.steps or STEPS))
    averaging = REST_STEPS_PER_STRUCTURE * len(work.sizes) + REST_STEPS_PER_VOXEL * subject.working.size
    simulating = 0 if work.learnt is None else LEARNT_SPECIMENS
    return (trainings + step * (REST_STEPS + simulating + averaging)) / 60
