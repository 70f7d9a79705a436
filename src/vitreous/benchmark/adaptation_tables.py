"""Which tables of Vox-UDA there are, and their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitreous.benchmark import published
from vitreous.benchmark.adaptation import PRIOR, AdaptationTable, Contestant
from vitreous.benchmark.adaptation_cases import TRIPLES
from vitreous.methods.adaptation import AdaptationConfig

FIRST, SECOND = TRIPLES
RANGE = AdaptationConfig().range_sigma
JUDGED = {"denoiser": "ibf", "adversarial": 0.03}  # the published 1 leaves nothing else a say in so few steps
AS_PUBLISHED = {"zoom": (1.0, 1.0), **JUDGED}
BASELINES = {
    name: Contestant(name, AS_PUBLISHED)
    for name in ("source-only", "supervised", "dann", "pdam", "asc", "le-uda")
}
MEAN_MASK = {"mean mask": Contestant(PRIOR)}
DENOISERS = {
    f"vox-uda, {name}": Contestant("vox-uda", {**AS_PUBLISHED, "denoiser": name})
    for name in ("ngm", "bf", "ibf", "noise-model")
}
OURS = {
    "source-only, zoomed": Contestant("source-only"),
    "vox-uda, zoomed": Contestant("vox-uda", JUDGED),
    "ours": Contestant("vox-uda"),
}


def published_noise(**changes: Any) -> Contestant:
    """Vox-UDA with all of the target's noise added to the source, as published.

    By default only what the source lacks is added, which may be nothing: no setting of it would matter then.
    """
    return Contestant("vox-uda", {**AS_PUBLISHED, "noise_amount": "target", **changes})


PARTS = {
    **MEAN_MASK,
    "dann": BASELINES["dann"],
    "without NGM": published_noise(noise="none"),
    "without pseudo-labels": published_noise(pseudo_labels=0.0),
    "without discriminator": published_noise(adversarial=0.0),
    "vox-uda": published_noise(),
    **{name: OURS[name] for name in ("vox-uda, zoomed", "ours")},
}
# The paper's values on either side of its choice. σ_r is in proportion to ours, which follows the noise.
SETTINGS = {
    "vox-uda": published_noise(),
    "N 5": published_noise(noise_samples=5),
    "N 20": published_noise(noise_samples=20),
    "ρ 8.4 %": published_noise(passed_share=0.084),
    "ρ 42.2 %": published_noise(passed_share=0.422),
    "λ 0.1 0.1 0.4 0.4": published_noise(consistency=(0.1, 0.1, 0.4, 0.4)),
    "λ 0.4 0.4 0.1 0.1": published_noise(consistency=(0.4, 0.4, 0.1, 0.1)),
    "σ_d 100": published_noise(spatial_sigma=100.0),
    "σ_d 160": published_noise(spatial_sigma=160.0),
    "σ_r 0.8": published_noise(range_sigma=RANGE * 0.8 / 1.2),
    "σ_r 1.4": published_noise(range_sigma=RANGE * 1.4 / 1.2),
}
NOISES = {
    "vox-uda": published_noise(),
    **{f"{kind} noise": published_noise(noise=kind) for kind in ("none", "poisson", "speckle", "spectrum")},
}


def methods_table(number: str, triple: str) -> AdaptationTable:
    """All methods on one source triple."""
    return AdaptationTable(
        f"Vox-UDA Table {number}: all methods, source {triple}",
        (triple,),
        {**MEAN_MASK, **BASELINES, **DENOISERS, **OURS},
        "ours",
        published.VOX_UDA[triple],
    )


ADAPTATION_TABLES: Mapping[str, AdaptationTable] = {
    "vox-uda-t1": methods_table("I", FIRST),
    "vox-uda-t2": methods_table("II", SECOND),
    "vox-uda-t3": AdaptationTable(
        "Vox-UDA Table III: which parts earn their place", (FIRST,), PARTS, "vox-uda", published.VOX_UDA_PARTS
    ),
    "vox-uda-t4": AdaptationTable(
        "Vox-UDA Table IV: settings, with the spread over seeds",
        (FIRST,),
        SETTINGS,
        "vox-uda",
        published.VOX_UDA_SETTINGS,
    ),
    "vox-uda-noise": AdaptationTable(
        "Vox-UDA Figure 7: kinds of noise added to the source", (FIRST,), NOISES, "vox-uda"
    ),
}
