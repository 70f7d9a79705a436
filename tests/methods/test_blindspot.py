"""The blind-spot objective, term by term against independent numpy evaluations (volume-shuffle eqs 7–11)."""

from itertools import product

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch

from vitreous.core import Normalization, SilentProgress
from vitreous.inference import tiles_of
from vitreous.inference.predict import predict_tiled
from vitreous.methods import BlindSpot, PreparedVolume
from vitreous.methods.blindspot import BlindSpotConfig, build_network, method
from vitreous.methods.blindspot.method import (
    BlindSpotObjective,
    blind_spot_loss,
    gaussian_blur,
    robust_noise_sigma,
)
from vitreous.methods.blindspot.network import LossWeights
from vitreous.networks import DilatedBlindSpot, PhaseLattice, UNet3d, VolumeShuffleBackbone
from vitreous.training import TrainingVolume

PAPER = LossWeights(reconstruction=0.8, guidance=0.5, edge=0.05, total_variation=0.01)
OFF = LossWeights(reconstruction=0, guidance=0, edge=0, total_variation=0)


def batch(seed, shape=(2, 1, 9, 10, 11)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mask():
    inside = torch.ones(2, 1, 9, 10, 11, dtype=torch.float64)
    inside[0, :, :2] = 0
    inside[1, :, :, 8:] = 0
    return inside


def config(**losses):
    return BlindSpotConfig(losses=OFF.model_copy(update=losses))


# --- the same quantities from numpy and scipy, volume by volume ------------------------------------


def kirsch(volume):
    """The strongest of 26 directional responses; kernels written out from the definition."""
    offsets = np.array(list(product((-1, 0, 1), repeat=3)), float)
    responses = []
    for direction in offsets[np.abs(offsets).sum(1) > 0]:
        lengths = np.linalg.norm(offsets, axis=1) * np.linalg.norm(direction)
        cosines = np.divide(offsets @ direction, lengths, out=np.zeros(27), where=lengths > 0)
        kernel = (cosines - cosines.mean()) / np.abs(cosines - cosines.mean()).sum()
        responses.append(ndi.correlate(volume, kernel.reshape(3, 3, 3), mode="nearest"))
    return np.max(responses, axis=0)


def bilateral(volume, spread):
    grid = np.array(list(product(range(-2, 3), repeat=3)))
    spatial = np.exp(-(grid**2).sum(1) / 2)

    def weighted(window):
        weights = spatial * np.exp(-((window - window[62]) ** 2) / (2 * spread**2))
        return (weights * window).sum() / weights.sum()

    return ndi.generic_filter(volume, weighted, size=5, mode="nearest")


def numpy_terms(prediction, noisy, inside):
    """Eqs 7, 8, 9 and 10 on (b, 1, z, y, x)."""
    p, v, m = (t[:, 0].numpy() for t in (prediction, noisy, inside))
    keep = m > 0
    smooth = np.stack([ndi.gaussian_filter(x, 1.0, mode="nearest", radius=3) for x in v])
    # The lower of the two middle values, as torch's median takes it.
    steps = np.sort(np.abs(np.diff(v, axis=-1)).ravel())
    sigma = 1.4826 * steps[(len(steps) - 1) // 2] / np.sqrt(2)
    edges = [np.stack([kirsch(x) for x in u]) for u in (p, np.stack([bilateral(x, 2.5 * sigma) for x in v]))]
    variation = 0.0
    for axis in (1, 2, 3):
        both = np.minimum(*(np.take(m, range(s, s + m.shape[axis] - 1), axis) for s in (0, 1))) > 0
        variation += np.abs(np.diff(p, axis=axis))[both].mean()
    return {
        "reconstruction": np.mean((p - v)[keep] ** 2),
        "guidance": np.mean((p - smooth)[keep] ** 2),
        "edge": np.mean((edges[0] - edges[1])[keep] ** 2),
        "total_variation": variation,
    }


@pytest.mark.parametrize("term", ["reconstruction", "guidance", "edge", "total_variation"])
def test_each_term_against_numpy(term):
    prediction, noisy, inside = batch(0), batch(1), mask()
    expected = numpy_terms(prediction, noisy, inside)[term]
    assert expected > 1e-3
    alone = blind_spot_loss(prediction, noisy, inside, config(**{term: 0.7}))
    assert float(alone) == pytest.approx(0.7 * expected, rel=1e-5)


def test_the_total_is_the_weighted_sum_of_the_paper():
    assert BlindSpotConfig.paper().losses == PAPER
    prediction, noisy, inside = batch(0), batch(1), mask()
    terms = numpy_terms(prediction, noisy, inside)
    expected = sum(getattr(PAPER, name) * value for name, value in terms.items())
    loss = blind_spot_loss(prediction, noisy, inside, BlindSpotConfig.paper())
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_terms_of_weight_zero_are_not_computed(monkeypatch):
    def explode(*args, **kwargs):
        raise AssertionError("computed")

    for name in ("edge_maps", "bilateral", "gaussian_blur", "total_variation", "robust_noise_sigma"):
        monkeypatch.setattr(method, name, explode)
    prediction, noisy, inside = batch(0), batch(1), mask()
    default = blind_spot_loss(prediction, noisy, inside, BlindSpotConfig())
    assert float(default) == pytest.approx(numpy_terms_reconstruction(prediction, noisy, inside), rel=1e-9)
    for term in ("guidance", "edge", "total_variation"):
        with pytest.raises(AssertionError, match="computed"):
            blind_spot_loss(prediction, noisy, inside, config(**{term: 0.1}))


def numpy_terms_reconstruction(prediction, noisy, inside):
    return float(((prediction - noisy) ** 2)[inside > 0].mean())


@pytest.mark.parametrize("term", ["reconstruction", "guidance", "edge", "total_variation"])
def test_every_term_trains_the_prediction(term):
    """By finite differences: the edge term too, which the published code cut from the graph."""
    prediction, noisy, inside = batch(0).requires_grad_(), batch(1), mask()
    (gradient,) = torch.autograd.grad(
        blind_spot_loss(prediction, noisy, inside, config(**{term: 1.0})), prediction
    )
    direction, step = gradient / gradient.norm(), 1e-6
    with torch.no_grad():
        ahead, behind = (
            blind_spot_loss(prediction + s * step * direction, noisy, inside, config(**{term: 1.0}))
            for s in (1, -1)
        )
    assert float(gradient.norm()) > 1e-4
    assert float((ahead - behind) / (2 * step)) == pytest.approx(float(gradient.norm()), rel=1e-3)


def test_padded_voxels_do_not_count():
    prediction, noisy, inside = batch(0), batch(1), mask()
    wild = torch.where(inside > 0, prediction, torch.full_like(prediction, 1e3))
    for term in ("reconstruction", "guidance", "total_variation"):
        losses = [float(blind_spot_loss(p, noisy, inside, config(**{term: 1.0}))) for p in (prediction, wild)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
        everywhere = blind_spot_loss(wild, noisy, torch.ones_like(inside), config(**{term: 1.0}))
        assert float(everywhere) > 10 * losses[0]
    # An edge map sees its neighbours: there one voxel beyond the border is seen, two are not.
    far = prediction.clone()
    far[0, :, 0] = far[1, :, :, 9] = 1e3
    losses = [float(blind_spot_loss(p, noisy, inside, config(edge=1.0))) for p in (prediction, far)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_a_patch_of_padding_gives_a_finite_loss_and_gradient():
    prediction = batch(0).requires_grad_()
    noisy = torch.zeros_like(prediction)
    loss = blind_spot_loss(prediction, noisy, torch.ones_like(noisy), BlindSpotConfig.paper())
    (gradient,) = torch.autograd.grad(loss, prediction)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


def test_robust_noise_sigma():
    noise = 3 * batch(2, (1, 1, 30, 30, 30))
    error = 4 * 3 * 1.8 / np.sqrt(noise.numel())  # the efficiency of the median absolute difference
    assert robust_noise_sigma(noise) == pytest.approx(3, abs=error)
    x = torch.arange(30, dtype=torch.float64)
    step = 40 * (x > 15).double()  # a few edges do not move it; a plain deviation would be 20
    assert robust_noise_sigma(noise + step) == pytest.approx(3, rel=0.06)


@pytest.mark.parametrize("sigma", [0.8, 1.0, 2.0])
def test_gaussian_blur_is_scipys(sigma):
    volume = batch(3, (1, 1, 12, 9, 10))
    expected = ndi.gaussian_filter(volume[0, 0].numpy(), sigma, mode="nearest", radius=round(3 * sigma))
    np.testing.assert_allclose(gaussian_blur(volume, sigma)[0, 0].numpy(), expected, atol=1e-9)


def test_build_network_follows_the_configuration():
    default = build_network(BlindSpotConfig())
    assert isinstance(default, PhaseLattice)
    assert isinstance(default.backbone, UNet3d)
    paper = build_network(BlindSpotConfig.paper())
    assert isinstance(paper, PhaseLattice)
    assert isinstance(paper.backbone, VolumeShuffleBackbone)
    dilated = build_network(BlindSpotConfig.paper().model_copy(update={"backbone": "volume-shuffle-dilated"}))
    assert isinstance(dilated, DilatedBlindSpot)
    assert [k for k, _ in paper.named_parameters()] == [k for k, _ in dilated.named_parameters()]
    for configuration in (BlindSpotConfig(), BlindSpotConfig.paper()):
        assert configuration.patch_side % build_network(configuration).stride == 0
    assert (BlindSpotConfig.paper().widths, BlindSpotConfig.paper().betas) == ((24, 48, 96), (0.5, 0.999))


def test_same_seed_same_network():
    first, again, other = (BlindSpot(BlindSpotConfig(width=4)).build_network(s) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def volume():
    data = np.random.default_rng(0).normal(size=(8, 30, 30)).astype(np.float32)
    return PreparedVolume(TrainingVolume(data, Normalization(0.0, 1.0, -10.0, 10.0)))


def test_objective_trains_blind_prediction_of_white_noise_towards_zero():
    """White noise cannot be predicted from its surroundings: the best a blind network can do is 1."""
    configuration = BlindSpotConfig(width=4, patch_side=24)
    blind = BlindSpot(configuration)
    network = blind.build_network(0)
    objective = blind.objective(network, [volume()], torch.device("cpu"))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for step in range(12):
        loss, where = objective.loss(torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert 0.85 < np.mean(losses[-4:]) < 1.15  # a network that saw the voxel would fall towards 0
    assert "24³" in where


def test_predictor_of_the_identity_is_the_identity():
    block = torch.randn(8, 10, 8, generator=torch.Generator().manual_seed(0))
    (tile,) = tiles_of(block.shape, tile=12, margin=0, stride=2)
    predict = BlindSpot().predictor(torch.nn.Identity(), volume(), torch.device("cpu"), 0)
    assert (predict(block, tile) - block).abs().max() < 1e-6


@pytest.mark.parametrize("shape", [(21, 12, 12), (12, 12, 14)])
def test_no_voxel_sees_itself_in_a_reflection(shape):
    """Sides that are no multiples of the stride are filled up; the largest change there is of others."""
    small = BlindSpot(BlindSpotConfig(width=2, patch_side=24))
    network = small.build_network(0)
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    volume = TrainingVolume(data, Normalization(0.0, 1.0, -np.inf, np.inf))
    predict = small.predictor(network, PreparedVolume(volume), torch.device("cpu"), 0)

    def predicted(values):
        settings = {"tile": 24, "margin": network.receptive_radius, "stride": network.stride}
        return predict_tiled(predict, values, volume.normalization, progress=SilentProgress(), **settings)

    before = predicted(data)
    for place in (tuple(n - 2 for n in shape), tuple(n // 2 for n in shape)):
        changed = data.copy()
        changed[place] += 10
        difference = np.abs(predicted(changed) - before)
        assert difference.max() > 1e-3
        assert difference[place] <= 1e-6 * difference.max()


def test_training_on_a_thin_volume_shows_no_voxel_itself():
    """A slab of 7 planes in a patch of 24: the gradient of each voxel's own prediction is zero."""
    network = build_network(BlindSpotConfig(width=2, patch_side=24)).double()
    slab = np.random.default_rng(1).normal(size=(7, 24, 24)).astype(np.float32)
    seen = []
    watched = lambda x: (seen.append(x), network(x.double()))[1]  # noqa: E731
    patches = BlindSpotObjective(
        network,
        [TrainingVolume(slab, Normalization(0.0, 1.0, -np.inf, np.inf))],
        BlindSpotConfig(width=2, patch_side=24),
        torch.device("cpu"),
    )
    patch = patches.sampler.draw(torch.Generator().manual_seed(0))
    values = patch.values.double().requires_grad_()
    shown = values * patch.inside  # what `_loss_of` hands to the network
    patches.network = watched
    patches._loss_of([patch])
    assert torch.equal(seen[0][0, 0].double(), shown.detach())
    inner = (patch.inside > 0).nonzero()[100]
    (gradient,) = torch.autograd.grad(network(shown[None, None])[(0, 0, *inner)], values)
    assert gradient.abs().max() > 0
    assert gradient[tuple(inner)] == 0


@pytest.mark.parametrize("patch_side", [81, 108])
def test_the_published_network_predicts_in_blocks_of_its_training_size(patch_side):
    network = build_network(BlindSpotConfig.paper())
    tiles = tiles_of((400,) * 3, tile=patch_side, margin=network.receptive_radius, stride=network.stride)
    inner = [t.shape for t in tiles if all(0 < s < 250 for s in t.start)]
    assert set(inner) == {(patch_side,) * 3}


class Ramp(torch.nn.Module):
    """Adds the position along x: not equivariant to mirrors."""

    def forward(self, x):
        return x + torch.arange(x.shape[-1], dtype=x.dtype)


def test_predictor_averages_over_mirror_images():
    block = torch.randn(6, 6, 9, generator=torch.Generator().manual_seed(0))
    (tile,) = tiles_of((6, 6, 9), tile=9, margin=0, stride=1)
    predict = BlindSpot().predictor(Ramp(), volume(), torch.device("cpu"), 0)
    assert (predict(block, tile) - (block + 4)).abs().max() < 1e-5
