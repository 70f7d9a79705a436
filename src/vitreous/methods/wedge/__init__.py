"""Missing-wedge filling: a wedge, rotated patches, and the methods that learn from them."""

from vitreous.methods.wedge.filling import WedgeConfig, WedgeFilling
from vitreous.methods.wedge.geometry import MissingWedge, check_tilt_range, merged, missing_wedge
from vitreous.methods.wedge.isonet import IsoNet, IsoNetConfig
from vitreous.methods.wedge.method import WedgeMethod

__all__ = [
    "IsoNet",
    "IsoNetConfig",
    "MissingWedge",
    "WedgeConfig",
    "WedgeFilling",
    "WedgeMethod",
    "check_tilt_range",
    "merged",
    "missing_wedge",
]
