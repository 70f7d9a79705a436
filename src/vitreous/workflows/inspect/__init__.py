"""Say what a tomogram is, damaged or not."""

from vitreous.workflows.inspect.files import inspect_file, inspect_files
from vitreous.workflows.inspect.tomogram import inspect_tomogram
from vitreous.workflows.inspect.values import Inspection, TiltRange

__all__ = ["Inspection", "TiltRange", "inspect_file", "inspect_files", "inspect_tomogram"]
