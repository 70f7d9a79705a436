"""Pictures side by side with their names, as one inline SVG that holds its images."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.report.viewers import encode_stacks

Image = NDArray[np.uint8]
WIDTH, GAP, CAPTION = 280, 14, 22  # of a panel, in the SVG's units
LARGEST_SIDE = 512
ENLARGED_SIDE = 256
LINE = 1.6  # pixels
OUTLINE = (225, 60, 50)
SOFT_LEVEL = 0.4
# Colours of labels, apart from each other in hue and lightness; more labels go round again.
PALETTE = np.array(
    [
        *((230, 85, 60), (60, 135, 220), (95, 185, 90), (240, 180, 50), (155, 100, 205), (60, 190, 190)),
        *((225, 110, 175), (150, 110, 70), (175, 205, 80), (110, 125, 230), (245, 140, 60), (45, 145, 110)),
        *((200, 60, 110), (130, 175, 230), (190, 160, 110), (140, 140, 140), (205, 130, 240), (110, 90, 40)),
    ],
    np.uint8,
)


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture: grey (height, width) or colours (height, width, 3), uint8, with its name."""

    title: str
    image: Image


def grey(plane: NDArray[Any]) -> Image:
    """A slice in grey, from its 0.5th to its 99.5th percentile; long sides are reduced by block means.

    Examples
    --------
    >>> grey(np.array([[0.0, 1.0]])).tolist()
    [[0, 255]]
    """
    block = -(-max(plane.shape) // LARGEST_SIDE)
    height, width = (side // block for side in plane.shape)
    trimmed = np.asarray(plane[: height * block, : width * block], np.float64)
    means = trimmed.reshape(height, block, width, block).mean(axis=(1, 3))
    low, high = np.percentile(means, [0.5, 99.5])
    if high <= low:
        low, high = float(means.min()), float(means.max())
    shade = (means - low) * (255 / (high - low)) if high > low else np.full(means.shape, 128.0)
    return np.clip(np.rint(shade), 0, 255).astype(np.uint8)


def coloured(labels: NDArray[Any]) -> Image:
    """A slice of labels in colours; 0 is black."""
    step = -(-max(labels.shape) // LARGEST_SIDE)
    shown = np.asarray(labels[::step, ::step], np.int64)
    colours = PALETTE[(shown - 1) % len(PALETTE)]
    return np.where(shown[..., None] > 0, colours, np.uint8(0)).astype(np.uint8)


def outlined(plane: NDArray[Any], mask: NDArray[np.bool_], colour: tuple[int, int, int] = OUTLINE) -> Image:
    """A slice in grey with the border of a mask in colour; small ones are enlarged, so that lines stay thin.

    Parameters
    ----------
    plane, mask
        (height, width).
    colour
        Red, green and blue.

    Examples
    --------
    >>> picture = outlined(np.zeros((8, 8)), np.pad(np.ones((4, 4), bool), 2))
    >>> picture.shape[2], bool((picture == OUTLINE).all(axis=2).any())
    (3, True)
    """
    import scipy.ndimage as ndi

    scale = max(1, ENLARGED_SIDE // max(plane.shape))
    picture = np.kron(grey(plane), np.ones((scale, scale), np.uint8))
    whole = np.kron(mask, np.ones((scale, scale), bool))[: picture.shape[0], : picture.shape[1]]
    border = whole & ~ndi.binary_erosion(whole, iterations=2 if scale > 1 else 1)
    marked = np.repeat(picture[..., None], 3, axis=2)
    marked[border] = colour
    return marked


def surface(mask: NDArray[np.bool_], *, axis: int = 0, scale: int = 6) -> Image:
    """A solid seen along an axis, lit from the upper left: grey (height, width), black where nothing is.

    Parameters
    ----------
    mask
        (z, y, x).
    axis
        The line of sight.
    scale
        Pixels for a voxel.

    Examples
    --------
    >>> picture = surface(np.pad(np.ones((4, 4, 4), bool), 2))
    >>> picture.shape, int(picture[0, 0]), bool(picture[24, 24] > 0)
    ((48, 48), 0, True)
    """
    import scipy.ndimage as ndi

    soft = ndi.gaussian_filter(np.moveaxis(mask, axis, 0).astype(np.float32), 0.8)
    fine = ndi.zoom(soft, (1, scale, scale), order=1, grid_mode=True, mode="nearest")
    inside = fine > SOFT_LEVEL
    there = inside.any(axis=0)
    first = inside.argmax(axis=0)
    before = np.maximum(first - 1, 0)
    rows, columns = np.indices(first.shape)
    low, high = fine[before, rows, columns], fine[first, rows, columns]
    depth = first - np.where(high > low, (high - SOFT_LEVEL) / np.maximum(high - low, 1e-6), 0)
    depth = ndi.gaussian_filter(np.where(there, depth, depth[there].max() if there.any() else 0), scale / 3)
    slope_y, slope_x = np.gradient(depth * scale)
    light = (1 + slope_y + slope_x) / (np.sqrt(3.0) * np.sqrt(1 + slope_y**2 + slope_x**2))
    return np.where(there, 60 + 195 * np.clip(light, 0, 1), 0).astype(np.uint8)


def ringed(
    picture: Image,
    centres: NDArray[np.float64],
    radii: NDArray[np.float64],
    colours: Sequence[int] | NDArray[Any],
) -> Image:
    """A grey picture in colours with circles on it; small ones are enlarged, so that lines stay thin.

    Parameters
    ----------
    picture
        (height, width).
    centres, radii
        (n, 2), vertical first, and (n,), in pixels of `picture`.
    colours
        Red, green and blue of all, or (n, 3) of each.

    Examples
    --------
    >>> marked = ringed(np.zeros((9, 9), np.uint8), np.array([[4.0, 4.0]]), np.array([3.0]), (255, 0, 0))
    >>> marked.shape[2], int(marked[..., 0].max()), int(marked[marked.shape[0] // 2, 0, 0])
    (3, 255, 0)
    """
    scale = max(1, LARGEST_SIDE // max(picture.shape))
    marked = np.repeat(np.kron(picture, np.ones((scale, scale), np.uint8))[..., None], 3, axis=2)
    each = np.broadcast_to(np.asarray(colours, np.uint8), (len(radii), 3))
    for centre, radius, colour in zip((centres + 0.5) * scale - 0.5, radii * scale, each, strict=True):
        first = np.maximum(0, np.floor(centre - radius - LINE).astype(int))
        window = tuple(
            slice(a, max(a, int(b))) for a, b in zip(first, centre + radius + LINE + 1, strict=True)
        )
        part = marked[window]
        y, x = np.ogrid[: part.shape[0], : part.shape[1]]
        distance = np.hypot(y + first[0] - centre[0], x + first[1] - centre[1])
        part[np.abs(distance - radius) <= LINE / 2] = colour
    return marked


def panels_svg(panels: Sequence[Panel], label: str, *, columns: int = 4) -> str:
    """Panels row by row, all equally wide, as an SVG element.

    Parameters
    ----------
    panels
        From left to right.
    label
        For screen readers.
    columns
        Panels in a row.
    """
    encoded = encode_stacks({(str(i), ""): panel.image[None] for i, panel in enumerate(panels)})
    parts, top = [], 0
    for start in range(0, len(panels), columns):
        row = panels[start : start + columns]
        heights = [round(WIDTH * p.image.shape[0] / p.image.shape[1]) for p in row]
        for column, (panel, height) in enumerate(zip(row, heights, strict=True)):
            left, title = column * (WIDTH + GAP), html.escape(panel.title)
            uri = encoded[str(start + column), ""][0]
            style = ' style="image-rendering: pixelated"' if panel.image.shape[1] <= WIDTH else ""
            parts += [
                f'<text x="{left}" y="{top + 15}" font-size="13" fill="currentColor">{title}</text>',
                f'<image x="{left}" y="{top + CAPTION}" width="{WIDTH}" height="{height}" href="{uri}" '
                f'preserveAspectRatio="none"{style}/>',
            ]
        top += CAPTION + max(heights) + GAP
    width = min(columns, len(panels)) * (WIDTH + GAP) - GAP
    return _svg(width, top, label, parts)


def legend_svg(names: Sequence[str], label: str) -> str:
    """What the colours of labels 1, 2 … mean, as an SVG element."""
    columns, line = 4, 22
    parts = []
    for index, name in enumerate(names):
        left, top = index % columns * (WIDTH + GAP), index // columns * line
        colour = "#{:02x}{:02x}{:02x}".format(*PALETTE[index % len(PALETTE)].tolist())
        parts += [
            f'<rect x="{left}" y="{top + 3}" width="14" height="14" rx="2" fill="{colour}"/>',
            f'<text x="{left + 22}" y="{top + 15}" font-size="13" fill="currentColor">'
            f"{index + 1} {html.escape(name)}</text>",
        ]
    return _svg(columns * (WIDTH + GAP) - GAP, -(-len(names) // columns) * line, label, parts)


def _svg(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    head = f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 {width} {height}" '
    return f'{head}style="max-width: {width}px; width: 100%">{"".join(parts)}</svg>'
