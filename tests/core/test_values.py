"""Volumes, spacings, errors and progress."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from vitreous.core import (
    FileHeader,
    InputError,
    Interrupted,
    SilentProgress,
    TrainingDiverged,
    VitreousError,
    Volume,
    as_spacing,
)

DATA = np.zeros((2, 3, 4), np.float32)


def test_spacing_from_a_number_a_triple_or_nothing():
    assert Volume(DATA, 10).voxel_spacing_angstrom == (10.0, 10.0, 10.0)
    assert Volume(DATA, [1, 2, 3]).voxel_spacing_angstrom == (1.0, 2.0, 3.0)
    assert Volume(DATA).voxel_spacing_angstrom is None
    assert as_spacing(np.float32(2.5)) == (2.5, 2.5, 2.5)  # what mrcfile hands over
    assert as_spacing(np.int16(4)) == (4.0, 4.0, 4.0)
    assert as_spacing(np.array([1, 2, 3], np.float32)) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), (1, 2), (1, 2, 0), (1, 2, 3, 4), ()])
def test_impossible_spacings_are_refused(value):
    with pytest.raises(ValueError, match="positive numbers in Å"):
        Volume(DATA, value)


def test_mean_spacing_is_geometric():
    assert Volume(DATA, (1.0, 2.0, 4.0)).mean_spacing_angstrom == pytest.approx(2.0)
    assert Volume(DATA).mean_spacing_angstrom is None


@pytest.mark.parametrize("shape", [(3, 4), (2, 2, 3, 4), (5,)])
def test_volumes_have_three_axes(shape):
    with pytest.raises(ValueError, match="three axes"):
        Volume(np.zeros(shape))


def test_with_data_keeps_everything_else_and_volumes_do_not_change():
    header = FileHeader(origin_angstrom=(1.0, 2.0, 3.0), labels=("a",))
    volume = Volume(DATA, 5.0, header, Path("a.mrc"))
    other = volume.with_data(np.ones((5, 6, 7)))
    assert other.shape == (5, 6, 7)
    assert (other.voxel_spacing_angstrom, other.header, other.path) == ((5.0,) * 3, header, Path("a.mrc"))
    assert volume.data is DATA
    with pytest.raises(FrozenInstanceError):
        volume.path = None


@pytest.mark.parametrize("problem", ["it is\nbroken", "tab\tand  spaces", "plain\r\n"])
@pytest.mark.parametrize("remedy", ["", "copy it\nagain"])
@pytest.mark.parametrize("path", [None, "a.mrc", Path("b\nc.mrc")])
def test_input_errors_are_one_line_that_says_all(problem, remedy, path):
    error = InputError(problem, path=path, remedy=remedy)
    text = str(error)
    assert len(text.splitlines()) == 1
    assert text == text.strip()
    for part in (problem, remedy, str(path or "")):
        assert all(word in text for word in part.split())
    assert text.endswith("; copy it again") == bool(remedy)
    assert (error.problem, error.path, error.remedy) == (problem, path, remedy)


def test_exit_codes_and_ancestry():
    assert (InputError("x").exit_code, Interrupted().exit_code, TrainingDiverged("x").exit_code) == (
        2,
        130,
        1,
    )
    assert all(issubclass(e, VitreousError) for e in (InputError, Interrupted, TrainingDiverged))
    assert str(Interrupted(Path("runs/a"))) == "interrupted; continue with: vitreous resume runs/a"
    assert str(Interrupted()) == "interrupted"


def test_silent_progress_never_stops(capsys):
    progress = SilentProgress()
    progress.start("train", 10)
    progress.advance(3, loss=0.1)
    progress.note("a")
    progress.warn("b")
    assert progress.should_stop() is False
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
