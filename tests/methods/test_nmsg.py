"""NMSG: where the noise is learned, the game it is learned by, and what it is then used for."""

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch
from torch import nn

from vitreous.core import Normalization, SilentProgress
from vitreous.fourier import NoiseGenerator, frequency_radius, patch_spectra, shell_means
from vitreous.inference import tiles_of
from vitreous.methods import PreparedVolume
from vitreous.methods.nmsg import Nmsg, NmsgConfig
from vitreous.methods.nmsg.network import NoiseCritic, NoiseSynthesizer, adversarial_loss, filtered
from vitreous.methods.nmsg.objective import sparsity_guidance
from vitreous.methods.nmsg.patches import noise_patches
from vitreous.training import TrainingVolume, train

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def white(shape, seed=0):
    return torch.randn(shape, generator=generator(seed))


def prepared(data, share=1.0):
    return PreparedVolume(TrainingVolume(np.asarray(data, np.float32), AS_IS), noise_share=share)


# --- noise patches ---------------------------------------------------------------------------------


def half_busy(shape=(32, 48, 48)):
    """White noise with blobs as strong as the noise where x is below a half."""
    noise = white(shape).numpy()
    blobs = ndi.gaussian_filter(white(shape, 1).numpy(), 2.0)
    return noise + 2 * blobs / blobs.std() * (np.arange(shape[2]) < shape[2] // 2), noise


def test_quiet_patches_are_those_without_structure():
    data, _ = half_busy()
    patches = noise_patches(TrainingVolume(data, AS_IS), 16, 0.3, "quiet")
    assert len(patches) == round(0.3 * 3 * 5 * 5)
    assert float(patches.mean((1, 2, 3)).abs().max()) < 1e-6
    for patch in patches:
        assert float(patch.var()) == pytest.approx(1, abs=4.5 * np.sqrt(2 / 16**3))
    everywhere = noise_patches(TrainingVolume(data, AS_IS), 16, 1.0, "quiet")
    assert len(everywhere) == 3 * 5 * 5
    assert float(everywhere.var()) > 1.5


def test_padding_is_not_taken_for_the_quietest_noise():
    data, noise = half_busy()
    data[:, 20:] = 3.0
    patches = noise_patches(TrainingVolume(data, AS_IS), 16, 0.3, "quiet")
    assert float(patches.var((1, 2, 3)).min()) > 0.4
    padded = noise_patches(TrainingVolume(np.where(data == 3, 3, noise), AS_IS), 16, 1.0, "quiet")
    assert len(padded) < 3 * 5 * 5


def test_preparing_a_volume_finds_the_share_of_the_noise():
    """Noise of variance 1 in a volume standardized by a deviation of 2."""
    volume = TrainingVolume(half_busy()[0], Normalization(0.0, 2.0, -np.inf, np.inf))
    found = Nmsg(NmsgConfig(quiet_share=0.3)).prepare(volume)
    assert found.noise_share == pytest.approx(0.25, rel=0.03)
    assert found.summary["noise share of variance"] == f"{found.noise_share:.0%}"
    assert Nmsg().prepare(TrainingVolume(np.ones((16, 16, 16), np.float32), AS_IS)).noise_share == 0


def test_patches_of_top_and_bottom_come_from_there():
    """Each section has its number, squared: its slope says where a patch was cut."""
    z = np.arange(32, dtype=np.float32)[:, None, None] ** 2 + np.zeros((1, 32, 32), np.float32)
    patches = noise_patches(TrainingVolume(z, AS_IS), 16, 0.1, "top-and-bottom")
    assert len(patches) == 2 * 3 * 3
    slopes = {round(float(p[1, 0, 0] - p[0, 0, 0])) for p in patches}
    assert slopes == {1, 33}  # 1² - 0² at the bottom, 17² - 16² at the top


@pytest.mark.parametrize("noise_from", ["quiet", "top-and-bottom"])
def test_thin_masked_and_flat_volumes_give_patches_too(noise_from):
    mask = np.zeros((8, 40, 40), bool)
    mask[:, :20, :20] = True
    volume = TrainingVolume(white((8, 40, 40)).numpy(), AS_IS, mask)
    assert noise_patches(volume, 16, 0.1, noise_from).shape[1:] == (16, 16, 16)
    flat = noise_patches(TrainingVolume(np.ones((20, 20, 20), np.float32), AS_IS), 16, 0.1, noise_from)
    assert (flat == 0).all()


# --- the networks ----------------------------------------------------------------------------------


def test_filtering_is_scipys_correlation():
    values, kernel = white((12, 9, 10)), white((3, 5, 4), 1)
    expected = ndi.correlate(values.numpy(), kernel.numpy(), mode="constant", origin=(0, 0, 0))
    inside = expected[1:-1, 2:-2, 2:-1]
    np.testing.assert_allclose(filtered(values, kernel).numpy(), inside, atol=1e-5)


def test_the_synthesizer_begins_near_the_identity_and_is_the_same_everywhere():
    torch.manual_seed(0)
    synthesizer, numbers = NoiseSynthesizer(), white((1, 1, 30, 31, 32))
    with torch.no_grad():
        noise = synthesizer(numbers)
        part = synthesizer(numbers[:, :, 3:25, 5:29, 7:30])
    assert noise.shape == (1, 1, 22, 23, 24)
    np.testing.assert_allclose(part.numpy(), noise[:, :, 3:17, 5:21, 7:22].numpy(), atol=1e-5)
    inner = numbers[:, :, 4:-4, 4:-4, 4:-4]
    assert np.corrcoef(noise.numpy().ravel(), inner.numpy().ravel())[0, 1] > 0.95


class Linear(nn.Module):
    """⟨w, x⟩: judgements and their slope in closed form."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(0.1 * white((4, 4, 4), 5))

    def forward(self, patches):
        return (patches[:, 0] * self.weight).sum((1, 2, 3))


def test_the_adversarial_loss_trains_both_sides_against_each_other():
    critic, real = Linear(), white((3, 1, 4, 4, 4), 1)
    made = white((3, 1, 4, 4, 4), 2).requires_grad_()
    loss = adversarial_loss(critic, real, made, 0.7)
    w = critic.weight.detach().numpy()
    difference = ((made.detach() - real)[:, 0].numpy() * w).sum((1, 2, 3))
    assert float(loss.detach()) == pytest.approx(
        np.log1p(np.exp(difference)).mean() + 0.35 * (w**2).sum(), rel=1e-5
    )
    to_critic, to_made = torch.autograd.grad(loss, [critic.weight, made])
    doubt = 1 / (1 + np.exp(-difference)) / 3
    descent = (doubt[:, None, None, None] * (made.detach() - real)[:, 0].numpy()).sum(0)
    np.testing.assert_allclose(to_critic.numpy(), descent + 0.7 * w, atol=1e-6)
    # Plain descent would lower the judgement of what is made; reversed, it raises it.
    np.testing.assert_allclose(to_made[:, 0].numpy(), -doubt[:, None, None, None] * w, atol=1e-6)


def test_the_critic_sees_the_spectrum():
    critic = NoiseCritic(16)
    with torch.no_grad():
        critic.spectral += 1.0
        judged = critic(torch.cat([white((1, 1, 16, 16, 16)), 2 * white((1, 1, 16, 16, 16))]))
    assert float(judged[1] - judged[0]) == pytest.approx(16 * 16 * 9 * np.log(4), rel=0.05)


# --- pairs and prediction --------------------------------------------------------------------------


class Scaled(nn.Module):
    """A synthesizer whose noise is known: numbers times a half."""

    radius = 2

    def forward(self, numbers):
        return 0.5 * numbers[..., 2:-2, 2:-2, 2:-2]


class Known(nn.Module):
    """An identity as denoiser, so that the loss is known in closed form."""

    stride, receptive_radius = 1, 0

    def __init__(self):
        super().__init__()
        self.denoiser, self.synthesizer = nn.Identity(), Scaled()

    def forward(self, x):
        return x


@pytest.mark.parametrize(("pairs", "expected"), [("corrected", 4 * 0.25 * 0.6), ("noisier", 0.25 * 0.6)])
@pytest.mark.parametrize("shape", [(32, 32, 32), (8, 32, 32)])
def test_the_loss_of_the_identity_is_the_power_of_the_difference(pairs, expected, shape):
    """|y + n - (y - n)|² = 4n², and |y + n - y|² = n²."""
    network, config = Known(), NmsgConfig(patch_side=20, batch=2, pairs=pairs, sparsity=0)
    objective = Nmsg(config).objective(network, [prepared(white(shape), 0.6)], CPU)
    losses = np.array([float(next(objective.phases(generator(s))).loss.detach()) for s in range(12)])
    error = losses.std(ddof=1) / np.sqrt(len(losses))
    assert abs(losses.mean() - expected) < 4 * error
    assert error < 0.02 * expected


def test_each_update_reaches_its_own_networks_alone():
    objective = Nmsg(config := NmsgConfig(patch_side=16, batch=1, width=4)).objective(
        Nmsg(config).build_network(0), [prepared(white((24, 24, 24)))], CPU
    )
    parts, updated = objective.network, []
    for phase in objective.phases(generator()):
        parts.zero_grad()
        phase.loss.backward()
        touched = {id(p) for p in parts.parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        assert touched
        assert touched <= {id(p) for p in phase.parameters}
        updated += [id(p) for p in phase.parameters]
    assert sorted(updated) == sorted(id(p) for p in parts.parameters())


def test_sparsity_and_guidance_against_numpy():
    prediction, noisy = white((2, 1, 9, 10, 11), 1), white((2, 1, 9, 10, 11), 2)
    inside = torch.ones_like(noisy)
    p = prediction[:, 0].numpy()
    smooth = np.stack([ndi.gaussian_filter(v[0], 1.5, mode="nearest", radius=4) for v in noisy.numpy()])
    slope = sum(np.abs(np.diff(p, axis=axis)).mean() for axis in (1, 2, 3))
    config = NmsgConfig(sparsity=0.2, guidance=0.3, smooth_sigma=1.5)
    found = float(sparsity_guidance(prediction, noisy, inside, config))
    assert found == pytest.approx(0.2 * slope + 0.3 * ((p - smooth) ** 2).mean(), rel=1e-5)
    assert float(sparsity_guidance(prediction, noisy, inside, NmsgConfig(sparsity=0))) == 0


def test_noise_of_the_same_kind_is_all_that_the_corrected_target_needs():
    """E[n - n' | n + n'] is 0 for any noise; with Gaussian n' for Laplace noise n it is not.

    Seen in the covariance of n - n' with the cube of n + n', whose expectation is κ4(n) - κ4(n').
    """
    rng = np.random.default_rng(0)
    noise, same = (rng.laplace(scale=0.5**0.5, size=400_000) for _ in range(2))
    for added, cumulants in ((same, 0.0), (rng.normal(size=400_000), 3.0)):
        products = (noise - added) * (noise + added) ** 3
        error = products.std() / len(products) ** 0.5
        assert abs(products.mean() - cumulants) < 4 * error
        if cumulants:
            assert products.mean() > 8 * error


def test_prediction_of_the_identity_averages_the_noise_of_its_draws():
    method, volume = Nmsg(NmsgConfig(draws=4)), prepared(np.zeros((32, 32, 64)), 0.6)
    predict = method.predictor(Known(), volume, CPU, 0)
    near, _ = tiles_of((32, 32, 64), tile=32, margin=0, stride=1)
    block = white((32, 32, 32))
    left = (predict(block, near) - block).numpy()
    assert left.var() == pytest.approx(0.6 * 0.25 / 4, rel=4.5 * np.sqrt(2 / left.size))
    np.testing.assert_allclose(predict(0 * block, near).numpy(), left, atol=1e-5)  # the same noise again
    plain = Nmsg(NmsgConfig(pairs="noisier")).predictor(Known(), volume, CPU, 0)
    np.testing.assert_allclose(plain(block, near).numpy(), block.numpy(), atol=1e-6)


def test_tiles_that_overlap_see_the_same_noise():
    torch.manual_seed(0)
    network = Known()
    network.synthesizer = NoiseSynthesizer()
    predict = Nmsg(NmsgConfig(draws=1)).predictor(network, prepared(np.zeros((8, 8, 16))), CPU, 0)
    tiles = tiles_of((8, 8, 16), tile=12, margin=4, stride=4)
    first, second = list(tiles)[1:3]
    overlap = first.start[2] + first.shape[2] - second.start[2]
    a, b = (predict(torch.zeros(t.shape), t) for t in (first, second))
    assert overlap > 4
    np.testing.assert_allclose(a[:, :, -overlap:].numpy(), b[:, :, :overlap].numpy(), atol=1e-5)
    assert float((a - b).abs().max()) > 0.1


def test_the_denoiser_and_the_noise_share_no_gradient():
    """The noise is the denoiser's input, and yet nothing of its loss reaches the synthesizer."""
    method = Nmsg(NmsgConfig(patch_side=16, batch=1, width=2, levels=1))
    network = method.build_network(0)
    objective = method.objective(network, [prepared(white((24, 24, 24)))], CPU)
    patches = [objective.sampler.draw(generator())]
    objective._restoration(patches, generator()).backward()
    assert all(p.grad is not None for p in network.denoiser.parameters())
    assert all(p.grad is None for p in [*network.synthesizer.parameters(), *network.critic.parameters()])
    network.zero_grad(set_to_none=True)
    objective._adversarial(generator()).backward()
    assert all(p.grad is None for p in network.denoiser.parameters())
    assert all(p.grad is not None for p in [*network.synthesizer.parameters(), *network.critic.parameters()])


@pytest.mark.slow
def test_the_noise_that_is_learned_has_the_spectrum_of_the_patches():
    """Coloured noise, four times as strong at low frequency: within a tenth in std, a quarter per shell."""
    shape = (48, 48, 48)
    colour = 0.3 + 0.9 * torch.exp(-((frequency_radius(shape) / 0.25) ** 2))
    data = NoiseGenerator(colour, shape).draw(generator())[0].numpy()
    config = NmsgConfig(steps=250, patch_side=16, width=1, levels=0, batch=1, quiet_share=0.5)
    method = Nmsg(config)
    network = method.build_network(0)
    volume = method.prepare(TrainingVolume(data, Normalization(0.0, 1.5, -np.inf, np.inf)))
    objective = method.objective(network, [volume], CPU)
    edges = [0.08, 0.16, 0.24, 0.32, 0.4, 0.5]
    wanted = shell_means(patch_spectra(objective.quiet).mean(0), edges)

    def made():
        with torch.no_grad():
            noise = network.synthesizer(white((32, 1, 24, 24, 24), 9))[:, 0]
        return float(noise.std()), shell_means(patch_spectra(noise).mean(0), edges) / wanted

    deviation, before = made()
    assert float((before - 1).abs().max()) > 0.5  # white at first
    train(objective, config.training_settings(0, CPU, "float32"), SilentProgress())
    deviation, after = made()
    assert float(objective.quiet.std()) == pytest.approx(1, rel=1e-3)
    assert deviation == pytest.approx(1, rel=0.1)
    assert float((after - 1).abs().max()) < 0.25
