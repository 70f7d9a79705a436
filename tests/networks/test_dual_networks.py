"""Networks of DUAL: shapes, widths, what discriminators can tell, and how weights begin."""

import pytest
import torch
from torch import nn

from vitreous.methods.dual import DualConfig, DualNetworks
from vitreous.networks import (
    DomainDiscriminator,
    NoiseDecoder,
    NoiseEncoder,
    PatchDiscriminator,
    UNet3d,
    initialize_orthogonally,
    log_spectrum,
)


def white(seed, batch=4, side=16):
    return torch.randn(batch, 1, side, side, side, generator=torch.Generator().manual_seed(seed))


def test_the_u_net_of_the_paper_has_widths_32_to_256_and_instance_normalization():
    network = UNet3d(width=32, levels=3, norm=True)
    widths = {m.out_channels for m in network.modules() if isinstance(m, nn.Conv3d)} - {1}
    assert widths == {32, 64, 128, 256}
    convolutions = sum(isinstance(m, nn.Conv3d) for m in network.modules()) - 1  # but the head
    assert sum(isinstance(m, nn.InstanceNorm3d) for m in network.modules()) == convolutions


def test_instance_normalization_is_off_unless_asked_for():
    assert not any(isinstance(m, nn.InstanceNorm3d) for m in UNet3d(width=4).modules())
    torch.manual_seed(0)
    normed = UNet3d(width=4, levels=1, norm=True)
    x = white(0)
    assert (normed(5 * x) - normed(x)).abs().max() < 1e-3  # a block's own scale is taken out


@pytest.mark.parametrize("side", [16, 32])
def test_shapes(side):
    x = white(0, 2, side)
    assert PatchDiscriminator(width=4)(x).shape == (2, 1, *(side // 8,) * 3)
    judge = DomainDiscriminator(width=4)
    assert judge(x).shape == (2, 2 * (side // 8) ** 3)
    assert [f.shape[1] for f in judge.features(x)] == [4, 8, 16, 4, 8, 16]
    codes = NoiseEncoder(8, width=4)(x)
    assert codes.shape == (2, 8)
    assert NoiseDecoder(8, side, width=4)(codes).shape == x.shape


def test_masks_have_sides_of_multiples_of_8():
    with pytest.raises(ValueError, match="multiple of 8"):
        NoiseDecoder(8, 20, width=4)


def test_spectral_normalization_bounds_every_layer():
    torch.manual_seed(0)
    judge = PatchDiscriminator(width=4, spectral=True)
    for _ in range(30):
        judge(white(0))  # the power iteration
    for layer in judge.layers:
        if isinstance(layer, nn.Conv3d):
            assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(
                1, abs=0.05
            )


def test_the_log_spectrum_shows_a_wedge_and_a_shift_does_not_change_it():
    x = white(0)
    assert (log_spectrum(x.roll(3, 2)) - log_spectrum(x)).abs().max() < 1e-4
    transform = torch.fft.fftn(x, dim=(2, 3, 4))
    transform[:, :, :, :, 4:-3] = 0
    shown = log_spectrum(torch.fft.ifftn(transform, dim=(2, 3, 4)).real)
    assert shown[..., 8].mean() > 0.5  # kx = 0 is in the middle
    assert shown[..., 0].abs().max() < 1e-4


def test_the_discriminator_learns_to_tell_spectra_apart():
    """White from low-passed noise of equal variance: undecided before, nearly sure after 60 steps."""
    torch.manual_seed(0)
    judge = DomainDiscriminator(width=4)
    initialize_orthogonally(judge)
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3)

    def smooth(seed):
        x = nn.functional.avg_pool3d(white(seed), 3, stride=1, padding=1)
        return x / x.std()

    for step in range(60):
        loss = nn.functional.softplus(-judge(white(step))).mean()
        loss = loss + nn.functional.softplus(judge(smooth(1000 + step))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        assert judge(white(5000)).mean() > 1
        assert judge(smooth(5001)).mean() < -1


@pytest.mark.parametrize("spectral", [False, True])
def test_orthogonal_weights(spectral):
    """Of all six networks, and of those whose norm is held to one, which it is already."""
    config = DualConfig(width=4, levels=1, judge_width=2, patch_side=16, spectral=spectral)
    network = DualNetworks(config.model_copy(update={"noise_prior": False, "student_ratio": 0.0}))
    seen = 0
    for module in network.modules():
        if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
            w = module.weight.detach().flatten(1)
            gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
            assert torch.allclose(gram, torch.eye(len(gram)), atol=1e-3)
            assert module.bias is None or not module.bias.any()
            seen += 1
    assert seen > 20
