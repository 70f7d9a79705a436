"""Denoise files: run directories, resuming, many tomograms, one shared model."""

from vitreous.workflows.denoise_files.many import denoise_files, plain_name, plan_files, wants_folder
from vitreous.workflows.denoise_files.one import denoise_file
from vitreous.workflows.denoise_files.request import DenoiseOutcome, DenoiseRequest
from vitreous.workflows.denoise_files.resuming import rerender, resume

__all__ = [
    "DenoiseOutcome",
    "DenoiseRequest",
    "denoise_file",
    "denoise_files",
    "plain_name",
    "plan_files",
    "rerender",
    "resume",
    "wants_folder",
]
