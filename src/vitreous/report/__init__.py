"""Evidence of a run → figures and one self-contained HTML page; matplotlib and jinja2 load on first use."""

from vitreous.report.display import DisplaySlices, slices_for_display, xz_power_spectrum
from vitreous.report.evidence import DenoiseEvidence, LossCurve, NoiseCurve
from vitreous.report.html import TableSection, render_denoise_report, render_tables_report
from vitreous.report.picture import row_png, triptych_png

__all__ = [
    "DenoiseEvidence",
    "DisplaySlices",
    "LossCurve",
    "NoiseCurve",
    "TableSection",
    "render_denoise_report",
    "render_tables_report",
    "row_png",
    "slices_for_display",
    "triptych_png",
    "xz_power_spectrum",
]
