"""Whether the noise grows with the density, as counting noise does."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Normalization
from vitreous.methods.noise_model.spectrum import NoiseSpectrum, patch_cuts
from vitreous.methods.stabilizer import Stabilizer

CELL = 4  # voxels: their mean is more specimen than noise
LEAST_RELIABILITY = 0.2  # share of the means' variance that is specimen
LEAST_CHANGE = 0.04  # of the variance over a deviation of the cells' means; even noise was seen at up to 0.02


def signal_dependence(
    data: NDArray[Any],
    normalization: Normalization,
    spectrum: NoiseSpectrum,
    mask: NDArray[np.bool_] | None = None,
) -> Stabilizer | None:
    """How the variance of white noise follows the density, from a regression over cells of 4³ voxels.

    In each cell the noise's variance is the mean square of differences of second order along all three
    axes, in which hardly any specimen is left; the density is the mean. That the mean has noise too makes
    the slope too small, by a factor that is known.

    Parameters
    ----------
    data
        (z, y, x) grey values, may be memory-mapped; at most 600 patches of 32³ voxels are read.
    normalization
        Constants that standardize the volume.
    spectrum
        Its noise spectrum, of noise that is next to independent between voxels.
    mask
        Optional specimen mask: only patches mostly inside it count.

    Returns
    -------
    What makes the variance even, or None where that changes by less than 4 %.
    """
    densities: list[Tensor] = []
    powers: list[Tensor] = []
    for cut in patch_cuts(data.shape, mask):
        patch = torch.from_numpy(normalization.apply(data[cut]))
        noise = patch
        for axis in range(3):
            noise = noise.diff(n=2, dim=axis) / 6**0.5
        for values, found in ((patch[1:-1, 1:-1, 1:-1], densities), (noise.square(), powers)):
            found.append(F.avg_pool3d(values[None], CELL).flatten())
    density, power = torch.cat(densities).double(), torch.cat(powers).double()
    centred = density - density.mean()
    spread = centred.square().mean()
    reliability = 1 - float(spectrum.power.mean()) / CELL**3 / float(spread)
    slope = float((centred * power).mean() / spread)
    change = abs(slope) * float(spread) ** 0.5 / float(power.mean())
    if reliability < LEAST_RELIABILITY or change < LEAST_CHANGE:
        return None
    slope /= reliability
    level = float(power.mean()) - slope * float(density.mean())  # at standardized density 0
    return Stabilizer(slope / level, float(spectrum.power.mean()))
