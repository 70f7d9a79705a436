"""The denoising methods: one folder each, and one mapping from the names users type."""

from typing import Any

from vitreous.methods.blindspot import BlindSpot, BlindSpotConfig
from vitreous.methods.classical import (
    Bilateral,
    BlockMatching,
    Deconvolution,
    Diffusion,
    Gaussian,
    Lowpass,
    Median,
    NonLocalMeans,
)
from vitreous.methods.dual import Dual, DualConfig
from vitreous.methods.method import (
    BlendedMethod,
    ClassicalMethod,
    LearnedConfig,
    LearnedMethod,
    PreparedFilter,
    PreparedVolume,
)
from vitreous.methods.n2v import Noise2Void, Noise2VoidConfig
from vitreous.methods.nmsg import Nmsg, NmsgConfig
from vitreous.methods.noise2noise import Noise2Noise, PairConfig
from vitreous.methods.noise_model import NoiseModel, NoiseModelConfig
from vitreous.methods.sc_net import ScNet, ScNetConfig
from vitreous.methods.supervised import (
    DnCnn,
    DnCnnConfig,
    FfdNet,
    FfdNetConfig,
    Supervised,
    VNet,
    VNetConfig,
)
from vitreous.methods.wedge import (
    FillingConfig,
    IsoNet,
    IsoNetConfig,
    TransposedConfig,
    TransposedDomains,
    WedgeConfig,
    WedgeFilling,
    WedgeMethod,
)

CLASSICAL: dict[str, type[ClassicalMethod]] = {
    "gaussian": Gaussian,
    "lowpass": Lowpass,
    "median": Median,
    "bilateral": Bilateral,
    "nad": Diffusion,
    "nlm": NonLocalMeans,
    "bm4d": BlockMatching,
    "deconv": Deconvolution,
}
LEARNED: dict[
    str,
    tuple[
        type[NoiseModel]
        | type[BlindSpot]
        | type[Noise2Noise]
        | type[Noise2Void]
        | type[ScNet]
        | type[Nmsg]
        | type[DnCnn]
        | type[FfdNet]
        | type[VNet]
        | type[Dual],
        type[LearnedConfig],
    ],
] = {
    "noise-model": (NoiseModel, NoiseModelConfig),
    "blindspot": (BlindSpot, BlindSpotConfig),
    "n2n": (Noise2Noise, PairConfig),
    "n2v": (Noise2Void, Noise2VoidConfig),
    "sc-net": (ScNet, ScNetConfig),
    "nmsg": (Nmsg, NmsgConfig),
    "dncnn": (DnCnn, DnCnnConfig),
    "ffdnet": (FfdNet, FfdNetConfig),
    "vnet": (VNet, VNetConfig),
    "dual": (Dual, DualConfig),
}
WEDGE: dict[str, tuple[type[WedgeMethod[Any]], type[WedgeConfig]]] = {
    "noise-model": (WedgeFilling, FillingConfig),
    "dual": (TransposedDomains, TransposedConfig),
    "isonet": (IsoNet, IsoNetConfig),
}

__all__ = [
    "CLASSICAL",
    "LEARNED",
    "WEDGE",
    "BlendedMethod",
    "BlindSpot",
    "ClassicalMethod",
    "Dual",
    "DualConfig",
    "FillingConfig",
    "LearnedConfig",
    "LearnedMethod",
    "Noise2Noise",
    "NoiseModel",
    "PreparedFilter",
    "PreparedVolume",
    "Supervised",
    "WedgeMethod",
]
