"""Where a volume holds nothing but noise."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.core import read_block
from vitreous.methods.method import PreparedVolume
from vitreous.methods.noise_model.spectrum import patch_starts
from vitreous.training import TrainingVolume

CELL = 4  # side of the cells whose means say how much structure there is
LEAST_GRAIN = 0.5  # relative to the median: a patch with less is partly filling without noise
SMALLEST_SHARE = 1e-6  # of the variance that is noise: patches are divided by its root

NoiseFrom = Literal["quiet", "top-and-bottom"]


def noise_patches(volume: TrainingVolume, side: int, quiet_share: float, noise_from: NoiseFrom) -> Tensor:
    """Patches of a standardized volume that hold noise and little structure, each without its mean.

    Structure is the variance of the means of 4³ cells, which noise hardly has: `quiet_share` of all
    patches, those with the least, are kept. The published method takes 2-D slices from the top and the
    bottom of the volume instead (volume-shuffle, section 2); "top-and-bottom" does so in 3-D, with all
    patches at either end of z. Patches without grain, as where a volume is padded, are left out.

    Parameters
    ----------
    volume
        Where they are cut; at most 600 patches are read, inside its mask if there is one.
    side
        Side of the cubic patches, a multiple of 4; a shorter side of the volume is filled by reflection.
    quiet_share
        Share of the patches to keep, at least one.
    noise_from
        Which patches to keep.

    Returns
    -------
    Tensor (n, side, side, side), float32.
    """
    starts = patch_starts(volume.data.shape, [min(side, n) for n in volume.data.shape], volume.mask)
    if noise_from == "top-and-bottom":
        ends = {min(s[0] for s in starts), max(s[0] for s in starts)}
        starts = [s for s in starts if s[0] in ends]

    def patch(start: tuple[int, ...]) -> Tensor:
        values = torch.from_numpy(volume.normalization.apply(read_block(volume.data, start, (side,) * 3)))
        return values - values.mean()

    structure, grain = torch.tensor([structure_and_grain(patch(s)) for s in starts]).unbind(1)
    typical = grain[grain > 0].median() if (grain > 0).any() else 0.0
    kept = (grain >= LEAST_GRAIN * typical).nonzero()[:, 0]
    if noise_from == "quiet":
        quietest = structure[kept].argsort(stable=True)
        kept = kept[quietest[: max(1, round(quiet_share * len(kept)))]]
    return torch.stack([patch(starts[i]) for i in kept.tolist()])


def structure_and_grain(patch: Tensor) -> tuple[float, float]:
    """Variance of the means of a patch's 4³ cells, and what is left of its variance within them."""
    structure = float(F.avg_pool3d(patch[None], CELL).var())
    return structure, float(patch.var()) - structure


def noise_deviation(volume: PreparedVolume) -> float:
    """Deviation of the noise in units of the standardized volume, from the share of its variance."""
    return math.sqrt(max(volume.noise_share, SMALLEST_SHARE))
