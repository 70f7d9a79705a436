"""Volumes put together from their projections; mirrored and swapped directions must fail."""

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch
from scipy.spatial.transform import Rotation

from vitreous.fourier import contrast_transfer, insert_slices
from vitreous.metrics import fourier_shell_correlation

SIDE = 32
INNER = (slice(SIDE // 2, SIDE // 2 + SIDE),) * 3


def chiral_object():
    """Blobs without symmetry, within a sphere of 10 voxels."""
    rng = np.random.default_rng(3)
    volume = np.zeros((SIDE,) * 3)
    for offset in rng.normal(size=(14, 3)) * 3.5:
        volume[tuple(np.round(SIDE // 2 + np.clip(offset, -7, 7)).astype(int))] += rng.uniform(0.5, 2)
    return ndi.gaussian_filter(volume, 1.3)


def projection(volume, rotation):
    """Sum along z of the object turned about voxel side // 2."""
    inverse, centre = rotation.T, np.full(3, SIDE // 2)
    return ndi.affine_transform(volume, inverse, centre - inverse @ centre, order=3).sum(axis=0)


def padded(images):
    return torch.nn.functional.pad(torch.as_tensor(images, dtype=torch.float32), (SIDE // 2,) * 4)


@pytest.fixture(scope="module")
def projected():
    volume = chiral_object()
    rotations = Rotation.random(150, random_state=0).as_matrix()
    return volume, rotations, np.stack([projection(volume, rotation) for rotation in rotations])


def rebuilt(images, rotations, weights=None, **options):
    volume = insert_slices(
        padded(images), torch.as_tensor(np.ascontiguousarray(rotations)), weights, **options
    )
    return volume[INNER].numpy()


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def test_a_known_object_comes_back(projected):
    volume, rotations, images = projected
    made = rebuilt(images, rotations)
    assert correlation(made, volume) > 0.98
    assert fourier_shell_correlation(made, volume)[1][: SIDE // 4].min() > 0.95  # to half Nyquist
    assert np.polyfit(volume.ravel(), made.ravel(), 1)[0] == pytest.approx(1, abs=0.05)


def test_wrong_directions_do_not(projected):
    volume, rotations, images = projected
    flip, swap = np.diag([-1.0, 1, 1]), np.eye(3)[[0, 2, 1]]
    assert correlation(rebuilt(images, rotations.transpose(0, 2, 1)), volume) < 0.75
    assert correlation(rebuilt(images, swap @ rotations @ swap), volume) < 0.75
    assert correlation(rebuilt(images, flip @ rotations @ flip), volume) < 0.75
    # Mirrored throughout, the same images make the mirrored object, and just as well.
    mirrored = rebuilt(images, flip @ rotations @ flip)
    back = np.roll(mirrored[::-1], 1, axis=0)
    assert correlation(back, volume) > 0.98


def test_images_multiplied_by_their_ctf(projected):
    volume, rotations, images = projected
    ctf = contrast_transfer((2 * SIDE,) * 2, 4.0, torch.linspace(1.0, 2.0, len(images)), half=False)
    spectra = torch.fft.fft2(torch.fft.ifftshift(padded(images), dim=(-2, -1)))
    seen = torch.fft.fftshift(torch.fft.ifft2(spectra * ctf**2).real, dim=(-2, -1))
    directions = torch.as_tensor(rotations)
    with_ctf = insert_slices(seen, directions, ctf**2, floor=1e-3)[INNER].numpy()
    without = insert_slices(seen, directions)[INNER].numpy()
    assert correlation(with_ctf, volume) > 0.95
    assert correlation(without, volume) < 0.8


def test_inputs_are_checked_and_left_alone():
    images, turns = torch.ones(2, 8, 8), torch.eye(3).repeat(2, 1, 1)
    before = images.clone()
    insert_slices(images, turns)
    assert torch.equal(images, before)
    for bad_images, bad_turns, weights in (
        (torch.ones(2, 7, 7), turns, None),
        (torch.ones(2, 8, 6), turns, None),
        (images, turns[:1], None),
        (images, turns, torch.ones(2, 8, 5)),
    ):
        with pytest.raises(ValueError, match=r"fit|weights"):
            insert_slices(bad_images, bad_turns, weights)


def test_nothing_gives_nothing():
    assert not insert_slices(torch.zeros(0, 8, 8), torch.zeros(0, 3, 3)).any()
