"""DUAL: what its networks make of each other, its game, and what is done when a domain dies."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import kurtosis, skew

from vitreous.core import (
    InputError,
    Interrupted,
    Normalization,
    SilentProgress,
    TrainingDiverged,
    measure_voxels,
)
from vitreous.methods import Dual, DualConfig, PreparedVolume
from vitreous.methods.dual.networks import DualNetworks
from vitreous.methods.dual.objective import DualObjective, spectral_distance
from vitreous.methods.dual.simulation import noise_masks, simulated_tomogram
from vitreous.methods.dual.strength import with_strength
from vitreous.training import CheckpointStore, Phase, TrainingSettings, TrainingVolume, train

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
TINY = {"width": 2, "judge_width": 2, "levels": 1, "patch_side": 16, "batch": 2, "queue": 16, "steps": 6}
CPU = torch.device("cpu")


def white(seed, shape=(24, 24, 24)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def training_volume(seed, name="volume"):
    return TrainingVolume(white(seed), AS_IS, name=name, voxel_spacing_angstrom=10.0)


def objective(**changes):
    method = Dual(DualConfig(**{**TINY, **changes}), clean=[training_volume(1, "clean")])
    network = method.build_network(0)
    power = torch.full((16, 16, 16), 0.9)
    prepared = PreparedVolume(training_volume(0, "noisy"), power, 0.9, total_spectrum=power / 0.9)
    return method.objective(network, [prepared], CPU)


def settings(steps=6):
    return DualConfig(**TINY).model_copy(update={"steps": steps}).training_settings(3, CPU, "float32")


def state_of(one):
    return {name: value.clone() for name, value in one.network.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in second)


def test_permuted_masks_hold_the_same_voxels_elsewhere():
    network = DualNetworks(DualConfig(**TINY))
    codes = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    plain = network.mask_of(codes)
    permuted = network.mask_of(codes, torch.Generator().manual_seed(1))
    for a, b in zip(plain, permuted, strict=True):
        assert torch.equal(a.flatten().sort().values, b.flatten().sort().values)
        assert not torch.equal(a, b)
    again = network.mask_of(codes, torch.Generator().manual_seed(1))
    assert torch.equal(again, permuted)


def test_voxels_are_permuted_when_simulating_and_never_when_reconstructing(monkeypatch):
    """Dual eq. 1 has P, eq. 2 has none."""
    one, seen = objective(), []
    mask_of = one.network.mask_of

    def spied(codes, generator=None):
        seen.append((codes.requires_grad, generator is not None))
        return mask_of(codes, generator)

    monkeypatch.setattr(one.network, "mask_of", spied)
    next(one.phases(torch.Generator().manual_seed(0)))
    drawn, encoded = False, True  # codes of the encoder have a gradient
    assert sorted(seen) == [(drawn, True), (encoded, False)]


def test_permuting_makes_a_smooth_mask_white():
    """Correlation of neighbours: near 1 before, within 4 standard errors of 0 after."""
    network = DualNetworks(DualConfig(**TINY))
    ramp = torch.linspace(-1, 1, 16).reshape(1, 1, 16, 1, 1).expand(1, 1, 16, 16, 16)
    network.decoder.forward = lambda codes: ramp
    codes = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))

    def neighbours(mask):
        x = mask.detach()[0, 0]
        return float(np.corrcoef(x[1:].flatten(), x[:-1].flatten())[0, 1])

    assert neighbours(network.mask_of(codes)) > 0.9
    permuted = neighbours(network.mask_of(codes, torch.Generator().manual_seed(1)))
    assert abs(permuted) < 4 / 16**1.5


def test_blocks_of_noise_with_a_mean_make_no_lattice():
    """Blocks of mean 0.5 and deviation 0.1, averaged over 12³ cells of the lattice that blocks lie on."""
    network = DualNetworks(DualConfig(**{**TINY, "noise_prior": False}))
    generator = torch.Generator().manual_seed(0)
    network.decoder.forward = lambda codes: 0.5 + 0.1 * torch.randn(1, 1, 16, 16, 16, generator=generator)
    noise = noise_masks(network, (96, 96, 96), 0, SilentProgress())
    cells = noise.reshape(12, 8, 12, 8, 12, 8)
    np.testing.assert_allclose(cells.mean((0, 2, 4)), 0.5, rtol=0.05)
    np.testing.assert_allclose(cells.var((0, 2, 4)).mean((1, 2)), 0.01, rtol=0.05)


def test_the_prior_gives_simulated_noise_its_strength_and_spectrum():
    network = DualNetworks(DualConfig(**TINY))
    power = torch.ones(16, 16, 16) * 0.5
    power[:, :, 4:13] = 0  # kx above a quarter is empty
    network.noise_power.copy_(power)
    generator = torch.Generator().manual_seed(0)
    masks = network.mask_of(torch.randn(64, 8, generator=generator), generator)
    noise = network.shaped(masks).detach()
    measured = torch.fft.fftn(noise, dim=(2, 3, 4), norm="ortho").abs().square().mean((0, 1))
    assert measured[:, :, 4:13].max() < 1e-6
    inside = measured[:, :, [0, 1, 2, 3, 13, 14, 15]]
    assert float(inside.mean()) == pytest.approx(0.5, rel=0.05)
    assert float(noise.var()) == pytest.approx(float(power.mean()), rel=0.05)


def test_the_priors_masks_are_gaussian_and_keep_the_order_of_their_voxels():
    """Of the decoder's own masks, very skewed here; a constant one stays nothing."""
    network, generator = DualNetworks(DualConfig(**TINY)), torch.Generator().manual_seed(0)
    raw = torch.randn(3, 1, 16, 16, 16, generator=generator).exp()
    raw[2] = 7.0
    raw.requires_grad_()
    network.decoder.forward = lambda codes: raw
    masks = network.mask_of(torch.zeros(3, 8))
    for mask, origin in zip(masks[:2].detach(), raw[:2], strict=True):
        assert abs(skew(mask.flatten())) < 0.001  # 6 or more before
        assert kurtosis(mask.flatten()) == pytest.approx(0, abs=0.02)  # 65 or more before
        assert float(mask.var()) == pytest.approx(1, abs=0.001)
        assert float(mask.flatten()[origin.flatten().argsort()].diff().min()) > -1e-5
    assert float(masks[2].detach().abs().max()) < 1e-3
    (masks * torch.randn(masks.shape, generator=generator)).sum().backward()
    assert all(float(one.abs().max()) > 0 for one in raw.grad[:2])
    without = DualNetworks(DualConfig(**{**TINY, "noise_prior": False}))
    without.decoder.forward = lambda codes: raw
    assert without.mask_of(torch.zeros(3, 8)) is raw


def test_simulated_noise_does_not_go_on_at_the_opposite_face():
    """Noise that is smooth along z: planes beside each other correlate at 0.9, first and last do not."""
    network = DualNetworks(DualConfig(**TINY))
    kz = torch.fft.fftfreq(16).reshape(16, 1, 1)
    network.noise_power.copy_(torch.exp(-((kz / 0.08) ** 2)).expand(16, 16, 16))
    network.signal_transfer.zero_()
    density = np.zeros((24, 48, 48), np.float32)
    made = simulated_tomogram(network, density, AS_IS, 3, SilentProgress(), CPU)
    assert made.shape == density.shape
    assert np.corrcoef(made[0].ravel(), made[1].ravel())[0, 1] > 0.8
    assert abs(np.corrcoef(made[0].ravel(), made[-1].ravel())[0, 1]) < 4 / 48


def test_equations_1_and_2_without_the_prior_are_those_of_the_paper():
    network = DualNetworks(DualConfig(**{**TINY, "noise_prior": False}))
    density, mask = torch.randn(2, 2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.tomogram(density, mask), network.structural(density + mask))


def test_the_papers_configuration():
    paper = DualConfig.paper()
    assert (paper.width, paper.levels, paper.norm, paper.batch) == (32, 3, True, 16)
    weights = (paper.reconstruction, paper.adversarial, paper.divergence)
    assert weights == (1, 1, 0.1)
    training = paper.training_settings(0, CPU, "float32")
    rates = (training.learning_rate, training.betas, training.weight_decay, training.schedule)
    assert rates == (1e-4, (0.9, 0.999), 1e-6, "constant")
    assert paper.through_denoiser
    assert not paper.noise_prior


def test_each_phase_moves_its_own_networks():
    one = objective(divergence=0.1)
    generator = torch.Generator().manual_seed(0)
    phases = one.phases(generator)
    for others in (one.network.judges, one.network.generators):
        phase = next(phases)
        assert isinstance(phase, Phase)
        one.network.zero_grad()
        torch.autograd.backward(phase.loss, inputs=list(phase.parameters))
        assert all(p.grad is not None for p in phase.parameters)
        assert all(p.grad is None for p in others)
    assert next(phases, None) is None
    assert int(one.network.filled) == 2  # the batch's codes are in the queue


@pytest.mark.parametrize("through", [False, True])
def test_the_reconstruction_of_tomograms_trains_the_denoiser_only_if_asked(through):
    one = objective(through_denoiser=through)
    generator = torch.Generator().manual_seed(0)
    patches = one._drawn(one.noisy, generator), one._drawn(one.clean, generator)
    losses = one.generator_losses(one._played(*patches, generator))
    trained = {
        ("noisy_reconstruction", "structural"): True,
        ("noisy_reconstruction", "denoiser"): through,
        ("clean_reconstruction", "structural"): True,
        ("clean_reconstruction", "denoiser"): True,
    }
    for (term, part), wanted in trained.items():
        parameters = list(getattr(one.network, part).parameters())
        gradients = torch.autograd.grad(losses[term], parameters, allow_unused=True, retain_graph=True)
        assert all((g is not None) == wanted for g in gradients)


def test_signal_is_only_where_the_noise_prior_has_power():
    network = DualNetworks(DualConfig(**TINY))
    power = torch.ones(16, 16, 16)
    power[:, :, 4:13] = 0
    network.noise_power.copy_(power)
    density = torch.randn(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    seen = torch.fft.fftn(network.seen(density).detach(), dim=(2, 3, 4), norm="ortho").abs()
    assert seen[..., 4:13].max() < 1e-4
    assert seen[..., :4].mean() > 0.3
    network.noise_power.zero_()
    assert torch.isfinite(network.seen(density)).all()


def test_patches_of_tomograms_stay_as_they_lie():
    one = objective()
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        (patch, _) = one._drawn(one.noisy, generator)
        z, y, x = patch.start
        as_it_lies = one.noisy.volumes[0].data[z : z + 16, y : y + 16, x : x + 16]
        shown = one._played([patch, patch], [patch, patch], generator).noisy[0, 0]
        np.testing.assert_array_equal(shown.numpy(), as_it_lies)


@pytest.mark.parametrize("stop", [1, 3, 4, 5])
def test_a_stopped_training_ends_with_the_same_bytes(tmp_path, stop):
    class Stopping(SilentProgress):
        left = stop

        def should_stop(self):
            self.left -= 1
            return self.left < 0

    whole, first, resumed = objective(), objective(), objective()
    record = train(whole, settings(), SilentProgress())
    with pytest.raises(Interrupted):
        train(first, settings(), Stopping(), CheckpointStore(tmp_path))
    again = train(resumed, settings(), SilentProgress(), CheckpointStore(tmp_path))
    assert same(state_of(resumed), state_of(whole))
    assert (again.losses, again.monitored) == (record.losses, record.monitored)


class Dying(DualObjective):
    """The denoiser gives nothing any more from a step on."""

    dies_at, looks = 3, 0

    def monitored(self, generator):
        self.looks += 1
        if self.looks >= self.dies_at:
            with torch.no_grad():
                self.network.denoiser.head.weight.zero_()
        return super().monitored(generator)


def dying(**changes):
    one = objective()
    with torch.no_grad():
        one.network.denoiser.head.weight.mul_(10)  # alive to begin with
    result = Dying(one.network, one.noisy.volumes, one.clean.volumes, one.config, CPU)
    for name, value in changes.items():
        setattr(result, name, value)
    return result


def test_a_domain_that_dies_is_told_and_rolled_back():
    class Listener(SilentProgress):
        said = ()

        def warn(self, text):
            self.said = (*self.said, text)

    listener = Listener()
    with pytest.raises(TrainingDiverged, match=r"the clean domain died: .* again after a roll-back"):
        train(dying(), settings(), listener)
    assert "the clean domain died" in listener.said[0]
    assert "back to step 2 at 0.25 times the rate" in listener.said[0]


class Scaled(torch.nn.Module):
    """A denoiser that gives back what it sees, times a factor for tomograms or one for simulated ones."""

    def __init__(self, of_tomograms, of_simulated):
        super().__init__()
        self.factors = {"tomogram": of_tomograms, "simulated": of_simulated}

    def forward(self, x):
        return x * self.factors["simulated" if float(x.std()) > 5 else "tomogram"]


@pytest.mark.parametrize(
    ("of_tomograms", "of_simulated", "contrast", "died"),
    [
        (0.1, 0.1, 1.0, False),  # a sparse tomogram, denoised well: its variance is a hundredth
        (0.1, 0.001, 1.0, True),  # densities do not come back either
        (0.001, 0.001, 0.0, False),  # no particle was drawn: that says nothing
        (10.0, 0.1, 1.0, True),
    ],
)
def test_the_clean_domain_is_dead_only_if_densities_do_not_come_back(
    of_tomograms, of_simulated, contrast, died
):
    """Tomograms and densities of unit variance; simulated tomograms are ten times the density."""
    one = objective()
    one.network.denoiser = Scaled(of_tomograms, of_simulated)
    one.network.tomogram = lambda density, _: 10 * density
    for volume in one.clean.volumes:
        volume.data[...] *= contrast
    _, text = one.monitored(torch.Generator().manual_seed(0))
    assert ("the clean domain died" in text) is died


def test_the_record_has_both_domains_at_every_look():
    record = train(objective(), settings(), SilentProgress())
    assert [step for step, _ in record.monitored] == [1, 2, 3, 4, 5, 6]
    wanted = {"noisy_variance_ratio", "clean_variance_ratio", "noisy_spectral_distance", "drawn_share"}
    assert all(wanted <= set(figures) for _, figures in record.monitored)


def test_spectral_distance_of_equal_spectra_is_small_and_of_smoothed_noise_is_not():
    a, b = (torch.from_numpy(white(s, (4, 1, 16, 16, 16))) for s in (0, 1))
    smooth = torch.nn.functional.avg_pool3d(b, 3, stride=1, padding=1)
    assert spectral_distance(a, b) < 0.15
    assert spectral_distance(a, smooth) > 1


def test_strength_0_is_the_volume_and_1_the_fitted_prediction():
    truth, noise = white(0), white(1)
    volume = 5 + 2 * truth + noise
    normalization = Normalization(5.0, 2.0, -np.inf, np.inf)
    prediction = 0.1 * truth - 3
    none, correlation = with_strength(prediction, volume, normalization, 0.0)
    np.testing.assert_array_equal(none, volume)
    full, _ = with_strength(prediction, volume, normalization, 1.0)
    slope = np.cov(truth.ravel(), volume.ravel())[0, 1] / truth.var()
    np.testing.assert_allclose(full, volume.mean() + slope * (truth - truth.mean()), atol=2e-3)
    assert correlation == pytest.approx(np.corrcoef(truth.ravel(), volume.ravel())[0, 1], abs=1e-4)
    assert abs(np.corrcoef((volume - full).ravel(), full.ravel())[0, 1]) < 1e-3  # the calibrated residual
    half, _ = with_strength(prediction, volume, normalization, 0.5)
    assert (half - full).var() == pytest.approx(0.25 * (volume - full).var(), rel=1e-3)


def test_the_wrong_contrast_is_told():
    method = Dual()
    _, text = method.calibrated(-white(0), training_volume(0), 1.0)
    assert "other contrast" in text
    assert method.calibrated(white(0), training_volume(0), 1.0)[1] == ""


def test_an_unknown_or_other_spacing_is_refused():
    unknown = TrainingVolume(white(0), AS_IS, name="a.mrc")
    with pytest.raises(InputError, match=r"a\.mrc: has no voxel spacing"):
        Dual().prepare(unknown)
    trained = Dual(DualConfig(voxel_spacing_angstrom=13.5))
    with pytest.raises(InputError, match=r"voxels of 10 Å, and the model was trained on 13\.5 Å"):
        trained.prepare(training_volume(0))


def test_training_settings_reach_the_loop():
    assert isinstance(settings(), TrainingSettings)
    assert settings().weight_decay == 1e-6


@pytest.mark.parametrize(("sign", "seen"), [(-1, "dark"), (1, "bright"), (0, "dark")])
def test_the_contrast_of_the_built_in_clean_domain_is_that_of_the_tomogram(sign, seen):
    data = white(3, (48, 64, 64))
    data[::12, 4::14, 4::14] += sign * 40
    data[20:24, 20:24, 20:24] -= 200  # a bead, which tells nothing
    data = gaussian_filter(data, 2.0) * 10 + white(4, data.shape)
    volume = TrainingVolume(data, measure_voxels(data).normalization, voxel_spacing_angstrom=10.0)
    prepared = Dual(DualConfig(**TINY)).prepare(volume)
    assert Dual(DualConfig(**TINY)).adapted([prepared]).config.protein == seen
    said = DualConfig(**TINY, protein="bright")
    assert Dual(said).adapted([prepared]).config.protein == "bright"


def faint(noise=30.0, shape=(64, 64, 64)):
    """Blobs of some 80 Å in white noise that hides all but their lowest frequencies."""
    rng = np.random.default_rng(3)
    density = gaussian_filter((rng.uniform(size=shape) < 2e-3).astype(np.float32), 3)
    data = (density / density.std() + noise * rng.normal(size=shape)).astype(np.float32)
    return TrainingVolume(data, measure_voxels(data).normalization, name="faint", voxel_spacing_angstrom=10.0)


def test_very_noisy_tomograms_are_seen_binned():
    volume = faint()
    method = Dual(DualConfig(**{**TINY, "student_ratio": 0}), clean=[training_volume(1, "clean")])
    prepared = method.prepare(volume)
    fixed = method.adapted([prepared])
    assert prepared.binning > 1
    assert fixed.config.voxel_spacing_angstrom == 10.0 * prepared.binning
    (clean,) = fixed.clean_domain([prepared])
    assert clean.data.shape == tuple(-(-n // prepared.binning) for n in (24, 24, 24))
    one = fixed.objective(fixed.build_network(0), [prepared], CPU)
    assert one.noisy.volumes[0].data.shape == tuple(-(-n // prepared.binning) for n in volume.data.shape)
    assert Dual(DualConfig(**TINY, binning=1)).prepare(volume).binning == 1


def test_a_model_takes_voxels_that_are_whole_fractions_of_its_own():
    method = Dual(DualConfig(**TINY, voxel_spacing_angstrom=20.0))
    assert method.prepare(faint()).binning == 2
    with pytest.raises(InputError, match=r"voxels of 14 Å, and the model was trained on 20 Å"):
        method.prepare(TrainingVolume(white(0), AS_IS, name="v", voxel_spacing_angstrom=14.0))


def test_a_thin_volume_is_not_binned_away():
    method = Dual(DualConfig(**TINY, voxel_spacing_angstrom=30.0))
    thin = TrainingVolume(white(0, (20, 64, 64)), AS_IS, name="thin", voxel_spacing_angstrom=10.0)
    with pytest.raises(InputError, match="is 20 voxels thin, too thin to be binned 3 ×"):
        method.prepare(thin)
    coarse = TrainingVolume(white(0), AS_IS, name="v", voxel_spacing_angstrom=30.0 / 8)
    with pytest.raises(InputError, match="trained on 30 Å"):
        method.prepare(coarse)
