"""Real tilt images of 20 ribosomes, put together by the poses and projection matrices of their STAR files.

The data are EMPIAR-10499 (70S ribosomes of M. pneumoniae), as Warp exports them: images are multiplied by
their CTF, and the rows of the projection matrices are the images' axes.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch

from vitreous.fourier import Optics, contrast_transfer, insert_slices
from vitreous.io import (
    open_volume,
    read_density_map,
    read_relion_particles,
    read_star,
    read_tomogram_sizes,
)
from vitreous.metrics import fourier_shell_correlation

HERE = Path(__file__).resolve()
SHARED_DATA = HERE.parents[2].parent / "shared" / "data"
STEM = "warptools_test_4-tomos_10-ptcls_box-32_angpix-12"
SIDE, SPACING = 32, 12.0
RADIUS = np.sqrt((np.square(np.indices((SIDE,) * 3) - SIDE // 2)).sum(axis=0))
MASK = ndi.gaussian_filter((RADIUS < 13).astype(float), 1.0)
spec = importlib.util.spec_from_file_location("alignment", HERE.parents[1] / "simulate" / "alignment.py")
alignment = importlib.util.module_from_spec(spec)
spec.loader.exec_module(alignment)


def lists(texts):
    """Numbers of RELION's "[1,2,3]" values, a row for each."""
    return np.array([[float(word) for word in text.strip("[]").split(",")] for text in texts])


def squared_ctf(row):
    along_u, along_v, angle = row
    optics = Optics(
        amplitude_contrast=0.07,
        astigmatism_um=abs(along_u - along_v) / 2e4,
        astigmatism_angle_deg=angle + 90 * (along_u < along_v),
    )
    return contrast_transfer((2 * SIDE,) * 2, SPACING, (along_u + along_v) / 2e4, optics, half=False) ** 2


@pytest.fixture(scope="module")
def particles():
    """Images, CTF², poses and projection matrices (zyx) of the visible tilts of each particle."""
    folder = SHARED_DATA / "real" / "ribosome_tilts"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not here")
    tomograms = folder / f"{STEM}_tomograms.star"
    tables = read_star(tomograms)
    read = read_relion_particles(folder / f"{STEM}.star", sizes_angstrom=read_tomogram_sizes(tomograms))
    table, found = read.tables["particles"], []
    for name, poses in read.poses.items():
        rows = [lists(tables[name].text(f"rlnTomoProj{axis}"))[:, 2::-1] for axis in "ZYX"]
        projections = np.stack(rows, axis=1)
        defoci = tables[name].numbers("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle")
        weights = torch.stack([squared_ctf(row) for row in defoci])
        for rotation, row in zip(poses.rotations, read.rows[name], strict=True):
            visible = lists([table.text("rlnTomoVisibleFrames")[row]])[0] > 0
            stack = np.array(open_volume(folder / table.text("rlnImageName")[row]).data, np.float32)
            images = torch.nn.functional.pad(torch.from_numpy(stack), (SIDE // 2,) * 4)
            found.append((images[visible], weights[visible], rotation, projections[visible]))
    return found


def half_maps(particles, change=lambda rotation: rotation):
    """Two maps, each of every other particle, whose poses `change` may have spoilt."""
    inner = slice(SIDE // 2, SIDE // 2 + SIDE)
    maps = []
    for half in (particles[::2], particles[1::2]):
        turns = np.concatenate([projection @ change(rotation) for _, _, rotation, projection in half])
        images, weights = (torch.cat([particle[i] for particle in half]) for i in (0, 1))
        made = insert_slices(images, torch.from_numpy(turns), weights, floor=0.3)
        maps.append(made[inner, inner, inner].numpy())
    return maps


@pytest.fixture(scope="module")
def ribosome(particles):
    return half_maps(particles)


@pytest.fixture(scope="module")
def spoilt(particles):
    return half_maps(particles, lambda rotation: rotation.T)


def agreement(halves):
    """Mean FSC of half maps between 130 and 55 Å, beyond the mere shape of a ball."""
    return fourier_shell_correlation(*(half * MASK for half in halves))[1][2:7].mean()


def details(volume):
    """A map with all frequencies between about 250 and 60 Å made equally strong."""
    spectrum = np.fft.fftn(volume * MASK)
    axis = np.fft.fftfreq(SIDE) * SIDE
    radius = np.sqrt(sum(np.square(a) for a in np.meshgrid(axis, axis, axis, indexing="ij")))
    shell = np.rint(radius).astype(int).ravel()
    power = np.bincount(shell, (np.abs(spectrum) ** 2).ravel()) / np.bincount(shell)
    band = np.exp(-((radius / 6) ** 4)) * (1 - np.exp(-((radius / 1.5) ** 4)))
    return np.fft.ifftn(spectrum / np.sqrt(power[shell].reshape(radius.shape)) * band).real


def test_there_is_a_ribosome_in_the_middle(ribosome):
    whole = ndi.gaussian_filter(sum(ribosome) / 2, 1.0)
    noise = whole[RADIUS > 14].std()
    assert whole[RADIUS < 8].mean() > 3 * noise
    assert abs(whole[RADIUS > 14].mean()) < noise
    np.testing.assert_allclose(ndi.center_of_mass(np.maximum(whole, 0) * MASK), SIDE // 2, atol=1)


def test_halves_agree_only_by_the_right_rotations(particles, ribosome, spoilt):
    flip = np.diag([-1.0, 1.0, 1.0])
    other_hand = half_maps(particles, lambda rotation: flip @ rotation @ flip)
    right = agreement(ribosome)
    assert right > 0.28
    assert right > agreement(spoilt) + 0.05
    assert right > agreement(other_hand) + 0.05


def test_it_is_the_70s_ribosome(ribosome, spoilt):
    # Images stay the same when tilts and poses are both mirrored, so that they do not tell the hand. What
    # the geometry of these files gives is the mirror image of the ribosome.
    model = ndi.zoom(np.asarray(read_density_map(SHARED_DATA / "maps_10A" / "4v4r.mrc").data), 10 / SPACING)
    model = alignment.in_box(model, SIDE + 1)[:-1, :-1, :-1]

    def likeness(halves, reference):
        moving, fixed = details(reference), details(sum(halves) / 2)
        return alignment.best_correlation(moving, fixed, rotations=1200)[0]

    found = likeness(ribosome, model[::-1])
    assert found > 0.58
    assert found > likeness(ribosome, model) + 0.05
    assert found > likeness(spoilt, model[::-1]) + 0.05
