"""The transfer table: what is trained on, crops with their labels, scores, and the summary."""

import numpy as np
import pytest

from vitreous.benchmark import transfer
from vitreous.benchmark.tables import TABLES
from vitreous.benchmark.transfer import CEILING, CLEAN, CONVERTED, METHODS, OURS, PLAIN, TRUE, Setup
from vitreous.benchmark.transfer_averages import Detected, average_of, averaged_detections, picked
from vitreous.benchmark.transfer_worlds import (
    SPACING_ANGSTROM,
    STRUCTURES,
    TARGET,
    labelled,
    standardized,
    taken,
)
from vitreous.core import InputError, SilentProgress
from vitreous.methods.adaptation import AdaptationConfig
from vitreous.workflows.search_template import open_template

TINY = Setup((32, 56, 56), 1, 1, 2, 2, 4, 2, 4, 1, side=16)


def test_gaussian_noise_is_as_strong_as_it_is_in_the_target(monkeypatch):
    monkeypatch.setattr(transfer, "noise_to_signal", lambda setup: 2.0)
    noisy, truth = transfer.training_volumes(TINY, 5, PLAIN, SilentProgress())
    clean, _ = transfer.training_volumes(TINY, 5, CLEAN, SilentProgress())
    assert (len(noisy), len(clean)) == (2, 1)  # draws of one grand model
    assert truth[0] is truth[1]
    for volume in noisy:
        # Correlation of x and x + 2 n is 1/√5; 4 standard errors of it over 100,000 voxels are 0.01.
        assert np.corrcoef(volume.ravel(), clean[0].ravel())[0, 1] == pytest.approx(5**-0.5, abs=0.01)
    assert np.abs(noisy[0] - noisy[1]).max() > 1


def test_protein_is_dark_in_everything_that_is_trained_on():
    model = labelled(TINY.shape, transfer.GRAND)
    inside = model.labels > 0
    for method in (CLEAN, CEILING):
        (volume, *_), _ = transfer.training_volumes(TINY, 5, method, SilentProgress())
        assert volume[inside].mean() < volume[~inside].mean()
        assert volume.std() == pytest.approx(1, abs=1e-3)
    assert set(np.unique(model.labels)) <= set(range(len(STRUCTURES) + 1))
    assert standardized(3 * model.density + 5).mean() == pytest.approx(0, abs=1e-4)


def test_scores_are_of_classes_and_of_all():
    truth = np.zeros((4, 4, 4), np.uint8)
    truth[0], truth[1] = 1, 3
    found = np.where(truth == 3, 2, truth).astype(np.uint8)
    scores = transfer.scored(found, truth)
    assert scores["dice_any"] == 1.0
    assert [scores[f"dice_{name}"] for name in STRUCTURES] == [1.0, 0.0, 0.0]
    assert scores["dice"] == pytest.approx(1 / 3)


@pytest.mark.slow
def test_every_way_of_training_runs(monkeypatch):
    monkeypatch.setattr(
        transfer, "AdaptationConfig", lambda **fields: AdaptationConfig(**{**fields, "patch_side": 16})
    )
    progress = SilentProgress()
    for method in (PLAIN, OURS, CLEAN + CONVERTED):
        record = transfer.measure_transfer(TINY, 5, method, progress)
        assert 0 <= record["dice"] <= 1
        assert record["seconds"] > 0
        assert {f"picks_{name}" for name in STRUCTURES} <= record.keys()


def test_true_labels_are_all_hits_and_their_averages_show_the_structures():
    """A few held-out particles: detail finer than the shared template is seen, which noise does not show."""
    shape = (48, 80, 80)
    truth = labelled(shape, 5)
    tomogram = taken(TARGET, shape, 5)
    found = averaged_detections([Detected(tomogram, truth.labels, truth)], TARGET)
    for name in STRUCTURES:
        assert found[f"picks_{name}"] == found[f"hits_{name}"] == found[f"particles_{name}"] >= 4
        assert found[f"precision_{name}"] == found[f"recall_{name}"] == 1
        assert found[f"structure_angstrom_{name}"] < 60
        assert found[f"detail_p_{name}"] <= 0.05
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    template = open_template("phantom:ribosome", SPACING_ANGSTROM)
    nothing = average_of([picked(truth.labels, 1)], [noise], template, TARGET)
    assert nothing["structure_angstrom"] > nothing["shared_angstrom"]
    assert nothing["halves_angstrom"] > nothing["shared_angstrom"]
    assert nothing["detail"] < 0.5 * found["detail_ribosome"]
    few = np.where(truth.labels == 1, truth.labels, 0).astype(np.uint8)
    few[:, 40:] = few[:, :, 40:] = 0
    scarce = averaged_detections([Detected(tomogram, few, truth)], TARGET)
    assert scarce["picks_tric"] == scarce["recall_tric"] == 0
    assert scarce["picks_ribosome"] < 4
    assert not any(key.startswith(("detail", "halves")) for key in scarce)


def test_what_is_converted_is_seen_in_the_tiles_of_the_command(monkeypatch):
    progress, seen = SilentProgress(), []
    monkeypatch.setattr(
        "vitreous.workflows.denoise.model.blended_prediction",
        lambda model, prepared, tile, seed, progress: seen.append(tile) or np.array(prepared.volume.data),
    )
    setup = Setup((32, 56, 56), 1, 1, 1, 1, 4, 1, 4, 1, side=16)
    made = transfer.converted(setup, 5, taken(TARGET, setup.shape, 5), progress)
    assert seen == [setup.dual.student_side]
    assert made.std() == pytest.approx(1, abs=1e-3)


def test_rows_and_summary():
    rows = list(transfer.transfer_rows("small", (1, 2), (OURS, PLAIN), SilentProgress()))
    assert [r.key["method"] for r in rows] == [PLAIN, OURS] * 2
    with pytest.raises(InputError, match="no row"):
        list(transfer.transfer_rows("small", (1,), ("isonet",), SilentProgress()))
    records = [
        {
            "scale": "small",
            "seed": seed,
            "method": method,
            "dice": dice,
            "dice_any": dice,
            **{f"dice_{name}": dice for name in STRUCTURES},
            "seconds": 1.0,
        }
        for seed in (1, 2)
        for method, dice in ((PLAIN, 0.3), (OURS, 0.3 + 0.05 * seed))
    ]
    table, asked = TABLES["dual-transfer"].summarize(records)
    assert [row[0] for row in table.rows] == [PLAIN, OURS]
    assert asked.rows == [["dual above gaussian", "2", "+5", "+7.5", "+5.0"]]
    assert transfer.summarize([r for r in records if r["method"] == PLAIN])[-1].heading.startswith("Dice")
    assert set(METHODS) > {PLAIN, OURS}
    shown = {"halves_angstrom": 36.0, "shared_angstrom": 41.4, "structure_angstrom": 38.0}
    shown |= {"detail": 0.4, "detail_p": 0.005}
    picks = {"particles": 32, "picks": 30, "hits": 27, "precision": 0.9, "recall": 27 / 32}
    of_class = [{f"{k}_ribosome": v for k, v in one.items()} for one in (picks | shown, picks)]
    of_class[0]["halves_angstrom_ribosome"] = np.inf
    made = [{**r, **of_class[r["seed"] - 1]} for r in records if r["method"] == OURS]
    averages = transfer.summarize([*made, {**made[0], "method": TRUE}])[-1]
    line = ["32, 32", "30, 30", "0.90, 0.90", "0.84, 0.84", "∞", "0 of 2", "38.0", "0.40", "1 of 2"]
    assert averages.rows[0] == [OURS, "ribosome", *line]
    assert [row[0] for row in averages.rows] == [OURS, TRUE]
