"""Pick particles in a tomogram file."""

from vitreous.workflows.pick.files import pick, pick_file, rerender_picks, resume_picking
from vitreous.workflows.pick.request import PICKERS, PickRequest, PickSettings

__all__ = ["PICKERS", "PickRequest", "PickSettings", "pick", "pick_file", "rerender_picks", "resume_picking"]
