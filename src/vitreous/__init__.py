"""vitreous: read cryo-electron tomograms that have no labels.

The command line and this module offer the same things; heavy imports happen on first use.

>>> import vitreous
>>> vitreous.__version__
'0.1.0'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vitreous.core import Volume
    from vitreous.io import open_volume, write_volume
    from vitreous.workflows.annotate import annotate
    from vitreous.workflows.average import average
    from vitreous.workflows.denoise import denoise
    from vitreous.workflows.inspect import inspect_tomogram
    from vitreous.workflows.judge import judge
    from vitreous.workflows.pick import pick
    from vitreous.workflows.segment import segment
    from vitreous.workflows.simulate import simulate_tomogram, spec_like
    from vitreous.workflows.wedge import fill_wedge

_HOMES = {
    "Volume": "vitreous.core",
    "annotate": "vitreous.workflows.annotate",
    "average": "vitreous.workflows.average",
    "denoise": "vitreous.workflows.denoise",
    "fill_wedge": "vitreous.workflows.wedge",
    "inspect_tomogram": "vitreous.workflows.inspect",
    "judge": "vitreous.workflows.judge",
    "open_volume": "vitreous.io",
    "pick": "vitreous.workflows.pick",
    "segment": "vitreous.workflows.segment",
    "simulate_tomogram": "vitreous.workflows.simulate",
    "spec_like": "vitreous.workflows.simulate",
    "write_volume": "vitreous.io",
}

__all__ = [
    "Volume",
    "annotate",
    "average",
    "denoise",
    "fill_wedge",
    "inspect_tomogram",
    "judge",
    "open_volume",
    "pick",
    "segment",
    "simulate_tomogram",
    "spec_like",
    "write_volume",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'vitreous' has no attribute {name!r}")
