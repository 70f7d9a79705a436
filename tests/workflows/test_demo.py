"""The demonstration, whole and killed."""

import json

import pytest
from small_fixtures import wait_for

from vitreous.report import DenoiseEvidence

SCORES = {"noisy", "denoised"}


def test_scores_and_report(run, tmp_path):
    code, out, err = run("demo", "-o", tmp_path / "demo", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert set(facts["scores"]) == SCORES
    assert facts["scores"]["denoised"]["delta_psnr"] == pytest.approx(
        facts["scores"]["denoised"]["psnr"] - facts["scores"]["noisy"]["psnr"]
    )
    code, out, _ = run("demo", "-o", tmp_path / "demo")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["noisy:", "denoised:", "denoised:", "report:"]


def test_a_killed_one_is_resumed_with_its_scores(run, spawn, tmp_path):
    assert run("demo", "-o", tmp_path / "whole")[0] == 0
    folder = tmp_path / "killed"
    process = spawn("demo", "-o", folder)
    wait_for(lambda: any((folder / "checkpoints").glob("step_*")), process)
    process.kill()
    process.join()
    assert not (folder / "report.html").exists()
    code, out, err = run("resume", folder)
    assert code == 0, err
    assert "PSNR" in out
    scores = [json.loads((tmp_path / n / "run.json").read_text())["scores"] for n in ("whole", "killed")]
    assert scores[0] == scores[1]
    evidence = DenoiseEvidence.load(folder)
    assert set(evidence.scores) == set(evidence.fsc) == SCORES
    assert evidence.reference is not None
