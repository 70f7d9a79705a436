"""One PNG of a run: the middle slices side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from vitreous.report.evidence import DenoiseEvidence, Stacks
from vitreous.report.panels import Image

GAP = 6  # pixels between panels
SCALE = 3  # pixels per voxel


def triptych_png(evidence: DenoiseEvidence, *, axis: str = "z", scale: int = SCALE) -> bytes:
    """Middle slices before, after and (if there is one) of the reference, left to right, as PNG bytes.

    Parameters
    ----------
    evidence
        Of a finished run.
    axis
        The axis the slices are perpendicular to: "z", "y" or "x".
    scale
        Pixels per voxel.
    """
    stacks: list[Stacks] = [evidence.before, evidence.after]
    if evidence.reference is not None:
        stacks.append(evidence.reference)
    return row_png([s[axis][len(s[axis]) // 2] for s in stacks], scale=scale)


def row_png(images: Sequence[Image], *, scale: int = SCALE) -> bytes:
    """Pictures of one height, grey or in colours, side by side as PNG bytes, every pixel `scale` wide."""
    from PIL import Image as Picture

    shown = [np.atleast_3d(image) for image in images]
    coloured = any(image.shape[2] == 3 for image in shown)
    panels = [
        np.broadcast_to(image, (*image.shape[:2], 3)) if coloured else image[:, :, :1] for image in shown
    ]
    panels = [panel.repeat(scale, axis=0).repeat(scale, axis=1) for panel in panels]
    gap = np.full((panels[0].shape[0], GAP, panels[0].shape[2]), 255, np.uint8)
    row = np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)
    buffer = io.BytesIO()
    Picture.fromarray(row if coloured else row[:, :, 0]).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
