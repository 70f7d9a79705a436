"""The methods that tables compare, run on a case: filters, single-volume methods, ceilings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vitreous.benchmark.cases import RECONSTRUCTED, Case, CaseKind, make_case
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.runner import Record
from vitreous.benchmark.scores import best_filter, score, score_complete
from vitreous.benchmark.specimens import TRAINING_SEEDS
from vitreous.core import Progress, Volume
from vitreous.inference import choose_device
from vitreous.methods import BlindSpot, Noise2Noise, NoiseModel
from vitreous.methods.blindspot import BlindSpotConfig
from vitreous.methods.dual import Dual
from vitreous.methods.noise2noise import PairConfig
from vitreous.methods.noise_model import NoiseModelConfig
from vitreous.training import TrainingVolume
from vitreous.workflows.denoise import (
    DenoiseSettings,
    Source,
    denoise_source,
    fit,
    plan_denoising,
    plan_memory,
    predict,
    prepared_model,
    standardized,
    untrained,
)

Array = NDArray[np.float32]
TUNED = ", tuned"  # a filter's name with this: its setting is the best for the reference

# The published network, losses and optimizer, on smaller patches than the paper's and for about four times
# as long as the default blind spot takes: larger patches would leave it a few dozen steps.
PAPER_BLINDSPOT = "blindspot, paper"
PAPER_CONFIG = BlindSpotConfig.paper().model_copy(update={"patch_side": 54, "steps": 180})

RANDOM_BEGINNING = "noise-model, random weights"  # not those that ship with the package

# Training steps of methods for which the default number would take much more or less time than the others.
STEPS: Mapping[str, int] = {"nmsg": 450, "dncnn": 450, "vnet": 450}


def measure(kind: CaseKind, seed: int, method: str, progress: Progress) -> Record:
    """One method on one case: scores, cost and what it says of itself."""
    case = make_case(kind, seed)
    if method in CEILINGS:
        training_cases(kind)  # what they take to be made is no cost of the method
    with measured_cost() as cost:
        result, facts = denoised(kind, case, seed, method, progress)
    complete = {} if kind.noise in RECONSTRUCTED else score_complete(case, result)
    return {**score(case, result), **complete, **cost, **facts}


def denoised(kind: CaseKind, case: Case, seed: int, method: str, progress: Progress) -> tuple[Array, Record]:
    """What a method makes of a case, and facts about how.

    "noisy" is the case itself; filters marked `TUNED` and the ceilings (`CEILINGS`) look at the reference or
    at more than one volume; all others are the methods of `vitreous denoise`, which see what a user has.
    """
    if method == "noisy":
        return case.noisy, {}
    if method.endswith(TUNED):
        result, parameter, seconds = best_filter(case, method.removesuffix(TUNED))
        return result, {"parameter": parameter, "seconds": seconds}
    if method in CEILINGS:
        return CEILINGS[method](kind, case, seed, progress), {}
    model = None
    if method == PAPER_BLINDSPOT:
        model, method = untrained(BlindSpot, PAPER_CONFIG, choose_device("auto"), seed), BlindSpot.name
    if method == RANDOM_BEGINNING:
        config = NoiseModelConfig(warm_start=False)
        model, method = untrained(NoiseModel, config, choose_device("auto"), seed), NoiseModel.name
    preset = "paper" if kind.as_published and method == Dual.name else None
    steps = None if model else STEPS.get(method)
    settings = DenoiseSettings(method=method, seed=seed, steps=steps, config=preset)
    outcome = denoise_source(Source(case.volume), settings, progress, model=model)
    facts: Record = {"chosen": outcome.method}
    if outcome.prepared is not None and outcome.model is not None:
        facts["binning"] = outcome.prepared.binning
    return outcome.data, facts


def choice(kind: CaseKind, seed: int) -> str:
    """The method that `auto` chooses for a case, which it sees as a user would give it."""
    return plan_denoising(Source(make_case(kind, seed).volume), DenoiseSettings(seed=seed)).method


def supervised(kind: CaseKind, case: Case, seed: int, progress: Progress) -> Array:
    """The noise model's network and steps, trained on three other specimens with their truth."""
    config = PairConfig(symmetric=False, binning=binning_of(case))
    volumes = []
    for other in training_cases(kind):
        volume, _ = standardized(Source(Volume(other.noisy)), needs_target=False)
        volumes.append(TrainingVolume(volume.data, volume.normalization, target=other.clean))
    return trained_on_pairs(volumes, case.noisy, config, seed, progress)


def training_cases(kind: CaseKind) -> list[Case]:
    """The cases of a kind that are trained on, and never scored."""
    return [make_case(kind, seed) for seed in TRAINING_SEEDS]


def noise2noise(kind: CaseKind, case: Case, seed: int, progress: Progress) -> Array:
    """Between two frame halves, predicting both and averaging."""
    first, second = case.halves
    source = Source(Volume(case.noisy), Volume(first), Volume(second))
    volume, _ = standardized(source, needs_target=True)
    return trained_on_pairs([volume], None, PairConfig(binning=binning_of(case)), seed, progress)


CEILINGS: Mapping[str, Callable[[CaseKind, Case, int, Progress], Array]] = {
    "supervised": supervised,
    "n2n": noise2noise,
}


def trained_on_pairs(
    volumes: Sequence[TrainingVolume],
    noisy: Array | None,
    config: PairConfig,
    seed: int,
    progress: Progress,
) -> Array:
    """Train on pairs; denoise `noisy`, or the first pair itself."""
    model, prepared = prepared_model(
        untrained(Noise2Noise, config, choose_device("auto"), seed), volumes, seed
    )
    settings = DenoiseSettings(seed=seed)
    model = fit(model, prepared, settings, progress)
    target = prepared[0]
    if noisy is not None:
        volume, _ = standardized(Source(Volume(noisy)), needs_target=False)
        target = model.method.prepare(volume)
    plan = plan_memory(model, Source(Volume(target.volume.data)), settings)
    return predict(model, target, plan, seed, progress).data


def binning_of(case: Case) -> int:
    """The binning that the noise model chooses: the ceilings get the same advantage."""
    volume, _ = standardized(Source(Volume(case.noisy)), needs_target=False)
    return NoiseModel().prepare(volume).binning
