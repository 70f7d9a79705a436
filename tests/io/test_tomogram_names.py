"""What a tomogram is called by the files of RELION, Warp and copick, and which file particles mean."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitreous.io.names import files_called, tomogram_name, usual_name

RUN = Path("/data/ExperimentRuns/TS_001/VoxelSpacing10.000/wbp.zarr")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/tomograms/rec_TS_01.mrc", "TS_01"),
        ("TS_1_10.00Apx.mrc", "TS_1"),
        ("reconstruction/TS_1_8Apx.mrc", "TS_1"),
        (RUN, "TS_001"),
        ("/ExperimentRuns/old/ExperimentRuns/rec_7/Segmentations/a.zarr", "rec_7"),
        ("/ExperimentRuns/loose.mrc", "loose"),
        ("0042.mrc", "0042"),
        ("a.b.rec.gz", "a.b"),
        ("record.mrc", "record"),
        ("rec_.mrc", "rec_"),
        ("TS_01", "TS_01"),
    ],
)
def test_names_are_those_that_other_programs_know(path, name):
    assert tomogram_name(path) == name


def test_particles_of_warp_have_a_suffix():
    assert usual_name("Unt_050.tomostar") == "Unt_050"


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,9}[0-9]", fullmatch=True).filter(lambda n: n[:4] != "rec_"))
def test_what_programs_add_is_taken_off(name):
    for written in (f"rec_{name}", f"{name}_10.00Apx", f"{name}.tomostar", f"rec_{name}_13.3Apx", name):
        assert usual_name(written) == name
        assert tomogram_name(f"/x/{written}.mrc") == name
        assert files_called(name, [Path(f"{written}.mrc"), Path("other.mrc")]) == [Path(f"{written}.mrc")]


def test_the_very_name_comes_first():
    plain, rec = Path("TS_01.mrc"), Path("rec_TS_01.mrc")
    assert files_called("TS_01", [rec, plain]) == [plain]
    assert files_called("rec_TS_01", [rec, plain]) == [rec]
    assert files_called("TS_01.tomostar", [rec, plain]) == [rec, plain]
    assert files_called("TS_01", [rec]) == [rec]
    assert files_called("TS_001", [plain, RUN]) == [RUN]
    assert files_called("wbp", [RUN]) == []
