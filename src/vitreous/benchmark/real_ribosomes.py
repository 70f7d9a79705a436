"""Twenty real ribosomes (EMPIAR-10499): tilt images as subtomograms, with the poses that come with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.averaging import BoxedParticles
from vitreous.core import InputError
from vitreous.fourier import Optics, contrast_transfer, insert_slices, measured_region
from vitreous.io import open_volume, read_relion_particles, read_star, read_tomogram_sizes
from vitreous.workflows.search_template import open_template

FOLDER = "real/ribosome_tilts"
STEM = "warptools_test_4-tomos_10-ptcls_box-32_angpix-12"
SIDE, SPACING = 32, 12.0
FLOOR = 0.3  # of the mean weight, where CTFs have their zeros
AMPLITUDE_CONTRAST = 0.07


@dataclass(frozen=True, eq=False)
class RealRibosomes:
    """Subtomograms of the real tilt images.

    Parameters
    ----------
    boxes
        (n, side, side, side), protein bright.
    rotations
        (n, 3, 3), as supplied: particle → tomogram.
    particles
        The same boxes with what was measured of them.
    template
        (side, side, side), the 70S ribosome.
    """

    boxes: Tensor
    rotations: Tensor
    particles: BoxedParticles
    template: Tensor

    @property
    def spacing_angstrom(self) -> float:
        """Of the voxels."""
        return SPACING


def ribosome_subtomograms(data: Path) -> RealRibosomes:
    """Put the images of each particle together in its tomogram's frame.

    Images are multiplied by their CTF, so that CTF² is the weight of least squares; hidden frames are
    left out.

    Raises
    ------
    InputError
        If the files are not there.
    """
    folder, model = data / FOLDER, data / "maps_10A" / "4v4r.mrc"
    tomograms = folder / f"{STEM}_tomograms.star"
    if not tomograms.is_file() or not model.is_file():
        raise InputError("holds no real ribosomes", path=data, remedy=f"give the folder that holds {FOLDER}")
    tables = read_star(tomograms)
    read = read_relion_particles(folder / f"{STEM}.star", sizes_angstrom=read_tomogram_sizes(tomograms))
    table = read.tables["particles"]
    boxes, turns, tilts = [], [], []
    for name, poses in read.poses.items():
        rows = [lists(tables[name].text(f"rlnTomoProj{axis}"))[:, 2::-1] for axis in "ZYX"]
        projections = np.stack(rows, axis=1)
        weights = torch.stack(
            [
                squared_ctf(row)
                for row in tables[name].numbers("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
            ]
        )
        for rotation, row in zip(poses.rotations, read.rows[name], strict=True):
            visible = lists([table.text("rlnTomoVisibleFrames")[row]])[0] > 0
            stack = np.array(open_volume(folder / table.text("rlnImageName")[row]).data, np.float32)
            images = torch.nn.functional.pad(torch.from_numpy(stack[visible]), (SIDE // 2,) * 4)
            made = insert_slices(
                images, torch.from_numpy(projections[visible]), weights[visible], floor=FLOOR
            )
            inner = slice(SIDE // 2, SIDE // 2 + SIDE)
            box = made[inner, inner, inner]
            boxes.append((box - box.mean()) / box.std())
            turns.append(rotation)
            tilts.append(np.degrees(np.arctan2(projections[visible, 0, 2], projections[visible, 0, 0])))
    limits = (float(np.min(np.concatenate(tilts))), float(np.max(np.concatenate(tilts))))
    stacked = torch.stack(boxes)
    wedge = measured_region((SIDE,) * 3, limits, half=True)
    template = open_template(str(model), SPACING).box(SIDE)
    return RealRibosomes(
        stacked, torch.from_numpy(np.stack(turns)), BoxedParticles(stacked, wedge, SPACING), template
    )


def lists(texts: Any) -> NDArray[np.float64]:
    """Numbers of RELION's "[1,2,3]" values, a row for each."""
    return np.array([[float(word) for word in text.strip("[]").split(",")] for text in texts])


def squared_ctf(row: NDArray[np.float64]) -> Tensor:
    """CTF² of an image padded to twice its side, from RELION's two defoci (Å) and their angle."""
    along_u, along_v, angle = (float(value) for value in row)
    optics = Optics(
        amplitude_contrast=AMPLITUDE_CONTRAST,
        astigmatism_um=abs(along_u - along_v) / 2e4,
        astigmatism_angle_deg=angle + 90 * (along_u < along_v),
    )
    return contrast_transfer((2 * SIDE,) * 2, SPACING, (along_u + along_v) / 2e4, optics, half=False) ** 2
