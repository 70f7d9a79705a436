"""Missing-wedge filling: a wedge, rotated patches, and the methods that learn from them."""

from vitreous.methods.wedge.config import FillingConfig, WedgeConfig
from vitreous.methods.wedge.filling import WedgeFilling
from vitreous.methods.wedge.geometry import MissingWedge, check_tilt_range, merged, missing_wedge, region_of
from vitreous.methods.wedge.isonet import IsoNet, IsoNetConfig
from vitreous.methods.wedge.method import WedgeMethod
from vitreous.methods.wedge.transposed import TransposedConfig, TransposedDomains

__all__ = [
    "FillingConfig",
    "IsoNet",
    "IsoNetConfig",
    "MissingWedge",
    "TransposedConfig",
    "TransposedDomains",
    "WedgeConfig",
    "WedgeFilling",
    "WedgeMethod",
    "check_tilt_range",
    "merged",
    "missing_wedge",
    "region_of",
]
