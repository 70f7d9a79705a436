"""Fill the missing wedge of tomograms, in memory and as files."""

from vitreous.workflows.denoise_files import rerender
from vitreous.workflows.wedge.files import WedgeRequest, fill_file, resume_filling
from vitreous.workflows.wedge.filling import chosen_filling, fill_wedge, plan_filling
from vitreous.workflows.wedge.values import Filled, WedgePlan, WedgeSettings

__all__ = [
    "Filled",
    "WedgePlan",
    "WedgeRequest",
    "WedgeSettings",
    "chosen_filling",
    "fill_file",
    "fill_wedge",
    "plan_filling",
    "rerender",
    "resume_filling",
]
