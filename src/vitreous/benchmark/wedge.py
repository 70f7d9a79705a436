"""The third table of the DUAL paper: filling the missing wedge, scored twice over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.benchmark import published
from vitreous.benchmark.cases import TILT_STEP_DEG, WEDGE, Case, CaseKind, make_case
from vitreous.benchmark.comparison import AS_PUBLISHED, Comparison, published_of
from vitreous.benchmark.contestants import denoised
from vitreous.benchmark.cost import measured_cost
from vitreous.benchmark.denoisers import scales
from vitreous.benchmark.runner import Record
from vitreous.benchmark.scores import BORDER
from vitreous.benchmark.specimens import Specimen
from vitreous.benchmark.standardized import standard
from vitreous.core import Progress, Volume
from vitreous.fourier import measured_region
from vitreous.fourier.spectrum import hann_window
from vitreous.methods.wedge import TransposedDomains
from vitreous.metrics import band_correlation, psnr, ssim
from vitreous.simulate import ImagingSettings, TiltScheme, image, weighted_back_projection
from vitreous.workflows.denoise import Source
from vitreous.workflows.wedge import WedgeSettings, plan_filling
from vitreous.workflows.wedge.filling import carry_out

SHELLS = (0.01, 0.05, 0.1, 0.15, 0.2)  # cycles/voxel
HALVES = ", halves"  # a method's name with this: it is given two frame halves
PLAIN = "noise-model, no filling"  # what the measured region is held against
NONE = "none"
METHODS = (NONE, PLAIN, "isonet", "dual", f"dual{AS_PUBLISHED}", "noise-model", f"noise-model{HALVES}")
KINDS: Mapping[str, Specimen] = {
    "shrec21": Specimen(0.1, sheets=0, vesicles=2),
    "ribosomes": Specimen(0.1, sheets=0, structures=("ribosome",)),
    "cell": Specimen(0.3, sheets=2, vesicles=1, actin=3),
}
LEVELS = (1, 4)
TEXT = (
    "`double`: a second wedge, along x, is cut out of the filled volume and filled again by the same method, "
    "and the outcome compared with the filled volume; both are standardized, and the range is that of the "
    "filled one. A filled volume has no halves to be filled from again. A method that blurs is easily like "
    "itself. "
    "`missing` and `measured`: correlation in shells up to that many cycles/voxel with the noise-free "
    "reconstruction of all tilts, same CTF, in the missing and the measured region, after a Hann window, "
    "which lets some of what was measured into the missing region: see the row `none`. "
    "`seconds` are those of the first filling, `double seconds` those of the second."
)

Array = NDArray[np.float32]


def measure_wedge(kind: CaseKind, seed: int, method: str, progress: Progress) -> Record:
    """One method on one case: the double wedge, and the truth in the missing and the measured region."""
    case = make_case(kind, seed)
    with measured_cost() as cost:
        once = filled(kind, case, seed, method, progress)
    found = against_truth(once, complete(kind, seed))
    if method != PLAIN and not method.endswith(HALVES):
        found |= double_wedge(kind, case, once, seed, method, progress)
    return {**found, **cost}


def filled(kind: CaseKind, case: Case, seed: int, method: str, progress: Progress) -> Array:
    """What a method makes of a case."""
    if method == NONE:
        return case.noisy
    if method == PLAIN:
        return denoised(kind, case, seed, "noise-model", progress)[0]
    halves = [Volume(h) for h in case.halves] if method.endswith(HALVES) else [None, None]
    source = Source(case.volume, halves[0], halves[1])
    name = method.removesuffix(HALVES).removesuffix(AS_PUBLISHED)
    published = method.endswith(AS_PUBLISHED) or (kind.as_published and name == TransposedDomains.name)
    settings = WedgeSettings(
        name,
        seed=seed,
        config="paper" if published else None,
        tilt_range_deg=kind.tilt_range_deg or WEDGE,
    )
    return carry_out(plan_filling(source, settings), source, settings, progress).data


def double_wedge(
    kind: CaseKind, case: Case, once: Array, seed: int, method: str, progress: Progress
) -> Record:
    """Cut a second wedge along x out of a filled volume, fill it again, and compare (dual § 2.5).

    The volume is turned so that the second wedge lies where the first one was.
    """
    turned = emptied_of_wedge(np.ascontiguousarray(once.transpose(2, 1, 0)), kind.tilt_range_deg or WEDGE)
    again = Case(turned, np.zeros_like(turned), (turned, turned), case.ground)
    with measured_cost() as cost:
        twice = filled(kind, again, seed, method, progress)
    cut = (slice(BORDER, -BORDER),) * 3
    result, truth = standard(twice.transpose(2, 1, 0)[cut]), standard(once[cut])
    data_range = float(np.ptp(truth))
    return {
        "double_psnr": psnr(result, truth, data_range=data_range),
        "double_ssim": ssim(result, truth, data_range=data_range),
        "double_seconds": cost["seconds"],
    }


def emptied_of_wedge(volume: Array, tilt_range_deg: tuple[float, float]) -> Array:
    """The volume without what a tilt series of that range does not measure."""
    region = measured_region(volume.shape, tilt_range_deg, half=True)
    transform = torch.fft.rfftn(torch.from_numpy(volume)) * region
    left: Array = torch.fft.irfftn(transform, s=volume.shape).numpy()
    return left


@lru_cache(maxsize=4)
def complete(kind: CaseKind, seed: int) -> Array:
    """Noise-free reconstruction of the whole range of tilts, with the CTF of the case."""
    ground = make_case(kind, seed).ground
    tilts = TiltScheme(lowest_deg=-90, highest_deg=90 - TILT_STEP_DEG, step_deg=TILT_STEP_DEG)
    series = image(ground.density, ground.spacing_angstrom, ImagingSettings(tilts=tilts), seed=1000 + seed)
    return weighted_back_projection(series.noise_free, series.tilt_angles_deg, ground.density.shape[0])


def against_truth(result: Array, truth: Array, tilt_range_deg: tuple[float, float] = WEDGE) -> Record:
    """Correlations in shells of the missing and of the measured region, after a Hann window."""
    measured = measured_region(truth.shape, tilt_range_deg, half=True).numpy()
    window = hann_window(truth.shape).numpy()
    tapered = [(v - np.average(v, weights=window**2)).astype(np.float32) * window for v in (result, truth)]
    return {
        f"{name}_{high}": band_correlation(tapered[0], tapered[1], (low, high), region)
        for name, region in (("missing", ~measured), ("measured", measured))
        for low, high in pairwise(SHELLS)
    }


def dual_t3() -> Comparison:
    """The third table of the DUAL paper."""
    cases = {
        f"{name}, n/s {level}": CaseKind(f"{name}, noise/signal {level}", specimen, "ctf", level, WEDGE)
        for name, specimen in KINDS.items()
        for level in LEVELS
    }
    printed = published_of([f"{name}, n/s 1" for name in KINDS], published.DUAL_T3)
    small = tuple(name for name in cases if name.endswith("n/s 1") or name == "shrec21, n/s 4")
    return Comparison(
        "DUAL Table 3: missing-wedge filling, scored by a double wedge and against the truth",
        scales(cases, small),
        METHODS,
        shown=("double_psnr", "double_ssim"),
        published=printed,
        text=TEXT,
        measure=measure_wedge,
    )
