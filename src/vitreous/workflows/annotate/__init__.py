"""From an unlabelled tomogram and a list of structures to labels, picks, averages and a judgement."""

from vitreous.workflows.annotate.chain import annotate, annotate_file, rerender_annotation, resume_annotation
from vitreous.workflows.annotate.request import AnnotateRequest, AnnotateSettings, absolute_structure

__all__ = [
    "AnnotateRequest",
    "AnnotateSettings",
    "absolute_structure",
    "annotate",
    "annotate_file",
    "rerender_annotation",
    "resume_annotation",
]
