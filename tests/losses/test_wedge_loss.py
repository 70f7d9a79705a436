"""The Fourier loss against sums over the full transform."""

import numpy as np
import pytest
import torch

from vitreous.fourier import measured_region
from vitreous.losses import measured_fourier_loss


@pytest.mark.parametrize("side", [12, 15])
def test_it_is_the_weighted_sum_over_all_frequencies(side):
    shape = (side,) * 3
    d = torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    kept, measured = (measured_region(shape, limits) for limits in ((-60, 60), (-30, 50)))
    power = torch.fft.fftn(d, dim=(2, 3, 4), norm="ortho").abs().square().double()
    weights = measured.double() * (kept.double() + 2 * (~kept).double())
    half = [region[..., : side // 2 + 1].float() for region in (kept, measured)]
    found = measured_fourier_loss(d, *half)
    assert float(found) == pytest.approx(float((power * weights).sum() / d.numel()), rel=1e-5)


def test_what_the_target_lacks_costs_nothing():
    shape = (16, 16, 16)
    measured = measured_region(shape, (-60, 60))
    transform = torch.fft.fftn(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    missing, seen = (torch.fft.ifftn(transform * m).real[None, None] for m in (~measured, measured))
    half, ones = measured[..., :9].float(), torch.ones(1)
    assert float(measured_fourier_loss(missing, ones, half)) < 1e-10
    assert float(measured_fourier_loss(seen, ones, half)) == pytest.approx(
        float(seen.square().mean()), rel=1e-4
    )
    np.testing.assert_allclose(
        float(measured_fourier_loss(seen, 0 * ones, half)), 2 * float(seen.square().mean()), rtol=1e-4
    )
