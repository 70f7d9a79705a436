"""Recorruption: two volumes with uncorrelated noises, if and only if the spectrum is the right one."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization
from vitreous.fourier import NoiseGenerator, frequency_radius, shell_means
from vitreous.inference import tiles_of
from vitreous.methods import PreparedVolume
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig, recorrupted_pair
from vitreous.simulate import crowd
from vitreous.training import TrainingVolume

SHAPE = (40, 40, 40)
EDGES = [0.0, 0.06, 0.12, 0.18, 0.25, 0.32, 0.4, 0.5, 0.9]
SEEDS = 40
AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)


def coloured():
    """Low frequencies fifteen times as strong as high ones."""
    return 0.2 + 3 * torch.exp(-((frequency_radius(SHAPE) / 0.2) ** 2))


def shells_of_pairs(assumed, alpha):
    """Per seed and shell, relative to S: cross-spectrum of the two noises, and their own spectra."""
    truth = coloured()
    box = crowd(SHAPE, occupancy=0.1, seed=0, structures=("rubisco", "hsp90", "apoferritin"), sheets=1)
    specimen = 1.5 * torch.from_numpy(box.density)  # up to eight times the deviation of the noise
    real, drawn = NoiseGenerator(truth, SHAPE), NoiseGenerator(assumed, SHAPE)
    rows = []
    for seed in range(SEEDS):
        noise = real.draw(torch.Generator().manual_seed(seed))[0]
        added = drawn.draw(torch.Generator().manual_seed(1000 + seed))[0]
        pair = recorrupted_pair(specimen + noise, added, alpha)
        a, b = (torch.fft.fftn((p - specimen).double()) for p in pair)
        parts = ((a * b.conj()).real, a.abs().square(), b.abs().square())
        rows.append(torch.stack([shell_means(p / p.numel() / truth, EDGES) for p in parts]))
    return torch.stack(rows).numpy()  # (seed, 3, shell)


def standard_errors(values, expected):
    return np.abs(values.mean(0) - expected) / (values.std(0, ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("alpha", [0.7, 1.0])
def test_noises_are_uncorrelated_in_every_shell_and_have_the_right_spectra(alpha):
    cross, first, second = shells_of_pairs(coloured(), alpha).transpose(1, 0, 2)
    assert standard_errors(cross, 0).max() < 4
    assert standard_errors(first, 1 + alpha**2).max() < 4
    assert standard_errors(second, 1 + alpha**-2).max() < 4


def test_control_white_noise_of_the_same_variance_leaves_them_correlated():
    white = coloured().mean().expand(SHAPE)
    cross = shells_of_pairs(white, 0.7)[:, 0]
    expected = shell_means(1 - white / coloured(), EDGES).numpy()
    assert standard_errors(cross, 0).min() > 4  # in every shell
    assert standard_errors(cross, 0).max() > 40
    assert standard_errors(cross, expected).max() < 4  # and by as much as theory says


def test_control_a_spectrum_ten_percent_off_is_seen():
    cross = shells_of_pairs(1.1 * coloured(), 0.7)[:, 0]
    assert standard_errors(cross, 0).max() > 8
    assert standard_errors(cross, -0.1).max() < 4


def test_uncorrelated_is_independent_for_gaussian_noise_only():
    """The covariance of the squares is the fourth cumulant of the noise: 0 for Gaussian, 3 for Laplace."""
    rng = np.random.default_rng(0)
    added = torch.from_numpy(rng.normal(size=200_000))
    for noise, cumulant in (
        (rng.normal(size=200_000), 0.0),
        (rng.laplace(scale=0.5**0.5, size=200_000), 3.0),
    ):
        a, b = recorrupted_pair(torch.from_numpy(noise), added, 0.7)
        products = (a.square() - a.square().mean()) * (b.square() - b.square().mean())
        error = products.std() / len(products) ** 0.5
        assert abs(products.mean() - cumulant) < 4 * error
        if cumulant:
            assert products.mean() > 8 * error


class Identity(torch.nn.Module):
    """Returns its input, so that the objective is known in closed form."""

    stride, receptive_radius = 1, 0

    def forward(self, x):
        return x


def prepared(data, variance):
    volume = TrainingVolume(np.asarray(data, np.float32), AS_IS)
    return PreparedVolume(volume, torch.full((16, 16, 16), variance))


@pytest.mark.parametrize("shape", [(32, 32, 32), (6, 32, 32)])
def test_objective_of_the_identity_is_the_power_of_the_difference(shape):
    """|y + αn - (y - n/α)|² = (α + 1/α)² n², whatever y is and however much of the patch is padding."""
    config = NoiseModelConfig(patch_side=24, batch=2, alpha=0.7)
    data = np.random.default_rng(0).normal(size=shape)
    objective = NoiseModel(config).objective(Identity(), [prepared(data, 0.25)], torch.device("cpu"))
    losses = np.array([float(objective.loss(torch.Generator().manual_seed(s))[0]) for s in range(20)])
    expected = (0.7 + 1 / 0.7) ** 2 * 0.25
    assert abs(losses.mean() - expected) < 4 * losses.std(ddof=1) / np.sqrt(len(losses))
    assert losses.std(ddof=1) / np.sqrt(len(losses)) < 0.01 * expected


def test_objective_repeats_itself_from_the_same_generator():
    config = NoiseModelConfig(patch_side=16, batch=1)
    volume = prepared(np.random.default_rng(0).normal(size=(24, 24, 24)), 1.0)
    objective = NoiseModel(config).objective(Identity(), [volume], torch.device("cpu"))
    first, again, other = (objective.loss(torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert float(first[0]) == float(again[0]) != float(other[0])
    assert first[1] == again[1]
    assert "16³" in first[1]


@pytest.mark.parametrize("draws", [1, 3])
def test_prediction_of_the_identity_averages_the_noise_of_its_draws(draws):
    """Of 1 or 3 draws one is left without its opposite."""
    config = NoiseModelConfig(draws=draws, alpha=0.7)
    volume = prepared(np.zeros((32, 32, 32)), 2.0)
    predict = NoiseModel(config).predictor(Identity(), volume, torch.device("cpu"), 0)
    near, far = tiles_of((32, 32, 64), tile=32, margin=0, stride=1)
    block = torch.randn(32, 32, 32, generator=torch.Generator().manual_seed(0))
    left = (predict(block, near) - block).numpy()
    assert left.var() == pytest.approx(0.7**2 * 2.0 / draws**2, rel=4 * np.sqrt(2 / left.size))
    np.testing.assert_allclose((predict(0 * block, near)).numpy(), left, atol=1e-5)  # the same noise again
    assert abs(np.corrcoef(left.ravel(), predict(0 * block, far).numpy().ravel())[0, 1]) < 4 / np.sqrt(
        left.size
    )


class Bent(torch.nn.Module):
    """Not linear, and not the same in a mirror."""

    stride, receptive_radius = 1, 0

    def forward(self, x):
        return 2 * x + x.square() + torch.arange(x.shape[-1])


def test_opposite_draws_take_off_what_noise_a_linear_network_would_add():
    volume, (tile, *_) = (
        prepared(np.zeros((16, 16, 16)), 1.0),
        tiles_of((16, 16, 16), tile=16, margin=0, stride=1),
    )
    block = torch.randn(16, 16, 16, generator=torch.Generator().manual_seed(0))
    method = NoiseModel(NoiseModelConfig(draws=2, alpha=0.7))
    even = method.predictor(Identity(), volume, torch.device("cpu"), 0)(block, tile)
    assert (even - block).abs().max() < 1e-6  # rounding
    bent = method.predictor(Bent(), volume, torch.device("cpu"), 0)(block, tile)
    rest = bent - 2 * block - block.square() - torch.arange(16)
    assert rest.min() >= -1e-5  # (y + n)² + (y - n)² = 2 (y² + n²): only n² is left
    assert float(rest.mean()) == pytest.approx(0.7**2, rel=4 * np.sqrt(2 / block.numel()))


def test_tiles_that_overlap_see_the_same_noise():
    config = NoiseModelConfig(draws=1, alpha=1.0)
    predict = NoiseModel(config).predictor(
        Identity(), prepared(np.zeros((32, 32, 32)), 1.0), torch.device("cpu"), 0
    )
    _, first, second, _ = tiles_of((8, 8, 16), tile=12, margin=4, stride=4)
    overlap = first.start[2] + first.shape[2] - second.start[2]
    a, b = (predict(torch.zeros(t.shape), t) for t in (first, second))
    assert overlap == 8
    assert torch.equal(a[:, :, -overlap:], b[:, :, :overlap])
    assert not torch.equal(a, b)


def test_an_unprepared_volume_is_refused():
    volume = PreparedVolume(TrainingVolume(np.zeros((24, 24, 24), np.float32), AS_IS))
    with pytest.raises(ValueError, match="prepare"):
        NoiseModel(NoiseModelConfig(patch_side=16)).objective(Identity(), [volume], torch.device("cpu"))


def test_the_mean_of_all_members_is_what_is_predicted():
    """They differ, and what a volume is filled with takes their spread as its uncertainty."""
    method, volume = NoiseModel(NoiseModelConfig(draws=4, alpha=0.7)), prepared(np.zeros((32, 32, 32)), 2.0)
    cpu, (tile,) = torch.device("cpu"), tiles_of((32, 32, 32), tile=32, margin=0, stride=1)
    block = torch.randn(32, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = method.predictor(Identity(), volume, cpu, 3)(block, tile)
    parts = torch.stack([member(block, tile) for member in method.members(Identity(), volume, cpu, 3)])
    assert len(parts) == 4
    assert torch.allclose(parts.mean(0), whole, atol=1e-5)
    assert parts.std(0).mean() == pytest.approx(0.7 * 2.0**0.5, rel=0.2)
