"""Simulated tomograms as files: complete, consistent, the same bytes again, made once."""

import json
import shutil
import tomllib

import numpy as np
import pytest
from small_simulation import SMALL_BOX, SMALL_SPEC, SPACING

import vitreous
from vitreous.core import InputError, Interrupted, SilentProgress
from vitreous.io import find_half, open_tilt_series, read_tilt_angles
from vitreous.io.pose_table import read_pose_table
from vitreous.io.relion import read_relion_particles, read_tomogram_sizes
from vitreous.io.shrec import read_shrec21
from vitreous.workflows.simulate import (
    SimulateRequest,
    SimulationSpec,
    estimate,
    load_spec,
    resume_simulation,
    simulate_files,
)

ANGLES = tuple(range(-50, 61, 10))


def small(**keys):
    return SimulationSpec(**tomllib.loads(SMALL_SPEC) | keys)


def contents(folder):
    """Bytes of all that does not say when and where it was made."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix not in (".json", ".html") and not file.name.startswith(".")
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    return simulate_files(SimulateRequest(small(tomograms=2), folder, "small.toml"), SilentProgress())


def test_every_file_is_there(made):
    names = {file.name for file in made.folders[0].iterdir()}
    stacks = ("tilt_series", "tilt_series_even", "tilt_series_odd")
    volumes = ("tomogram", "tomogram_even", "tomogram_odd", "noise_free", "grand_model")
    masks = ("class_mask", "instance_mask", "occupancy")
    assert names == {
        *(f"{name}.mrc" for name in (*stacks, *volumes, *masks)),
        *(f"{name}{suffix}" for name in stacks for suffix in (".tlt", ".rawtlt")),
        *("tilt_series.mdoc", "particles.star", "tomograms.star", "poses.csv", "run.json", "report.html"),
    }
    assert [folder.name for folder in made.folders] == ["tomogram_000", "tomogram_001"]
    assert load_spec(made.output / "spec.toml") == small(tomograms=2)
    assert find_half(made.folders[0] / "tomogram.mrc") is not None


def test_headers_say_spacing_tilts_dose_and_defocus(made):
    folder = made.folders[0]
    defocus = made.tomograms[0]["defocus_um"]
    for file in folder.glob("*.mrc"):
        stack = file.name.startswith("tilt_series")
        volume = open_tilt_series(file) if stack else vitreous.open_volume(file)
        assert volume.voxel_spacing_angstrom == pytest.approx((SPACING,) * 3)
        assert volume.shape == ((len(ANGLES), *SMALL_BOX[1:]) if stack else SMALL_BOX)
    label = vitreous.open_volume(folder / "tomogram.mrc").header.labels[-1]
    assert "-50..+60 deg" in label
    assert "3 e/A2" in label
    assert f"defocus {defocus:.3f} um" in label
    for name in ("tilt_series.tlt", "tilt_series.rawtlt", "tilt_series.mdoc", "tilt_series_even.tlt"):
        assert read_tilt_angles(folder / name) == ANGLES
    assert f"Defocus = {-defocus:.4f}" in (folder / "tilt_series.mdoc").read_text()


def test_run_json_says_how_it_was_made(made):
    facts = json.loads((made.folders[1] / "run.json").read_text())
    assert facts["request"] == {"spec": small(tomograms=2).to_json(), "index": 1}
    assert facts["command"].startswith("vitreous simulate small.toml -o ")
    assert facts["seed"] == [3, 1]
    assert facts["tilt_range_deg"] == [-50, 60]
    assert facts["dose_e_per_angstrom2"] == 3
    assert len(facts["tilts"]["shifts_yx_angstrom"]) == len(ANGLES)
    assert facts["metrics"]["placed"] == {"phantom:apoferritin": 6, "phantom:ldh": 8, "gold": 1}
    assert set(facts["seconds"]) == {"packing", "imaging", "reconstruction"}
    assert set(facts["versions"]) >= {"vitreous", "python"}
    whole = json.loads((made.output / "run.json").read_text())
    assert whole["status"] == "done"
    assert whole["tomograms"] == ["tomogram_000", "tomogram_001"]


def test_the_written_snr_is_that_of_the_files(made):
    tomogram, noise_free = (
        vitreous.open_volume(made.folders[0] / f"{name}.mrc").data.astype(np.float64)
        for name in ("tomogram", "noise_free")
    )
    measured = noise_free.var() / (tomogram - noise_free).var()
    assert measured == pytest.approx(made.tomograms[0]["metrics"]["snr"], rel=1e-3)


def test_masks_on_disk_agree_with_each_other_and_the_poses(made):
    folder = made.folders[0]
    facts = made.tomograms[0]
    classes, instances, occupancy, density = (
        np.asarray(vitreous.open_volume(folder / f"{name}.mrc").data)
        for name in ("class_mask", "instance_mask", "occupancy", "grand_model")
    )
    assert np.array_equal(classes > 0, instances > 0)
    assert (occupancy[instances > 0] == 1).all()
    assert set(np.unique(instances)) == set(range(facts["metrics"]["instances"] + 1))
    poses = read_pose_table(folder / "poses.csv")
    assert len(poses) == facts["metrics"]["instances"] == 15
    names = {int(label): name for label, name in facts["classes"].items()}
    for name, instance, position in zip(poses.names, poses.instances, poses.positions_angstrom, strict=True):
        voxels = np.argwhere(instances == instance)
        assert {names[label] for label in classes[instances == instance]} == {name}
        weights = density[instances == instance]
        centre = (voxels * weights[:, None]).sum(axis=0) / weights.sum() * SPACING
        assert np.linalg.norm(centre - position) < SPACING


def test_relion_reads_the_same_poses(made):
    folder = made.folders[0]
    sizes = read_tomogram_sizes(folder / "tomograms.star")
    particles = read_relion_particles(folder / "particles.star", sizes_angstrom=sizes)
    poses = particles.poses["tomogram_000"]
    ours = read_pose_table(folder / "poses.csv")
    ours = ours.select(np.array([name != "gold" for name in ours.names]))
    assert poses.names == ours.names
    assert np.allclose(poses.positions_angstrom, ours.positions_angstrom, atol=0.01)
    assert np.allclose(poses.rotations, ours.rotations, atol=1e-4)


def test_the_same_request_gives_the_same_bytes_and_adds_what_is_missing(made, tmp_path):
    request = SimulateRequest(small(), tmp_path / "run")
    first = simulate_files(request, SilentProgress())
    assert contents(first.folders[0]) == contents(made.folders[0])
    times = {file: file.stat().st_mtime_ns for file in first.folders[0].iterdir()}
    more = simulate_files(SimulateRequest(small(tomograms=2), tmp_path / "run"), SilentProgress())
    assert {file: file.stat().st_mtime_ns for file in first.folders[0].iterdir()} == times
    assert contents(more.folders[1]) == contents(made.folders[1])
    assert contents(more.folders[0])["tomogram.mrc"] != contents(more.folders[1])["tomogram.mrc"]


class Stopping(SilentProgress):
    """Asks to stop after so many questions."""

    def __init__(self, after):
        self.left = after

    def should_stop(self):
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("after", [5, 30, 55])
def test_an_interrupted_run_goes_on(made, tmp_path, after):
    with pytest.raises(Interrupted, match="vitreous resume"):
        simulate_files(SimulateRequest(small(tomograms=2), tmp_path / "run"), Stopping(after))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    finished = {file: file.stat().st_mtime_ns for file in tmp_path.glob("run/tomogram_*/*")}
    resumed = resume_simulation(tmp_path / "run", SilentProgress())
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    for folder, twin in zip(resumed.folders, made.folders, strict=True):
        assert contents(folder) == contents(twin)
    with pytest.raises(InputError, match="already done"):
        resume_simulation(tmp_path / "run", SilentProgress())


def test_nothing_is_overwritten_unasked(made, tmp_path):
    folder = tmp_path / "run"
    simulate_files(SimulateRequest(small(tomograms=2), folder), SilentProgress())
    other = small(seed=8)
    with pytest.raises(InputError, match="holds another run; add --overwrite"):
        simulate_files(SimulateRequest(other, folder), SilentProgress())
    assert contents(folder / "tomogram_000") == contents(made.folders[0])
    replaced = simulate_files(SimulateRequest(other, folder, overwrite=True), SilentProgress())
    assert contents(folder / "tomogram_000") != contents(made.folders[0])
    assert not (folder / "tomogram_001").exists()
    assert replaced.tomograms[0]["seed"] == [8, 0]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_stays(tmp_path, overwrite):
    (tmp_path / "tomogram_000").mkdir()
    (tmp_path / "tomogram_000" / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="is in the way"):
        simulate_files(SimulateRequest(small(), tmp_path, overwrite=overwrite), SilentProgress())
    assert (tmp_path / "tomogram_000" / "mine.txt").read_text() == "keep"
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("kind", ["noise", "structure", "specification", "behind a link"])
def test_inputs_in_the_folder_are_neither_removed_nor_replaced(made, tmp_path, kind, overwrite):
    folder = tmp_path / "run"
    shutil.copytree(made.output, folder)
    (folder / "tomogram_001").rename(folder / "tomogram_077")  # of more tomograms than are asked for now
    tomogram, spec = folder / "tomogram_077" / "tomogram.mrc", small()
    output, source, named = folder, "", tomogram
    if kind == "specification":
        source, named = str(folder / "spec.toml"), folder / "spec.toml"
    elif kind == "structure":
        spec = small(particles=[{"structure": str(tomogram), "mass_kda": 500.0, "count": 1}])
    else:
        spec = small(imaging={"noise_like": str(tomogram)})
    if kind == "behind a link":
        output = tmp_path / "link"
        output.symlink_to(folder)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(InputError) as fault:
        simulate_files(SimulateRequest(spec, output, source, overwrite=overwrite), SilentProgress())
    assert str(fault.value) == f"{named}: would be replaced by the result; choose another -o"
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_a_folder_that_is_an_input_gets_no_tomograms(tmp_path):
    store = vitreous.write_volume(
        tmp_path / "noise.zarr", vitreous.Volume(np.ones((8, 8, 8), np.float32), SPACING)
    )
    spec = small(imaging={"noise_like": str(store)})
    with pytest.raises(InputError, match=r"noise\.zarr/run: lies in .*noise\.zarr; choose another -o"):
        simulate_files(SimulateRequest(spec, store / "run"), SilentProgress())
    assert not (store / "run").exists()


def test_inputs_beside_the_tomograms_stay(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    source = folder / "mine.toml"
    source.write_text(SMALL_SPEC)
    for overwrite in (False, True):
        request = SimulateRequest(load_spec(source), folder, str(source), overwrite=overwrite)
        simulate_files(request, SilentProgress())
    assert source.read_text() == SMALL_SPEC


def test_shortfalls_stand_at_the_top_of_the_reports(tmp_path):
    crowd = small(gold={"count": 900, "diameter_angstrom": 100})
    outcome = simulate_files(SimulateRequest(crowd, tmp_path / "run"), SilentProgress())
    (text,) = outcome.tomograms[0]["warnings"]
    assert text in outcome.facts["warnings"][0]
    for report in (outcome.folders[0] / "report.html", outcome.report):
        page = report.read_text(encoding="utf-8")
        assert page.index(text) < page.index("<h2>" if report == outcome.report else "What was simulated")
        assert "1 warning" in page


def test_reports_show_everything_without_a_network(made):
    page = (made.folders[0] / "report.html").read_text(encoding="utf-8")
    for title in ("even half", "noise-free reconstruction", "grand model", "classes", "instances", "−50°"):
        assert title in page
    assert page.count("data:image") == 8 + 8 + 6
    assert "http" not in page.replace("http-equiv", "")
    assert '<td class="n">8</td>' in page


def test_shrec_layout_reads_back(tmp_path):
    named = [
        {"structure": "phantom:rubisco", "name": "1bxn", "count": 2},
        {"structure": "phantom:ldh", "name": "ldh", "count": 3},
    ]
    request = SimulateRequest(small(particles=named), tmp_path / "run", layout="shrec21")
    outcome = simulate_files(request, SilentProgress())
    assert outcome.folders == (tmp_path / "run" / "model_0",)
    found = read_shrec21(outcome.folders[0])
    assert found.class_names[4] == "1bxn"
    assert found.class_names[15] == "gold"
    assert found.class_names[16] == "ldh"
    assert sorted(found.poses.names) == ["1bxn"] * 2 + ["ldh"] * 3
    assert found.others.names == ("gold",)
    assert found.tilt_angles_deg == pytest.approx(ANGLES)
    classes = np.unique(np.asarray(found.class_mask.data)[np.asarray(found.occupancy_mask.data) > 0])
    assert classes.tolist() == [4, 15, 16]
    assert find_half(outcome.folders[0] / "reconstruction.mrc") is not None
    noisy, silent = (np.asarray(found.more[f"{kind}projections"].data) for kind in ("", "noisefree_"))
    assert not np.array_equal(noisy, silent)
    assert "projections.mrc" in (outcome.folders[0] / "alignment_simulated.txt").read_text().split()
    assert read_tilt_angles(outcome.folders[0] / "projections.tlt") == ANGLES


def test_a_changed_structure_is_noticed(tmp_path):
    line = "ATOM  {0:5d}  CA  GLY A{0:4d}    {1:8.3f}{2:8.3f}   0.000  1.00 20.00           C  \n"
    atoms = "".join(line.format(i, 3.8 * (i % 10), 3.8 * (i // 10)) for i in range(1, 60))
    model = tmp_path / "model.pdb"
    model.write_text(atoms + "END\n")
    spec = small(particles=[{"structure": str(model), "count": 2}], packing={"gap_voxels": 0})
    request = SimulateRequest(spec, tmp_path / "run")
    simulate_files(request, SilentProgress())
    model.write_text(atoms.replace("20.00", "30.00") + "END\n")
    with pytest.raises(InputError, match=r"model\.pdb: changed since"):
        simulate_files(request, SilentProgress())


def test_a_failed_specimen_leaves_no_tomogram(tmp_path):
    thin = small(box={"shape": SMALL_BOX, "voxel_spacing_angstrom": SPACING, "slab": [3, 4]}, gold={})
    with pytest.raises(InputError, match="no room"):
        simulate_files(SimulateRequest(thin, tmp_path / "run"), SilentProgress())
    assert not list((tmp_path / "run").glob("tomogram_*"))


class Listening(SilentProgress):
    """Keeps what is said, and stops when work begins."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    def should_stop(self):
        return True


def test_memory_and_time_are_said_before_and_kept_to(tmp_path):
    request = SimulateRequest(small(), tmp_path / "small", max_memory="100MB")
    with pytest.raises(InputError, match=r"24 × 40 × 48 voxels needs .* GB and 0\.1 GB may be used"):
        simulate_files(request, SilentProgress())
    assert not (tmp_path / "small").exists()
    heard = Listening()
    with pytest.raises(Interrupted):
        simulate_files(SimulateRequest(small(), tmp_path / "said"), heard)
    assert "about 10 s, up to" in heard.notes[0]
    assert "GB of memory" in heard.notes[0]


def test_the_largest_preset_stays_within_its_limits():
    taken = estimate(load_spec("shrec21"), 1)
    assert taken.memory_bytes <= 14e9
    assert taken.seconds <= 45 * 60
    assert taken.disk_bytes > 3e9
