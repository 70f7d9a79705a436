"""Training specimens of the chain that a DUAL has made, instead of physics and a noise spectrum."""

import json
import shutil

import numpy as np
import pytest
import torch

from vitreous.core import InputError, SilentProgress, Volume
from vitreous.io import open_volume, write_volume
from vitreous.methods.supervised.pairs import Style
from vitreous.simulate import wedge_filtered
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings, annotate_file, resume_annotation
from vitreous.workflows.annotate.dual_specimens import DRAWS, dual_specimens, learnt_style
from vitreous.workflows.annotate.network import domains
from vitreous.workflows.annotate.request import particle_spec
from vitreous.workflows.annotate.specimens import SpecimenPlan
from vitreous.workflows.annotate.subject import ALPHA
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.denoise import DenoiseSettings
from vitreous.workflows.dual import DualTrainRequest, train_dual
from vitreous.workflows.dual.model import load_dual

CONFIG = 'method = "dual"\nwidth = 2\njudge_width = 2\nlevels = 1\nbatch = 1\npatch_side = 16\nsteps = 4\n'
TILTS = (-60.0, 60.0)
GOLD = 3  # of TRiC alone: 1 is the structure, 2 membranes


def noise(seed, shape):
    return wedge_filtered(np.random.default_rng(seed).normal(size=shape).astype(np.float32), TILTS)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A tomogram of 20 Å, and DUALs that were trained a little on voxels of 20 and of 10 Å."""
    folder = tmp_path_factory.mktemp("annotate_dual")
    write_volume(folder / "tomogram.mrc", Volume(noise(0, (32, 64, 64)), 20.0))
    (folder / "config.toml").write_text(CONFIG + 'protein = "dark"\n')
    ball = np.indices((24, 24, 24)) - 12
    density = (5.0 * ((ball**2).sum(axis=0) < 25)).astype(np.float32)
    settings = DenoiseSettings(method="dual", config=str(folder / "config.toml"), seed=3, device="cpu")
    for spacing in (10.0, 20.0):
        place = folder / f"domains_{spacing:.0f}"
        (place / "clean").mkdir(parents=True)
        write_volume(place / "noisy.mrc", Volume(3 + noise(1, (24, 24, 24)), spacing))
        write_volume(place / "clean" / "grand_model.mrc", Volume(density, spacing))
        request = DualTrainRequest(
            noisy=(place / "noisy.mrc",),
            clean=(str(place / "clean"),),
            output=folder / f"dual_{spacing:.0f}",
            settings=settings,
        )
        train_dual(request, SilentProgress())
    return folder


@pytest.mark.parametrize("spacing", [10, 20])
def test_specimens_are_the_tomogram_s_voxels_with_labels_in_their_place(scene, spacing):
    style = Style(20.0, 0.5, 1, TILTS)
    learnt = learnt_style(load_dual(scene / f"dual_{spacing}", "cpu"), style, scene)
    assert learnt.finer == 20 // spacing
    plan = SpecimenPlan(1, (24, 28, 28), seed=2)
    boxes = dual_specimens(
        learnt, (particle_spec("phantom:tric"),), style, plan, deviation=1.7, progress=SilentProgress()
    )
    assert len(boxes) == DRAWS
    for box in boxes:
        assert box.values.shape == box.labels.shape == plan.shape
        assert box.values.dtype == np.float32
        assert box.values[box.labels != GOLD].std() == pytest.approx(1.7, rel=1e-4)
        assert np.array_equal(box.labels, boxes[0].labels)
    assert not np.allclose(boxes[0].values, boxes[1].values)
    assert set(np.unique(boxes[0].labels)) >= {0, 1}


def test_what_dual_makes_of_a_density_is_as_bright_as_protein_is_in_the_chain(scene, monkeypatch):
    """With a simulator that changes nothing, TRiC are brighter than all but gold, where their labels are."""
    monkeypatch.setattr(
        "vitreous.workflows.annotate.dual_specimens.simulated_tomograms",
        lambda network, data, normalization, *_: iter([normalization.apply(data)]),
    )
    style = Style(20.0, 0.5, 1, TILTS)
    for spacing in (10, 20):
        learnt = learnt_style(load_dual(scene / f"dual_{spacing}", "cpu"), style, scene)
        plan = SpecimenPlan(1, (24, 28, 28), seed=2)
        box = dual_specimens(learnt, (particle_spec("phantom:tric"),), style, plan, 1.0, SilentProgress())[0]
        inside, outside = box.values[box.labels == 1], box.values[box.labels == 0]
        assert inside.mean() > outside.mean() + 1.0


def test_a_dual_of_other_voxels_is_refused(scene):
    with pytest.raises(InputError, match=r"trained on voxels of 10 Å.*searched in 15 Å.*--spacing 15"):
        learnt_style(load_dual(scene / "dual_10", "cpu"), Style(15.0, 0.5, 1, TILTS), scene)


def brief(monkeypatch):
    monkeypatch.setattr("vitreous.workflows.annotate.network.SPECIMENS", 1)
    monkeypatch.setattr("vitreous.workflows.annotate.dual_specimens.DRAWS", 2)
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.MOST_JUDGED", 6)
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.ELSEWHERE", 12)
    monkeypatch.setattr("vitreous.workflows.annotate.believe.MOST_JUDGED", 6)


def test_the_chain_trains_on_them_and_refuses_a_model_that_changed(scene, tmp_path, monkeypatch):
    brief(monkeypatch)
    dual = shutil.copytree(scene / "dual_20", tmp_path / "dual")
    request = AnnotateRequest(
        scene / "tomogram.mrc", ("phantom:tric",), tmp_path / "out", AnnotateSettings(steps=4), dual=dual
    )
    facts = annotate_file(request, SilentProgress())
    assert set(facts["structures"]) == {"phantom:tric"}
    work = Work(request, SilentProgress(), json.loads((tmp_path / "out/run.json").read_text())["stages"])
    assert work.facts["simulate"]["specimens"] == 2
    values = open_volume(tmp_path / "out/training/specimen_0_values.mrc").data
    labels = open_volume(tmp_path / "out/training/specimen_0_labels.mrc").data
    assert values[labels != GOLD].std() == pytest.approx(work.subject.working.std(), rel=0.1)  # without gold
    source, _, _ = domains(work)
    assert source.strengths == (1.0, 1.0)  # else the noise would be scaled with the signal
    added = source.noise.draw(torch.Generator().manual_seed(0), 4).std()
    assert added == pytest.approx(ALPHA / np.sqrt(1 + ALPHA**2), rel=0.1)  # αn beside all of y + αn
    record = json.loads((tmp_path / "out/run.json").read_text())
    record["status"] = "interrupted"
    for stage in ("average", "judge"):
        del record["stages"][stage]
    (tmp_path / "out/run.json").write_text(json.dumps(record))
    model = dual / "model.json"
    model.write_text(model.read_text() + " ")
    with pytest.raises(InputError, match="changed since the run began"):
        resume_annotation(tmp_path / "out", SilentProgress())


def test_a_folder_without_a_dual_is_refused_before_anything_is_written(scene, tmp_path):
    request = AnnotateRequest(
        scene / "tomogram.mrc", ("phantom:tric",), tmp_path / "out", AnnotateSettings(), dual=tmp_path / "no"
    )
    with pytest.raises(InputError, match="no"):
        annotate_file(request, SilentProgress())
    assert not (tmp_path / "out").exists()
