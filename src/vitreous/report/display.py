"""From volumes to what fits on a page: grey slices along three axes, and the power in the kx–kz plane."""

from __future__ import annotations

from typing import Any, Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

AXES = ("z", "y", "x")
SLAB_VOXELS = 8_000_000


class ArrayLike3D(Protocol):
    """A (z, y, x) array that is read by slicing: NumPy array, memory map or Zarr array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along (z, y, x)."""

    def __getitem__(self, index: Any, /) -> Any:
        """The voxels at `index`."""


class DisplaySlices(TypedDict):
    """The slice fields of `DenoiseEvidence`, to be passed on as `DenoiseEvidence(..., **slices)`."""

    before: dict[str, NDArray[np.uint8]]
    after: dict[str, NDArray[np.uint8]]
    reference: dict[str, NDArray[np.uint8]] | None
    removed: dict[str, NDArray[np.uint8]] | None
    slice_positions: dict[str, tuple[int, ...]]
    shape_zyx: tuple[int, int, int]


def slices_for_display(
    before: ArrayLike3D,
    after: ArrayLike3D,
    reference: ArrayLike3D | None = None,
    *,
    per_axis: int = 15,
    max_side: int = 512,
    with_removed: bool = True,
) -> DisplaySlices:
    """Evenly spaced grey slices of the same places in each volume, along each of the three axes.

    The grey window runs from the 0.5th to the 99.5th percentile of the shown slices of *that* volume, so
    that each is seen at its own best contrast: grey values of two volumes are not comparable, structure is.
    Sides longer than `max_side` are reduced by means of blocks of voxels, which also weakens the noise.
    Voxels that are not finite are shown as mid grey.

    Parameters
    ----------
    before, after, reference
        Volumes (z, y, x) of one shape. Only slices or slabs of them are in memory at a time.
    per_axis
        Number of slices along each axis; an axis with fewer voxels shows them all.
    max_side
        Longest side of a shown slice in pixels.
    with_removed
        Also show before − after, in which no structure should be seen.

    Returns
    -------
    DisplaySlices
        Stacks of uint8, (n, y, x) for "z", (n, z, x) for "y" and (n, z, y) for "x".

    Raises
    ------
    ValueError
        If a volume has not three axes, or the shapes differ.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(size=(8, 20, 30))
    >>> shown = slices_for_display(noisy, noisy / 2, per_axis=4)
    >>> shown["slice_positions"]["z"], shown["before"]["y"].shape
    ((1, 3, 5, 7), (4, 8, 30))
    """
    volumes = [before, after] if reference is None else [before, after, reference]
    if len(before.shape) != 3 or any(v.shape != before.shape for v in volumes):
        raise ValueError(f"volumes must be (z, y, x) and of one shape, not {[v.shape for v in volumes]}")
    nz, ny, nx = before.shape
    positions = {axis: evenly_spaced(n, per_axis) for axis, n in zip(AXES, before.shape, strict=True)}
    stacks = [
        {axis: _read_slices(v, number, positions[axis], max_side) for number, axis in enumerate(AXES)}
        for v in volumes
    ]
    removed = {axis: stacks[0][axis] - stacks[1][axis] for axis in AXES} if with_removed else None
    return DisplaySlices(
        before=_to_grey(stacks[0]),
        after=_to_grey(stacks[1]),
        reference=None if reference is None else _to_grey(stacks[2]),
        removed=None if removed is None else _to_grey(removed),
        slice_positions=positions,
        shape_zyx=(nz, ny, nx),
    )


def xz_power_spectrum(
    volume: ArrayLike3D, *, max_side: int = 512, max_slices: int = 32
) -> NDArray[np.float32]:
    """log10 of the mean power in the (kz, kx) plane, where the missing wedge of a tilt about y shows.

    The mean of |FFT₂|² over y-slices is, by Parseval, the 3-D power summed over ky. Slices are windowed with
    a Hann window in z and x and scaled so that white noise of variance σ² has power σ² everywhere.

    Parameters
    ----------
    volume
        Shape (z, y, x); only one y-slice is in memory at a time. Voxels that are not finite count as the
        mean.
    max_side
        Longer sides are covered by overlapping tiles of this side, whose power is averaged.
    max_slices
        Number of evenly spaced y-slices that are read.

    Returns
    -------
    ndarray
        Shape (min(z, max_side), min(x, max_side)), `fftshift`ed: zero frequency at n // 2.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(scale=10, size=(16, 64, 33))
    >>> spectrum = xz_power_spectrum(noise)
    >>> spectrum.shape, round(float(np.median(spectrum)))
    ((16, 33), 2)
    """
    nz, ny, nx = volume.shape
    side_z, side_x = min(nz, max_side), min(nx, max_side)
    window = np.outer(_hann(side_z), _hann(side_x))
    total, tiles = np.zeros((side_z, side_x)), 0
    for y in evenly_spaced(ny, max_slices):
        plane = _finite(volume[:, y, :]).astype(np.float64)
        usable = np.isfinite(plane)
        plane = np.where(usable, plane, plane[usable].mean() if usable.any() else 0.0)
        for z0 in _tile_starts(nz, side_z):
            for x0 in _tile_starts(nx, side_x):
                tile = plane[z0 : z0 + side_z, x0 : x0 + side_x]
                total += np.abs(np.fft.fft2((tile - tile.mean()) * window)) ** 2
                tiles += 1
    power = np.fft.fftshift(total) / (tiles * np.sum(window**2))
    return np.log10(np.maximum(power, max(power.max() * 1e-12, 1e-30))).astype(np.float32)


def evenly_spaced(length: int, count: int) -> tuple[int, ...]:
    """Indices of at most `count` places spread evenly over `length`, clear of both ends.

    Examples
    --------
    >>> evenly_spaced(100, 4), evenly_spaced(3, 15)
    ((12, 37, 62, 87), (0, 1, 2))
    """
    count = max(1, min(count, length))
    return tuple((2 * i + 1) * length // (2 * count) for i in range(count))


def _read_slices(
    volume: ArrayLike3D, axis: int, positions: tuple[int, ...], max_side: int
) -> NDArray[np.float32]:
    """Slices at `positions` of `axis`, block-averaged to `max_side`: shape (n, height, width)."""
    if axis == 0:
        return np.stack([_reduce(_finite(volume[i]), max_side) for i in positions])
    if axis == 1:
        return np.stack([_reduce(_finite(volume[:, i, :]), max_side) for i in positions])
    # x is contiguous: each x-slice touches every page of a file, so all are gathered in one pass over slabs.
    depth = max(1, SLAB_VOXELS // (volume.shape[1] * volume.shape[2]))
    slabs = [
        _finite(np.asarray(volume[z : z + depth])[:, :, list(positions)])
        for z in range(0, volume.shape[0], depth)
    ]
    gathered = np.concatenate(slabs)
    return np.stack([_reduce(gathered[:, :, i], max_side) for i in range(len(positions))])


def _finite(values: Any) -> NDArray[np.float32]:
    """Float32 copy with NaN for whatever is not finite."""
    array: NDArray[np.float32] = np.asarray(values).astype(np.float32)
    array[~np.isfinite(array)] = np.nan
    return array


def _reduce(plane: NDArray[np.float32], max_side: int) -> NDArray[np.float32]:
    """Means of blocks, so that neither side exceeds `max_side`; each side has its own block length."""
    (h, w), (by, bx) = plane.shape, (-(-n // max_side) for n in plane.shape)
    if by == bx == 1:
        return plane
    trimmed = plane[: h // by * by, : w // bx * bx]
    blocks = trimmed.reshape(h // by, by, w // bx, bx)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    return means


def _to_grey(stacks: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.uint8]]:
    """One robust grey window for all stacks of a volume → uint8."""
    values = np.concatenate([s.ravel()[:: max(1, s.size // 1_000_000)] for s in stacks.values()])
    values = values[np.isfinite(values)].astype(np.float64)
    low, high = np.percentile(values, [0.5, 99.5]) if values.size else (0.0, 0.0)
    if high <= low and values.size:
        low, high = values.min(), values.max()
    scale = 255 / (high - low) if high > low and np.isfinite(255 / (high - low)) else 0.0
    grey = {}
    for axis, stack in stacks.items():
        shade = (stack.astype(np.float64) - low) * scale if scale else np.full(stack.shape, 128.0)
        grey[axis] = np.nan_to_num(np.clip(np.rint(shade), 0, 255), nan=128.0).astype(np.uint8)
    return grey


def _hann(length: int) -> NDArray[np.float64]:
    """Hann window without its two zero ends, so that thin volumes keep their outer planes."""
    return np.hanning(length + 2)[1:-1]


def _tile_starts(length: int, side: int) -> list[int]:
    count = -(-length // side)
    return [round(i * (length - side) / max(1, count - 1)) for i in range(count)]
