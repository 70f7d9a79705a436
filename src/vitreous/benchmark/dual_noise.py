"""Whether the noise that DUAL simulates is right: its statistics against those of held-out tomograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import mean

import numpy as np

from vitreous.benchmark.comparison import Scale, values_of
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.runner import Record, Row, selected
from vitreous.benchmark.transfer import SCALES, Listener, Setup, converted, dual_tomogram
from vitreous.benchmark.transfer_worlds import TARGET, Array, labelled, standardized, taken
from vitreous.core import Progress
from vitreous.metrics import autocorrelation_distance, correlation, histogram_distance, spectrum_distance
from vitreous.report import TableSection

REAL, OURS, PLAIN, ON_DENSITY = "real, another draw", "dual", "gaussian", "gaussian, density"
METHODS = (REAL, OURS, PLAIN, ON_DENSITY)
SCORES = ("histogram", "autocorrelation", "spectrum", "plane", "draws", "kept", "kept_real")
DISTANCES = SCORES[:4]
DECIMALS = {"histogram": 4, "autocorrelation": 4, "seconds": 0}
HARDLY_ANY = 1e-4  # noise/signal of the noise-free reconstruction
SINGLE = (0.0, 1.0, 0.0)  # cells: each (kz, kx) of its own, all of ky together
# What a right simulation must reach. Histogram: a skewness of 0.06, or an excess kurtosis of 0.16, leaves
# 0.01. Autocorrelation: a quarter of what white noise is off. Spectrum: 35 % of the power of a cell, of which
# two draws are 12 % apart by chance. Draws as different as the microscope's. Kept: two thirds of the variance
# of what was denoised are the specimen's.
MOST = {"histogram": 0.01, "autocorrelation": 0.015, "spectrum": 0.3}
MOST_OFF, LEAST_KEPT = 0.05, 0.8
TEXT = (
    "A held-out grand model and its tomogram from the microscope that is the target of `dual-transfer` "
    f"(±{TARGET.highest_deg:.0f}°, {TARGET.defocus_um:.0f} µm under focus, noise/signal "
    f"{TARGET.noise_to_signal:.0f}); all volumes standardized. `{REAL}`: the same microscope again: as near "
    f"as a perfect simulator comes. `{OURS}`: trained on other tomograms of that microscope and other grand "
    f"models. `{PLAIN}`: white noise of the true SNR on the noise-free reconstruction, which nobody has of a "
    f"real microscope; `{ON_DENSITY}`: on the grand model. Distances from the tomogram: `histogram` in "
    "deviations (1-Wasserstein), `autocorrelation` RMS of lags up to 3 voxels, `spectrum` in 3-D, mean |log "
    "of the ratio| over cells of 1/16 cycles/voxel, `plane` the same for single (kz, kx), where spokes of "
    "the tilts are. `draws`: share of the variance that another draw changes. `kept`: correlation with the "
    "grand model of what DUAL's own denoiser makes of its simulated tomogram; `kept real`: of the real one. "
    "Mean, and least to most over seeds."
)


def noise_rows(scale: Scale, seeds: Sequence[int], only: Sequence[str], progress: Progress) -> Iterator[Row]:
    """All rows of a scale, seed after seed."""
    for seed in seeds:
        for method in selected(only, METHODS):
            key = {"scale": scale, "seed": seed, "method": method}
            yield Row(key, partial(measure_noise, SCALES[scale], seed, method, progress))


def measure_noise(setup: Setup, seed: int, method: str, progress: Listener) -> Record:
    """Make the tomogram of a held-out grand model twice, and compare it with the microscope's."""
    real, density = taken(TARGET, setup.shape, seed), labelled(setup.shape, seed).density
    with measured_cost() as cost:
        made, again = (made_tomogram(setup, seed, method, draw, progress) for draw in (1, 2))
        found: Record = {**distances(made, real), "draws": changed(made, again)}
        if method == OURS:
            for name, tomogram in (("kept", made), ("kept_real", real)):
                found[name] = correlation(converted(setup, seed, tomogram, progress), -density)
    return {**found, **cost}


def made_tomogram(setup: Setup, seed: int, method: str, draw: int, progress: Listener) -> Array:
    """The standardized tomogram that a method makes of a seed's grand model, with one draw of its noise."""
    density = labelled(setup.shape, seed).density
    rng = np.random.default_rng([seed, draw])
    noise_seed = int(rng.integers(2**31))
    if method == REAL:
        return TARGET.tomogram(density, noise_seed)
    if method == OURS:
        return dual_tomogram(setup, seed, density, noise_seed, progress)
    signal = standardized(-density)
    if method == PLAIN:
        signal = replace(TARGET, noise_to_signal=HARDLY_ANY).tomogram(density, noise_seed)
    noise = rng.standard_normal(signal.shape, np.float32)
    return standardized(signal + np.float32(TARGET.noise_to_signal) * noise)


def distances(made: Array, real: Array) -> dict[str, float]:
    """How far the statistics of a standardized tomogram are from those of another."""
    return {
        "histogram": histogram_distance(made, real),
        "autocorrelation": autocorrelation_distance(made, real),
        "spectrum": spectrum_distance(made, real),
        "plane": spectrum_distance(made, real, SINGLE),
    }


def changed(one: Array, other: Array) -> float:
    """Share of the variance that is not common to two draws.

    Examples
    --------
    >>> a, b, c = np.random.default_rng(0).normal(size=(3, 100_000))
    >>> round(changed(a + b, a + c), 1)
    0.5
    """
    return float(0.5 * np.var(one - other) / np.var(one))


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """Distances, and what was asked for."""
    sections = []
    for scale in dict.fromkeys(r["scale"] for r in records):
        of = {m: [r for r in records if (r["method"], r["scale"]) == (m, scale)] for m in METHODS}
        of = {name: found for name, found in of.items() if found}
        shown = (*SCORES, "seconds")
        rows = [
            [name, str(len(found)), *(reach_of(values_of(found, s), s) for s in shown)]
            for name, found in of.items()
        ]
        header = ["method", "seeds", *(s.replace("_", " ") for s in shown)]
        sections.append(TableSection(f"Distances from real noise, scale {scale}", TEXT, header, rows))
        sections += asked(of)
    return sections


def reach_of(values: Sequence[float], score: str) -> str:
    """Mean (least to most), "" if there is none.

    Examples
    --------
    >>> reach_of([0.25, 0.75], "draws"), reach_of([3.0], "seconds")
    ('0.50 (0.25 to 0.75)', '3')
    """
    if not values:
        return ""
    decimals = DECIMALS.get(score, 2)
    around = f" ({min(values):.{decimals}f} to {max(values):.{decimals}f})"
    if len(values) < 2 or score == "seconds":
        around = ""
    return f"{mean(values):.{decimals}f}{around}"


def asked(of: Mapping[str, Sequence[Record]]) -> list[TableSection]:
    """What a right simulation has, and in how many seeds DUAL's has it; no section where DUAL is missing."""
    ours = of.get(OURS, ())
    rivals = {m: {r["seed"]: r for r in of.get(m, ())} for m in METHODS}
    tests = [(name, f"at most {most:g}", [r[name] <= most for r in ours]) for name, most in MOST.items()]
    tests += [
        (
            name,
            f"less than `{m}`",
            [r[name] < rivals[m][r["seed"]][name] for r in ours if r["seed"] in rivals[m]],
        )
        for m in (PLAIN, ON_DENSITY)
        for name in DISTANCES
    ]
    off = [
        abs(r["draws"] - rivals[REAL][r["seed"]]["draws"]) <= MOST_OFF
        for r in ours
        if r["seed"] in rivals[REAL]
    ]
    tests.append(("draws", f"that of `{REAL}` ± {MOST_OFF:g}", off))
    tests.append(("kept", f"at least {LEAST_KEPT:g}", [r["kept"] >= LEAST_KEPT for r in ours]))
    rows = [[what, bound, f"{sum(met)} of {len(met)}"] for what, bound, met in tests if met]
    header = [f"of {OURS}", "asked", "seeds that have it"]
    return [TableSection("What was asked for", header=header, rows=rows)] if rows else []
