"""The tables of the volume-shuffle paper and two of the DUAL paper, on simulated stand-ins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vitreous.benchmark import published
from vitreous.benchmark.ablations import COMPONENTS, LOSSES, measure_component, measure_losses
from vitreous.benchmark.cases import CaseKind, TiltRange
from vitreous.benchmark.comparison import Comparison, Scale, published_of
from vitreous.benchmark.contestants import CEILINGS, PAPER_BLINDSPOT, RANDOM_BEGINNING, TUNED
from vitreous.benchmark.picking import GOLD_OUT, measure_picks
from vitreous.benchmark.scores import TUNED_FILTERS
from vitreous.benchmark.specimens import Purified, Specimen
from vitreous.benchmark.standardized import measure_halves, measure_standardized
from vitreous.benchmark.standing import Rivals

SPECIMENS = {
    "shrec20": Specimen(0.1, sheets=0),
    "shrec21": Specimen(0.1, sheets=0, vesicles=2),
    "polnet": Specimen(0.15, sheets=1, vesicles=1, actin=3, microtubules=1),
}
SIGMAS = (0.1, 0.15, 0.2)
TILT_RANGES: Mapping[str, TiltRange] = {
    "±70°": (-70, 70),
    "±60°": (-60, 60),
    "±40°": (-40, 40),
    "±30°": (-30, 30),
}
LARGE = (200, 512, 512)
PURIFIED = (96, 256, 256)
DOSE_E_PER_ANGSTROM2, GOLD_BEADS = 2.4, 20
PICKED_FROM = ("gaussian", "nad", "nlm", "topaz-small", "topaz-large")
HIDING_LEVEL = 80  # there noise alone brings the undenoised F1 to about that of the paper

SINGLE_VOLUME_LEARNED = ("n2v", "sc-net", "nmsg", "blindspot", "noise-model")
CLASSICAL = (*TUNED_FILTERS, "bm4d")
CLASSICAL_TUNED = (*(f"{name}{TUNED}" for name in TUNED_FILTERS), "bm4d")  # which has nothing to be tuned
SUPERVISED = ("dncnn", "ffdnet", "vnet", "supervised")
ALL = (
    "noisy",
    *TUNED_FILTERS,
    *CLASSICAL_TUNED,
    *SINGLE_VOLUME_LEARNED,
    RANDOM_BEGINNING,
    PAPER_BLINDSPOT,
    "auto",
    *SUPERVISED,
)
SHORT = (
    "noisy",
    "gaussian, tuned",
    "nad, tuned",
    "bm4d",
    "blindspot",
    "noise-model",
    "auto",
    "supervised",
)
BEGINNING = (
    "The noise model begins with weights that ship with the package, trained on simulated tomograms of other "
    "seeds but of the same structures as these; the other methods of one volume begin at random, and so does "
    f"`{RANDOM_BEGINNING}`."
)
RIVALS = Rivals((*CLASSICAL, *CLASSICAL_TUNED), SINGLE_VOLUME_LEARNED, tuple(CEILINGS))

Cases = Mapping[str, CaseKind]


def scales(cases: Cases, small: tuple[str, ...]) -> Mapping[Scale, Cases]:
    """The named cases at the small scale, all at the full one, all in a large volume at the paper's.

    There DUAL has the paper's configuration.
    """
    return {
        "small": {name: cases[name] for name in small},
        "full": cases,
        "paper": {
            f"{name}, large": replace(kind, shape=LARGE, as_published=True) for name, kind in cases.items()
        },
    }


def white(specimen: str, sigma: float) -> CaseKind:
    """White noise on one of the three kinds of specimen."""
    return CaseKind(f"{specimen}, white noise", SPECIMENS[specimen], "white", sigma)


def t2() -> Comparison:
    """White noise of three levels on three kinds of specimen, all methods."""
    cases = {f"{name}, σ {sigma}": white(name, sigma) for name in SPECIMENS for sigma in SIGMAS}
    printed = {
        case: cells
        for name, rows in published.T2.items()
        for case, cells in published_of([f"{name}, σ {s}" for s in SIGMAS], rows).items()
    }
    return Comparison(
        "volume-shuffle Table 2: white noise, all methods",
        scales(cases, ("shrec21, σ 0.2",)),
        ALL,
        published=printed,
        text=BEGINNING,
        rivals=RIVALS,
    )


def t3() -> Comparison:
    """Tilt ranges: white noise on the wedge-limited volume as the paper has it, and noise in the wedge."""
    cases = {}
    for name, limits in TILT_RANGES.items():
        cases[f"{name}, white"] = CaseKind(f"{name}, white noise", SPECIMENS["shrec21"], "white", 0.2, limits)
        cases[f"{name}, in the wedge"] = CaseKind(
            f"{name}, noise within the wedge", SPECIMENS["shrec21"], "wedge", 0.2, limits
        )
    return Comparison(
        "volume-shuffle Table 3: tilt ranges, white noise and noise within the wedge",
        scales(cases, ("±60°, white", "±60°, in the wedge", "±30°, white", "±30°, in the wedge")),
        SHORT,
        shown=("psnr", "psnr_complete", "ssim"),
        published=published_of([f"{name}, white" for name in TILT_RANGES], published.T3),
        text="PSNR against the wedge-limited truth, then against the specimen itself, which the paper seems "
        f"to use, since its noisy volumes lose PSNR as the wedge grows. {BEGINNING}",
        rivals=RIVALS,
    )


def t4() -> Comparison:
    """FSC between frame halves that were denoised separately."""
    kind = CaseKind("tilt series with CTF", Specimen(0.2), "ctf", 4, (-60, 60))
    return Comparison(
        "volume-shuffle Table 4: FSC between separately denoised frame halves",
        scales({"ctf, noise/signal 4": kind}, ("ctf, noise/signal 4",)),
        ("noisy", "gaussian, tuned", "bm4d", *SINGLE_VOLUME_LEARNED),
        shown=("halves_angstrom", "resolution_angstrom"),
        published=published_of(["ctf, noise/signal 4"], published.T4),
        text="Resolution in Å where the FSC of two separately denoised halves falls to 0.5, then where the "
        "FSC with the truth does. A method that invents the same structure twice raises the first alone. "
        + BEGINNING,
        measure=measure_halves,
    )


def t5() -> Comparison:
    """Losses of the blind spot, with the default backbone."""
    cases = {f"{name}, σ 0.2": white(name, 0.2) for name in ("shrec21", "polnet")}
    return Comparison(
        "volume-shuffle Table 5: losses of the blind spot, on the default network",
        scales(cases, ("shrec21, σ 0.2",)),
        tuple(LOSSES),
        published=published_of(list(cases), published.T5),
        measure=measure_losses,
    )


def t6() -> Comparison:
    """Gaussian, Poisson and mixed noise."""
    cases: dict[str, CaseKind] = {}
    printed: dict[str, dict[str, str]] = {}
    for noise, level in (("gaussian", 0.2), ("poisson", 0.02**0.5), ("mixture", 0.2)):
        for name, specimen in SPECIMENS.items():
            kind = "white" if noise == "gaussian" else noise
            cases[f"{name}, {noise}"] = CaseKind(f"{noise} noise", specimen, kind, level)  # type: ignore[arg-type]
        printed |= published_of([f"{name}, {noise}" for name in SPECIMENS], published.T6[noise])
    return Comparison(
        "volume-shuffle Table 6: kinds of noise",
        scales(cases, ("shrec21, gaussian", "shrec21, poisson", "shrec21, mixture")),
        SHORT,
        published=printed,
        text=BEGINNING,
    )


def t7() -> Comparison:
    """Parts of the paper's network, each with its measured self-gradient."""
    cases = {f"{name}, σ 0.1": white(name, 0.1) for name in ("shrec20", "shrec21")}
    return Comparison(
        "volume-shuffle Table 7: parts of the network",
        scales(cases, ("shrec21, σ 0.1",)),
        tuple(COMPONENTS),
        shown=("psnr", "ssim", "self_gradient"),
        published=published_of(list(cases), published.T7),
        text="Self-gradient: largest |d out(v) / d in(v)| over the largest gradient with respect to a voxel."
        " Where it is not zero the network can copy the noise.",
        measure=measure_component,
    )


def reconstructed() -> Comparison:
    """Reconstructed noise: CTF, dose, counting noise, weighted back-projection."""
    cases = {}
    for occupancy, word in ((0.1, "sparse"), (0.35, "crowded")):
        for name, limits in TILT_RANGES.items():
            for level in (2, 4, 10):
                cases[f"{word}, {name}, n/s {level}"] = CaseKind(
                    f"{word}, {name}, noise/signal {level}", Specimen(occupancy), "ctf", level, limits
                )
    small = ("sparse, ±60°, n/s 4", "crowded, ±60°, n/s 4", "crowded, ±40°, n/s 2", "crowded, ±60°, n/s 10")
    return Comparison(
        "reconstructed noise: what the papers leave out",
        scales(cases, small),
        (
            "noisy",
            *TUNED_FILTERS,
            *CLASSICAL_TUNED,
            *SINGLE_VOLUME_LEARNED,
            RANDOM_BEGINNING,
            "auto",
            "supervised",
            "n2n",
        ),
        text=f"Blindness to the voxel itself does not help here: neighbours share their noise. {BEGINNING}",
        rivals=RIVALS,
    )


def dual_t1() -> Comparison:
    """The first table of the DUAL paper."""
    kind = CaseKind("SHREC 2021-like, reconstructed", SPECIMENS["shrec21"], "ctf", 4, (-60, 60))
    return Comparison(
        "DUAL Table 1: denoising, standardized volumes against the grand model",
        scales({"shrec21-like": kind}, ("shrec21-like",)),
        ("noisy", *CLASSICAL_TUNED, "topaz-small", "topaz-large", "dual", "noise-model"),
        published=published_of(["shrec21-like"], published.DUAL_T1),
        text="Truth is the specimen's density, neither its CTF nor its wedge, and every volume is "
        "standardized before PSNR and SSIM, as in the paper; filters are tuned on that truth before it is "
        "standardized. `topaz-…`: our Noise2Noise U-Net of two widths, trained on other tomograms.",
        measure=measure_standardized,
    )


def dual_t2() -> Comparison:
    """The second table of the DUAL paper."""
    amidst_gold = CaseKind(
        "purified ribosomes and gold",
        Purified("ribosome", 40, gold=GOLD_BEADS),
        "dose",
        DOSE_E_PER_ANGSTROM2,
        (-60, 60),
        PURIFIED,
    )
    hidden = CaseKind(
        "purified ribosomes", Purified("ribosome", 40), "ctf", HIDING_LEVEL, (-60, 60), PURIFIED
    )
    many = Purified("ribosome", 407, gold=10 * GOLD_BEADS)
    large = replace(amidst_gold, specimen=many, shape=LARGE, as_published=True)
    name = "ribosomes"
    return Comparison(
        "DUAL Table 2: picking ribosomes after denoising (seven tomograms: --seeds 7)",
        {
            "small": {name: amidst_gold},
            "full": {name: amidst_gold, f"{name}, n/s {HIDING_LEVEL}": hidden},
            "paper": {f"{name}, large": large},
        },
        ("noisy", GOLD_OUT, *PICKED_FROM, "dual", "noise-model"),
        shown=("precision", "recall", "f1"),
        published=published_of([name], published.DUAL_T2),
        text="Difference of Gaussians as the paper runs it, σ 8 and 8.8 nm, merged within 24 nm, without a "
        "threshold: the best 49 picks for 40 ribosomes, in the paper's proportion of 500 to about 407. A "
        f"pick within 8 nm of a ribosome is right. In `{name}` there are {GOLD_BEADS} gold beads beside "
        f"them, and the noise is that of {DOSE_E_PER_ANGSTROM2} electrons/Å² a tilt; in the paper's "
        "tomograms it was people who decided what is true. DUAL puts ice where it sees gold, as its clean "
        f"domain, the built-in mixture, has none; `{GOLD_OUT}` is that alone. `topaz-…` learn from "
        "tomograms of other boxes like it.",
        measure=measure_picks,
    )


DENOISER_TABLES: Mapping[str, Comparison] = {
    "volume-shuffle-t2": t2(),
    "volume-shuffle-t3": t3(),
    "volume-shuffle-t4": t4(),
    "volume-shuffle-t5": t5(),
    "volume-shuffle-t6": t6(),
    "volume-shuffle-t7": t7(),
    "reconstructed": reconstructed(),
    "dual-t1": dual_t1(),
    "dual-t2": dual_t2(),
}
