"""STAR files as RELION writes them, and strings of every kind there and back."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vitreous.core import InputError
from vitreous.io import StarTable, read_star, write_star

RELION = """
# version 50001

data_general

_rlnTomoSubTomosAre2DStacks                       1

# version 50001

data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
1 "optics group 1"

data_particles

loop_
_rlnTomoName #1
_rlnAngleRot #2
_someoneElsesColumn #3
   0012   174.931305   [0,0,1,1]
   0013   -1e-2        000001@Extract/job013/a.mrcs

"""

values = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc",)), max_size=12
)
values = values.filter(lambda text: not {"'", '"'} <= set(text))


@pytest.fixture
def relion(tmp_path):
    (tmp_path / "a.star").write_text(RELION)
    return tmp_path / "a.star"


def test_a_file_of_relion(relion):
    tables = read_star(relion)
    assert list(tables) == ["general", "optics", "particles"]
    assert not tables["general"].loop
    assert tables["general"].text("rlnTomoSubTomosAre2DStacks") == ("1",)
    assert tables["optics"].text("rlnOpticsGroupName") == ("optics group 1",)
    particles = tables["particles"]
    assert list(particles.columns) == ["rlnTomoName", "rlnAngleRot", "someoneElsesColumn"]
    assert particles.text("rlnTomoName") == ("0012", "0013")  # digits stay a name
    assert particles.text("someoneElsesColumn") == ("[0,0,1,1]", "000001@Extract/job013/a.mrcs")
    np.testing.assert_array_equal(particles.numbers("rlnAngleRot"), [[174.931305], [-0.01]])


def test_everything_survives_writing(relion, tmp_path):
    tables = read_star(relion)
    again = read_star(write_star(tmp_path / "b.star", tables, comment="version 50001"))
    assert {name: dict(table.columns) for name, table in again.items()} == {
        name: dict(table.columns) for name, table in tables.items()
    }
    assert [table.loop for table in again.values()] == [False, True, True]
    assert (tmp_path / "b.star").read_text().count("# version 50001\n\ndata_") == 3


@given(st.lists(st.tuples(values, values), min_size=1, max_size=4))
@example([("", "loop_"), ("_a", "Data_1/x.mrc"), ("#", ";"), (".", "?"), ("$x", "Å"), ("it's", 'say "a"')])
def test_any_string_survives(rows):
    columns = {"a": tuple(a for a, _ in rows), "b": tuple(b for _, b in rows)}
    with tempfile.TemporaryDirectory() as folder:
        file = write_star(Path(folder) / "a.star", {"": StarTable(columns)})
        assert read_star(file)[""].columns == columns


def test_an_empty_loop_survives(tmp_path):
    file = write_star(tmp_path / "a.star", {"particles": StarTable({"rlnTomoName": ()})})
    assert len(read_star(file)["particles"]) == 0
    assert "rlnTomoName" in read_star(file)["particles"]


@pytest.mark.parametrize(
    "text", ["", "hello\n", "data_a\nloop_\n_x\n_y\n1\n", "data_a\n_x 1\ndata_a\n_x 2\n"]
)
def test_what_is_no_star_file(tmp_path, text):
    (tmp_path / "a.star").write_text(text)
    with pytest.raises(InputError, match=r"a\.star: (is not a STAR file|holds no table)"):
        read_star(tmp_path / "a.star")


def test_bytes_are_no_star_file(tmp_path):
    (tmp_path / "a.star").write_bytes(b"\x00\xff" * 600)
    with pytest.raises(InputError, match="not a STAR file"):
        read_star(tmp_path / "a.star")


def test_two_tables_in_one_block(tmp_path):
    (tmp_path / "a.star").write_text("data_a\n_x 1\nloop_\n_y\n1\n")
    with pytest.raises(InputError, match="data_a holds several tables"):
        read_star(tmp_path / "a.star")


def test_missing_file_and_missing_column(relion, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_star(tmp_path / "b.star")
    with pytest.raises(InputError, match=r"a\.star: the column rlnAnglePsi is missing"):
        read_star(relion)["particles"].text("rlnAnglePsi")
    with pytest.raises(InputError, match=r"'\[0,0,1,1\]' in column someoneElsesColumn is not a number"):
        read_star(relion)["particles"].numbers("someoneElsesColumn")


@pytest.mark.parametrize("value", ["two\nlines", '"it\'s" '])
def test_what_star_cannot_hold(tmp_path, value):
    with pytest.raises(ValueError, match="cannot hold"):
        write_star(tmp_path / "a.star", {"a": StarTable({"x": (value,)})})
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(relion):
    with pytest.raises(InputError, match="exists"):
        write_star(relion, {"a": StarTable({"x": ("1",)})})
    assert relion.read_text() == RELION
