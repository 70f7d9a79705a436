"""What a killed writer left is removed, and nothing else."""

import multiprocessing
import os
from pathlib import Path

import pytest

from vitreous.io import atomic_path, remove_stale
from vitreous.io.drafts import draft_of


@pytest.fixture
def dead():
    """The number of a process that is no more."""
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    return process.pid


def left_by(pid, target, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        draft = draft_of(target)
    draft.write_bytes(b"part")
    return draft


def test_only_stale_drafts_of_that_output_go(tmp_path, dead, monkeypatch):
    target = tmp_path / "[a] ü.mrc"
    stale = left_by(dead, target, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("platform.node", lambda: "another machine")
        foreign = left_by(dead, target, monkeypatch)
    kept = [
        foreign,
        left_by(os.getppid(), target, monkeypatch),
        left_by(dead, tmp_path / "b.mrc", monkeypatch),
        tmp_path / ".vitreous-mine",
        tmp_path / f"{stale.name[1:]}",
    ]
    for file in kept:
        file.touch()
    remove_stale(target)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_folder_set_aside_stays_until_there_is_another(tmp_path, dead, monkeypatch):
    target = tmp_path / "a.zarr"
    draft = left_by(dead, target, monkeypatch)
    aside = draft.rename(f"{draft}.old")
    remove_stale(target)
    assert aside.exists()
    target.mkdir()
    remove_stale(target)
    assert not aside.exists()


def test_writing_removes_what_an_earlier_writer_left(tmp_path, dead, monkeypatch):
    target = tmp_path / "a.json"
    left_by(dead, target, monkeypatch)
    with atomic_path(target) as draft:
        draft.write_text("{}")
        with atomic_path(target) as other:  # a second writer leaves the first one's draft alone
            other.write_text("other")
        assert draft.exists()
        target.unlink()
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_is_not_there(tmp_path):
    remove_stale(Path(tmp_path / "none" / "a.mrc"))
    assert not (tmp_path / "none").exists()
