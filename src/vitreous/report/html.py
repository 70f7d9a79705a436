"""Evidence → one HTML file that needs no network: denoise reports and plain pages of tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vitreous.report import figures
from vitreous.report.evidence import Curve, DenoiseEvidence, FloatArray
from vitreous.report.viewers import build_viewers

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# metric name → (column heading, decimals)
METRICS = {
    "psnr": ("PSNR (dB)", 2),
    "delta_psnr": ("ΔPSNR (dB)", 2),
    "ssim": ("SSIM", 3),
    "cc": ("CC", 3),
    "resolution_angstrom": ("Resolution (Å)", 1),
}
RESIDUAL_NAMES = {"message", "agrees"}


@dataclass(frozen=True)
class TableSection:
    """A heading with text, a table and a figure, each of which may be left out.

    Parameters
    ----------
    heading
        Heading of the section.
    text
        Paragraphs parted by blank lines; lines that start with "- " make a list; `code` and **bold** work.
    header, rows
        Cells as text. Cells that are numbers stand to the right.
    figure_svg
        An SVG element from `vitreous.report.figures`; put in as it is, so never from outside.
    """

    heading: str
    text: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure_svg: str = ""


def render_denoise_report(evidence: DenoiseEvidence) -> str:
    """The denoise report as one HTML document.

    Warnings come first, then what was run, the slices, the spectra and the other evidence. Scripts,
    styles and images are inside the page and its content security policy forbids every request. The same
    evidence gives the same text.

    Parameters
    ----------
    evidence
        What to show; parts that are None or empty are left out.

    Returns
    -------
    str
        HTML, to be written as UTF-8.
    """
    template = _environment().get_template("denoise.html.j2")
    check = evidence.residual_check or {}
    page = template.render(
        title=evidence.title,
        evidence=evidence,
        viewers=build_viewers(evidence),
        glance=_glance(evidence),
        check=check,
        check_rows=[(_words(k), _number(v)) for k, v in check.items() if k not in RESIDUAL_NAMES],
        spectra=_spectra(evidence),
        scores=_score_table(evidence.scores),
        **_curves(evidence),
    )
    return _writable(page)


def render_tables_report(
    title: str, sections: Sequence[TableSection], *, lead: str = "", warnings: Sequence[str] = ()
) -> str:
    """A page of sections with text, tables and figures, in the same dress as the denoise report.

    Examples
    --------
    >>> page = render_tables_report("Scores", [TableSection("Quick", "Two *seeds*.", ["case"], [["a<b"]])])
    >>> "a&lt;b" in page
    True
    """
    template = _environment().get_template("tables.html.j2")
    page = template.render(title=title, sections=sections, lead=lead, warnings=warnings, svg=_svg)
    return _writable(page)


def _writable(page: str) -> str:
    """File names that are not valid UTF-8 carry surrogates, which no file takes: spell them out."""
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("vitreous.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    environment.tests["numeric"] = _is_numeric
    return environment


def _svg(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - made by our own figures module, which escapes its labels


def _prose(text: str) -> Markup:
    """Blank-line paragraphs, "- " lists, `code` and **bold**; everything else is escaped."""
    from markupsafe import Markup, escape

    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = str(escape(block.strip())).splitlines()
        if lines and all(line.lstrip().startswith("- ") for line in lines):
            parts.append("<ul>" + "".join(f"<li>{line.lstrip()[2:]}</li>" for line in lines) + "</ul>")
        elif lines:
            parts.append("<p>" + "\n".join(lines) + "</p>")
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", "\n".join(parts))
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", marked))  # noqa: S704 - escaped above


def _is_numeric(cell: object) -> bool:
    return bool(
        re.fullmatch(r"[−+-]?[\d.,]+(e[+-]?\d+)?( ?± ?[\d.,]+)?( ?(%|dB|s|nm|Å|×|GB|MB))?|–|-", str(cell))
    )


def _number(value: object, decimals: int | None = None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return str(value)
    if not np.isfinite(value):
        return "–" if np.isnan(value) else ("∞" if value > 0 else "−∞")
    text = f"{value:.4g}" if decimals is None else f"{value:.{decimals}f}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def _words(key: str) -> str:
    return key.replace("_", " ")


def _curves(evidence: DenoiseEvidence) -> dict[str, Any]:
    """Figures of whatever was measured, empty for the rest."""
    spacing = evidence.voxel_spacing_angstrom
    mean = None if spacing is None else float(np.prod(spacing) ** (1 / 3))
    curve, loss = evidence.noise_curve, evidence.loss
    return {
        "noise": "" if curve is None else _svg(figures.noise_svg(curve, spacing_angstrom=mean)),
        "loss": "" if loss is None else _svg(figures.loss_svg(loss)),
        "fsc": _svg(figures.fsc_svg(evidence.fsc, spacing_angstrom=mean)) if evidence.fsc else "",
        "fsc_rows": _fsc_rows(evidence.fsc, mean),
        "histogram": _svg(figures.histogram_svg(evidence.histograms)) if evidence.histograms else "",
    }


def _spectra(evidence: DenoiseEvidence) -> list[Markup]:
    before = evidence.spectrum_before
    if before is None:
        return []
    spacing = evidence.voxel_spacing_angstrom
    shown = {
        "Before": before,
        "After": evidence.spectrum_after,
        "Noise estimate": evidence.noise_spectrum_image,
    }
    images = {title: image for title, image in shown.items() if image is not None}
    limits = figures.spectrum_limits(before, list(images.values()))
    zx = None if spacing is None else (spacing[0], spacing[2])
    return [
        _svg(figures.spectrum_svg(image, title=title, limits=limits, spacing_zx_angstrom=zx))
        for title, image in images.items()
    ]


def _glance(evidence: DenoiseEvidence) -> list[tuple[str, str, str]]:
    """At most four (state, heading, figure) that tell whether it worked; state is good, bad or plain."""
    tiles = []
    check = evidence.residual_check or {}
    if "agrees" in check:
        good = bool(check["agrees"])
        verdict = "agrees with the estimate" if good else "disagrees with the estimate"
        tiles.append(("good" if good else "bad", "What was removed", verdict))
    noisy, denoised = evidence.scores.get("noisy", {}), evidence.scores.get("denoised", {})
    for metric in ("psnr", "ssim", "cc"):
        if metric in noisy and metric in denoised:
            heading, decimals = METRICS[metric]
            change = f"{_number(noisy[metric], decimals)} → {_number(denoised[metric], decimals)}"
            tiles.append(("good" if denoised[metric] > noisy[metric] else "bad", heading, change))
    return tiles[:4]


def _score_table(scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    metrics = list(dict.fromkeys(metric for row in scores.values() for metric in row))
    return {
        "header": ["", *(METRICS.get(m, (_words(m), 3))[0] for m in metrics)],
        "rows": [
            [label, *(_number(row.get(m, float("nan")), METRICS.get(m, ("", 3))[1]) for m in metrics)]
            for label, row in scores.items()
        ],
    }


def _fsc_rows(curves: Mapping[str, Curve], spacing_angstrom: float | None) -> list[tuple[str, str, str]]:
    """(label, frequency, period) where each curve first falls below 0.5."""
    rows = []
    for label, (frequency, value) in curves.items():
        crossing = first_crossing(np.asarray(frequency), np.asarray(value), 0.5)
        if crossing is None:
            rows.append((label, "not reached", "–"))
            continue
        period = (
            "–" if spacing_angstrom is None or crossing <= 0 else f"{spacing_angstrom / 10 / crossing:.2f} nm"
        )
        rows.append((label, f"{crossing:.3f}", period))
    return rows


def first_crossing(frequency: FloatArray, value: FloatArray, level: float) -> float | None:
    """Frequency at which `value` first falls below `level`, by linear interpolation; None if it never does.

    Examples
    --------
    >>> round(first_crossing(np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.75, 0.25]), 0.5), 3)
    0.25
    """
    below = np.flatnonzero(value < level)
    if not below.size:
        return None
    i = int(below[0])
    if i == 0:
        return float(frequency[0])
    share = (value[i - 1] - level) / (value[i - 1] - value[i])
    return float(frequency[i - 1] + share * (frequency[i] - frequency[i - 1]))
