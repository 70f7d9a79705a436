"""Training specimens that a DUAL has made look like the tomogram: it has learnt contrast, wedge and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitreous.core import AS_IS, InputError, Progress
from vitreous.inference.binning import bin_volume
from vitreous.methods.dual import simulated_tomograms, standardized_density
from vitreous.methods.supervised.pairs import Style
from vitreous.segmentation.tomogram_samples import LabelledBox
from vitreous.workflows.annotate.specimens import (
    Quiet,
    SpecimenPlan,
    check_room,
    class_names,
    label_volume,
    specimen_spec,
    strangers,
)
from vitreous.workflows.dual.model import DualModel
from vitreous.workflows.simulate.spec import ParticleSpec
from vitreous.workflows.simulate.structures import build_templates, template_of
from vitreous.workflows.simulate.tomogram import packed

DRAWS = 4  # of noise for each specimen: crops of one draw alone could be learnt by heart
SAME = 0.01  # relative difference of voxel spacings that still is none


@dataclass(frozen=True, eq=False)
class Learnt:
    """A trained DUAL and how its voxels go together with the chain's.

    Parameters
    ----------
    model
        The networks.
    finer
        How many of its voxels lie along one of the chain's.
    """

    model: DualModel
    finer: int


def learnt_style(model: DualModel, style: Style, folder: Path) -> Learnt:
    """A DUAL for specimens of a style.

    Raises
    ------
    InputError
        If its voxels are not those of the chain, nor go into them a whole number of times.
    """
    found = model.method.config.voxel_spacing_angstrom
    wanted = style.voxel_spacing_angstrom
    finer = 1 if found is None else max(1, round(wanted / found))
    if found is None or abs(finer * found / wanted - 1) > SAME:
        of = "unknown size" if found is None else f"{found:.4g} Å"
        text = f"was trained on voxels of {of}, and the tomogram is searched in {wanted:.4g} Å"
        raise InputError(text, path=folder, remedy=f"train one with --spacing {wanted:.4g}")
    return Learnt(model, finer)


def dual_specimens(
    learnt: Learnt,
    particles: Sequence[ParticleSpec],
    style: Style,
    plan: SpecimenPlan,
    deviation: float,
    progress: Progress,
) -> list[LabelledBox]:
    """Specimens with noise and labels, protein bright; each `DRAWS` times, under noise of its own.

    No microscope is simulated: DUAL has learnt from the tomogram what becomes of a density (dual eq. 1).

    Parameters
    ----------
    learnt
        The model.
    particles
        The structures.
    style
        Of the tomogram.
    plan
        How many specimens, how large.
    deviation
        Standard deviation of the values, specimen and noise together, without gold.
    progress
        Receives progress.

    Raises
    ------
    InputError
        If a structure cannot be had or finds no room.
    Interrupted
        If the user stopped.
    """
    model, quiet = learnt.model, Quiet(progress)
    spacing = style.simulated_spacing_angstrom
    others = strangers([template_of(spec, spacing) for spec in particles], spacing)
    device = model.trained.compute.device
    gold = class_names(particles).index("gold") + 1
    dark = model.method.config.protein == "dark"
    progress.start("simulating specimens", plan.count)
    boxes = []
    for index in range(plan.count):
        spec = specimen_spec(particles, others, style, plan, index, learnt.finer)
        grand = packed(spec, 0, build_templates(spec, quiet), quiet)
        labels = np.ascontiguousarray(
            label_volume(grand, class_names(particles))[(slice(None, None, learnt.finer),) * 3]
        )
        name = f"specimen {index}"
        density = standardized_density(model.as_in_tomograms(grand.density), name, spacing / learnt.finer)
        seeds = [(spec.seed * DRAWS + draw) % 2**62 for draw in range(DRAWS)]
        for made in simulated_tomograms(
            model.network, density.data, density.normalization, seeds, quiet, device
        ):
            values = bin_volume(made, AS_IS, learnt.finer) if learnt.finer > 1 else made
            rest = values[labels != gold]
            scale = np.float32((-1 if dark else 1) * deviation / rest.std())
            values = (values - rest.mean()) * scale
            boxes.append(LabelledBox(np.ascontiguousarray(values, np.float32), labels))
        progress.advance()
    check_room(particles, [box.labels for box in boxes], min(plan.shape) * spacing)
    return boxes
