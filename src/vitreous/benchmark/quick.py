"""`denoise-quick`: the default methods on six kinds of noise, against filters and ceilings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from vitreous.benchmark.cases import CASES, TRAINING_SEEDS, Case, make_case
from vitreous.benchmark.runner import Record, Row
from vitreous.benchmark.scores import best_filter, score, spectrum_ratios
from vitreous.core import Progress, Volume
from vitreous.inference import choose_device
from vitreous.methods import Noise2Noise, NoiseModel
from vitreous.methods.noise2noise import PairConfig
from vitreous.training import TrainingVolume
from vitreous.workflows.denoise import (
    DenoiseSettings,
    Source,
    TrainedModel,
    denoise_source,
    fit,
    plan_memory,
    predict,
    prepared_model,
    standardized,
)

FILTERS = ("gaussian", "lowpass", "median")
SCORES = ("psnr", "delta_psnr", "ssim", "cc", "low_fsc", "low_gain", "contrast")
CEILINGS = ("supervised", "n2n")

Array = NDArray[np.float32]


def quick_rows(seeds: Sequence[int], cases: Sequence[str], progress: Progress) -> Iterator[Row]:
    """All rows, seed after seed: every case and method."""
    for seed in seeds:
        for name in cases or CASES:
            for method in methods_of(name):
                key = {"case": name, "seed": seed, "method": method}
                yield Row(key, partial(measure, name, seed, method, progress))
            key = {"case": name, "seed": seed, "method": "spectrum"}
            yield Row(key, partial(measure_spectrum, name, seed))


def measure_spectrum(name: str, seed: int) -> Record:
    """How well the noise spectrum of a case is estimated."""
    return dict(spectrum_ratios(make_case(name, seed)))


def methods_of(case: str) -> tuple[str, ...]:
    """Blindspot where its noise is white or for comparison; halves once, as the lower of the two ceilings."""
    blind = ("blindspot",) if case in ("white", "wedge") else ()
    halves = ("n2n",) if case == "wbp-4" else ()
    return ("noisy", *FILTERS, *blind, "noise-model", "supervised", *halves)


def measure(name: str, seed: int, method: str, progress: Progress) -> Record:
    """One method on one case: scores and seconds."""
    case = make_case(name, seed)
    begun = time.monotonic()
    facts: Record = {}
    if method == "noisy":
        result = case.noisy
    elif method in FILTERS:
        result, facts["parameter"] = best_filter(case, method)
    elif method in CEILINGS:
        result = CEILING_METHODS[method](name, case, seed, progress)
    else:
        source = Source(Volume(case.noisy))
        denoised = denoise_source(source, DenoiseSettings(method=method, seed=seed), progress)
        result = denoised.data
        if denoised.prepared is not None:
            facts["binning"] = denoised.prepared.binning
    return {**score(case, result), "seconds": time.monotonic() - begun, **facts}


def supervised(name: str, case: Case, seed: int, progress: Progress) -> Array:
    """The noise model's network and steps, trained on three other phantoms with their truth."""
    binning = binning_of(case)
    volumes = []
    for training_seed in TRAINING_SEEDS:
        other = make_case(name, training_seed)
        volume, _ = standardized(Source(Volume(other.noisy)), needs_target=False)
        volumes.append(TrainingVolume(volume.data, volume.normalization, target=other.clean))
    return trained_on_pairs(volumes, case.noisy, binning, seed, progress, symmetric=False)


def noise2noise(name: str, case: Case, seed: int, progress: Progress) -> Array:
    """Between two frame halves, predicting both and averaging."""
    first, second = case.halves
    source = Source(Volume(case.noisy), Volume(first), Volume(second))
    volume, _ = standardized(source, needs_target=True)
    return trained_on_pairs([volume], None, binning_of(case), seed, progress, symmetric=True)


CEILING_METHODS: Mapping[str, Callable[[str, Case, int, Progress], Array]] = {
    "supervised": supervised,
    "n2n": noise2noise,
}


def trained_on_pairs(
    volumes: Sequence[TrainingVolume],
    noisy: Array | None,
    binning: int,
    seed: int,
    progress: Progress,
    *,
    symmetric: bool,
) -> Array:
    """Train on pairs with the noise model's steps; denoise `noisy`, or the first pair itself."""
    compute = choose_device("auto")
    method = Noise2Noise(PairConfig(symmetric=symmetric, binning=binning), precision=compute.precision)
    model, prepared = prepared_model(TrainedModel(method, method.build_network(seed), compute), volumes, seed)
    settings = DenoiseSettings(seed=seed)
    model = fit(model, prepared, settings, progress)
    target = prepared[0]
    if noisy is not None:
        volume, _ = standardized(Source(Volume(noisy)), needs_target=False)
        target = method.prepare(volume)
    plan = plan_memory(model, Source(Volume(target.volume.data)), settings)
    return predict(model, target, plan, seed, progress)


def binning_of(case: Case) -> int:
    """The binning that the noise model chooses: the ceilings get the same advantage."""
    volume, _ = standardized(Source(Volume(case.noisy)), needs_target=False)
    return NoiseModel().prepare(volume).binning


def summarize(records: Sequence[Record]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Tables (heading, header, rows): scores per case, then shares of the way, then spectrum ratios."""
    tables = []
    for case in dict.fromkeys(r["case"] for r in records):
        rows = [
            [
                method,
                *(spread([r[s] for r in found], s) for s in SCORES),
                spread([r["seconds"] for r in found], "seconds"),
            ]
            for method, found in by_method(records, case).items()
            if method != "spectrum"
        ]
        tables.append((CASES[case].description, ["method", *SCORES, "seconds"], rows))
    tables.append(
        (
            "How far the noise model gets",
            ["case", "best filter", "noise-model", "ceiling", "share of the way"],
            shares(records),
        )
    )
    shells = [
        [c, *(spread(v, "ratio") for v in ratio_columns(records, c))]
        for c in dict.fromkeys(r["case"] for r in records)
    ]
    measured = next(r for r in records if r["method"] == "spectrum")
    names = [k for k in measured if "-" in k and k[0].isdigit()]
    tables.append(("Estimated over true noise power per shell (cycles/voxel)", ["case", *names], shells))
    return tables


def by_method(records: Sequence[Record], case: str) -> dict[str, list[Record]]:
    """Records of a case, grouped by method in order of appearance."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record["case"] == case:
            groups.setdefault(record["method"], []).append(record)
    return groups


def shares(records: Sequence[Record]) -> list[list[str]]:
    """Per case: best classical filter, noise model, ceiling, and how far between them the noise model is."""
    rows = []
    for case in dict.fromkeys(r["case"] for r in records):
        groups = by_method(records, case)
        psnr = {m: np.array([r["psnr"] for r in found]) for m, found in groups.items() if m != "spectrum"}
        best = np.max([psnr[f] for f in FILTERS], axis=0)
        top = np.max([psnr[c] for c in CEILINGS if c in psnr], axis=0)
        share = (psnr["noise-model"] - best) / (top - best)
        columns = (best, psnr["noise-model"], top)
        rows.append([case, *(spread(c.tolist(), "psnr") for c in columns), spread(share.tolist(), "share")])
    return rows


def ratio_columns(records: Sequence[Record], case: str) -> list[list[float]]:
    """Spectrum ratios of a case, one list per shell."""
    found = by_method(records, case).get("spectrum", [])
    keys = [k for k in (found[0] if found else {}) if "-" in k and k[0].isdigit()]
    return [[float(r[k]) for r in found] for k in keys]


def spread(values: Sequence[float], name: str) -> str:
    """Mean ± sample deviation with the decimals that a score deserves."""
    decimals = {"psnr": 2, "delta_psnr": 2, "seconds": 0}.get(
        name, 3 if name in ("ssim", "cc", "low_fsc") else 2
    )
    deviation = f" ± {stdev(values):.{decimals}f}" if len(values) > 1 and name != "seconds" else ""
    return f"{mean(values):.{decimals}f}{deviation}"
