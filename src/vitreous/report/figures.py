"""Curves and spectra as inline SVG: the same input gives the same bytes, and text takes the page's colour."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitreous.report.evidence import Curve, FloatArray, LossCurve, NoiseCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Mid tones that read on white and on near-black; each line also has its own dash pattern.
COLOURS = ("#8a8f98", "#2f86d6", "#e07b1a", "#2fa36b", "#a76bcf", "#d2527f")
DASHES = ("-", "-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))
# Stands for the text colour until the SVG is written, then becomes currentColor.
INK = "#010203"
SPECTRUM_PIXELS = 192


def spectrum_limits(before: FloatArray, others: Sequence[FloatArray]) -> tuple[float, float]:
    """Colour limits in log10 power for all images, at most three decades below the input's median."""
    lowest = min(float(np.percentile(image, 1)) for image in (before, *others))
    low = max(lowest, float(np.median(before)) - 3)
    high = max(float(np.percentile(image, 99.9)) for image in (before, *others))
    return low, max(high, low + 1e-3)


def spectrum_svg(
    image: FloatArray,
    *,
    title: str,
    limits: tuple[float, float],
    spacing_zx_angstrom: tuple[float, float] | None = None,
) -> str:
    """One log10 power image (kz, kx) with axes in 1/nm, or in cycles per voxel when the spacing is unknown.

    Parameters
    ----------
    image
        Shape (kz, kx), zero frequency at n // 2.
    title
        Shown above and read out by screen readers.
    limits
        Colour limits in log10 power, the same for all images to be compared.
    spacing_zx_angstrom
        Voxel spacing along z and x in Å.
    """
    from matplotlib.ticker import MaxNLocator

    shown, extent = _shrink(np.asarray(image, dtype=np.float64), spacing_zx_angstrom)
    figure, axes = _figure(3.9, 3.0)
    # Placed by hand: the automatic layout cuts labels off when the axes must stay square.
    figure.set_layout_engine("none")
    axes.set_position((0.17, 0.15, 0.6, 0.78))
    mesh = axes.imshow(
        np.clip(shown, *limits),
        extent=extent,
        origin="lower",
        cmap="viridis",
        vmin=limits[0],
        vmax=limits[1],
        interpolation="none",
        aspect=(extent[1] - extent[0]) / (extent[3] - extent[2]),
    )
    unit = "cycles/voxel" if spacing_zx_angstrom is None else "1/nm"
    axes.set(xlabel=f"kx ({unit})", ylabel=f"kz ({unit})", title=_plain(title))
    bar = figure.colorbar(mesh, cax=figure.add_axes((0.79, 0.15, 0.03, 0.78)))
    bar.ax.yaxis.set_major_locator(MaxNLocator(5))
    bar.set_label("log10 power", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_visible(False)
    return _to_svg(figure, f"{title}: power in the kx–kz plane")


def noise_svg(curve: NoiseCurve, *, spacing_angstrom: float | None = None) -> str:
    """Power per frequency shell: input, noise estimate, residual, and the residual to be expected."""
    series = {
        "input": curve.input_power,
        "noise estimate": curve.estimate,
        "removed (input − output)": curve.residual_power,
        "removed, as expected": curve.expected_residual,
    }
    figure, axes = _figure(5.6, 3.3)
    for style, (label, power) in enumerate(series.items()):
        if power is not None:
            positive = np.where(np.asarray(power) > 0, power, np.nan)
            _line(axes, curve.frequency, positive, label, style)
    axes.set_yscale("log")
    axes.set(ylabel="power per voxel")
    _frequency_axis(axes, spacing_angstrom)
    _legend(axes)
    return _to_svg(figure, "Power per frequency of the input, the noise estimate and what was removed")


def loss_svg(loss: LossCurve) -> str:
    """Training loss against step with a running median, and the validation loss if there is one."""
    figure, axes = _figure(5.6, 2.9)
    steps, values = np.asarray(loss.steps), np.asarray(loss.values, dtype=np.float64)
    if len(steps) > 30:
        keep = np.linspace(0, len(steps) - 1, min(len(steps), 1500)).astype(int)
        axes.plot(steps[keep], values[keep], color=COLOURS[0], lw=0.7, alpha=0.6)
        _line(axes, *_running_median(steps, values), "training (running median)", 1)
    else:
        _line(axes, steps, values, "training", 1)
    if loss.validation_steps is not None and loss.validation_values is not None:
        _line(axes, loss.validation_steps, loss.validation_values, "validation", 2)
    finite = values[np.isfinite(values)]
    if finite.size > 30:  # the first steps would flatten the rest of the curve
        low, high = np.percentile(finite, [0.5, 98])
        if high > low:
            axes.set_ylim(low - 0.1 * (high - low), high + 0.25 * (high - low))
    axes.set(xlabel="step", ylabel="loss")
    _legend(axes)
    return _to_svg(figure, "Training loss against step")


def fsc_svg(
    curves: Mapping[str, Curve],
    *,
    spacing_angstrom: float | None = None,
    levels: Sequence[float] = (0.5,),
    label: str = "Fourier shell correlation against the reference",
) -> str:
    """Fourier shell correlation, with lines at the levels where resolution is read off."""
    figure, axes = _figure(5.6, 3.3)
    for style, (name, (frequency, value)) in enumerate(curves.items()):
        _line(axes, frequency, value, name, style)
    for level in levels:
        axes.axhline(level, color=INK, lw=0.6, ls=":")
    axes.set(ylabel="FSC", ylim=(min(-0.05, *(float(np.nanmin(v)) for _, v in curves.values())), 1.03))
    _frequency_axis(axes, spacing_angstrom)
    _legend(axes)
    return _to_svg(figure, label)


def histogram_svg(histograms: Mapping[str, Curve]) -> str:
    """Distributions of voxel values as outlines, each scaled to unit area."""
    figure, axes = _figure(5.6, 2.7)
    for style, (label, (edges, counts)) in enumerate(histograms.items()):
        area = float(np.sum(np.asarray(counts) * np.diff(edges))) or 1.0
        axes.stairs(np.asarray(counts) / area, np.asarray(edges), color=_colour(style), label=_plain(label))
    axes.set(xlabel="voxel value", ylabel="share")
    _legend(axes)
    return _to_svg(figure, "Histogram of voxel values")


def scores_svg(edges: NDArray[Any], counts: Mapping[str, NDArray[Any]], threshold: float) -> str:
    """How many maxima have which score, on a logarithmic scale, with the threshold as a line.

    Parameters
    ----------
    edges
        (n + 1,) limits of the bins.
    counts
        Name to (n,) counts.
    threshold
        Where the line stands.
    """
    figure, axes = _figure(5.6, 2.9)
    for style, (label, values) in enumerate(counts.items()):
        axes.stairs(np.asarray(values), np.asarray(edges), color=_colour(style), label=_plain(label), lw=1.5)
    axes.axvline(threshold, color=INK, lw=0.8, ls=":", label="threshold")
    axes.set_yscale("symlog", linthresh=1)
    axes.set(xlabel="score", ylabel="maxima", ylim=(0, None))
    _legend(axes)
    return _to_svg(figure, "Histogram of scores")


def dots_svg(groups: Mapping[str, Mapping[str, Sequence[float]]], axis: str) -> str:
    """Values of the same names in several groups: a line for each name, a colour for each group.

    Parameters
    ----------
    groups
        Group to name to values, one dot each.
    axis
        What the values are.
    """
    names = list(dict.fromkeys(name for found in groups.values() for name in found))
    figure, axes = _figure(6.4, 0.8 + 0.26 * len(names))
    for style, (group, found) in enumerate(groups.items()):
        points = [(value, names.index(name)) for name, values in found.items() for value in values]
        x, y = zip(*points, strict=True) if points else ((), ())
        axes.plot(x, y, "o", ms=4, mew=0, alpha=0.8, color=_colour(style + 1), label=_plain(group))
    axes.set_yticks(range(len(names)), [_plain(name) for name in names])
    axes.set(xlabel=_plain(axis), ylim=(len(names) - 0.5, -0.5))
    axes.grid(axis="y", color=INK, lw=0.3, alpha=0.3)
    if groups:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, labelcolor=INK, fontsize=9)
    return _to_svg(figure, f"{axis} of every method")


def scatter_svg(groups: Mapping[str, NDArray[Any]], label: str) -> str:
    """Points in a plane, a colour and a mark for each group; axes have no unit.

    Parameters
    ----------
    groups
        Name to (n, 2) points.
    label
        For screen readers.
    """
    figure, axes = _figure(3.9, 3.4)
    for style, (name, points) in enumerate(groups.items()):
        x, y = np.asarray(points, np.float64).T
        mark = "osD^v"[style % 5]
        axes.plot(x, y, mark, ms=4, mew=0, alpha=0.7, color=_colour(style + 1), label=_plain(name))
    axes.set(xticks=[], yticks=[])
    _legend(axes)
    return _to_svg(figure, label)


def curves_svg(curves: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], axis: str) -> str:
    """Several curves against the training step.

    Parameters
    ----------
    curves
        Name to steps and values, (n,) each.
    axis
        What the values are.
    """
    figure, axes = _figure(5.6, 2.9)
    for style, (name, (steps, values)) in enumerate(curves.items()):
        _line(axes, steps, values, name, style)
    axes.set(xlabel="step", ylabel=_plain(axis))
    _legend(axes)
    return _to_svg(figure, axis)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0.0)
    axes.tick_params(colors=INK, labelsize=9)
    axes.title.set_fontsize(11)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_edgecolor(INK)
        spine.set_linewidth(0.6)
    return figure, axes


def _colour(style: int) -> str:
    return COLOURS[style % len(COLOURS)]


def _plain(label: str) -> str:
    """`label` as it is: no mathematics between dollar signs, and not hidden for a leading underscore."""
    return label.replace("$", r"\$") if not label.startswith("_") else " " + _plain(label.lstrip("_"))


def _line(axes: Axes, x: NDArray[Any], y: NDArray[Any], label: str, style: int) -> None:
    axes.plot(x, y, color=_colour(style), ls=DASHES[style % len(DASHES)], lw=1.7, label=_plain(label))


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=INK, fontsize=9)


def _frequency_axis(axes: Axes, spacing_angstrom: float | None) -> None:
    """Cycles per voxel below and, when the spacing is known, the period in nm above."""
    axes.set(xlabel="frequency (cycles/voxel)", xlim=(0, max(0.5, axes.get_xlim()[1] / 1.05)))
    if spacing_angstrom is None:
        return
    ticks = [f for f in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5) if f <= axes.get_xlim()[1]]
    top = axes.secondary_xaxis("top")
    top.set_xticks(ticks, [f"{spacing_angstrom / 10 / f:.3g}" for f in ticks])
    top.set_xlabel("period (nm)", color=INK)
    top.tick_params(colors=INK, labelsize=9)
    top.spines["top"].set_visible(False)


def _running_median(
    steps: NDArray[Any], values: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    groups = np.array_split(np.arange(len(steps)), min(60, len(steps)))
    usable = [g[np.isfinite(values[g])] for g in groups]
    usable = [g for g in usable if g.size]
    return np.array([steps[g].mean() for g in usable]), np.array([np.median(values[g]) for g in usable])


def _shrink(
    image: NDArray[np.float64], spacing_zx: tuple[float, float] | None
) -> tuple[NDArray[np.float64], tuple[float, float, float, float]]:
    """Block means of at most `SPECTRUM_PIXELS` a side, and (left, right, bottom, top) of the result."""
    edges: list[tuple[float, float]] = []
    for axis, length in enumerate(image.shape):
        block = -(-length // SPECTRUM_PIXELS)
        used = length // block * block
        image = np.moveaxis(image, axis, 0)[:used]
        image = np.moveaxis(image.reshape(used // block, block, -1).mean(axis=1), 0, axis)
        unit = 1.0 if spacing_zx is None else 10 / spacing_zx[axis]
        first = (-(length // 2) - 0.5) / length
        edges.append((first * unit, (first + used / length) * unit))
    return image, (*edges[1], *edges[0])


def _to_svg(figure: Figure, label: str) -> str:
    """SVG element for use inside an HTML page: no prolog, no metadata, no namespace addresses."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": label, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(
        r' id="[A-Za-z][A-Za-z0-9.]*_[0-9]+"', "", text
    )  # the same in every figure; no two on a page may be
    head, body = text.split(">", 1)
    width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', head)
    view = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg role="img" aria-label="{html.escape(label)}" {view}>' + body.replace(INK, "currentColor")
