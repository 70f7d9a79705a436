"""Anisotropic diffusion against a plain implementation around `numpy.linalg.eigh`, and its physics."""

from functools import reduce
from itertools import permutations

import numpy as np
import pytest
import scipy.ndimage as ndi
import scipy.sparse as sparse
import torch

from vitreous.filters import diffuse, diffusion, gaussian
from vitreous.filters.diffusion import diffusion_step
from vitreous.filters.structure_tensor import eigenvalues, margin_of, projector

ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
NEVER = 1e9  # a coherence that nothing reaches: edge-enhancing diffusion everywhere


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def reference_tensors(volume, contrast, coherence, smoothing, integration):
    """Diffusion tensors (z, y, x, 3, 3), float64, one eigendecomposition per voxel."""
    margin = margin_of(smoothing, integration)
    padded = np.pad(volume, margin, mode="edge")
    smooth = ndi.gaussian_filter(padded, smoothing, radius=round(3 * smoothing))
    slopes = np.stack(np.gradient(smooth), -1)
    products = slopes[..., :, None] * slopes[..., None, :]
    mean = ndi.gaussian_filter(
        products, (*(integration,) * 3, 0, 0), radius=(*(round(3 * integration),) * 3, 0, 0)
    )
    inner = (slice(margin, -margin),) * 3
    values, vectors = np.linalg.eigh(mean[inner])
    third, second, first = np.moveaxis(values, -1, 0)
    steep = (slopes[inner] ** 2).sum(-1) / contrast**2
    edge = 1 - np.exp(-3.31488 / np.maximum(steep, 1e-4) ** 4)

    def along(kappa):
        return 0.01 + 0.99 * np.exp(-((coherence / np.maximum(kappa, 1e-12)) ** 2))

    one = np.ones_like(edge)
    lines = np.stack([along(first - third), along(first - second), 0.01 * one], -1)
    edges = np.stack([one, one, edge], -1)
    diffusivity = np.where((first - third >= coherence)[..., None], lines, edges)
    return np.einsum("...ai,...i,...bi->...ab", vectors, diffusivity, vectors)


def operator(tensors):
    """∇·(D ∇) without flux through the faces as a sparse matrix, put together from differences."""
    shape = tensors.shape[:3]

    def along(axis, matrix):
        return reduce(
            sparse.kron, [matrix if a == axis else sparse.eye(n) for a, n in enumerate(shape)]
        ).tocsr()

    differences, means = [], []
    for axis, n in enumerate(shape):
        differences.append(along(axis, sparse.diags([-1.0, 1.0], [0, 1], shape=(n - 1, n))))
        means.append(along(axis, sparse.diags([0.5, 0.5], [0, 1], shape=(n - 1, n))))
    flat = tensors.reshape(-1, 3, 3)
    total = sum(
        -g.T @ sparse.diags(m @ flat[:, a, a]) @ g
        for a, (g, m) in enumerate(zip(differences, means, strict=True))
    )
    central = [m.T @ g for m, g in zip(means, differences, strict=True)]
    for a, b in permutations(range(3), 2):
        total = total - central[a].T @ sparse.diags(flat[:, a, b]) @ central[b]
    return total


def reference(volume, steps, time_step, **settings):
    for _ in range(steps):
        change = operator(reference_tensors(volume, **settings)) @ volume.ravel()
        volume = volume + time_step * change.reshape(volume.shape)
    return volume


@pytest.mark.parametrize("shape", [(11, 12, 10), (4, 13, 9)])
def test_against_a_plain_implementation(shape):
    """float64; the projectors fade where eigenvalues are nearly equal: 1e-4 of the noise is granted."""
    volume = noise(shape) + 4 * (np.arange(shape[2]) > 5)
    settings = {"contrast": 0.5, "coherence": 0.1, "smoothing": 0.8, "integration": 1.2}
    ours = diffuse(torch.from_numpy(volume), steps=3, time_step=0.12, **settings).numpy()
    np.testing.assert_allclose(ours, reference(volume, 3, 0.12, **settings), atol=1e-4)
    for name in settings:
        wrong = diffuse(
            torch.from_numpy(volume), steps=3, time_step=0.12, **{**settings, name: 1.3 * settings[name]}
        )
        assert np.abs(wrong.numpy() - ours).max() > 0.01, name
    single = diffuse(torch.from_numpy(volume).float(), steps=3, time_step=0.12, **settings).numpy()
    assert np.sqrt(np.mean((single - ours) ** 2)) < 1e-4


def test_no_step_enlarges_the_variance():
    """The scheme's operator has no positive eigenvalue, and none below -12 for diffusivities up to 1."""
    shape = (4, 5, 4)
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.normal(size=(*shape, 3, 3)))[0]
    tensors = np.einsum("...ai,...i,...bi->...ab", vectors, rng.random((*shape, 3)) ** 4, vectors)
    matrix = operator(tensors)
    assert np.abs((matrix - matrix.T).toarray()).max() < 1e-12
    extremes = np.linalg.eigvalsh(matrix.toarray())
    assert -12 < extremes[0] < extremes[-1] < 1e-12
    checkerboard = torch.from_numpy((-1.0) ** np.indices(shape).sum(0))
    parts = [torch.from_numpy(np.ascontiguousarray(tensors[..., a, b])) for a, b in ORDER]
    step = diffusion_step(checkerboard, parts, 1 / 6)
    expected = checkerboard.numpy().ravel() + matrix @ checkerboard.numpy().ravel() / 6
    np.testing.assert_allclose(step.numpy().ravel(), expected, atol=1e-12)
    with pytest.raises(ValueError, match="time step"):
        diffuse(checkerboard, contrast=1, coherence=1, time_step=0.17)


def test_blocks_cannot_be_seen(monkeypatch):
    volume = torch.from_numpy(noise((17, 20, 23))).float()
    whole = diffuse(volume, contrast=0.6, coherence=0.2, steps=2)
    monkeypatch.setattr(diffusion, "BLOCK", 7)
    assert (diffuse(volume, contrast=0.6, coherence=0.2, steps=2) - whole).abs().max() < 1e-5


@pytest.mark.parametrize("shape", [(20, 21, 22), (1, 9, 10), (2, 3, 17)])
def test_the_mean_stays_and_the_variance_falls(shape):
    volume = torch.from_numpy(100 + noise(shape)).float()
    before = volume.clone()
    after = diffuse(volume, contrast=0.5, coherence=0.2)
    assert abs(float(after.double().mean() - volume.double().mean())) < 2e-5  # float32 at 100
    assert after.var() < 0.7 * volume.var()
    assert torch.equal(volume, before)
    assert after.shape == shape


def test_constants_stay_and_a_volume_without_noise_is_left_alone():
    constant = torch.full((9, 8, 7), 3.25)
    assert torch.equal(diffuse(constant, contrast=1.0, coherence=1.0), constant)
    assert torch.equal(diffuse(constant, contrast=0.0, coherence=0.0), constant)
    step = torch.zeros(12, 9, 9)
    step[6:] = 10
    assert (diffuse(step, contrast=0.0, coherence=0.0) - step).abs().max() < 1
    assert torch.equal(diffuse(step, contrast=1.0, coherence=1.0, steps=0), step)


def membrane(shape=(24, 32, 32), height=6.0, seed=0):
    clean = np.zeros(shape)
    clean[11:13] = height
    return clean, clean + noise(shape, seed)


NOISE_GRADIENT = 0.0213  # mean |∇n_σ|² of white noise of unit variance at σ = 1 voxel


@pytest.mark.parametrize("coherence", [1.0, NEVER], ids=["hybrid", "edge-enhancing"])
def test_a_membrane_is_smoothed_within_not_across(coherence):
    """Against the Gaussian that lowers the membrane as much: less than a third of its noise is left."""
    clean, noisy = membrane()
    settings = {"contrast": 1.5 * NOISE_GRADIENT**0.5, "coherence": coherence * NOISE_GRADIENT, "steps": 10}
    ours = diffuse(torch.from_numpy(noisy).float(), **settings).numpy()
    plane = (slice(11, 13), slice(4, -4), slice(4, -4))
    lost = clean[plane].mean() - ours[plane].mean()
    assert lost < 0.25 * clean.max()
    sigmas = np.linspace(0.2, 1.5, 27)
    losses = [clean[plane].mean() - gaussian(clean, sigma=s)[plane].mean() for s in sigmas]
    smooth = gaussian(noisy, sigma=float(np.interp(lost, losses, sigmas)))
    assert smooth[plane].mean() == pytest.approx(ours[plane].mean(), abs=0.1)
    assert ours[plane].std() < 0.5 * smooth[plane].std()


def test_a_line_is_smoothed_along_itself():
    """Coherence-enhancing diffusion keeps a line that isotropic diffusion of the same time spreads."""
    z, y, _ = np.ogrid[:21, :21, :32]
    line = np.broadcast_to(6.0 * ((z - 10) ** 2 + (y - 10) ** 2 <= 2), (21, 21, 32))
    noisy = torch.from_numpy(line + noise(line.shape)).float()
    core = (10, 10, slice(4, -4))
    settings = {"contrast": 1.5 * NOISE_GRADIENT**0.5, "steps": 10}
    along = diffuse(noisy, coherence=NOISE_GRADIENT, **settings)[core]
    spread = diffuse(noisy, coherence=NEVER, contrast=NEVER)[core]  # isotropic
    assert along.mean() > 0.75 * 6 > 0.4 * 6 > spread.mean()
    assert along.std() < 0.5 * noisy[core].std()


def test_without_structure_it_is_a_gaussian_of_the_diffusion_time():
    """Isotropic: 8 steps of 0.125 are a Gaussian of √2 voxels, but for the discrete Laplacian."""
    volume = np.zeros((17, 17, 17), np.float32)
    volume[8, 8, 8] = 1
    spread = diffuse(
        torch.from_numpy(volume), contrast=NEVER, coherence=NEVER, steps=8, time_step=0.125
    ).numpy()
    variance = (spread * (np.arange(17) - 8)[:, None, None] ** 2).sum()
    assert variance == pytest.approx(2.0, abs=1e-3)
    assert np.abs(spread - gaussian(volume, sigma=2**0.5)).max() < 0.15 * spread.max()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_eigenvalues_and_projectors_are_numpys(dtype):
    matrices = noise((500, 3, 3))
    matrices = matrices @ matrices.transpose(0, 2, 1)
    matrices /= np.trace(matrices, axis1=1, axis2=2)[:, None, None]
    values, vectors = np.linalg.eigh(matrices)
    apart = np.diff(values).min(1) > 0.03
    tensor = [torch.from_numpy(np.ascontiguousarray(matrices[:, a, b])).to(dtype) for a, b in ORDER]
    ours = eigenvalues(tensor)
    tolerance = 1e-6 if dtype == torch.float64 else 1e-3
    for found, expected, vector in (
        (ours[0], values[:, 2], vectors[:, :, 2]),
        (ours[2], values[:, 0], vectors[:, :, 0]),
    ):
        np.testing.assert_allclose(found.numpy(), expected, atol=tolerance)
        squares = np.stack([vector[:, a] * vector[:, b] for a, b in ORDER])
        projected = np.stack([p.numpy() for p in projector(tensor, found)])
        np.testing.assert_allclose(projected[:, apart], squares[:, apart], atol=1e-4 + 30 * tolerance)
    assert apart.sum() > 300


def test_double_eigenvalues_give_finite_projectors():
    for diagonal in ((1 / 3, 1 / 3, 1 / 3), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0)):
        tensor = [torch.full((4,), v) for v in (*diagonal, 0.0, 0.0, 0.0)]
        for value in eigenvalues(tensor):
            parts = torch.stack(projector(tensor, value))
            assert torch.isfinite(parts).all()
            assert parts.abs().max() < 1.001
