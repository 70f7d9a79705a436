"""Picks against the truth where files say less than they might."""

import numpy as np
import pytest

from vitreous.core import InputError, Poses, Volume
from vitreous.io import StarTable, write_particles, write_pose_table, write_star, write_volume
from vitreous.workflows.evaluate_picks import Located, evaluate_picks, paired

SHAPE, SPACING = (6, 8, 10), 10.0
VOXELS = np.array([(1, 2, 3), (4, 5, 6)])  # zyx


@pytest.fixture
def truth(tmp_path):
    """Two particles as a table of poses."""
    poses = Poses(np.tile(np.eye(3), (2, 1, 1)), VOXELS * SPACING, ("1bxn",) * 2)
    write_pose_table(tmp_path / "truth.csv", poses)
    return tmp_path / "truth.csv"


def picked(folder, name, **more):
    poses = Poses(np.tile(np.eye(3), (2, 1, 1)), VOXELS * SPACING, ("",) * 2)
    return write_particles(
        folder / name, poses, tomogram_name="1", shape=SHAPE, voxel_spacing_angstrom=SPACING, **more
    )


def test_shrec_folders_whose_headers_say_no_spacing(truth, tmp_path):
    folder = tmp_path / "model_0"
    for stem in ("grandmodel", "class_mask", "occupancy_mask", "reconstruction"):
        write_volume(folder / f"{stem}.mrc", Volume(np.arange(480, dtype=np.float32).reshape(SHAPE), 1.0))
    lines = [f"1bxn {x} {y} {z} 0 0 0" for z, y, x in VOXELS]
    (folder / "particle_locations.txt").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="give --voxel-size"):
        evaluate_picks(truth, folder)
    facts = evaluate_picks(truth, folder, distance_angstrom=1, voxel_size_angstrom=SPACING)
    assert facts["f1"] == 1


def test_a_neighbour_without_sizes_is_no_hindrance(truth, tmp_path):
    write_star(tmp_path / "tomograms.star", {"global": StarTable({"rlnTomoName": ["1"]})})
    for name in ("a.tbl", "a.star"):
        picks = picked(tmp_path, name, kind="relion4" if name == "a.star" else None)
        facts = evaluate_picks(picks, truth, distance_angstrom=1, voxel_size_angstrom=SPACING)
        assert facts["f1"] == 1
    with pytest.raises(InputError, match="tomograms"):
        evaluate_picks(
            tmp_path / "a.star",
            truth,
            tomograms=tmp_path / "tomograms.star",
            voxel_size_angstrom=SPACING,
        )


def test_tomograms_are_known_by_what_programs_call_them():
    """RELION's reconstruction of TS_01 is rec_TS_01.mrc; names that cannot be told apart stay as they are."""
    here, there = (Located(Poses(np.eye(3)[None], np.full((1, 3), at), ("",))) for at in (10.0, 500.0))
    truth = {"rec_TS_01": here, "rec_TS_02": there}
    assert paired({"TS_02": there, "TS_01": here}, truth, "x") == [(here, here), (there, there)]
    with pytest.raises(InputError, match="TS_03"):
        paired({"TS_03": here}, truth, "x")
    with pytest.raises(InputError, match="of which no truth is given"):
        paired({"TS_01": here}, {**truth, "TS_01_10.00Apx": there}, "x")
