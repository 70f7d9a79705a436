from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from vitreous.core import Normalization
from vitreous.fourier import NoiseGenerator, frequency_radius, measured_region
from vitreous.methods import Dual
from vitreous.methods.dual import DualConfig
from vitreous.methods.dual.prior import set_prior, signal_transfer
from vitreous.methods.method import PreparedVolume
from vitreous.training import TrainingVolume

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
SIDE, NODES = 32, 17


def passed(radius):
    """A microscope under focus: nothing of the mean, most at 0.15 cycles/voxel, nothing beyond 0.3."""
    return torch.sin(torch.pi * radius / 0.3).clamp_min(0) * (radius < 0.3)


def steep():
    """Power of densities: it falls by three orders of magnitude, as that of compact particles does."""
    return 10 * torch.exp(-((frequency_radius((SIDE,) * 3) / 0.12) ** 2)) + 0.01


def domains(noise_to_signal, *, tilts=(-60, 60), background=0.0):
    """Tomograms of densities through `passed` in a wedge, and other densities with the same spectrum.

    `background`: deviation of a slope along y on top, in units of the rest's.
    """
    generator = torch.Generator().manual_seed(5)
    shape = (96, 96, 96)
    densities = NoiseGenerator(steep(), shape).draw(generator, 4)
    region = measured_region(shape, tilts, half=True)
    noise = noise_to_signal * torch.randn((2, *shape), generator=generator)
    kept = torch.fft.rfftn(densities[:2], dim=(1, 2, 3)) * passed(frequency_radius(shape, half=True))
    both = (kept + torch.fft.rfftn(noise, dim=(1, 2, 3))) * region
    tomograms = torch.fft.irfftn(both, s=shape, dim=(1, 2, 3))
    slope = torch.linspace(-(3**0.5), 3**0.5, shape[1])[:, None]
    tomograms = tomograms / tomograms.std() + background * slope
    tomograms /= tomograms.std()

    def volumes(stack):
        return [TrainingVolume(v.numpy(), AS_IS, name="v", voxel_spacing_angstrom=10.0) for v in stack]

    return volumes(tomograms), volumes(densities[2:] / densities[2:].std())


def turned(volume):
    """With the axes y and x exchanged."""
    return replace(volume, data=np.ascontiguousarray(volume.data.swapaxes(1, 2)))


def prior_of(noise_to_signal=None, *, tomograms=(), clean=(), **more):
    if noise_to_signal is not None:
        tomograms, clean = domains(noise_to_signal, **more)
    method = Dual(DualConfig(patch_side=SIDE, voxel_spacing_angstrom=10.0, student_ratio=0))
    network = method.build_network(0)
    set_prior(network, [method.prepare(v) for v in tomograms], clean)
    return network


def test_what_the_microscope_passes_is_read_off_the_two_domains():
    """Shape within 10 % where signal shows, but for the lowest shell, into which the window spreads others.

    Its scale is that of the units.
    """
    network = prior_of(0.3)
    found = network.signal_transfer
    wanted = passed(torch.linspace(0, 0.5, NODES))
    clear = slice(2, 8)  # 0.06 to 0.22 cycles/voxel
    scale = float((found[clear] * wanted[clear]).sum() / wanted[clear].square().sum())
    torch.testing.assert_close(found[clear] / scale, wanted[clear], rtol=0.1, atol=0.05)


def test_simulated_signal_and_noise_have_the_variance_of_a_tomogram():
    """Within 10 %, before any training: the density through the prior, and the prior's noise."""
    network = prior_of(0.5)
    _, clean = domains(0.5)
    with torch.no_grad():
        network.structural.head.weight.zero_()
        network.structural.head.bias.zero_()
        density = torch.from_numpy(clean[0].data[:64, :64, :64])[None, None]
        signal = network.seen(density)
    assert float(signal.var() + network.noise_power.mean()) == pytest.approx(1, abs=0.1)


ALL = torch.ones(SIDE, SIDE, SIDE // 2 + 1)


def test_the_tilts_are_those_that_the_noise_shows():
    """Within 4°; of several tomograms all that one of them has, all angles where one shows no gap."""
    tomograms, clean = domains(0.3)
    wide, _ = domains(0.3, tilts=(-70, 60))
    whole, _ = domains(0.3, tilts=(-90, 90))

    def tilts(*volumes):
        return prior_of(tomograms=volumes, clean=clean).tilts.tolist()

    assert tilts(tomograms[0]) == pytest.approx([-60, 60, 1], abs=4)
    assert tilts(turned(tomograms[0])) == pytest.approx([-60, 60, 2], abs=4)
    assert tilts(tomograms[0], wide[0]) == pytest.approx([-70, 60, 1], abs=4)
    assert tilts(tomograms[0], whole[0]) == [-90, 90, 1]
    assert tilts(tomograms[0], turned(tomograms[1])) == [-90, 90, 1]


def test_a_slow_background_changes_neither_signal_nor_noise_of_the_prior_against_the_other():
    """Within 10 %; three quarters of the variance are background."""
    flat, sloping = prior_of(0.3), prior_of(0.3, background=3**0.5)
    parts = [
        (float(p.noise_power.mean()) ** 0.5, float(p.signal_transfer[2:8].mean())) for p in (flat, sloping)
    ]
    assert parts[1][0] / parts[1][1] == pytest.approx(parts[0][0] / parts[0][1], rel=0.1)
    assert parts[1][0] == pytest.approx(parts[0][0] / 2, rel=0.1)  # of the tomogram's own units


def test_smoothed_densities_do_not_make_their_edges_burst():
    tomograms, clean = domains(0.3)
    smooth = [replace(v, data=gaussian_filter(v.data, 2.0)) for v in clean]
    smooth = [replace(v, data=v.data / v.data.std()) for v in smooth]
    found = prior_of(tomograms=tomograms, clean=smooth).signal_transfer
    assert float(found.max()) <= 5.0


def test_departure_is_the_share_that_gs_changes():
    network = prior_of(0.3)
    density = torch.from_numpy(domains(0.3)[1][0].data[:32, :32, :32])[None, None]
    for change, share in ((lambda d: 0 * d, 0.0), (lambda d: 0.5 * d, 0.25), (lambda d: -d, 1.0)):
        network.structural.forward = change
        assert float(network.departure(density)) == pytest.approx(share, abs=1e-5)


def test_what_the_noise_hides_is_no_more_than_can_be_hidden():
    noise, densities = torch.ones(SIDE, SIDE, SIDE), steep()
    radius = frequency_radius((SIDE,) * 3)
    total = noise + densities * (radius < 0.1) * 0.5**2
    found = signal_transfer(noise, total, densities, ALL, 1.0, NODES)
    nodes = torch.linspace(0, 0.5, NODES)
    torch.testing.assert_close(found[1:3], torch.full((2,), 0.5), rtol=0.05, atol=0)
    hidden = nodes > 0.15
    power = torch.from_numpy(
        np.interp(nodes, radius.flatten().sort()[0], steep().flatten()[radius.flatten().argsort()])
    )
    assert (found[hidden] ** 2 * power[hidden] < 0.1).all()  # 5 % of the noise, and how shells spread
    assert torch.isfinite(found).all()


def test_signal_that_nowhere_shows_is_passed_alike():
    flat = torch.ones(8, 8, 8)
    assert signal_transfer(flat, flat, flat, torch.ones(8, 8, 5), 0.07, 5).tolist() == pytest.approx(
        [0.07] * 5
    )


def test_volumes_of_another_preparation_are_refused():
    network = Dual(DualConfig(patch_side=16)).build_network(0)
    volume = TrainingVolume(np.zeros((32, 32, 32), np.float32), AS_IS, name="v", voxel_spacing_angstrom=10.0)
    with pytest.raises(ValueError, match="prepared"):
        set_prior(network, [PreparedVolume(volume)], [volume])
