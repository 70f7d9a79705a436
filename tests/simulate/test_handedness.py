"""From written poses back to the structure: a chiral, asymmetric object tells every mistake apart.

FSC at least 0.9 in every shell up to half Nyquist; below 0.5 between a quarter and half of Nyquist for
whatever is mirrored or has its axes exchanged.
"""

import numpy as np
import pytest

from vitreous.benchmark.averaging import (
    highest_fine_fsc,
    lowest_fsc,
    unrotated_average,
    wrong_poses,
    wrong_templates,
)
from vitreous.core import Poses, Volume
from vitreous.io import open_volume, write_volume
from vitreous.io.particles import read_particles, write_particles
from vitreous.simulate import (
    Contents,
    Detector,
    ImagingSettings,
    Particles,
    bead_model,
    image,
    pack,
    template_from_beads,
    weighted_back_projection,
)

SPACING = 10.0
SHAPE = (60, 148, 156)  # different, so that exchanged axes cannot go unnoticed

PARTICLES = 24
FILES = {
    "poses.csv": "poses",
    "particles.star": "relion5",
    "pixels.star": "relion4",
    "particles.tbl": "dynamo",
    "picks.json": "copick",
}


@pytest.fixture(scope="module")
def template():
    return template_from_beads(bead_model("phantom:ribosome"), SPACING)


@pytest.fixture(scope="module")
def folder(template, tmp_path_factory):
    """A tomogram and its poses, as files; nothing blurs it, and the noise is small."""
    contents = Contents(particles=(Particles(template, PARTICLES),), gap_voxels=3)
    model = pack(SHAPE, SPACING, contents, np.random.default_rng(4))
    settings = ImagingSettings(
        defocus_um=None,
        dose_e_per_angstrom2=100.0,
        radiation_damage=False,
        detector=Detector(mtf_at_nyquist=1, dqe_at_zero=1, dqe_at_nyquist=1),
    )
    series = image(model.density, SPACING, settings)
    tomogram = weighted_back_projection(series.images, series.tilt_angles_deg, SHAPE[0])
    folder = tmp_path_factory.mktemp("tomogram")
    write_volume(folder / "tomogram.mrc", Volume(-tomogram, SPACING))
    for file, kind in FILES.items():
        write_particles(
            folder / file,
            model.poses,
            tomogram_name="1",
            shape=SHAPE,
            voxel_spacing_angstrom=SPACING,
            kind=kind,
        )
    return folder


@pytest.fixture(scope="module")
def tomogram(folder):
    return np.asarray(open_volume(folder / "tomogram.mrc").data, np.float32)


def poses_of(folder, file):
    (poses,) = read_particles(folder / file).poses.values()
    return poses


@pytest.mark.parametrize("file", FILES)
def test_written_poses_give_the_structure_back(folder, tomogram, template, file):
    poses = poses_of(folder, file)
    assert len(poses) == PARTICLES
    average = unrotated_average(tomogram, poses, SPACING, template.side)
    assert lowest_fsc(average, template.density) >= 0.9
    for name, wrong in wrong_templates(template.density).items():
        assert highest_fine_fsc(average, wrong) < 0.5, name


def test_poses_read_wrongly_do_not(folder, tomogram, template):
    poses = poses_of(folder, "poses.csv")
    extent = (np.array(SHAPE) - 1) * SPACING
    for name, wrong in wrong_poses(poses, extent).items():
        average = unrotated_average(tomogram, wrong, SPACING, template.side)
        assert highest_fine_fsc(average, template.density) < 0.5, name


def test_a_mirrored_tomogram_shows_the_mirror_image(folder, tomogram, template):
    """All is consistent in it, and only the hand is wrong."""
    extent = (np.array(SHAPE) - 1) * SPACING
    mirrored = wrong_poses(poses_of(folder, "poses.csv"), extent)["z mirrored"]
    average = unrotated_average(tomogram[::-1], mirrored, SPACING, template.side)
    assert highest_fine_fsc(average, template.density) < 0.5
    assert lowest_fsc(average, template.density[::-1]) >= 0.9


def test_half_a_voxel_matters(folder, tomogram, template):
    """Positions counted from the corner of the first voxel instead of its centre."""
    poses = poses_of(folder, "poses.csv")
    shifted = Poses(poses.rotations, poses.positions_angstrom + SPACING / 2, poses.names)
    found = [
        lowest_fsc(unrotated_average(tomogram, p, SPACING, template.side), template.density)
        for p in (poses, shifted)
    ]
    assert found[1] < found[0] - 0.03
