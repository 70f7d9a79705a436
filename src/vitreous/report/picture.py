"""One PNG of a run: the middle slices side by side."""

from __future__ import annotations

import io

import numpy as np

from vitreous.report.evidence import DenoiseEvidence, Stacks

GAP = 6  # pixels between panels


def triptych_png(evidence: DenoiseEvidence, *, axis: str = "z", scale: int = 3) -> bytes:
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
    from PIL import Image

    stacks: list[Stacks] = [evidence.before, evidence.after]
    if evidence.reference is not None:
        stacks.append(evidence.reference)
    panels = [np.kron(s[axis][len(s[axis]) // 2], np.ones((scale, scale), np.uint8)) for s in stacks]
    gap = np.full((panels[0].shape[0], GAP), 255, np.uint8)
    row = np.hstack([part for panel in panels for part in (panel, gap)][:-1])
    buffer = io.BytesIO()
    Image.fromarray(row).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
