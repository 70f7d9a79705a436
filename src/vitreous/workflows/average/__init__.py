"""Align and average the picks of tomogram files."""

from vitreous.workflows.average.files import average, average_files, rerender_average, resume_averaging
from vitreous.workflows.average.request import AverageRequest, AverageSettings

__all__ = [
    "AverageRequest",
    "AverageSettings",
    "average",
    "average_files",
    "rerender_average",
    "resume_averaging",
]
