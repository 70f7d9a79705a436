"""Adaptation on disk: both forms of the source, every form of the target, resuming, and bad input."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from vitreous import Volume, open_volume, write_volume
from vitreous.core import InputError, Interrupted, SilentProgress
from vitreous.io import write_volume as write
from vitreous.methods.adaptation import OBJECTIVES
from vitreous.segmentation import load_segmentation_model
from vitreous.simulate import SubtomogramSettings, TiltScheme
from vitreous.workflows.adapt import AdaptRequest, adapt, rerender_adaptation, resume_adaptation
from vitreous.workflows.adapt import model as model_module
from vitreous.workflows.adapt.model import chosen_adaptation, training_bytes
from vitreous.workflows.segment import SegmentRequest, segment_file
from vitreous.workflows.subtomograms import SubtomogramRequest, write_subtomograms

SIDE = 16
TILTS = TiltScheme(step_deg=15)
TINY = "width = 2\nbatch = 2\nsteps = 6\n"


def simulate(path, form="zarr", **changes):
    chosen = {"count": 2, "snrs": (0.5,), "side": SIDE, "voxel_spacing_angstrom": 20.0, "neighbours": 0}
    settings = SubtomogramSettings(**{**chosen, "defocus_um": None, "tilts": TILTS, **changes})
    request = SubtomogramRequest(("phantom:ldh", "phantom:1bxn"), path, settings, form)
    write_subtomograms(request, SilentProgress())
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("domains")
    simulate(folder / "source")
    simulate(folder / "source_mrc", "mrc")
    simulate(folder / "target", seed=1, snrs=(0.2,))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    (tmp_path / "config.toml").write_text(TINY)
    for name in ("source", "source_mrc", "target"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def request(folder, **changes):
    whole = {"source": folder / "source", "target": folder / "target", "output": folder / "run"}
    return AdaptRequest(
        **{**whole, "method": "source-only", "config": str(folder / "config.toml"), "seed": 3, **changes}
    )


class Noting(SilentProgress):
    def __init__(self, stop_after=None):
        self.left, self.notes, self.warnings = stop_after, [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)

    def should_stop(self):
        if self.left is None:
            return False
        self.left -= 1
        return self.left < 0


def weights(folder):
    return load_segmentation_model(folder).network.state_dict()


def without_pictures(page):
    return re.sub("<svg.*?</svg>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("method", sorted(OBJECTIVES))
def test_every_method_trains_and_goes_on_with_the_same_bytes_when_stopped(folder, method):
    facts = adapt(request(folder, method=method, device="cpu"), Noting())
    assert facts["steps"] == 6
    told = json.loads((folder / "run" / "run.json").read_text())
    assert len(told["losses"]) == 6
    assert np.isfinite(told["losses"]).all()
    assert told["monitored"]
    assert set(told["figures"]) - {"healthy"}
    model = load_segmentation_model(folder / "run")
    assert model.description.voxel_spacing_angstrom == 20.0
    assert (model.description.side, model.description.protein) == (SIDE, "dark")
    page = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "Features after training" in page
    assert not (folder / "run" / "checkpoints").exists()
    stopped = request(folder, method=method, output=folder / "stopped", device="cpu")
    # 4 + 4 polls while reading, then one before each step.
    with pytest.raises(Interrupted):
        adapt(stopped, Noting(stop_after=11))
    assert list((folder / "stopped" / "checkpoints").glob("step_*"))
    resume_adaptation(folder / "stopped", Noting())
    first, second = weights(folder / "run"), weights(folder / "stopped")
    assert all(torch.equal(first[name], second[name]) for name in first)
    with pytest.raises(InputError, match="already done"):
        resume_adaptation(folder / "stopped", Noting())


def test_a_damaged_chunk_of_a_store_is_told_in_one_line(folder):
    store = folder / "source" / "subtomograms.zarr"
    for chunk in (path for path in store.rglob("[0-9]*") if path.is_file()):
        chunk.write_bytes(chunk.read_bytes()[:5])
    with pytest.raises(InputError, match=r"subtomogram 1 is damaged .*copy the store again") as told:
        adapt(request(folder), Noting())
    assert "\n" not in str(told.value)


def test_a_report_is_written_again_from_the_folder(folder):
    """All but the pictures comes out the same: t-SNE makes much of the last bits of features."""
    adapt(request(folder, method="vox-uda"), Noting())
    report = folder / "run" / "report.html"
    page = report.read_text(encoding="utf-8")
    report.unlink()
    assert rerender_adaptation(folder / "run") == report
    again = report.read_text(encoding="utf-8")
    assert again.count("<svg") == page.count("<svg") > 2
    assert without_pictures(again) == without_pictures(page)


def test_a_time_budget_is_counted_in_the_dearest_steps(folder, monkeypatch):
    """Pseudo-labels begin after a third of the steps; the clock is read as if they had."""
    seen = []

    def timed(objective, settings):
        seen.append(objective.progress)
        return 0.5

    monkeypatch.setattr("vitreous.training.timing.seconds_per_step", timed)
    facts = adapt(request(folder, method="vox-uda", budget_seconds=2.0), Noting())
    assert (facts["steps"], seen) == (4, [1.0])
    told = json.loads((folder / "run" / "run.json").read_text())
    assert told["config"]["steps"] == 4
    assert "--time-budget 2s" in told["command"]


def test_both_forms_of_the_source_train_the_same_network(folder):
    adapt(request(folder), Noting())
    other = request(folder, source=folder / "source_mrc", output=folder / "other")
    adapt(other, Noting())
    first, second = weights(folder / "run"), weights(folder / "other")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_labels_of_the_target_are_not_looked_at_unless_supervised(folder):
    adapt(request(folder), Noting())
    for mask in (folder / "target" / "subtomograms.zarr" / "masks").rglob("0/*"):
        if mask.is_file() and not mask.name.startswith("."):
            mask.unlink()
    adapt(request(folder, output=folder / "blind"), Noting())
    assert all(torch.equal(a, weights(folder / "blind")[name]) for name, a in weights(folder / "run").items())


def test_the_result_segments_the_target_and_refuses_other_voxels(folder):
    adapt(request(folder), Noting())
    output = folder / "labels.zarr"
    asked = SegmentRequest(folder / "target", output, folder / "run", folder / "labels.run")
    assert segment_file(asked, SilentProgress())["subtomograms"] == 4
    write_volume(folder / "t.mrc", Volume(np.random.default_rng(0).normal(size=(24, 24, 24)), 10.0))
    asked = SegmentRequest(folder / "t.mrc", folder / "l.mrc", folder / "run", folder / "l.run")
    with pytest.raises(InputError, match=r"voxels of 10 Å.*trained on 20 Å"):
        segment_file(asked, SilentProgress())


def test_a_shift_is_remembered_and_without_one_tomograms_are_warned_of(folder):
    write_volume(folder / "t.mrc", Volume(np.random.default_rng(0).normal(size=(24, 24, 24)), 20.0))
    for shift, name in ((0, "run"), (4, "shifted")):
        adapt(request(folder, shift=shift, output=folder / name), Noting())
        assert load_segmentation_model(folder / name).description.centred == (shift == 0)
        output = folder / f"{name}.mrc"
        facts = segment_file(
            SegmentRequest(folder / "t.mrc", output, folder / name, folder / f"{name}.run"), Noting()
        )
        assert any("in the middle" in text for text in facts["warnings"]) == (shift == 0)
    first, second = weights(folder / "run"), weights(folder / "shifted")
    assert not all(torch.equal(first[key], second[key]) for key in first)
    with pytest.raises(InputError, match="--shift 9"):
        adapt(request(folder, shift=9, output=folder / "far"), Noting())


def white_folder(path, count, side=SIDE, spacing=20.0, seed=0):
    for number in range(count):
        data = np.random.default_rng([seed, number]).normal(size=(side,) * 3)
        write(path / f"{number}.mrc", Volume(data.astype(np.float32), spacing))
    return path


def test_domains_that_cannot_be_used_are_refused(folder):
    (folder / "empty").mkdir()
    for changes, message in (
        ({"target": folder / "empty"}, "holds no subtomograms"),
        ({"target": white_folder(folder / "one", 1)}, "holds 1 usable subtomogram"),
        ({"target": white_folder(folder / "large", 3, 24)}, "--fit resample"),
        ({"target": white_folder(folder / "fine", 3, spacing=10.0)}, "of 10 Å"),
        ({"source": white_folder(folder / "white", 3)}, "holds no masks"),
        ({"source": simulate(folder / "odd", side=20)}, "multiple of 8"),
        ({"denoiser": "magic"}, "denoiser"),
        ({"method": "none"}, "--method none is unknown"),
        ({"output": folder / "target" / "run"}, "choose another -o"),
    ):
        with pytest.raises(InputError, match=message):
            adapt(request(folder, **changes), Noting())
    assert not (folder / "run" / "run.json").exists()


def test_a_configuration_for_boxes_of_another_side_is_refused(folder):
    config = folder / "config.toml"
    config.write_text(TINY + "patch_side = 24\n")
    with pytest.raises(InputError, match=r"config\.toml: patch_side is 24.*16 voxels a side.*leave"):
        adapt(request(folder, steps=2), Noting())
    assert not (folder / "run" / "run.json").exists()
    config.write_text(TINY + "patch_side = 16\n")
    assert adapt(request(folder, steps=2), Noting())["steps"] == 2


def test_masks_of_one_class_only_are_refused(folder):
    for file in (folder / "source_mrc" / "masks").glob("*.mrc"):
        write(file, Volume(np.zeros((SIDE,) * 3, np.int8), 20.0), overwrite=True, dtype=np.int8)
    with pytest.raises(InputError, match="one class only: every voxel is background"):
        adapt(request(folder, source=folder / "source_mrc"), Noting())


def test_what_is_doubtful_is_told(folder):
    progress = Noting()
    adapt(request(folder, target=folder / "source"), progress)
    assert any("target is the source itself" in text for text in progress.warnings)
    boxes = white_folder(folder / "boxes", 5)
    data = open_volume(boxes / "1.mrc").data.copy()
    data[0, 0, 0] = np.nan
    write(boxes / "1.mrc", Volume(data, 20.0), overwrite=True)
    config = folder / "large.toml"
    config.write_text(TINY.replace("batch = 2", "batch = 8"))
    progress = Noting()
    asked = request(folder, target=boxes, config=str(config), output=folder / "r")
    facts = adapt(asked, progress)
    assert any("1 of 5 subtomograms were skipped" in text and "1.mrc" in text for text in progress.warnings)
    assert any("fewer than a batch of 8" in text for text in facts["warnings"])
    assert any("of memory" in text for text in progress.notes)


def test_too_little_memory_is_told_before_training(folder, monkeypatch):
    monkeypatch.setattr(model_module, "available_memory", lambda device: 10**8)
    with pytest.raises(InputError, match="training needs about"):
        adapt(request(folder), Noting())
    paper = chosen_adaptation("vox-uda", "paper")
    assert training_bytes(paper) > 5 * training_bytes(chosen_adaptation("vox-uda", None))


def test_nothing_is_overwritten_unasked(folder):
    adapt(request(folder), Noting())
    with pytest.raises(InputError, match="already done"):
        adapt(request(folder), Noting())
    with pytest.raises(InputError, match="holds another run"):
        adapt(request(folder, seed=4), Noting())
    before = weights(folder / "run")
    adapt(request(folder, seed=4, overwrite=True), Noting())
    after = weights(folder / "run")
    assert not all(torch.equal(before[name], after[name]) for name in before)


def test_a_command_repeats_the_run(folder):
    asked = request(folder, invert=True, fit="resize", steps=5, picks=folder / "p.star", device="cpu")
    words = asked.command()
    picks = f"--picks {folder / 'p.star'}"
    for part in ("--invert", "--fit resize", "--steps 5", picks, "--seed 3", "--device cpu"):
        assert part in words
    assert AdaptRequest.from_json(asked.to_json(), asked.output) == asked
    assert "--device" not in request(folder).command()


def test_a_run_that_says_no_device_is_gone_on_with(folder):
    """As those of earlier versions do not."""
    with pytest.raises(Interrupted):
        adapt(request(folder), Noting(stop_after=11))
    file = folder / "run" / "run.json"
    facts = json.loads(file.read_text())
    assert facts["request"].pop("device") == "auto"
    file.write_text(json.dumps(facts))
    assert resume_adaptation(folder / "run", Noting())["steps"] == 6


def test_the_papers_configuration_is_there():
    config = chosen_adaptation("vox-uda" if "vox-uda" in OBJECTIVES else "source-only", "paper")
    assert (config.batch, config.width, config.learning_rate) == (16, 32, 1e-3)
    assert (config.zoom, config.denoiser) == ((1.0, 1.0), "ibf")
