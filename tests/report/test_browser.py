"""The report in a real browser: its script runs, the sliders work, and there is something to see."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from vitreous.report import render_denoise_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture
def browser(tmp_path: Path):
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no headless browser: none of {', '.join(NAMES)} is installed")

    def run(*arguments: str) -> str:
        command = [program, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    return run


def shown_images(dom: str, axis: str) -> list[str]:
    figure = re.search(rf'<figure class="viewer" data-axis="{axis}".*?</figure>', dom, re.DOTALL)
    assert figure is not None
    images = re.findall(r"<img[^>]*>", figure.group())
    return [re.search(r'alt="([^"]*)"', tag).group(1) for tag in images if 'class="on"' in tag]  # type: ignore[union-attr]


def test_the_report_works_in_a_browser(make_evidence, browser, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text(render_denoise_report(make_evidence(warnings=("Look here.",))), encoding="utf-8")

    dom = browser("--dump-dom", report.as_uri())
    root = re.search(r"<html[^>]*>", dom)
    assert root is not None
    assert 'data-ready="1"' in root.group()
    assert 'data-errors="0"' in root.group()
    assert shown_images(dom, "z")[0] == "Before: XY slice at z = 12 of 0–23 (12.0 nm)"

    moved = browser("--dump-dom", report.as_uri() + "#z=7&x=0&cut=25&pair=after,reference")
    assert 'data-errors="0"' in moved
    images = shown_images(moved, "z")
    assert images[0] == "Before: XY slice at z = 7 of 0–23 (7.0 nm)"
    assert len(images) == 4
    assert shown_images(moved, "x")[0].startswith("Before: YZ slice at x = 4 ")
    assert shown_images(moved, "y") == shown_images(dom, "y")
    assert 'aria-valuenow="25"' in moved
    assert '<div class="layer right" data-layer="reference"' in moved


USE = """<script>
const axis = document.querySelector(".viewer[data-axis=y]");
const slider = axis.querySelector(".slice"), divider = axis.querySelector(".divider");
slider.value = "0";
slider.dispatchEvent(new Event("input", { bubbles: true }));
divider.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
document.querySelector("input[value='after,removed']").click();
const page = document.documentElement;
page.dataset.fits = String(page.scrollWidth <= window.innerWidth);
const images = [...document.querySelectorAll("img.on")];
page.dataset.seen = String(images.every((image) => image.complete && image.naturalWidth > 0));
</script>"""


def test_sliders_divider_and_choices_answer(make_evidence, browser, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    page = render_denoise_report(make_evidence())
    report.write_text(page.replace("</body>", USE + "</body>"), encoding="utf-8")
    dom = browser("--dump-dom", "--window-size=500,900", report.as_uri())
    assert 'data-errors="0"' in dom
    assert shown_images(dom, "y")[0] == "Before: XZ slice at y = 3 of 0–29 (3.0 nm)"
    assert 'aria-valuetext="52 % After, 48 % Removed"' in dom
    assert '<div class="layer right" data-layer="removed"' in dom
    assert 'data-fits="true"' in dom
    assert 'data-seen="true"' in dom


def test_a_broken_script_is_noticed(make_evidence, browser, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    page = render_denoise_report(make_evidence())
    bad = "<script>undefinedFunction()</script><img src='https://example.invalid/a.png' alt=''>"
    report.write_text(page.replace("</body>", bad + "</body>"), encoding="utf-8")
    assert 'data-errors="2"' in browser("--dump-dom", report.as_uri())


@pytest.mark.parametrize("width", [1200, 500])
def test_the_report_is_not_blank(make_evidence, browser, tmp_path: Path, width: int) -> None:
    from PIL import Image

    report, shot = tmp_path / "report.html", tmp_path / "shot.png"
    report.write_text(render_denoise_report(make_evidence()), encoding="utf-8")
    browser(f"--screenshot={shot}", f"--window-size={width},1600", report.as_uri())
    pixels = np.asarray(Image.open(shot).convert("L"))
    assert pixels.shape[0] == 1600
    assert pixels.std() > 15
    # the slices make many different greys on many rows; text alone does not
    assert np.mean([len(np.unique(row)) > 40 for row in pixels]) > 0.2
