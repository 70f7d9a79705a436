"""Whether what was removed is told from what was to be removed, inside the mask alone."""

import numpy as np
import torch

from vitreous.core import measure_voxels
from vitreous.methods.noise_model import check_residual
from vitreous.methods.noise_model.spectrum import PATCH_SIDE

SHAPE = (PATCH_SIDE, 4 * PATCH_SIDE, 4 * PATCH_SIDE)


def test_what_lies_outside_the_mask_does_not_count():
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, bool)
    mask[:, :, : 3 * PATCH_SIDE // 2] = True
    denoised = np.where(mask, 0, noise)  # nothing was removed outside
    spectrum = torch.ones((PATCH_SIDE,) * 3)
    normalization = measure_voxels(noise, mask).normalization
    inside, everywhere = (check_residual(noise, denoised, normalization, spectrum, m) for m in (mask, None))
    assert inside.agrees
    assert not everywhere.agrees
    assert everywhere.ratio < 0.6 < inside.ratio
