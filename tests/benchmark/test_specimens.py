"""Specimens: clean volumes of a data set are found, kept apart for training, and told when too few."""

import numpy as np
import pytest

from vitreous.benchmark.cases import CaseKind, make_case
from vitreous.benchmark.comparison import Comparison
from vitreous.benchmark.specimens import TRAINING_SEEDS, CleanVolumes, Specimen
from vitreous.core import InputError, SilentProgress, Volume
from vitreous.io import write_volume

SHAPE = (16, 20, 24)


def shrec(folder, count, spacing=10.0):
    """Model folders whose grand model holds one cube of a density that is the model's number plus one."""
    for number in range(count):
        (folder / f"model_{number}").mkdir(parents=True)
        density = np.full(SHAPE, 3.0, np.float32)
        density[6:10, 8:12, 10:14] += number + 1
        write_volume(
            folder / f"model_{number}" / "grandmodel.mrc", Volume(density, spacing and (spacing,) * 3)
        )
    return folder


def test_seeds_and_training_seeds_are_different_files(tmp_path):
    clean = CleanVolumes.of_folder(shrec(tmp_path / "set", 5))
    peaks = [clean.ground(SHAPE, seed).density.max() for seed in (1, 2, *TRAINING_SEEDS)]
    assert peaks == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="too few"):
        clean.ground(SHAPE, 3)


def test_the_middle_is_taken_and_solvent_is_zero(tmp_path):
    clean = CleanVolumes.of_folder(shrec(tmp_path / "set", 4))
    ground = clean.ground((8, 8, 100), 1)
    assert ground.density.shape == ground.inside.shape == (8, 8, 24)
    assert np.median(ground.density) == 0
    assert ground.inside.sum() == 4**3
    assert ground.spacing_angstrom == pytest.approx(10, rel=1e-6)


def test_a_spacing_is_not_guessed_and_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="voxel spacing"):
        CleanVolumes.of_folder(shrec(tmp_path / "set", 4, spacing=None)).ground(SHAPE, 1)
    with pytest.raises(InputError, match="no clean volumes"):
        CleanVolumes.of_folder(tmp_path)


def test_a_table_takes_the_users_volumes_and_says_whose(tmp_path):
    kind = CaseKind("small", Specimen(0.1), "white", 0.2, shape=SHAPE)
    seen = []
    table = Comparison(
        "a table",
        {"small": {"a": kind}, "full": {"a": kind}, "paper": {"a": kind}},
        ("noisy",),
        measure=lambda kind, seed, method, progress: seen.append(make_case(kind, seed)) or {},
    )
    (row,) = table.rows("small", (2,), (), SilentProgress(), shrec(tmp_path / "set", 5))
    assert row.key == {"case": "a", "seed": 2, "method": "noisy", "data": str((tmp_path / "set").resolve())}
    row.measure()
    assert seen[0].data_range == 2
    assert seen[0].noise.std() == pytest.approx(0.4, rel=0.05)  # 7680 voxels: 0.8 % standard error
