from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from vitreous.report import (
    LossCurve,
    NoiseCurve,
    TableSection,
    figures,
    render_denoise_report,
    render_tables_report,
)
from vitreous.report.viewers import encode_stacks, scale_bar

HOSTILE = """<img src=x onerror="alert(1)">'&"${x}$_y$</script><script>alert(2)</script>"""


class Page(HTMLParser):
    """Tags, the addresses they point to, and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id":
                self.ids.append(value or "")


def test_the_same_evidence_gives_the_same_bytes(make_evidence) -> None:
    assert render_denoise_report(make_evidence()) == render_denoise_report(make_evidence())


def test_nothing_is_fetched(make_evidence) -> None:
    page = render_denoise_report(make_evidence())
    assert all(a.startswith(("data:", "#")) for a in Page(page).addresses)
    assert not re.search(r"https?://|@import|url\((?!#)", page)
    assert "default-src 'none'" in page


def test_warnings_come_before_everything_else(make_evidence) -> None:
    page = render_denoise_report(make_evidence(warnings=("The spacing is 1 Å.", "Second.")))
    places = [
        page.index(t) for t in ("2 warnings", "The spacing is 1 Å.", "At a glance", "What was run", "<figure")
    ]
    assert places == sorted(places)
    assert "No warnings." not in page
    assert "No warnings." in render_denoise_report(make_evidence())


def test_hostile_names_are_only_text(make_evidence) -> None:
    curve = (np.array([0.1, 0.4]), np.array([1.0, 0.2]))
    page = render_denoise_report(
        make_evidence(
            title=HOSTILE,
            summary={HOSTILE: HOSTILE},
            warnings=(HOSTILE,),
            fsc={HOSTILE: curve, "_hidden": curve, "a$b$c": curve},
            scores={HOSTILE: {HOSTILE: 1.0}},
            residual_check={HOSTILE: HOSTILE, "message": HOSTILE},
            replay_command=HOSTILE,
            citations=(HOSTILE,),
        )
    )
    plain = Page(render_denoise_report(make_evidence()))
    hostile = Page(page)
    assert hostile.tags.count("script") == plain.tags.count("script") == 1
    assert hostile.tags.count("img") == plain.tags.count("img")
    assert hostile.handlers == []
    assert "hidden" in page
    assert "a$b$c" in page


def test_a_name_that_is_not_utf8_can_still_be_written(make_evidence) -> None:
    page = render_denoise_report(make_evidence(title="tomo\udcff.mrc"))
    assert b"tomo\\udcff.mrc" in page.encode("utf-8")


def test_every_part_of_the_evidence_is_shown(make_evidence) -> None:
    page = render_denoise_report(make_evidence())
    parsed = Page(page)
    assert parsed.tags.count("img") == 4 * 3 * 5
    assert parsed.tags.count("svg") == 3 + 1 + 1 + 1 + 1
    for text in (
        "noise-model – the default",
        "20.50",
        "11.25 → 20.50",
        "agrees with the noise estimate",
        "after | reference",
        "(12.0 nm)",
        "The ratio is 0.98.",
        "vitreous denoise ball.mrc",
        "A paper.",
    ):
        assert text in page, text
    page_ids = [i for i in parsed.ids if not re.search(r"[0-9a-f]{10}", i)]
    assert len(page_ids) == len(set(page_ids))


def test_parts_that_are_missing_are_left_out(make_evidence) -> None:
    page = render_denoise_report(
        make_evidence(
            reference=None,
            removed=None,
            spectrum_before=None,
            noise_curve=None,
            residual_check=None,
            loss=None,
            fsc={},
            scores={},
            histograms={},
            summary={},
            voxel_spacing_angstrom=None,
            citations=(),
        )
    )
    for text in (
        "after | reference",
        "after | removed",
        "Power spectra",
        "Noise estimate",
        "Training",
        "nm)",
    ):
        assert text not in page, text
    assert "<svg" not in page
    assert "10 voxels" in page


def test_a_failed_residual_check_says_so(make_evidence) -> None:
    page = render_denoise_report(make_evidence(residual_check={"agrees": False}))
    assert "does not agree with the noise estimate" in page


def test_images_shrink_to_the_budget() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 300, 600), dtype=np.uint8)
    free = encode_stacks({("before", "z"): noise}, 10_000_000)["before", "z"]
    tight = encode_stacks({("before", "z"): noise}, 900_000)["before", "z"]
    assert sum(map(len, tight)) <= 900_000 * 4 / 3 < sum(map(len, free))
    assert tight[0].startswith("data:image/jpeg")
    assert encode_stacks({("before", "z"): noise[:1]})["before", "z"][0].startswith("data:image/png")


@pytest.mark.parametrize(
    ("extent", "expected"), [(96, (20, "20 nm")), (100, (20, "20 nm")), (3.1, (0.5, "0.5 nm"))]
)
def test_scale_bars_are_round(extent: float, expected: tuple[float, str]) -> None:
    assert scale_bar(extent, "nm") == expected


def test_figures_take_gaps_and_short_runs() -> None:
    f = np.linspace(0.1, 0.5, 5)
    gappy = np.array([0.0, np.nan, 1.0, -1.0, 2.0])
    assert "<svg" in figures.noise_svg(NoiseCurve(f, residual_power=gappy))
    assert "<svg" in figures.loss_svg(LossCurve(np.array([0]), np.array([np.nan])))
    assert "<svg" in figures.loss_svg(LossCurve(np.arange(5000), np.full(5000, np.nan)))
    assert "<svg" in figures.histogram_svg({"empty": (np.linspace(0, 1, 6), np.zeros(5))})
    flat = np.zeros((9, 400))
    svg = figures.spectrum_svg(flat, title="Before", limits=figures.spectrum_limits(flat, []))
    assert 'aria-label="Before: power in the kx–kz plane"' in svg
    assert "currentColor" in svg
    assert "http" not in svg


def test_pages_of_tables() -> None:
    section = TableSection(
        "White <noise>",
        "Three seeds, `fixed` steps.\n\n- **mean**\n- spread\n\n" + HOSTILE,
        ["case", "PSNR"],
        [["blindspot", "20.1 ± 0.3"], [HOSTILE, "n/a"]],
        figures.loss_svg(LossCurve(np.arange(3), np.ones(3))),
    )
    page = render_tables_report("Benchmark", [section], lead="All *figures*.", warnings=["Short run."])
    parsed = Page(page)
    assert "White &lt;noise&gt;" in page
    assert "<code>fixed</code>" in page
    assert "<li><strong>mean</strong></li>" in page
    assert '<td class="n">20.1 ± 0.3</td>' in page
    assert "<td>n/a</td>" in page
    assert "script" not in parsed.tags
    assert "img" not in parsed.tags
    assert parsed.tags.count("svg") == 1
    assert page.index("Short run.") < page.index("White")
    assert all(a.startswith(("data:", "#")) for a in parsed.addresses)
