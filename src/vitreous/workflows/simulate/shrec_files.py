"""A simulated tomogram in the layout of SHREC 2021, with its halves beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vitreous.core import Volume, as_spacing
from vitreous.io.shrec import SHREC21_CLASSES, ShrecTomogram
from vitreous.io.shrec_writer import write_shrec21
from vitreous.io.tilt_metadata import write_tilt_angles
from vitreous.io.volumes import write_volume
from vitreous.simulate import GrandModel
from vitreous.workflows.simulate.values import SimulatedTomogram


def write_shrec_layout(folder: Path, made: SimulatedTomogram, label: str) -> None:
    """Write a tomogram into a folder such as `model_0`.

    Where the tilt series has no noise there are only `noisefree_projections`.
    """
    model, series = made.grand_model, made.tilt_series
    stack = "projections" if made.spec.imaging.noise_like is None else "noisefree_projections"
    numbers = shrec_numbers(model)
    renumbered = np.array([0, *(numbers[name] for name in model.class_names)], np.int16)
    spacing = as_spacing(model.voxel_spacing_angstrom)
    write_shrec21(
        folder,
        ShrecTomogram(
            model.poses,
            model.other_poses,
            {number: name for name, number in numbers.items()},
            Volume(model.density, spacing),
            Volume(renumbered[model.class_mask], spacing),
            Volume(model.instance_mask, spacing),
            made.tomogram,
            {
                "reconstruction_noisefree": made.noise_free,
                stack: Volume(series.images, spacing),
                "noisefree_projections": Volume(series.noise_free, spacing),
            },
            series.tilt_angles_deg,
        ),
    )
    for half, volume in (("even", made.even), ("odd", made.odd)):
        write_volume(folder / f"reconstruction_{half}.mrc", volume, label=label)
    for suffix in (".tlt", ".rawtlt"):
        write_tilt_angles(folder / f"{stack}{suffix}", series.tilt_angles_deg)


def shrec_numbers(model: GrandModel) -> dict[str, int]:
    """Class numbers by name: those of SHREC 2021 for its classes, later ones for all others."""
    theirs = {name: number for number, name in SHREC21_CLASSES.items()}
    others = [name for name in model.class_names if name not in theirs]
    return {name: theirs.get(name) or len(theirs) + 1 + others.index(name) for name in model.class_names}
