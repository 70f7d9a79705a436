"""DUAL on files: domains, training that is stopped and resumed, simulated tomograms with their truth."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vitreous import Volume, open_volume, write_volume
from vitreous.benchmark.specimens import Purified
from vitreous.core import InputError, Interrupted, Poses, SilentProgress, TrainingDiverged
from vitreous.io import StarTable, write_particles, write_star
from vitreous.methods import DualConfig
from vitreous.methods.dual.objective import DualObjective
from vitreous.training import load_model
from vitreous.workflows.denoise import DenoiseSettings, fit
from vitreous.workflows.dual import (
    DualSimulateRequest,
    DualTrainRequest,
    convert_dual,
    resume_conversion,
    resume_dual,
    resume_dual_simulation,
    simulate_dual,
    train_dual,
)
from vitreous.workflows.dual.domains import domain_volume, files_of, padded_sides, rescaled
from vitreous.workflows.dual.train import config_of, open_domains
from vitreous.workflows.evaluate_picks import evaluate_picks
from vitreous.workflows.run_directory import RUN_SCHEMA

CONFIG = """
method = "dual"
width = 2
judge_width = 2
levels = 1
batch = 1
patch_side = 16
boxes = 1
box_side = 32
steps = 4
"""


def white(seed, shape=(20, 22, 24)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def density():
    z, y, x = np.ogrid[:20, :22, :24]
    return (5.0 * ((z - 9) ** 2 + (y - 10) ** 2 + (x - 11) ** 2 < 25)).astype(np.float32)


def fill(folder):
    """A folder of tomograms, one in our layout with its truth, and the configuration."""
    (folder / "config.toml").write_text(CONFIG)
    ours = folder / "sim" / "tomogram_000"
    ours.mkdir(parents=True)
    write_volume(ours / "tomogram.mrc", Volume(3 + white(0) - 0.2 * density(), 10.0))
    write_volume(ours / "grand_model.mrc", Volume(density(), 10.0))
    write_volume(ours / "class_mask.mrc", Volume((density() > 1).astype(np.int16), 10.0), dtype=np.int16)
    (ours / "poses.csv").write_text("the truth\n")
    return folder


@pytest.fixture
def data(tmp_path):
    return fill(tmp_path)


def request(data, **changes):
    """On the CPU, where a stopped training gives the same bytes and memory means the host's."""
    settings = DenoiseSettings(method="dual", config=str(data / "config.toml"), seed=3, device="cpu")
    whole = {"noisy": (data / "sim",), "clean": (str(data / "sim"),), "output": data / "run"}
    return DualTrainRequest(**{**whole, "settings": settings, **changes})


class Stopping(SilentProgress):
    def __init__(self, after):
        self.left = after

    def should_stop(self):
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    folder = fill(tmp_path_factory.mktemp("trained"))
    train_dual(request(folder), SilentProgress())
    return folder / "run"


@pytest.fixture
def model(data, trained):
    """A run directory of a training on the same voxels, which a test may spoil."""
    shutil.copytree(trained, data / "run")
    return data / "run"


class Told(SilentProgress):
    """Keeps what is said, and looks at the report meanwhile."""

    def __init__(self, page):
        self.page, self.notes, self.warnings, self.pages = page, [], [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)

    def advance(self, steps=1, **values):
        self.pages.append(self.page.read_text() if self.page.exists() else "")


def test_slices_and_figures_are_shown_as_training_goes_on(data, monkeypatch):
    """And they change nothing: the weights are those of a training that nobody watched."""
    told = Told(data / "run" / "report.html")
    train_dual(request(data), told)
    early = [page for page in told.pages if page]
    assert "so far" in early[0]
    assert "denoised, middle along z" in early[0]
    assert any(text.startswith("step ") and "spectra" in text for text in told.notes)
    monkeypatch.setattr("vitreous.workflows.dual.train.fit", lambda *words: fit(*words[:-1]))
    train_dual(request(data, output=data / "unwatched"), SilentProgress())
    weights = [(data / name / "model.safetensors").read_bytes() for name in ("run", "unwatched")]
    assert weights[0] == weights[1]


def test_what_went_wrong_is_in_the_report(data, monkeypatch):
    """A domain that dies once, and noise that is not used, are told on the page and in run.json."""
    looks = iter([("", 0.5), ("the clean domain died", 0.5), ("", 0.5)])
    monitored = DualObjective.monitored

    def seen(self, generator):
        figures, _ = monitored(self, generator)
        wrong, share = next(looks, ("", 0.01))
        return {**figures, "drawn_share": share, "noisy_spectral_distance": 2.0}, wrong

    monkeypatch.setattr(DualObjective, "monitored", seen)
    told = Told(data / "run" / "report.html")
    train_dual(request(data), told)
    facts = json.loads((data / "run" / "run.json").read_text())
    page = (data / "run" / "report.html").read_text()
    for words in ("the clean domain died at step", "hardly use the noise", "they do not look alike"):
        assert any(words in text for text in facts["warnings"])
        assert any(words in text for text in told.warnings)
        assert words in page
    assert facts["rollbacks"] == 1


def test_a_training_that_failed_says_what_was_seen(data, monkeypatch):
    looks = iter([""])
    monitored = DualObjective.monitored

    def seen(self, generator):
        return monitored(self, generator)[0], next(looks, "the noisy domain died")

    monkeypatch.setattr(DualObjective, "monitored", seen)
    with pytest.raises(TrainingDiverged):
        train_dual(request(data), SilentProgress())
    facts = json.loads((data / "run" / "run.json").read_text())
    assert facts["status"] == "failed"
    assert "the noisy domain died" in facts["error"]
    assert facts["monitored"][0][0] == 1


def test_a_training_leaves_model_report_and_record(data, model):
    facts, _ = load_model(model)
    noisy, clean = (facts["domains"][name][0] for name in ("noisy", "clean"))
    assert noisy["source"].endswith("sim/tomogram_000/tomogram.mrc")
    assert noisy["normalization"]["mean"] == pytest.approx(3, abs=0.1)
    assert clean["contrast_turned"]
    assert not noisy["contrast_turned"]
    assert (facts["protein"], facts["config"]["voxel_spacing_angstrom"]) == ("dark", pytest.approx(10))
    run = json.loads((model / "run.json").read_text())
    assert run["status"] == "done"
    assert run["monitored"][-1][0] == 4
    assert "noisy_spectral_distance" in run["figures"]
    page = (model / "report.html").read_text()
    assert "Slices" in page
    assert "so far" not in page
    assert "Clean reconstruction" in page
    assert not (model / "checkpoints").exists()


@pytest.mark.parametrize("stop", [3, 7])  # in the game, and while it teaches
def test_a_stopped_training_ends_with_the_same_bytes(data, model, stop):
    folder = data / f"stopped_{stop}"
    with pytest.raises(Interrupted):
        train_dual(request(data, output=folder), Stopping(stop))
    assert (folder / "checkpoints" / "finish").exists() == (stop > 4)
    resume_dual(folder, SilentProgress())
    first, second = ((f / "model.safetensors").read_bytes() for f in (model, folder))
    assert first == second
    with pytest.raises(InputError, match="already done"):
        resume_dual(folder, SilentProgress())


def test_a_time_budget_becomes_steps_and_keeps_the_given_clean_domain(data, monkeypatch):
    """Were the clean domain lost on the way, the training would go on with simulated boxes unnoticed."""
    monkeypatch.setattr("vitreous.methods.dual.method.simulated_domain", None)
    monkeypatch.setattr("vitreous.training.timing.seconds_per_step", lambda *_: 1.0)
    settings = replace(request(data).settings, time_budget_seconds=7.5)
    wanted = request(data, settings=settings)
    assert "--time-budget 7.5s" in wanted.command()
    assert train_dual(wanted, SilentProgress())["steps"] == 3  # of the game: the rest is the student's


@pytest.mark.parametrize("place", ["sim", "sim/tomogram_000/run"])
def test_a_run_is_not_written_into_a_domain(data, place):
    before = sorted(path for path in data.rglob("*"))
    with pytest.raises(InputError, match="lies in"):
        train_dual(request(data, output=data / place), SilentProgress())
    assert sorted(path for path in data.rglob("*")) == before


def test_what_changed_meanwhile_is_not_gone_on_with(data):
    asked = request(data)
    with pytest.raises(Interrupted):
        train_dual(asked, Stopping(1))
    write_volume(data / "sim/tomogram_000/grand_model.mrc", Volume(2 * density(), 10.0), overwrite=True)
    with pytest.raises(InputError, match=r"grand_model\.mrc: changed since"):
        train_dual(asked, SilentProgress())


def test_another_run_is_not_overwritten(data):
    train_dual(request(data), SilentProgress())
    model = data / "run"
    other = request(data, protein="bright")
    with pytest.raises(InputError, match="holds another run; add --overwrite"):
        train_dual(other, SilentProgress())
    with pytest.raises(InputError, match="already done"):
        train_dual(request(data), SilentProgress())
    before = (model / "model.safetensors").read_bytes()
    train_dual(request(data, protein="bright", overwrite=True), SilentProgress())
    assert (model / "model.safetensors").read_bytes() != before


@pytest.mark.parametrize("name", ["report.html", "model.json", "model.safetensors"])
def test_files_of_others_in_the_folder_are_not_overwritten(data, name):
    (data / "run").mkdir()
    (data / "run" / name).write_text("mine")
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        train_dual(request(data), SilentProgress())
    assert [p.name for p in (data / "run").iterdir()] == [name]
    assert (data / "run" / name).read_text() == "mine"


def test_a_preset_is_a_clean_domain(data):
    small = data / "small.toml"
    small.write_text('[box]\nshape = [16, 24, 24]\n[[particles]]\nstructure = "phantom:ldh"\ncount = 2\n')
    train_dual(request(data, clean=(f"preset:{small}",)), SilentProgress())
    facts, _ = load_model(data / "run")
    assert facts["domains"]["clean"][0]["shape"] == [16, 24, 24]


BAD = {
    "empty folder": (lambda d: {"noisy": (d / "empty",)}, "holds no volumes for the noisy domain"),
    "no file": (lambda d: {"noisy": (d / "none.mrc",)}, r"none\.mrc"),
    "spacing": (lambda d: {"noisy": (d / "unknown.mrc",)}, "no usable voxel spacing.*--voxel-size"),
    "small": (lambda d: {"noisy": (d / "small.mrc",)}, "a training patch has 16 a side"),
    "constant": (lambda d: {"clean": (str(d / "constant.mrc"),)}, "all its voxels are equal.*leave it out"),
    "constant tomogram": (lambda d: {"noisy": (d / "constant.mrc",)}, "all its voxels are equal"),
    "preset": (lambda d: {"clean": ("preset:nonsense",)}, "nonsense"),
    "protein": (lambda d: {"protein": "grey"}, "--protein grey is unknown"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(data, case):
    (data / "empty").mkdir()
    write_volume(data / "unknown.mrc", Volume(white(0)))
    write_volume(data / "small.mrc", Volume(white(0, (12, 20, 20)), 10.0))
    write_volume(data / "constant.mrc", Volume(np.ones((20, 20, 20), np.float32), 10.0))
    changes, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        train_dual(request(data, **changes(data)), SilentProgress())
    assert "\n" not in str(caught.value)
    assert not (data / "run" / "model.json").exists()


def test_a_training_that_would_not_fit_is_refused_before_anything_is_written(data, monkeypatch):
    monkeypatch.setattr("vitreous.workflows.dual.train.available_memory", lambda _: 10**9)
    (data / "config.toml").write_text("patch_side = 16\nbatch = 512\nwidth = 32\n")
    # 750 MB to begin with, and 300 bytes × 512 volumes × 16³ voxels × 32 channels
    with pytest.raises(InputError, match=r"needs about 20\.9 GB and 1\.0 GB are free"):
        train_dual(request(data), SilentProgress())
    assert not (data / "run").exists()


@pytest.mark.parametrize(
    ("said", "asked", "seen"),
    [
        ("", None, "bright"),
        ("", "dark", "dark"),
        ("dark", None, "dark"),
        ("bright", None, "bright"),
        ("bright", "dark", "dark"),
        ("seen", None, "bright"),
    ],
)
def test_the_contrast_is_what_the_option_the_configuration_or_the_tomogram_says(data, said, asked, seen):
    """Bright blobs in the tomogram; grand models are turned where protein is dark."""
    (data / "config.toml").write_text(CONFIG + (f'protein = "{said}"\n' if said else ""))
    blobs = white(3, (48, 64, 64))
    blobs[::12, 4::14, 4::14] += 40
    bright = 10 * gaussian_filter(blobs, 2.0) + white(4, blobs.shape)
    write_volume(data / "bright.mrc", Volume(bright, 10.0))
    wanted = request(data, noisy=(data / "bright.mrc",), protein=asked)
    assert DualTrainRequest.from_json(wanted.to_json(), wanted.output) == wanted
    assert ("--protein" in wanted.command()) == (asked is not None)
    domains, _ = open_domains(wanted, config_of(wanted), SilentProgress())
    assert domains.clean[0].turned == (seen == "dark")


@pytest.mark.parametrize("header", [1.0, None])
def test_a_clean_domain_whose_spacing_was_never_set_is_told_it(data, header):
    """Those of SHREC have 1 Å, or none; another one is left alone."""
    path = data / "sim" / "tomogram_000" / "grand_model.mrc"
    write_volume(path, Volume(density(), header), overwrite=True)
    asked = request(data, voxel_size_angstrom=10.0)
    domains, _ = open_domains(asked, config_of(asked), SilentProgress())
    assert domains.clean[0].training.data.shape == density().shape
    assert domains.clean[0].spacing_before_angstrom == pytest.approx(10)
    write_volume(path, Volume(density(), 8.0), overwrite=True)
    domains, _ = open_domains(asked, config_of(asked), SilentProgress())
    assert domains.clean[0].spacing_before_angstrom == pytest.approx(8)


def test_a_density_by_another_name_is_doubted(data):
    """Its protein is bright, and nothing says so but its looks."""
    grand = Purified("ribosome", 12).ground((48, 64, 64), 11).density
    for name in ("grand_model.mrc", "box.mrc"):
        write_volume(data / name, Volume(grand, 10.0))
        asked = request(data, clean=(str(data / name),), protein="dark")
        _, warnings = open_domains(asked, config_of(asked), SilentProgress())
        assert any("its protein looks bright" in text for text in warnings) == (name == "box.mrc")


def test_the_contrast_of_the_configuration_reaches_model_and_report(data):
    (data / "config.toml").write_text(CONFIG + 'protein = "bright"\n')
    train_dual(request(data), SilentProgress())
    facts, _ = load_model(data / "run")
    assert (facts["protein"], facts["config"]["protein"]) == ("bright", "bright")
    assert not facts["domains"]["clean"][0]["contrast_turned"]
    assert "bright" in (data / "run" / "report.html").read_text()


def test_folders_of_either_layout_and_of_files(tmp_path):
    for name in (
        "shrec/model_0/reconstruction.mrc",
        "shrec/model_0/grandmodel.mrc",
        "files/b.mrc",
        "files/a.rec",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files_of(tmp_path / "shrec", "noisy") == [tmp_path / "shrec/model_0/reconstruction.mrc"]
    assert files_of(tmp_path / "shrec/model_0", "clean") == [tmp_path / "shrec/model_0/grandmodel.mrc"]
    assert files_of(tmp_path / "files", "noisy") == [tmp_path / "files/a.rec", tmp_path / "files/b.mrc"]


def test_rescaling_keeps_shapes_of_things():
    """A Gaussian blob on a finer grid and a coarser one: within 2 % of its height in the middle."""
    z, y, x = np.ogrid[:40, :44, :48]

    def blob(width, centre):
        distance = sum((a - c) ** 2 for a, c in zip((z, y, x), centre, strict=True))
        return np.exp(-distance / (2 * width**2)).astype(np.float32)

    for spacing in (7.0, 13.68):
        changed = rescaled(Volume(blob(4.0, (19, 21, 23)), 10.0), spacing)
        assert changed.shape == tuple(round(n * 10 / spacing) for n in (40, 44, 48))
        assert changed.max() == pytest.approx(1, abs=0.02)
        found = np.array(np.unravel_index(changed.argmax(), changed.shape)) * spacing / 10
        assert np.abs(found - (19, 21, 23)).max() < 1.2
        second = np.square(np.arange(changed.shape[0]) * spacing / 10 - 19) @ changed.sum((1, 2))
        assert second / changed.sum() == pytest.approx(16, rel=0.1)
    same = white(0)
    assert rescaled(Volume(same, 10.0), 10.02) is same


def test_voxels_without_a_value_become_the_mean_before_rescaling():
    """Grey values around 1000: a hole that became 0 would be the darkest thing there is."""
    data = 1000 + white(0, (24, 24, 24))
    data[8:16, 8:16, 8:16] = np.nan
    data[0, 0, 0] = np.inf
    changed = rescaled(Volume(data, 10.0), 15.0)
    assert np.abs(changed - 1000).max() < 5
    assert changed[7:10, 7:10, 7:10].mean() == pytest.approx(np.mean(data[np.isfinite(data)]), abs=0.1)
    nothing = Volume(np.full((20, 20, 20), np.nan, np.float32), 10.0)
    with pytest.raises(InputError, match="box: it holds no finite voxel"):
        domain_volume(nothing, 15.0, 8, turned=False, name="box")


@pytest.mark.parametrize("factor", [0.2, 0.73, 1.368, 1.0 / 3, 2.7])
def test_padded_sides_meet_the_ratio(factor):
    for side in (17, 64, 200):
        old, new = padded_sides(side, factor)
        assert old >= side + 16
        assert (old % 2, new % 2) == (0, 0)
        assert new / old == pytest.approx(factor, rel=0.005)


def test_the_clean_domain_is_turned_where_protein_is_dark():
    one = domain_volume(Volume(density(), 10.0), 10.0, 16, turned=True, name="box")
    assert one.training.data.min() == -5
    bad = Volume(np.full((20, 20, 20), np.nan, np.float32), 10.0)
    with pytest.raises(InputError, match="box: it holds no finite voxel"):
        domain_volume(bad, 10.0, 16, turned=False, name="box")


@pytest.mark.parametrize(("domain", "file"), [("noisy", "tomogram.mrc"), ("clean", "grand_model.mrc")])
@pytest.mark.parametrize("spacing", [None, 8.0])
def test_voxels_without_a_value_are_told_of_in_either_domain(data, domain, file, spacing):
    values = density() + white(1)
    values[2, 3, 4:7] = np.nan
    path = data / "sim" / "tomogram_000" / file
    write_volume(path, Volume(values, 10.0), overwrite=True)
    asked = request(data, spacing_angstrom=spacing)
    domains, warnings = open_domains(asked, config_of(asked), SilentProgress())
    assert warnings == [f"{path}: 3 voxels are NaN or infinite; they were taken as the mean."]
    assert all(np.isfinite(v.training.normalization.mean) for v in getattr(domains, domain))


def test_a_stopped_simulation_is_gone_on_with(data, model):
    asked = DualSimulateRequest((data / "sim/tomogram_000",), model, data / "out", 2, 7)
    with pytest.raises(Interrupted, match="out"):
        simulate_dual(asked, Stopping(100))
    assert len(resume_dual_simulation(data / "out", SilentProgress())["tomograms"]) == 2
    simulate(data, output=data / "whole")
    for name in ("tomogram_000_000", "tomogram_000_001"):
        voxels = [open_volume(data / f / name / "tomogram.mrc").data for f in ("out", "whole")]
        np.testing.assert_array_equal(*voxels)
    with pytest.raises(InputError, match="already done"):
        resume_dual_simulation(data / "out", SilentProgress())


def test_the_device_belongs_to_both_requests(data, model):
    train = request(data, settings=DenoiseSettings(method="dual", device="cpu"))
    assert "--device cpu" in train.command()
    assert DualTrainRequest.from_json(train.to_json(), train.output) == train
    asked = DualSimulateRequest((data / "sim/tomogram_000",), model, data / "out", 1, 7, "cpu")
    assert "--device cpu" in asked.command()
    assert DualSimulateRequest.from_json(asked.to_json(), asked.output, 1) == asked
    simulate(data, count=1, device="auto")
    file = data / "out/run.json"
    facts = json.loads(file.read_text())
    assert facts["request"].pop("device") == "auto"
    file.write_text(json.dumps(facts))  # as earlier versions wrote it
    assert len(simulate(data, count=2, device="auto")["tomograms"]) == 2
    with pytest.raises(InputError, match="holds another run"):
        simulate(data, count=2, device="cpu")


def simulate(data, **changes):
    whole = {"inputs": (data / "sim/tomogram_000",), "model": data / "run", "output": data / "out"}
    return simulate_dual(DualSimulateRequest(**{**whole, "count": 2, "seed": 7, **changes}), SilentProgress())


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_grand_model_among_the_tomograms_is_never_cleared_away(data, model, overwrite):
    """Each simulated tomogram has a copy of the truth: simulating from that one into the same folder."""
    made = simulate(data)["tomograms"]
    before = [(Path(folder) / "grand_model.mrc").read_bytes() for folder in made]
    with pytest.raises(InputError, match="would be replaced by the result"):
        simulate(data, inputs=(Path(made[1]),), seed=9, overwrite=overwrite)
    assert [(Path(folder) / "grand_model.mrc").read_bytes() for folder in made] == before


def test_simulated_tomograms_differ_in_noise_and_keep_the_truth(data, model):
    made = simulate(data)
    folders = sorted(p for p in (data / "out").iterdir() if p.is_dir())
    assert [str(f) for f in folders] == made["tomograms"]
    first, second = (open_volume(f / "tomogram.mrc") for f in folders)
    assert first.shape == (20, 22, 24)
    assert abs(np.corrcoef(first.data.ravel(), second.data.ravel())[0, 1]) < 0.9
    assert first.data.mean() == pytest.approx(3, abs=0.3)  # the grey values of the tomograms
    for name in ("grand_model.mrc", "class_mask.mrc", "poses.csv"):
        truth = (data / "sim/tomogram_000" / name).read_bytes()
        assert all((f / name).read_bytes() == truth for f in folders)
    assert not (folders[0] / "tomogram_even.mrc").exists()


def test_picks_in_a_simulated_tomogram_can_be_evaluated_as_in_its_model(data, model):
    """Positions for RELION and the names of labels come along."""
    ours = data / "sim" / "tomogram_000"
    poses = Poses(np.eye(3)[None], np.array([[90.0, 100.0, 110.0]]), ("phantom:ribosome",))
    write_particles(
        ours / "particles.star", poses, tomogram_name="a", shape=(20, 22, 24), voxel_spacing_angstrom=10.0
    )
    sizes = {"rlnTomoSizeX": ["24"], "rlnTomoSizeY": ["22"], "rlnTomoSizeZ": ["20"]}
    pixel = {"rlnTomoTiltSeriesPixelSize": ["10"]}
    write_star(ours / "tomograms.star", {"global": StarTable({"rlnTomoName": ["a"], **sizes, **pixel})})
    facts = {
        "schema": RUN_SCHEMA,
        "kind": "simulated-tomogram",
        "status": "done",
        "request": {},
        "classes": {"1": "phantom:ribosome"},
    }
    (ours / "run.json").write_text(json.dumps(facts))
    (folder, _) = simulate(data)["tomograms"]
    truth = json.loads((Path(folder) / "run.json").read_text())
    assert truth["classes"] == {"1": "phantom:ribosome"}
    found = evaluate_picks(ours / "particles.star", Path(folder), distance_angstrom=1)
    assert (found["f1"], found["truth"]) == (1, 1)


def test_the_same_seed_gives_the_same_bytes_and_more_can_be_added(data, model):
    simulate(data, count=1)
    kept = data / "out/tomogram_000_000/tomogram.mrc"
    before = kept.stat().st_mtime_ns
    simulate(data, count=2)
    assert kept.stat().st_mtime_ns == before
    simulate(data, output=data / "again")
    voxels = [open_volume(data / f / "tomogram_000_001/tomogram.mrc").data for f in ("out", "again")]
    np.testing.assert_array_equal(*voxels)
    with pytest.raises(InputError, match="holds another run"):
        simulate(data, seed=8)
    simulate(data, seed=8, overwrite=True)
    assert not np.array_equal(
        open_volume(kept).data, open_volume(data / "again/tomogram_000_000/tomogram.mrc").data
    )


def test_grand_models_have_noise_of_their_own(data, model):
    """Draw 0 of two unrelated densities of one shape: sharing the noise they correlated by 0.88."""
    for number, name in enumerate("ab"):
        write_volume(data / name / "grand_model.mrc", Volume(white(number), 10.0))
    both = (data / "a", data / "b")
    for output in ("out", "again"):
        simulate(data, inputs=both, output=data / output, count=1)
    first, second, again = (
        open_volume(data / name / "tomogram.mrc").data for name in ("out/a_000", "out/b_000", "again/a_000")
    )
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / first.size**0.5
    np.testing.assert_array_equal(first, again)
    simulate(data, inputs=both[1:], output=data / "alone", count=1)
    np.testing.assert_array_equal(open_volume(data / "alone/b_000/tomogram.mrc").data, second)


def test_what_is_in_the_way_stays(data, model):
    (data / "out/tomogram_000_000").mkdir(parents=True)
    (data / "out/tomogram_000_000/mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is in the way"):
        simulate(data, overwrite=True)


def test_a_grand_model_of_another_spacing_is_not_rescaled(data, model):
    write_volume(data / "other.mrc", Volume(density(), 13.5))
    with pytest.raises(InputError, match=r"other\.mrc: has voxels of 13\.5 Å.*10 Å"):
        simulate(data, inputs=(data / "other.mrc",))


def test_conversion_both_ways(data, model):
    tomogram, grand = (data / "sim/tomogram_000" / n for n in ("tomogram.mrc", "grand_model.mrc"))
    convert_dual(tomogram, data / "c.mrc", "clean", model, SilentProgress())
    convert_dual(grand, data / "n.mrc", "noisy", model, SilentProgress(), seed=4)
    assert open_volume(data / "n.mrc").data.mean() == pytest.approx(3, abs=0.3)
    assert open_volume(data / "c.mrc").shape == (20, 22, 24)
    facts = json.loads((data / "n.run" / "run.json").read_text())
    assert (facts["kind"], facts["status"], facts["request"]["seed"]) == ("dual-convert", "done", 4)
    assert facts["command"].startswith(f"vitreous dual convert {grand} --to noisy --model {model} -o ")
    assert len(facts["inputs_sha256"]) == 2
    with pytest.raises(InputError, match="--to sideways"):
        convert_dual(tomogram, data / "x.mrc", "sideways", model, SilentProgress())
    with pytest.raises(InputError, match=r"n\.mrc.*exists"):
        convert_dual(grand, data / "n.mrc", "noisy", model, SilentProgress())


@pytest.mark.parametrize("to", ["clean", "noisy"])
def test_a_refused_conversion_leaves_no_record(data, model, to):
    write_volume(data / "other.mrc", Volume(white(2), 13.5))
    with pytest.raises(InputError, match=r"13\.5 Å"):
        convert_dual(data / "other.mrc", data / "o.mrc", to, model, SilentProgress())
    assert not (data / "o.run").exists()


def test_a_stopped_conversion_writes_nothing_and_can_be_resumed(data, model):
    grand = data / "sim/tomogram_000/grand_model.mrc"
    with pytest.raises(Interrupted, match=r"n\.run"):
        convert_dual(grand, data / "n.mrc", "noisy", model, Stopping(0), seed=4)
    assert not (data / "n.mrc").exists()
    resume_conversion(data / "n.run", SilentProgress())
    convert_dual(grand, data / "whole.mrc", "noisy", model, SilentProgress(), seed=4)
    np.testing.assert_array_equal(*(open_volume(data / f"{n}.mrc").data for n in ("n", "whole")))
    with pytest.raises(InputError, match="already done"):
        resume_conversion(data / "n.run", SilentProgress())


def test_a_model_of_another_method_is_refused(data, model):
    facts = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**facts, "method": "n2n"}))
    with pytest.raises(InputError, match="of the method n2n, not dual"):
        simulate(data)
    shutil.rmtree(model)
    with pytest.raises(InputError, match="is missing"):
        simulate(data)


def test_the_configuration_of_the_paper_is_had_by_name(data):
    settings = DenoiseSettings(method="dual", config="paper", steps=1)
    wanted = DualConfig.paper().model_copy(update={"steps": 1})
    assert config_of(request(data, settings=settings)) == wanted
