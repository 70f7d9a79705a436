"""What the pages promise exists: paths, options, files."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vitreous.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "README.md")


@pytest.mark.parametrize("page", PAGES)
def test_named_paths_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|docs)/[\w./-]+|[A-Z]+\.md)`", text)
    assert named
    assert [p for p in named if not (ROOT / p).exists()] == []


def test_layers_of_the_picture_are_those_checked():
    picture = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split("```")[1]
    drawn = {
        name.strip() for line in picture.strip().splitlines() for name in line.split("   ")[0].split("|")
    }
    folders = {p.name for p in (ROOT / "src" / "vitreous").iterdir() if (p / "__init__.py").exists()}
    assert drawn == folders


def test_options_of_the_readme_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
    commands = (
        ["denoise"],
        ["wedge"],
        ["simulate", "tomograms"],
        ["simulate", "subtomograms"],
        ["reconstruct"],
        ["pick"],
        ["adapt"],
        ["annotate"],
        ["average"],
        ["judge"],
        ["segment"],
        *(["dual", name] for name in ("train", "simulate", "convert")),
    )
    told = "".join(runner.invoke(app, [*words, "--help"]).output for words in commands)
    options = set(re.findall(r"`(--[a-z-]+)", text)) - {"--help"}
    assert {"--shared-model", "--mask"} <= options
    assert [o for o in options if o not in told] == []


def test_the_lock_pins_torch_and_everything():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    assert "torch==2.13.0" in lines
    assert all(re.fullmatch(r"[\w.-]+==[\w.+-]+|#.*", line) for line in lines)
