from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreous.core import InputError
from vitreous.report import DenoiseEvidence


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if dataclasses.is_dataclass(a):
        for f in dataclasses.fields(a):
            assert_same(getattr(a, f.name), getattr(b, f.name))
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b or (a != a and b != b)


def save(evidence: DenoiseEvidence, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in evidence.files().items():
        (folder / name).write_bytes(content)


def test_what_is_saved_is_what_is_loaded(make_evidence, tmp_path: Path) -> None:
    evidence = make_evidence()
    save(evidence, tmp_path / "run")
    assert_same(DenoiseEvidence.load(tmp_path / "run"), evidence)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["evidence.json", "evidence.npz"]


def test_evidence_with_nothing_optional_survives(make_evidence, tmp_path: Path) -> None:
    full = make_evidence()
    names = ("title", "summary", "before", "after", "slice_positions", "shape_zyx")
    bare = DenoiseEvidence(**{name: getattr(full, name) for name in names})
    save(bare, tmp_path)
    assert_same(DenoiseEvidence.load(tmp_path), bare)


def test_odd_labels_and_numbers_survive(make_evidence, tmp_path: Path) -> None:
    curve = (np.array([0.1, 0.2]), np.array([1.0, 0.2]))
    evidence = make_evidence(
        title="undecodable \udcff name",
        fsc={"../../etc": curve, "array": curve, "σ = 1.0": curve},
        scores={"noisy": {"psnr": np.float32(1.5), "cc": float("nan"), "ssim": float("inf")}},
        residual_check={"agrees": np.bool_(False), "array": 1.0},
    )
    save(evidence, tmp_path)
    loaded = DenoiseEvidence.load(tmp_path)
    assert loaded.title == evidence.title
    assert list(loaded.fsc) == ["../../etc", "array", "σ = 1.0"]
    assert loaded.scores["noisy"]["psnr"] == 1.5
    assert loaded.residual_check == {"agrees": False, "array": 1.0}


def test_the_same_evidence_gives_the_same_files(make_evidence, tmp_path: Path) -> None:
    for name in "ab":
        save(make_evidence(), tmp_path / name)
    for name in ("evidence.json", "evidence.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("damage", ["missing", "text", "truncated", "foreign", "version", "list", "field"])
def test_bad_evidence_is_one_line_that_names_the_file(make_evidence, tmp_path: Path, damage: str) -> None:
    save(make_evidence(), tmp_path)
    path = tmp_path / "evidence.json"
    document = json.loads(path.read_text())
    if damage == "missing":
        path.unlink()
    elif damage == "text":
        path.write_text("hello")
    elif damage == "truncated":
        arrays = tmp_path / "evidence.npz"
        arrays.write_bytes(arrays.read_bytes()[:100])
    elif damage == "foreign":
        save(make_evidence(shape_zyx=(1, 2, 3), before=make_evidence().after), tmp_path / "other")
        (tmp_path / "other" / "evidence.npz").replace(tmp_path / "evidence.npz")
    elif damage == "version":
        path.write_text(json.dumps({**document, "schema_version": 99}))
    elif damage == "list":
        path.write_text("[]")
    else:
        document["evidence"]["extra"] = 1
        path.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        DenoiseEvidence.load(tmp_path)
    assert "evidence.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stacks_must_fit_the_positions(make_evidence) -> None:
    with pytest.raises(ValueError, match="one slice for each"):
        make_evidence(slice_positions={"z": (1, 2)})
