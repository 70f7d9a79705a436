"""Sets of subtomograms as files: what is in them, resuming, and what is refused."""

import csv
import json

import numpy as np
import pytest
import zarr

import vitreous
from vitreous.core import InputError, Interrupted, SilentProgress
from vitreous.io.pose_table import read_pose_table
from vitreous.simulate import SubtomogramSettings, TiltScheme
from vitreous.workflows.subtomograms import (
    SubtomogramRequest,
    dataset,
    expanded,
    resume_subtomograms,
    simulate_subtomograms,
    write_subtomograms,
)

STRUCTURES = ("phantom:2ldb", "phantom:esterase")
SETTINGS = SubtomogramSettings(side=20, count=3, neighbours=1, tilts=TiltScheme(step_deg=20))
TOTAL = 12  # two structures, two SNRs


class Watched(SilentProgress):
    """Counts subtomograms and wants to stop after some."""

    def __init__(self, stop_after=10**9):
        self.stages, self.done, self.stop_after, self.warnings = [], 0, stop_after, []

    def start(self, stage, total, done=0):
        self.stages.append((stage, total, done))

    def advance(self, steps=1, **values):
        self.done += steps

    def warn(self, text):
        self.warnings.append(text)

    def should_stop(self):
        return self.done >= self.stop_after


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(dataset, "BLOCK", 5)


def request(folder, **changes):
    return SubtomogramRequest(
        **({"structures": STRUCTURES, "output": folder, "settings": SETTINGS} | changes)
    )


def contents(folder):
    """Bytes of all outputs; run.json and the report hold times and paths."""
    told = (".lock", "run.json", "report.html")
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name not in told
    }


@pytest.fixture(scope="module")
def in_memory():
    return simulate_subtomograms(STRUCTURES, SETTINGS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "set"
    write_subtomograms(request(folder), SilentProgress())
    return folder


def test_zarr_holds_what_memory_does(whole, in_memory):
    store = zarr.open_group(whole / "subtomograms.zarr", mode="r")
    for name in ("densities", "noise_free", "masks"):
        array = store[name]["0"]
        assert array.shape == (TOTAL, 20, 20, 20)
        assert np.asarray(array[:]).tobytes() == getattr(in_memory, name).tobytes()
        image = store[name].attrs["multiscales"][0]
        assert image["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, 10.0, 10.0, 10.0]
        assert [axis["name"] for axis in image["axes"]] == ["subtomogram", "z", "y", "x"]


def test_the_table_says_what_each_one_is(whole, in_memory):
    rows = list(csv.DictReader((whole / "subtomograms.csv").open(encoding="utf-8")))
    assert [row["instance"] for row in rows] == [str(n) for n in range(1, TOTAL + 1)]
    assert [row["name"] for row in rows] == [name for name in STRUCTURES for _ in range(6)]
    assert [row["class"] for row in rows] == ["1"] * 6 + ["2"] * 6
    assert [float(row["snr_requested"]) for row in rows] == ([0.03] * 3 + [0.05] * 3) * 2
    for row in rows:
        assert float(row["snr_measured"]) == pytest.approx(float(row["snr_requested"]), rel=0.05)
        assert (row["defocus_um"], row["file"]) == ("5.0", "subtomograms.zarr")
        assert set(row["neighbours"].split(";")) <= set(STRUCTURES)
    poses = read_pose_table(whole / "subtomograms.csv")
    assert poses.rotations.tobytes() == in_memory.poses.rotations.tobytes()
    assert poses.positions_angstrom.tobytes() == in_memory.poses.positions_angstrom.tobytes()


def test_the_run_is_recorded(whole):
    facts = json.loads((whole / "run.json").read_text())
    assert (facts["kind"], facts["status"], facts["count"]) == ("subtomograms", "done", TOTAL)
    assert SubtomogramSettings.model_validate(facts["request"]["settings"]) == SETTINGS
    assert facts["command"].startswith("vitreous simulate subtomograms phantom:2ldb phantom:esterase -o ")
    assert not (whole / "unfinished").exists()
    report = (whole / "report.html").read_text()
    assert "phantom:esterase" in report
    assert report.count("<image ") == 2 * 5


def test_a_folder_of_mrc(tmp_path, in_memory):
    folder = tmp_path / "set"
    facts = write_subtomograms(request(folder, format="mrc"), SilentProgress())
    assert facts["output"] == str(folder)
    rows = list(csv.DictReader((folder / "subtomograms.csv").open(encoding="utf-8")))
    for n in (0, 7, 11):
        volume = vitreous.open_volume(folder / rows[n]["file"])
        assert volume.voxel_spacing_angstrom == pytest.approx((10.0, 10.0, 10.0))
        assert np.asarray(volume.data).tobytes() == in_memory.densities[n].tobytes()
        mask = vitreous.open_volume(folder / "masks" / f"{n + 1:06d}.mrc").data
        np.testing.assert_array_equal(mask, in_memory.masks[n])
    # A smaller set in its place leaves nothing of it, and one in the other format neither.
    fewer = SETTINGS.model_copy(update={"count": 1})
    write_subtomograms(request(folder, format="mrc", settings=fewer, overwrite=True), SilentProgress())
    assert len(list(folder.rglob("*.mrc"))) == 3 * 4
    write_subtomograms(request(folder, settings=fewer, overwrite=True), SilentProgress())
    assert not list(folder.rglob("*.mrc"))
    assert (folder / "subtomograms.zarr").is_dir()


@pytest.mark.parametrize("after", [1, 5, 8])
def test_an_interrupted_run_goes_on(tmp_path, whole, after):
    folder = tmp_path / "set"
    with pytest.raises(Interrupted) as stopped:
        write_subtomograms(request(folder), Watched(stop_after=after))
    assert stopped.value.run_dir == folder
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    assert not (folder / "subtomograms.csv").exists()
    assert not (folder / "subtomograms.zarr").exists()
    progress = Watched()
    if after == 1:
        write_subtomograms(request(folder), progress)
    else:
        resume_subtomograms(folder, progress)
    assert progress.stages[0] == ("subtomograms", TOTAL, after // 5 * 5)
    assert contents(folder) == contents(whole)
    with pytest.raises(InputError, match="already done"):
        resume_subtomograms(folder, progress)


def test_a_damaged_block_is_made_again(tmp_path, whole):
    folder = tmp_path / "set"
    with pytest.raises(Interrupted):
        write_subtomograms(request(folder), Watched(stop_after=11))
    block = sorted((folder / "unfinished").iterdir())[0]
    block.write_bytes(block.read_bytes()[:1000])
    write_subtomograms(request(folder), Watched())
    assert contents(folder) == contents(whole)


def test_what_is_there_is_kept_unless_overwritten(tmp_path, whole):
    before = contents(whole)
    with pytest.raises(InputError, match="already"):
        write_subtomograms(request(whole), SilentProgress())
    other = SETTINGS.model_copy(update={"seed": 1})
    with pytest.raises(InputError, match="another run"):
        write_subtomograms(request(whole, settings=other), SilentProgress())
    assert contents(whole) == before
    (tmp_path / "subtomograms.csv").write_text("precious")
    with pytest.raises(InputError, match="exists"):
        write_subtomograms(request(tmp_path), SilentProgress())
    write_subtomograms(request(tmp_path, overwrite=True), SilentProgress())
    assert contents(tmp_path) == before


def test_a_structure_that_changed_is_not_gone_on_with(tmp_path):
    atoms = "".join(
        f"ATOM  {n:5d}  CA  ALA A{n:4d}    {4.0 * (n % 4):8.3f}{4.0 * (n // 4):8.3f}{0.0:8.3f}  1.00 20.00"
        "           C\n"
        for n in range(1, 17)
    )
    file = tmp_path / "small.pdb"
    file.write_text(atoms + "END\n")
    asked = request(tmp_path / "set", structures=(str(file),))
    with pytest.raises(Interrupted):
        write_subtomograms(asked, Watched(stop_after=5))
    file.write_text(atoms.replace("20.00", "30.00") + "END\n")
    with pytest.raises(InputError, match="changed"):
        write_subtomograms(asked, SilentProgress())


def test_names_of_sets_and_structures():
    assert expanded(["vox-uda-1"]) == ("phantom:1bxn", "phantom:1f1b", "phantom:1yg6")
    assert expanded(["pdb:vox-uda-2", "a.pdb"]) == ("pdb:2byu", "pdb:2h12", "pdb:2ldb", "a.pdb")


def test_a_map_is_scaled_to_its_mass(tmp_path):
    z, y, x = np.ogrid[-12:13, -12:13, -12:13]
    ball = (z**2 + y**2 + (x / 2) ** 2 < 30).astype(np.float32)
    file = vitreous.write_volume(tmp_path / "ball.mrc", vitreous.Volume(ball, (10.0, 10.0, 10.0)))
    settings = SETTINGS.model_copy(update={"side": 40, "count": 1})
    made = simulate_subtomograms([f"{file}=500", "phantom:ldh"], settings)
    assert made.poses.names[:2] == ("ball", "ball")
    heavier = simulate_subtomograms([f"{file}=1000", "phantom:ldh"], settings)
    # Twice the signal, but for a neighbour that weighs the same as before.
    inside = made.masks[0] == 1
    assert heavier.noise_free[0][inside].std() == pytest.approx(2 * made.noise_free[0][inside].std(), rel=0.1)


@pytest.mark.parametrize(
    ("structures", "words"),
    [
        (["phantom:nobody"], "no phantom"),
        (["nothing"], "is no structure"),
        (["ball.mrc"], "MAP.mrc=MASS"),
        (["ball.mrc=heavy"], "no mass"),
        (["missing.pdb"], "no such file"),
        (["phantom:ribosome"], "does not fit"),
        (["phantom:ldh", "phantom:ldh"], "different names"),
        ([], "different names"),
    ],
)
def test_structures_that_are_none(structures, words):
    with pytest.raises(InputError, match=words):
        simulate_subtomograms(structures, SETTINGS)


def test_missing_neighbours_are_told(tmp_path):
    crowded = SETTINGS.model_copy(update={"count": 1, "neighbours": 60, "snrs": (1.0,)})
    progress = Watched()
    facts = write_subtomograms(request(tmp_path / "set", settings=crowded), progress)
    assert (
        progress.warnings
        == facts["warnings"]
        == ["2 subtomograms have fewer neighbours than asked for: no room"]
    )
    assert "fewer neighbours" in (tmp_path / "set" / "report.html").read_text()
