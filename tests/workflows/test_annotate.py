"""The chain from tomogram to judgement: what it is asked, what it refuses, what its parts do."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from vitreous.averaging import WedgeAverage
from vitreous.core import AS_IS, InputError, Interrupted, SilentProgress, Volume
from vitreous.evidence import FOUND, NOT_FOUND, UNCLEAR, PickScores, judge_class
from vitreous.fourier import frequency_radius, measured_region
from vitreous.inference.binning import bin_volume, coarse_shape
from vitreous.io import open_volume, read_particles, write_volume
from vitreous.methods.supervised.pairs import Style
from vitreous.metrics import band_correlation
from vitreous.picking import Picks
from vitreous.simulate import wedge_filtered
from vitreous.simulate.rotation import make_turnable, random_rotation, turn
from vitreous.workflows.annotate import AnnotateRequest, AnnotateSettings, annotate_file, resume_annotation
from vitreous.workflows.annotate import chain as chain_module
from vitreous.workflows.annotate import estimate as estimate_module
from vitreous.workflows.annotate.alignment import SYMMETRIC, random_places, room_for, scored
from vitreous.workflows.annotate.believe import average, doubts_of, halves_apart
from vitreous.workflows.annotate.boxes import QUICK, boxes_for
from vitreous.workflows.annotate.confirm import Confirmed, apart, chance_places, confirmed
from vitreous.workflows.annotate.decoys import phantom, rivals_of_like_mass
from vitreous.workflows.annotate.estimate import bytes_needed, minutes_needed
from vitreous.workflows.annotate.labels import enlarged, label_volume
from vitreous.workflows.annotate.network import probability_file
from vitreous.workflows.annotate.picks import read_picks, write_labels, write_picks
from vitreous.workflows.annotate.report import UNSEEN, agreement
from vitreous.workflows.annotate.request import particle_spec
from vitreous.workflows.annotate.specimens import SpecimenPlan, power_of, specimens, strangers
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.simulate import SimulationSpec, simulate_tomogram

TILTS = (-60.0, 60.0)


def noise(seed=0, shape=(32, 64, 64)):
    return wedge_filtered(np.random.default_rng(seed).normal(size=shape).astype(np.float32), TILTS)


@pytest.fixture
def tomogram(tmp_path):
    return write_volume(tmp_path / "tomogram.mrc", Volume(noise(), 20.0))


def asked(path, folder, structures=("phantom:tric",), **settings):
    return AnnotateRequest(path, structures, folder, AnnotateSettings(**settings))


def test_a_request_survives_its_record(tmp_path):
    request = asked(tmp_path / "a.mrc", tmp_path / "out", tilt_range_deg=(-50.0, 60.0), invert=True, steps=3)
    again = AnnotateRequest.from_json(request.to_json(), request.output)
    assert again == request
    assert "--tilt-range -50 60" in request.command()
    assert request.is_of({"request": request.to_json()})


@pytest.mark.parametrize(
    ("structures", "text"),
    [
        ((), "no structure"),
        (("phantom:tric", "phantom:tric"), "given twice"),
        (("map.mrc",), "mass in kDa"),
        (("nothing",), "is no structure"),
        (("map.mrc@0",), "map.mrc@0: its mass must be above 0 kDa"),
        (("phantom:tric", "elsewhere/TRiC.pdb"), "share the name tric"),
        (("a b.pdb", "a_b.pdb"), "share the name a_b"),
        (("beads/gold.mrc@900",), "share the name gold"),
        (tuple(f"{n}.pdb" for n in range(126)), "125 at most"),
    ],
)
def test_structures_that_make_no_sense_are_refused(tmp_path, structures, text):
    with pytest.raises(InputError, match=text):
        asked(tmp_path / "a.mrc", tmp_path / "out", structures).particles()


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 1, "time_budget_seconds": 1.0},
        {"tilt_range_deg": (60, -60)},
        {"steps": 0},
        {"steps": -5},
        {"time_budget_seconds": 0.0},
        {"time_budget_seconds": float("nan")},
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, settings):
    with pytest.raises(InputError):
        asked(tmp_path / "a.mrc", tmp_path / "out", **settings).settings.check()


def test_both_parts_of_split_noise_are_independent(tomogram, tmp_path):
    """In noise alone all there is is noise; without the split the two would be one."""
    subject = Work(asked(tomogram, tmp_path / "out"), SilentProgress()).subject
    searched, judged = subject.split(0)
    both = np.corrcoef(searched.ravel(), judged.ravel())[0, 1]
    assert abs(both) < 0.1  # the spectrum's strength is estimated, to some per cent
    assert np.corrcoef(searched.ravel(), subject.working.ravel())[0, 1] > 0.8  # what a plain copy would show


@pytest.mark.parametrize(
    ("spacing", "shape", "averaged", "strongest"),
    [(10.0, (48, 64, 64), 1, 1.0), (10.0, (48, 64, 65), 1, 3.0), (5.0, (96, 128, 128), 2, 1.0)],
)
def test_averages_have_finer_voxels_of_the_same_two_copies(tmp_path, spacing, shape, averaged, strongest):
    """Binned to the working voxels they are the copies that were searched and judged, gain and all."""
    data = noise(5, shape) * np.linspace(1, strongest, shape[2], dtype=np.float32)
    path = write_volume(tmp_path / "fine.mrc", Volume(data, spacing))
    subject = Work(asked(path, tmp_path / "out", invert=False), SilentProgress()).subject
    assert subject.averaging_binning == averaged
    assert subject.averaging_spacing_angstrom == pytest.approx(10)
    assert (subject.prepared.gain is not None) == (strongest > 1)
    searched, judged = subject.split(3)
    fine = subject.for_averages(3)
    shown, hidden = (bin_volume(copy, AS_IS, 2) for copy in fine)
    assert fine[0].shape == coarse_shape(shape, averaged)
    core = (slice(4, -4),) * 3  # a voxel of the border is blurred with what lies beyond
    for coarse, copy in ((shown, subject.working), (hidden, judged)):
        assert np.corrcoef(coarse[core].ravel(), copy[core].ravel())[0, 1] > 0.98
        assert coarse[core].std() == pytest.approx(copy[core].std(), rel=0.05)
    assert abs(np.corrcoef(searched.ravel(), hidden.ravel())[0, 1]) < 0.1


def test_where_no_finer_voxels_fit_the_working_ones_are_averaged(tomogram, tmp_path):
    subject = Work(asked(tomogram, tmp_path / "out"), SilentProgress()).subject
    assert subject.averaging_binning == subject.prepared.binning
    assert all(map(np.array_equal, subject.for_averages(0), (subject.working, subject.split(0)[1])))


def test_particles_aligned_in_coarse_voxels_are_averaged_in_fine_ones(tmp_path):
    """Without noise the average has the structure's detail beyond what the alignment saw."""
    path = write_volume(tmp_path / "fine.mrc", Volume(noise(6, (48, 64, 64)), 10.0))
    work = Work(asked(path, tmp_path / "out", invert=True), SilentProgress())
    template, rng = work.averaged_templates["phantom:tric"], np.random.default_rng(0)
    turnable, fine = make_turnable(template), np.zeros((64, 64, 128 + 192), np.float32)
    places = 10.0 * (np.array([[32, 32, 32 + 64 * n] for n in range(5)]) + rng.uniform(-0.5, 0.5, (5, 3)))
    for place in places:
        whole = np.rint(place / 10).astype(int)
        box = turn(turnable, random_rotation(rng), place / 10 - whole)
        low = whole - box.shape[0] // 2
        fine[tuple(slice(s, s + box.shape[0]) for s in low)] += box
    coarse = boxes_for(work, work.templates["phantom:tric"])
    coarse = replace(coarse, passed=torch.ones_like(coarse.passed))
    seen = places + rng.uniform(-15, 15, places.shape)
    poses = coarse.aligned(
        coarse.cut(bin_volume(fine, AS_IS, 2), seen), work.templates["phantom:tric"].density, 60.0
    )
    found = coarse.found(seen, poses)
    assert np.linalg.norm(found - places, axis=1).max() < 10
    boxes = boxes_for(work, template, 10.0)
    average = WedgeAverage(boxes.side)
    average.add(boxes.cut(fine, found), boxes.centred(found, poses), torch.ones_like(boxes.passed))
    structure = boxes.fitted(template.density).numpy()
    assert band_correlation(average.volume().numpy(), structure, (10 / 60, 10 / 35)) > 0.6


@pytest.mark.parametrize(("sign", "invert"), [(-1, None), (1, None), (-1, True), (-1, False)])
def test_contrast_is_seen_or_said_and_protein_becomes_bright(tmp_path, sign, invert):
    data = noise(3, (48, 64, 64))
    spots = np.zeros(data.shape, np.float32)
    spots[::12, ::14, ::14] = 600.0
    data += sign * gaussian_filter(spots, 2.0)
    path = write_volume(tmp_path / "spots.mrc", Volume(data, 20.0))
    subject = Work(asked(path, tmp_path / "out", invert=invert), SilentProgress()).subject
    assert subject.bright == (sign > 0 if invert is None else invert)
    bright = np.mean((subject.working - subject.working.mean()) ** 3) > 0
    assert bright == (invert is not True)  # only what was said wrongly stays wrong, and is told
    told = " ".join(subject.warnings)
    assert ("looks bright" in told) == (sign > 0)
    assert ("said to be bright, but dense matter looks dark" in told) == (invert is True)


def wedge_share(values):
    """Power per frequency in the missing wedge of tilts about y over that outside, between two frequencies.

    What lies beside the wedge's border leaks into it through the window, and is not counted.
    """
    window = np.prod(np.meshgrid(*map(np.hanning, values.shape), indexing="ij"), axis=0)
    power, radius = (
        np.abs(np.fft.rfftn(values * window)) ** 2,
        frequency_radius(values.shape, half=True).numpy(),
    )
    band = (radius > 0.1) & (radius < 0.3)
    inside, near = (measured_region(values.shape, limits, half=True).numpy() for limits in (TILTS, (-72, 72)))
    return power[band & ~near].mean() / power[band & inside].mean()


def test_specimens_are_as_strong_as_the_tomogram_and_labelled(tomogram, tmp_path):
    work = Work(asked(tomogram, tmp_path / "out"), SilentProgress())
    style = work.subject.style
    box = specimens(work.particles, style, SpecimenPlan(1, (24, 40, 40)))[0]
    gold = work.names.index("gold") + 1
    strength = np.sqrt(power_of(np.where(box.labels == gold, 0, box.values)))
    assert strength == pytest.approx(style.signal_deviation, rel=1e-3)
    assert style.tilt_range_deg == pytest.approx(TILTS, abs=3)
    assert wedge_share(box.values) < 0.2
    assert wedge_share(box.values.swapaxes(1, 2)) > 0.3  # the wedge of another tilt axis is not empty
    inside, outside = box.values[box.labels == 1], box.values[box.labels == 0]
    assert set(np.unique(box.labels)) >= {0, 1}
    assert inside.mean() > outside.mean()  # protein is bright, whatever the tomogram's contrast


def test_strangers_are_not_what_is_looked_for(tomogram, tmp_path):
    work = Work(asked(tomogram, tmp_path / "out"), SilentProgress())
    assert "tric" not in strangers(list(work.templates.values()), 20.0)


def test_labels_are_enlarged_to_the_nearest_sample():
    labels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    whole = enlarged(labels, 3, (5, 6, 4))
    assert whole.shape == (5, 6, 4)
    assert np.array_equal(whole[::3, ::3, ::3], labels)


def test_labels_of_true_poses_are_those_of_the_simulator(tmp_path):
    """The same structures at the same poses; beside them what the network calls membrane."""
    spec = {
        "seed": 4,
        "box": {"shape": (40, 80, 80), "voxel_spacing_angstrom": 10.0},
        "particles": [{"structure": n, "count": c} for n, c in (("phantom:tric", 4), ("phantom:p97", 5))],
    }
    made = simulate_tomogram(SimulationSpec.model_validate(spec))
    path = write_volume(tmp_path / "t.mrc", made.tomogram)
    work = Work(asked(path, tmp_path / "out", ("phantom:tric", "phantom:p97")), SilentProgress())
    sure = np.zeros(work.subject.working.shape, np.float32)
    sure[:, :2] = 0.9
    for name in work.names:
        chance = Volume(sure if name == "membrane" else np.zeros_like(sure), 20.0)
        write_volume(probability_file(work, name), chance)
    poses = made.grand_model.poses
    found = {}
    for name in work.sizes:
        own = np.array([kind == name for kind in poses.names])
        positions = poses.positions_angstrom[own]
        found[name] = Confirmed(Picks(positions, np.arange(own.sum(), dtype=float)), poses.rotations[own])
    labels = label_volume(work, found)
    assert len(poses.names) == 9
    for value, name in enumerate(work.sizes, 1):
        truth = made.grand_model.class_mask == made.grand_model.class_names.index(name) + 1
        overlap = 2 * (truth & (labels == value)).sum() / (truth.sum() + (labels == value).sum())
        assert overlap > 0.98  # positions are kept in Å, to rounding
    empty = made.grand_model.class_mask == 0
    assert (labels[:, :4][empty[:, :4]] == 3).mean() > 0.95
    assert (labels[:, 4:][empty[:, 4:]] > 0).mean() < 0.01


def test_the_better_of_two_picks_in_one_place_is_seen(tomogram, tmp_path):
    work = Work(asked(tomogram, tmp_path / "out", ("phantom:tric", "phantom:p97")), SilentProgress())
    for name in work.names:
        write_volume(probability_file(work, name), Volume(np.zeros((32, 64, 64), np.float32), 20.0))
    place = [[300.0, 600.0, 600.0]]
    found = {"phantom:tric": confirmed_as(place, [5]), "phantom:p97": confirmed_as(place, [4])}
    alone = label_volume(work, {**found, "phantom:p97": confirmed_as(np.zeros((0, 3)), [])})
    both = label_volume(work, found)
    assert (both == 1).sum() == (alone == 1).sum() > 50
    assert (both == 2).any()  # what the other does not cover


def test_random_places_keep_away_from_picks():
    rng = np.random.default_rng(0)
    picks = rng.uniform(0, 600, (5, 3))
    places = random_places(np.ones((32, 32, 32), bool), 20.0, picks, 90.0, rng, 40)
    assert len(places) == 40
    assert np.linalg.norm(places[:, None] - picks, axis=2).min() > 90
    between = np.linalg.norm(places[:, None] - places, axis=2)
    assert between[~np.eye(40, dtype=bool)].min() > 90


def test_random_places_are_as_many_as_there_is_room_for():
    rng = np.random.default_rng(0)
    places = random_places(np.ones((32, 32, 32), bool), 20.0, np.zeros((0, 3)), 500.0, rng, 40)
    assert 2 <= len(places) <= 8  # the corners


def test_a_structure_that_no_specimen_has_room_for_is_told():
    plan = SpecimenPlan(1, (40, 80, 80))
    with pytest.raises(InputError, match="ribosome found no room in boxes 200 Å thin"):
        specimens([particle_spec("phantom:ribosome")], Style(5.0, 0.3, 1, (-60.0, 60.0)), plan)


def test_random_places_keep_to_what_was_recorded():
    """A padded third, whose two copies of the noise would be each other's opposite."""
    data = noise(3)
    data[:, :, : data.shape[2] // 3] = -1.7
    room = room_for(data, 8)
    places = random_places(room, 20.0, np.zeros((0, 3)), 10.0, np.random.default_rng(0), 40)
    assert len(places) == 40
    assert (places[:, 2] / 20.0).min() > data.shape[2] // 3
    assert room[:, :, data.shape[2] // 3 + 8 :].all()
    assert not room_for(np.zeros((16, 16, 16), np.float32), 8).any()


def test_most_of_a_tomogram_may_be_padding():
    data = noise(4)
    data[:, :, : 3 * data.shape[2] // 4] = -1.7
    room = room_for(data, 4)
    assert room[:, :, 3 * data.shape[2] // 4 + 4 :].all()
    assert not room[:, :, : 3 * data.shape[2] // 4 - 4].any()


def test_nothing_picked_is_not_found(tomogram, tmp_path):
    work = Work(asked(tomogram, tmp_path / "out"), SilentProgress())
    nothing = np.zeros((0, 3))
    known = scored(
        work,
        "phantom:tric",
        nothing,
        nothing,
        (noise(1), noise(2)),
        (work.subject.working,),
        np.random.default_rng(0),
    )
    assert judge_class(known.scores).outcome == NOT_FOUND
    assert known.better_than_mirror is None
    assert not known.also


def particles_in_noise(name, copies, strength, spacing=20.0, seed=0):
    """The same turned particles in all copies, on a lattice; and where they are, (n, 3) in Å."""
    rng, turnable = np.random.default_rng(seed), make_turnable(phantom(name, spacing))
    side = turn(turnable, np.eye(3), np.zeros(3)).shape[0]
    lattice = np.argwhere(np.ones([n // side for n in copies[0].shape]))
    values = np.zeros(copies[0].shape, np.float32)
    for start in side * lattice:
        box = tuple(slice(s, s + side) for s in start)
        values[box] = turn(turnable, random_rotation(rng), np.zeros(3))
    values = strength * wedge_filtered(values / values.std(), TILTS) * noise(1).std()
    centres = spacing * (side * lattice + side // 2)
    return tuple((copy + values).astype(np.float32) for copy in copies), centres


@pytest.fixture
def fewer_places(monkeypatch):
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.ELSEWHERE", 40)


def crowd(tmp_path, there, asked_for="phantom:tric", strength=0.7):
    """What is known of particles of one structure that were picked as another."""
    copies = noise(11, (64, 96, 96)), 1.5 * noise(12, (64, 96, 96))
    path = write_volume(tmp_path / f"{there[8:]}.mrc", Volume(copies[0], 20.0))
    work = Work(asked(path, tmp_path / "out", (asked_for,), invert=True), SilentProgress())
    copies, centres = particles_in_noise(there, copies, strength)
    return scored(
        work, asked_for, centres, centres, copies, (work.subject.working,), np.random.default_rng(0)
    )


def test_another_complex_of_like_mass_is_not_taken_for_the_structure(tmp_path, fewer_places):
    """GroEL has five sixths of TRiC's mass: it is no stranger to it, and yet another structure."""
    there = judge_class(crowd(tmp_path, "phantom:tric").scores)
    assert there.outcome == FOUND
    assert there.shares["phantom:groel"] > 0.9
    other = judge_class(crowd(tmp_path, "phantom:groel").scores)
    assert other.outcome == NOT_FOUND
    assert other.rival == "phantom:groel"


def test_what_is_of_one_shape_with_the_structure_is_no_decoy_but_told(tmp_path, monkeypatch):
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.ELSEWHERE", 8)
    monkeypatch.setattr("vitreous.workflows.annotate.decoys.ONE_SHAPE", 0.7)
    known = crowd(tmp_path, "phantom:tric")
    assert "phantom:groel" not in known.scores.decoys
    assert any("could tell it from phantom:groel" in text for text in known.also)


@pytest.mark.parametrize("name", ["tric", "groel", "cct"])
def test_rivals_are_nearest_in_mass_and_not_what_was_asked_for(tomogram, tmp_path, name):
    work = Work(asked(tomogram, tmp_path / "out", (f"phantom:{name}",)), SilentProgress())
    [(asked_for, template)] = work.templates.items()
    rivals = rivals_of_like_mass(work, asked_for, boxes_for(work, template))
    nearest = {"groel": {"phantom:20s", "phantom:tric"}}
    assert set(rivals.densities) == nearest.get(name, {"phantom:groel", "phantom:26s"})
    assert not rivals.alike


def test_the_hand_of_a_structure_is_seen_or_said_not_to_be(tmp_path, fewer_places):
    tric, get3 = crowd(tmp_path, "phantom:tric"), crowd(tmp_path, "phantom:get3", "phantom:get3", 1.5)
    assert tric.also == (SYMMETRIC,)
    assert tric.better_than_mirror is None
    assert get3.better_than_mirror > 0.8
    assert "its hand is seen" in get3.also[0]


def test_what_the_network_may_have_missed_is_not_said_to_be_absent(tomogram, tmp_path):
    stages = {"train": {"steps": 2000}, "pick": {"places": {"phantom:tric": 40}}}
    assert not doubts_of(stages, "phantom:tric")
    brief = {**stages, "train": {"steps": 200}}
    crowded = {**stages, "pick": {"places": {"phantom:tric": 7}}}
    nothing = PickScores(np.zeros(0), {}, np.random.default_rng(0).normal(size=40))
    assert judge_class(nothing).outcome == NOT_FOUND
    for facts, text in ((brief, "200 steps only"), (crowded, "no room for random places")):
        verdict = judge_class(nothing, doubts=doubts_of(facts, "phantom:tric"))
        assert verdict.outcome == UNCLEAR
        assert any(text in reason for reason in verdict.reasons)


@pytest.mark.parametrize("there", [True, False])
def test_the_unseen_copy_shows_the_structure_beyond_what_was_aligned_where_it_is(tmp_path, there):
    """Bright particles in voxels of 10 Å, and picks of plain noise: the FSC of 0.5 is told of the first."""
    (data,), centres = particles_in_noise("phantom:tric", (noise(21, (64, 160, 160)),), 2.0 * there, 10.0)
    path = write_volume(tmp_path / "t.mrc", Volume(data, 10.0))
    work = Work(asked(path, tmp_path / "out", invert=True, tilt_range_deg=TILTS), SilentProgress())
    write_picks(
        work, "phantom:tric", Picks(centres, np.ones(len(centres))), np.tile(np.eye(3), (len(centres), 1, 1))
    )
    found = average(work)["averages"]["phantom:tric"]
    assert len(found["structure_fsc"]) == len(found["fsc"][0])
    beyond, reached = (found[f"{name}_angstrom"] for name in ("evidence_beyond", "structure_resolution"))
    assert (reached is not None and reached < beyond) == there
    text = agreement(found, UNSEEN)
    assert (f"with the structure (0.5) none beyond {beyond:.0f} Å" in text) == (not there)
    assert "The z axis" in text


def test_picks_and_labels_come_back_from_every_format(tomogram, tmp_path):
    request = asked(tomogram, tmp_path / "out", tilt_series_pixel_angstrom=2.5)
    work, rng = Work(request, SilentProgress()), np.random.default_rng(2)
    turned = np.stack([random_rotation(rng) for _ in range(3)])
    picks = Picks(np.array([[200.0, 300, 400], [333.3, 600, 10], [0, 0, 0]]), np.array([3.0, 9.5, 4]))
    write_picks(work, "phantom:tric", picks, turned)
    for name in work.names:
        write_volume(probability_file(work, name), Volume(np.zeros((32, 64, 64), np.float32), 20.0))
    write_labels(work, {"phantom:tric": Confirmed(picks, turned)})
    run = tmp_path / "out/copick/ExperimentRuns/tomogram"
    files = [*(tmp_path / "out/picks").iterdir(), run / "Picks/vitreous_0_phantom-tric.json"]
    assert {file.name for file in files[:-1]} == {"tric.star", "tric.relion4.star", "tric.tbl"}
    for file in files:
        found = read_particles(
            file, tomogram_spacing_angstrom=20.0, sizes_angstrom={"tomogram": (640, 1280, 1280)}
        )
        [(name, poses)] = found.poses.items()
        assert name == ("1" if file.suffix == ".tbl" else "tomogram")
        np.testing.assert_allclose(poses.positions_angstrom, picks.positions_angstrom, atol=0.01)
        np.testing.assert_allclose(poses.rotations, turned, atol=1e-4)
        np.testing.assert_allclose(found.scores[name], picks.scores, atol=1e-4)
    labels = open_volume(tmp_path / "out/labels.mrc")
    [segmentation] = (run / "Segmentations").iterdir()
    assert segmentation.name == "20.000_vitreous_0_annotation-multilabel.zarr"
    again = open_volume(segmentation)
    assert np.array_equal(again.data, labels.data)
    assert again.voxel_spacing_angstrom == labels.voxel_spacing_angstrom
    assert (np.asarray(labels.data) == 1).any()
    optics = (tmp_path / "out/picks/tric.star").read_text()
    assert "2.5" in optics


def test_the_first_stage_says_what_inspecting_says(tomogram, tmp_path):
    facts = chain_module.inspect(Work(asked(tomogram, tmp_path / "out"), SilentProgress()))
    assert any("hardly any signal is seen" in text for text in facts["warnings"])
    assert not any("commands need --invert" in text for text in facts["warnings"])
    assert facts["gold_beads"] == 0
    assert facts["noise_to_signal"] is None or facts["noise_to_signal"] > 3


def test_where_the_noise_shows_no_wedge_the_signal_may(tmp_path):
    """White noise has filled the wedge; what is smooth and strong still lacks it."""
    shape = (48, 96, 96)
    rough = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    signal = wedge_filtered(gaussian_filter(rough, 1.0), (-50.0, 50.0))
    white = np.random.default_rng(8).normal(size=shape)
    path = write_volume(
        tmp_path / "t.mrc", Volume((2 * signal / signal.std() + white).astype(np.float32), 20.0)
    )
    subject = Work(asked(path, tmp_path / "out"), SilentProgress()).subject
    assert subject.style.tilt_axis == 1
    assert subject.style.tilt_range_deg == pytest.approx((-50, 50), abs=8)
    assert any("read off the signal" in text for text in subject.warnings)
    plain = write_volume(tmp_path / "w.mrc", Volume(white.astype(np.float32), 20.0))
    subject = Work(asked(plain, tmp_path / "out"), SilentProgress()).subject
    assert (subject.style.tilt_range_deg, subject.style.tilt_axis) == (None, 1)
    assert any("-60° to 60° are assumed" in text for text in subject.warnings)


def test_one_particle_that_was_picked_twice_is_in_one_half():
    places = np.array([[0.0, 0, 0], [0, 0, 40], [0, 300, 0], [0, 600, 0], [300, 0, 0], [300, 0, 30]])
    which = halves_apart(places, 80.0)
    assert which[0] == which[1]
    assert which[4] == which[5]
    assert np.bincount(which).tolist() == [3, 3]


@pytest.mark.slow  # 20 tomograms, some minutes
def test_the_best_of_noise_is_never_found_unless_what_chose_it_judges_it(tmp_path, fewer_places):
    """The best 12 of 150 places, as the searched copy scores them: no false "found" in 20 trials.

    Their p values are those of chance in the other copy; in the searched one itself they are tiny.
    """
    outcomes, fair, unfair = [], [], []
    for trial in range(20):
        rng = np.random.default_rng(trial)
        path = write_volume(tmp_path / f"{trial}.mrc", Volume(noise(100 + trial, (40, 80, 80)), 20.0))
        work = Work(asked(path, tmp_path / "out", tilt_range_deg=TILTS), SilentProgress())
        template, (searched, judged) = work.templates["phantom:tric"], work.subject.split(trial)
        boxes = boxes_for(work, template)
        room = room_for(work.subject.working, boxes.side)
        places = random_places(room, 20.0, np.zeros((0, 3)), 0.0, rng, 150)
        best = boxes.aligned_at(searched, places, template.density).scores.numpy().argsort()[::-1][:12]
        picks = places[best]
        for copies, values in (((searched, judged), fair), ((searched, searched), unfair)):
            known = scored(
                work,
                "phantom:tric",
                picks,
                picks,
                copies,
                (work.subject.working,),
                np.random.default_rng(trial),
            )
            verdict = judge_class(known.scores)
            values.append(verdict.p_noise)
            outcomes += [verdict.outcome] if values is fair else []
    assert FOUND not in outcomes
    assert np.mean(np.array(fair) < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 20)
    assert np.median(unfair) < 1e-4


def test_random_places_keep_away_from_picks_that_are_not_judged_too(tomogram, tmp_path, monkeypatch):
    kept_away = []
    monkeypatch.setattr(
        "vitreous.workflows.annotate.alignment.random_places",
        lambda shape, spacing, away_from, *_: kept_away.append(away_from) or np.zeros((0, 3)),
    )
    work = Work(asked(tomogram, tmp_path / "out"), SilentProgress())
    everything = np.array([[300.0, 600.0, 600.0], [100.0, 200.0, 200.0]])
    pair, recorded, rng = (noise(1), noise(2)), (work.subject.working,), np.random.default_rng(0)
    known = scored(work, "phantom:tric", everything[:1], everything, pair, recorded, rng)
    assert np.array_equal(kept_away[0], everything)
    assert judge_class(known.scores).outcome == UNCLEAR  # there is nothing to compare with


def test_random_places_lie_where_both_volumes_were_recorded(tomogram, tmp_path, monkeypatch):
    rooms = []
    monkeypatch.setattr(
        "vitreous.workflows.annotate.alignment.random_places",
        lambda room, *_: rooms.append(room) or np.zeros((0, 3)),
    )
    work, half = Work(asked(tomogram, tmp_path / "out"), SilentProgress()), noise(3)
    half[:, :32] = 0  # padded
    where, pair = np.zeros((0, 3)), (noise(1), half)
    for recorded in ((work.subject.working,), (work.subject.working, half)):
        scored(work, "phantom:tric", where, where, pair, recorded, np.random.default_rng(0))
    assert rooms[0][:, :20].all()
    assert not rooms[1][:, :20].any()
    assert np.array_equal(rooms[0][:, 50:], rooms[1][:, 50:])


def test_boxes_aligned_in_blocks_keep_their_order(tomogram, tmp_path, monkeypatch):
    work = Work(asked(tomogram, tmp_path / "out"), SilentProgress())
    template = work.templates["phantom:tric"]
    boxes = boxes_for(work, template)
    data = 0.02 * noise(4)  # the first particles are much weaker
    places = np.array([[16, 16, 16], [16, 44, 20], [16, 20, 48], [14, 46, 46], [18, 32, 32]])
    for index, place in enumerate(places):
        low = place - template.side // 2
        cut = tuple(slice(max(0, s), s + template.side) for s in low)
        part = template.density[tuple(slice(max(0, -s), None) for s in low)]
        data[cut] += 0.1 * (1 + index) ** 2 * part[tuple(slice(0, n) for n in data[cut].shape)]
    whole = boxes.aligned_at(data, 20.0 * places, template.density)
    monkeypatch.setattr("vitreous.workflows.annotate.boxes.AT_ONCE", 2)
    parts = boxes.aligned_at(data, 20.0 * places, template.density)
    assert np.allclose(whole.scores, parts.scores, atol=0.02)  # each block is whitened for itself
    assert np.allclose(whole.shifts_voxel, parts.shifts_voxel, atol=0.5)
    assert len(boxes.aligned_at(data, np.zeros((0, 3)), template.density)) == 0


def test_what_is_of_no_run_is_not_replaced(tomogram, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    mine = write_volume(folder / "labels.mrc", Volume(noise(2), 20.0))
    before = mine.read_bytes()
    for request in (asked(tomogram, folder), replace(asked(tomogram, folder), overwrite=True)):
        with pytest.raises(InputError, match=r"labels\.mrc: is there already"):
            annotate_file(request, SilentProgress())
    with pytest.raises(InputError, match="would be replaced by the result"):
        annotate_file(replace(asked(mine, folder), overwrite=True), SilentProgress())
    assert mine.read_bytes() == before
    (folder / "run.json").write_text('{"schema": 1, "kind": "average", "status": "done", "request": {}}')
    with pytest.raises(InputError, match="a run of kind average"):
        annotate_file(replace(asked(tomogram, folder), overwrite=True), SilentProgress())


def test_a_structure_in_the_folder_is_not_replaced(tomogram, tmp_path):
    """Half maps and specimens of an earlier run are files that one may well ask for in the next."""
    old = write_volume(
        tmp_path / "out/averages/old_half1.mrc", Volume(phantom("phantom:tric", 20.0).density, 20.0)
    )
    (tmp_path / "out/run.json").write_text(
        '{"schema": 1, "kind": "annotate", "status": "done", "request": {}}'
    )
    request = replace(asked(tomogram, tmp_path / "out", (f"{old}@900",)), overwrite=True)
    with pytest.raises(InputError, match=r"old_half1\.mrc: would be replaced by the result"):
        annotate_file(request, SilentProgress())
    assert old.exists()


def test_nothing_of_an_earlier_run_is_taken_over(tomogram, tmp_path, monkeypatch):
    seen = []
    stages = (
        chain_module.Stage(
            "inspect", lambda work: seen.append(sorted(p.name for p in left(work))) or {}, "x"
        ),
        chain_module.Stage("judge", lambda work: {"structures": {}}, "y"),
    )

    def left(work):
        return [path for path in work.folder.rglob("*") if path.name not in ("run.json", ".lock")]

    monkeypatch.setattr(chain_module, "STAGES", stages)
    monkeypatch.setattr(chain_module, "annotation_report", lambda *_: "")
    request = asked(tomogram, tmp_path / "out")
    annotate_file(request, SilentProgress())
    for name in ("denoise/run.json", "checkpoints/steps.json", "picks/other.star", "denoised.mrc"):
        path = request.output / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("old")
    again = replace(asked(tomogram, tmp_path / "out", seed=2), overwrite=True)
    annotate_file(again, SilentProgress())
    assert seen == [[], []]


@pytest.mark.parametrize("killed", ["minutes_needed", "forget"])
def test_a_kill_while_an_earlier_run_is_replaced_leaves_no_claim_without_its_files(
    tomogram, tmp_path, monkeypatch, killed
):
    """Before the record is written anew the old run stands; after it nothing counts as done."""

    def inspect(work):
        (work.folder / "denoised.mrc").write_text("new")
        return {}

    stages = (
        chain_module.Stage("inspect", inspect, "x"),
        chain_module.Stage("judge", lambda work: {"structures": {}}, "y"),
    )
    monkeypatch.setattr(chain_module, "STAGES", stages)
    monkeypatch.setattr(chain_module, "annotation_report", lambda *_: "")
    monkeypatch.setattr(chain_module, "minutes_needed", lambda _: 1.0)
    request = asked(tomogram, tmp_path / "out")
    annotate_file(request, SilentProgress())
    again = replace(request, overwrite=True)
    with monkeypatch.context() as now:
        now.setattr(chain_module, killed, lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            annotate_file(again, SilentProgress())
    record = json.loads((request.output / "run.json").read_text())
    whole = record["status"] == "done" and list(record["stages"]) == ["inspect", "judge"]
    assert whole if killed == "minutes_needed" else not record["stages"]
    (request.output / "denoised.mrc").write_text("old")
    if not whole:
        annotate_file(replace(again, overwrite=False), SilentProgress())
        assert (request.output / "denoised.mrc").read_text() == "new"


@pytest.mark.parametrize(("binning", "text"), [(2, "voxels of 40 Å.*smaller --binning"), (None, "")])
def test_voxels_that_nothing_is_simulated_in_are_refused(tomogram, tmp_path, binning, text):
    work = Work(asked(tomogram, tmp_path / "out", binning=binning), SilentProgress())
    if not text:
        assert work.subject.spacing_angstrom == pytest.approx(20.0)
        return
    with pytest.raises(InputError, match=text):
        _ = work.subject


def test_a_failing_stage_leaves_the_earlier_and_says_how_to_go_on(tomogram, tmp_path, monkeypatch):
    def broken(work):
        raise InputError("no more", remedy="try again")

    quick = [chain_module.Stage("inspect", chain_module.inspect, "looking")]
    monkeypatch.setattr(chain_module, "STAGES", (*quick, chain_module.Stage("denoise", broken, "denoising")))
    request = asked(tomogram, tmp_path / "out")
    with pytest.raises(InputError, match="vitreous resume"):
        annotate_file(request, SilentProgress())
    facts = request.output.joinpath("run.json").read_text(encoding="utf-8")
    assert '"failed": "denoise"' in facts
    looked = []
    monkeypatch.setattr(
        chain_module, "STAGES", (chain_module.Stage("inspect", lambda work: looked.append(1) or {}, "x"),)
    )
    with pytest.raises(KeyError):  # nothing was judged; the stage that was done is not done again
        annotate_file(request, SilentProgress())
    assert not looked


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:75] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_runs_out_is_a_failure_to_go_on_from(tomogram, tmp_path, monkeypatch, error):
    def greedy(work):
        raise error

    quick = chain_module.Stage("inspect", chain_module.inspect, "looking")
    monkeypatch.setattr(chain_module, "STAGES", (quick, chain_module.Stage("denoise", greedy, "denoising")))
    request = asked(tomogram, tmp_path / "out")
    with pytest.raises(InputError, match=r"denoising failed: there is not enough memory.*vitreous resume"):
        annotate_file(request, SilentProgress())
    facts = json.loads((request.output / "run.json").read_text(encoding="utf-8"))
    assert (facts["status"], facts["failed"], list(facts["stages"])) == ("failed", "denoise", ["inspect"])


def test_faults_of_ours_stay_faults(tomogram, tmp_path, monkeypatch):
    def wrong(work):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(chain_module, "STAGES", (chain_module.Stage("inspect", wrong, "looking"),))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        annotate_file(asked(tomogram, tmp_path / "out"), SilentProgress())


def test_memory_is_told_and_kept_before_anything_is_written(tomogram, tmp_path, monkeypatch):
    one = Work(asked(tomogram, tmp_path / "out"), SilentProgress())
    more = Work(asked(tomogram, tmp_path / "out", ("phantom:tric", "phantom:p97")), SilentProgress())
    # A class more has its probabilities, twice where slabs are joined; the rest is the same here.
    with monkeypatch.context() as now:
        nothing = SimpleNamespace(memory=SimpleNamespace(peak_bytes=0))
        now.setattr(estimate_module, "plan_denoising", lambda *_: nothing)  # or it takes more than all else
        beyond = bytes_needed(more) - bytes_needed(one)
    assert beyond == 2 * more.subject.working.nbytes
    with pytest.raises(InputError, match="GB may be used"):
        annotate_file(asked(tomogram, tmp_path / "out", max_memory="1.2GB", device="cpu"), SilentProgress())
    with pytest.raises(InputError, match="at least"):
        annotate_file(asked(tomogram, tmp_path / "out", max_memory="100MB", device="cpu"), SilentProgress())
    assert not (tmp_path / "out").exists()


def test_time_is_counted_in_steps_or_as_the_budget_says(tomogram, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate_module, "seconds_per_step", lambda *_: 0.6)
    few, many = (
        minutes_needed(Work(asked(tomogram, tmp_path / "out", steps=steps), SilentProgress()))
        for steps in (100, 300)
    )
    assert many - few == pytest.approx(200 * 0.01 * (1 + estimate_module.SEGMENTATION_STEP))
    kinds = ("phantom:tric", "phantom:p97")
    one, two = (
        minutes_needed(
            Work(asked(tomogram, tmp_path / "out", kinds[:n], time_budget_seconds=600.0), SilentProgress())
        )
        for n in (1, 2)
    )
    assert two - one == pytest.approx(0.01 * estimate_module.REST_STEPS_PER_STRUCTURE)
    assert one > 10 + two - one  # the budget of the trainings, and what all structures together take


def test_boxes_hold_a_template_in_their_middle(tomogram, tmp_path):
    work = Work(asked(tomogram, tmp_path / "out"), SilentProgress())
    template = work.templates["phantom:tric"]
    boxes = boxes_for(work, template)
    placed = boxes.fitted(template.density).numpy()
    middle = template.density[(template.side // 2,) * 3]
    assert placed[(boxes.side // 2,) * 3] == middle


def test_confirming_can_be_stopped(tomogram, tmp_path):
    class Impatient(SilentProgress):
        def should_stop(self):
            return True

    work = Work(asked(tomogram, tmp_path / "out"), Impatient())
    with pytest.raises(Interrupted):
        confirmed(work, np.array([[300.0, 600.0, 600.0]]), noise())


def test_candidates_everywhere_are_still_compared_with_chance(tomogram, tmp_path):
    """No place is far from all of them, and correlations as they are would never reach three deviations."""
    work = Work(asked(tomogram, tmp_path / "out"), SilentProgress())
    boxes = boxes_for(work, work.templates["phantom:tric"])
    everywhere = 60.0 * np.argwhere(np.ones((11, 21, 21)))
    places = chance_places(work, boxes, everywhere, np.random.default_rng(0))
    assert len(places) >= 8
    assert (places <= 20.0 * (np.array([32, 64, 64]) - 1)).all()


class StoppedIn(SilentProgress):
    """Stops in the stage whose words it is given."""

    def __init__(self, words):
        self.words, self.reached, self.notes = words, False, []

    def note(self, text):
        self.notes.append(text)
        self.reached = self.reached or text.endswith(self.words)

    def should_stop(self):
        return self.reached


def test_the_whole_chain_stops_goes_on_and_judges_noise_honestly(tomogram, tmp_path, monkeypatch):
    """A network that learned next to nothing picks everywhere; averages and verdicts come all the same."""
    for name, value in (("SPECIMENS", 1), ("ROOM", 1.25), ("WIDTH", 4)):
        monkeypatch.setattr(f"vitreous.workflows.annotate.network.{name}", value)
    monkeypatch.setattr("vitreous.workflows.annotate.picks.LEAST_CONFIDENCE", 0.02)
    monkeypatch.setattr("vitreous.workflows.annotate.confirm.LEAST_DEVIATIONS", -99)
    monkeypatch.setattr("vitreous.workflows.annotate.confirm.rival_scores", lambda *_: -np.inf)
    monkeypatch.setattr("vitreous.workflows.annotate.confirm.THOROUGH", QUICK)
    monkeypatch.setattr("vitreous.workflows.annotate.believe.MOST_JUDGED", 12)
    monkeypatch.setattr("vitreous.workflows.annotate.alignment.ELSEWHERE", 24)
    monkeypatch.setattr("vitreous.workflows.annotate.decoys.strangers", lambda *_: [])
    request = asked(tomogram, tmp_path / "out", steps=2, adapt=True)
    first = StoppedIn("training the segmentation network")
    with pytest.raises(Interrupted):
        annotate_file(request, first)
    assert first.notes[0].startswith("8 stages, about ")
    assert "GB of memory" in first.notes[0]
    folder = tmp_path / "out"
    denoised = (folder / "denoised.mrc").stat().st_mtime_ns
    listener = StoppedIn("never")
    facts = resume_annotation(folder, listener)
    assert not any("denoising" in note for note in listener.notes)
    assert (folder / "denoised.mrc").stat().st_mtime_ns == denoised
    told = facts["structures"]["phantom:tric"]
    assert told["picks"] >= 7  # fewer could not be found anyway
    assert told["outcome"] != FOUND
    assert told["p_noise"] > 0.05
    work = Work(request, SilentProgress(), json.loads((folder / "run.json").read_text())["stages"])
    picks, searched = read_picks(work, "phantom:tric").positions_angstrom, work.subject.split(0)[0]
    same = scored(
        work,
        "phantom:tric",
        picks[:12],
        picks,
        (searched, searched),
        (work.subject.working,),
        np.random.default_rng(0),
    )
    assert judge_class(same.scores).p_noise < 0.01  # judged by what chose them, picks of noise look real
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert "pseudo_labels" in run["stages"]["train"]["figures"]
    half_maps = run["stages"]["average"]["averages"]["phantom:tric"]
    assert len(half_maps["fsc"][0]) == len(half_maps["fsc"][1]) > 4
    assert open_volume(folder / "labels.mrc").shape == (32, 64, 64)
    assert (folder / "averages" / "tric_half2.mrc").exists()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert told["outcome"] in page
    assert f"<td>{told['shares'][told['rival']]:.0%}</td>" in re.sub("<td[^>]*>", "<td>", page)
    assert "trained for 2 steps only" in page
    assert run["status"] == "done"


def confirmed_as(positions, scores):
    positions = np.array(positions, float)
    turned = np.tile(np.eye(3), (len(positions), 1, 1)) if len(positions) else np.zeros((0, 3, 3))
    return Confirmed(Picks(positions, np.array(scores, float)), turned)


def test_of_two_picks_in_one_place_the_better_stays():
    sized = SimpleNamespace(sizes={"large": 200.0, "small": 100.0})
    found = {
        "large": confirmed_as([[0, 0, 0], [0, 0, 500], [0, 300, 0]], [5, 9, 4]),
        "small": confirmed_as([[0, 0, 90], [0, 0, 590], [0, 405, 0]], [6, 8, 7]),
    }
    left = apart(found, sized)
    # 90 Å apart is within the large one's radius of 100 Å, 105 Å is not.
    assert left["large"].picks.positions_angstrom.tolist() == [[0, 0, 500], [0, 300, 0]]
    assert left["small"].picks.scores.tolist() == [7, 6]


def test_candidates_go_to_the_structure_that_they_are(tmp_path):
    """Six of each of two structures that a network may confuse, and six places with nothing."""
    rng = np.random.default_rng(0)
    centres = np.array([[z, y, x] for z in (16, 48) for y in (16, 48, 80) for x in (16, 48, 80)])
    kinds = rng.permutation(["phantom:tric", "phantom:p97", "nothing"] * 6)
    path = write_volume(tmp_path / "t.mrc", Volume(noise(5, (64, 96, 96)), 20.0))
    work = Work(asked(path, tmp_path / "out", ("phantom:tric", "phantom:p97"), binning=1), SilentProgress())
    values = np.zeros((64, 96, 96), np.float32)
    for centre, kind in zip(centres, kinds, strict=True):
        if kind != "nothing":
            density = turn(make_turnable(work.templates[kind]), random_rotation(rng), np.zeros(3))
            low = centre - density.shape[0] // 2
            values[tuple(slice(s, s + n) for s, n in zip(low, density.shape, strict=True))] += density
    values /= values.std()
    values = wedge_filtered(values, TILTS) + 0.8 * noise(6, values.shape) / noise(6, values.shape).std()
    moved = 20.0 * (centres + rng.integers(-1, 2, centres.shape))
    found = confirmed(work, moved, values.astype(np.float32))
    for name, one in found.items():
        where = 20.0 * centres[kinds == name]
        distance = np.linalg.norm(one.picks.positions_angstrom[:, None] - where, axis=2).min(1)
        assert len(one.picks) >= 5
        assert (distance < 25).mean() > 0.8  # a voxel is 20 Å
        assert (np.diff(one.picks.scores) <= 0).all()
