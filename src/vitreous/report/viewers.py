"""Slice stacks → what the page's slice viewers need: encoded images, places in words, scale bars."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreous.report.evidence import DenoiseEvidence, Stacks

IMAGE_BUDGET_BYTES = 4_200_000  # in base64 a third more; the rest of the page is small
PNG_LIMIT_BYTES = 2_000_000
JPEG_QUALITIES = (90, 85, 75, 65, 50, 35)
# axis → (name of the plane, horizontal axis, vertical axis)
PLANES = {"z": ("XY", "x", "y"), "y": ("XZ", "x", "z"), "x": ("YZ", "y", "z")}
LAYERS = {
    "before": "Before",
    "after": "After",
    "reference": "Reference",
    "removed": "Removed",
    "uncertainty": "Uncertainty",
}


@dataclass(frozen=True)
class Layer:
    """One volume in a viewer: its images as data URIs, one for each slice position."""

    name: str
    title: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class Viewer:
    """One of the three orthogonal viewers."""

    axis: str
    plane: str
    horizontal: str
    vertical: str
    positions: tuple[int, ...]
    places: tuple[str, ...]
    start: int
    layers: tuple[Layer, ...]
    aspect: float
    pixelated: bool
    bar_percent: float
    bar_label: str
    reduction: str


def build_viewers(evidence: DenoiseEvidence) -> tuple[Viewer, ...]:
    """Viewers for the axes that have slices, images encoded within the page's budget."""
    named = {name: getattr(evidence, name) for name in LAYERS}
    stacks: dict[str, Stacks] = {name: stack for name, stack in named.items() if stack is not None}
    encoded = encode_stacks({(n, a): s[a] for n, s in stacks.items() for a in evidence.slice_positions})
    return tuple(
        _viewer(evidence, axis, tuple(Layer(name, LAYERS[name], encoded[name, axis]) for name in stacks))
        for axis in PLANES
        if axis in evidence.slice_positions
    )


def encode_stacks(
    stacks: dict[tuple[str, str], NDArray[np.uint8]], budget_bytes: int = IMAGE_BUDGET_BYTES
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Data URIs of all slices: PNG when they are small, else JPEG of the best quality within the budget."""
    small = sum(stack.nbytes for stack in stacks.values()) <= PNG_LIMIT_BYTES
    images: dict[tuple[str, str], tuple[str, ...]] = {}
    for quality in (None, *JPEG_QUALITIES) if small else JPEG_QUALITIES:
        images = {key: tuple(_data_uri(plane, quality) for plane in stack) for key, stack in stacks.items()}
        if sum(len(uri) for uris in images.values() for uri in uris) <= budget_bytes * 4 / 3:
            break
    return images


def _data_uri(plane: NDArray[np.uint8], jpeg_quality: int | None) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(plane))
    if jpeg_quality is None:
        image.save(buffer, format="PNG", optimize=True)
        kind = "png"
    else:
        image.save(buffer, format="JPEG", quality=jpeg_quality)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _viewer(evidence: DenoiseEvidence, axis: str, layers: tuple[Layer, ...]) -> Viewer:
    plane, horizontal, vertical = PLANES[axis]
    voxels = dict(zip("zyx", evidence.shape_zyx, strict=True))
    spacing = dict(zip("zyx", evidence.voxel_spacing_angstrom or (1.0,) * 3, strict=True))
    height, width = evidence.before[axis].shape[1:]
    known = evidence.voxel_spacing_angstrom is not None
    extent = voxels[horizontal] * spacing[horizontal]
    length, label = scale_bar(extent / 10 if known else extent, "nm" if known else "voxels")
    positions = tuple(evidence.slice_positions[axis])
    factors = voxels[vertical] // height, voxels[horizontal] // width
    return Viewer(
        axis=axis,
        plane=plane,
        horizontal=horizontal,
        vertical=vertical,
        positions=positions,
        places=tuple(_place(axis, p, voxels[axis], spacing[axis] if known else None) for p in positions),
        start=len(positions) // 2,
        layers=layers,
        aspect=extent / (voxels[vertical] * spacing[vertical]),
        pixelated=max(height, width) <= 128,
        bar_percent=100 * length / (extent / 10 if known else extent),
        bar_label=label,
        reduction="" if max(factors) == 1 else f"{factors[1]} × {factors[0]}",
    )


def _place(axis: str, position: int, count: int, spacing_angstrom: float | None) -> str:
    text = f"{axis} = {position} of 0–{count - 1}"
    return text if spacing_angstrom is None else f"{text} ({position * spacing_angstrom / 10:.1f} nm)"


def scale_bar(extent: float, unit: str) -> tuple[float, str]:
    """A round length of about a fifth of `extent`, and its label.

    Examples
    --------
    >>> scale_bar(96.0, "nm")
    (20.0, '20 nm')
    """
    target = extent / 4
    power = 10.0 ** math.floor(math.log10(target))
    length = max(step * power for step in (1, 2, 5) if step * power <= target * (1 + 1e-9))
    return length, f"{length:g} {unit}"
