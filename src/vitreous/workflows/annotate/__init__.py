"""From an unlabelled tomogram and a list of structures to labels, picks, averages and a judgement."""

from vitreous.workflows.annotate.chain import annotate, annotate_file, rerender_annotation, resume_annotation
from vitreous.workflows.annotate.request import AnnotateRequest, AnnotateSettings

__all__ = [
    "AnnotateRequest",
    "AnnotateSettings",
    "annotate",
    "annotate_file",
    "rerender_annotation",
    "resume_annotation",
]
