"""Single-axis projection, its transpose and weighted back-projection, as one sparse operator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import NDArray

Array = NDArray[np.float32]
Window = Literal["ramp", "hamming"]
MARGIN = 8  # pixels beyond the detector's edges, where band-limited interpolation rings out
HEAVIEST = 2.0  # weight of a tilt next to a gap, in units of the median


class TiltGeometry:
    """Projection along z of a volume tilted about y, for a fixed slice shape and set of tilts.

    At tilt t the voxel (z, x), measured from the centre, falls on the detector at
    u = x·cos(t) + z·sin(t), and is shared linearly between its two neighbouring pixels of a detector
    that is `oversampling` times as fine as the images. Values between pixels are band-limited
    interpolation, corrected for the linear one; without oversampling linear interpolation is all
    there is, and up to 60 % of the amplitude is lost at the Nyquist frequency.

    Parameters
    ----------
    depth, width
        Voxels along z and x. The detector has `width` pixels.
    tilt_angles_deg
        Signed tilt angles in degrees, in any order.
    oversampling
        Detector pixels per image pixel for the interpolation; 4 loses nothing that matters.
    """

    def __init__(
        self, depth: int, width: int, tilt_angles_deg: Sequence[float], *, oversampling: int = 1
    ) -> None:
        self.depth, self.width, self.oversampling = depth, width, oversampling
        self.tilt_angles_deg = tuple(float(a) for a in tilt_angles_deg)
        self.margin = MARGIN if oversampling > 1 else 0
        self.field = width + 2 * self.margin
        if oversampling > 1:  # even, so that there is one Nyquist frequency to leave out
            self.field = 2 * scipy.fft.next_fast_len((self.field + 1) // 2, real=True)

    @property
    def entries(self) -> int:
        """Numbers that the sparse operator holds; each takes eight bytes."""
        return 2 * len(self.tilt_angles_deg) * self.depth * self.width

    @cached_property
    def matrix(self) -> scipy.sparse.csr_matrix:
        """Sparse operator (z · x, tilt · u) from the fine detector to the volume: back-projection."""
        tilts, pixels = len(self.tilt_angles_deg), self.field * self.oversampling
        if tilts * pixels >= 2**31:
            raise ValueError("the tilt series is too wide for 32-bit indices")
        columns = np.empty((self.depth * self.width, tilts, 2), np.int32)
        weights = np.empty(columns.shape, np.float32)
        for tilt, angle in enumerate(self.tilt_angles_deg):
            u, _ = tilted_grid(self.depth, self.width, angle)
            fine = (u + (self.width - 1) / 2 + self.margin) * self.oversampling
            columns[:, tilt], weights[:, tilt] = shared_linearly(fine, pixels)
            columns[:, tilt] += tilt * pixels
        pointers = np.arange(len(columns) + 1, dtype=np.int64) * (2 * tilts)
        shape = (len(columns), tilts * pixels)
        return scipy.sparse.csr_matrix((weights.ravel(), columns.ravel(), pointers), shape=shape)

    def project(self, volume: Array) -> Array:
        """Tilt series (tilt, y, x) of a volume (z, y, x): sums of voxels along the beam."""
        columns = volume.transpose(0, 2, 1).reshape(self.depth * self.width, -1)
        fine = (self.matrix.T @ columns).reshape(len(self.tilt_angles_deg), -1, columns.shape[1])
        if self.oversampling > 1:
            fine = change_sampling(fine, self.field, self._interpolation_gain)
        inside = fine[:, self.margin : self.margin + self.width]
        return np.ascontiguousarray(inside.transpose(0, 2, 1), dtype=np.float32)

    def back_project(self, tilt_series: Array) -> Array:
        """Transpose of `project`: volume (z, y, x) from a tilt series (tilt, y, x)."""
        rows = tilt_series.transpose(0, 2, 1)
        after = self.field - self.margin - self.width
        fine = np.pad(rows, ((0, 0), (self.margin, after), (0, 0)))
        if self.oversampling > 1:
            gain = self._interpolation_gain
            fine = change_sampling(fine, self.field * self.oversampling, gain) * np.float32(self.oversampling)
        return self._gathered(fine)

    def reconstruct(self, tilt_series: Array, *, window: Window = "ramp", cutoff: float = 0.5) -> Array:
        """Weighted back-projection; voxels have the values of a volume that `project` was given.

        Parameters
        ----------
        tilt_series
            (tilt, y, x).
        window
            "ramp": |k|, a quarter step at DC; "hamming": the same, falling to 8 % at Nyquist.
        cutoff
            Frequency across the tilt axis, in cycles/pixel, above which a Gaussian edge falls off.

        Returns
        -------
        Volume (z, y, x), float32.
        """
        # Edge values beyond the images: zeros there would make bright rims of a mean that is not zero.
        before = max(self.width // 2, self.margin)
        side = 2 * max(self.width, -(-(before + self.field - self.margin) // 2))
        rows = tilt_series.transpose(0, 2, 1)
        padded = np.pad(rows, ((0, 0), (before, side - before - self.width), (0, 0)), mode="edge")
        ramp = ramp_weights(side, window, cutoff)
        if self.oversampling > 1:
            ramp = ramp / interpolation_loss(side, self.oversampling)
        fine = change_sampling(padded, side * self.oversampling, ramp) * np.float32(self.oversampling)
        start = (before - self.margin) * self.oversampling
        fine = fine[:, start : start + self.field * self.oversampling]
        fine *= angular_weights(self.tilt_angles_deg)[:, None, None]
        return self._gathered(fine)

    @property
    def _interpolation_gain(self) -> NDArray[np.float64]:
        return 1 / interpolation_loss(self.field, self.oversampling)

    def _gathered(self, fine: Array) -> Array:
        flat = self.matrix @ fine.reshape(self.matrix.shape[1], -1)
        return np.ascontiguousarray(flat.reshape(self.depth, self.width, -1).transpose(0, 2, 1))


def tilted_grid(depth: int, width: int, tilt_deg: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where every voxel (z · x) of a slice falls: u on the detector and its height, both from the centre.

    u = x·cos(t) + z·sin(t); height = z·cos(t) - x·sin(t), positive towards the electron source.
    """
    z, x = np.mgrid[:depth, :width].reshape(2, -1) - np.array([[(depth - 1) / 2], [(width - 1) / 2]])
    angle = np.deg2rad(tilt_deg)
    return x * np.cos(angle) + z * np.sin(angle), z * np.cos(angle) - x * np.sin(angle)


def shared_linearly(position: NDArray[np.float64], pixels: int) -> tuple[NDArray[np.int32], Array]:
    """The two pixels next to every position and its shares in them (n, 2); none outside the detector."""
    left = np.floor(position).astype(np.int32)
    index = np.stack((left, left + 1), axis=1)
    share = np.stack((left + 1 - position, position - left), axis=1).astype(np.float32)
    inside = (index >= 0) & (index < pixels)
    return np.where(inside, index, 0).astype(np.int32), np.where(inside, share, np.float32(0))


def change_sampling(series: Array, pixels: int, gain: NDArray[np.float64]) -> Array:
    """Filter axis 1 of (tilt, u, y) and sample it anew, cropping or padding its Fourier transform.

    `gain` holds a factor for every frequency of the coarser of both grids. Sums are kept. The Nyquist
    frequency is left out when the sampling changes: on a finer grid its sign is not known.
    """
    spectrum = scipy.fft.rfft(series, axis=1)
    kept = spectrum[:, : len(gain)] * gain.astype(np.float32)[None, :, None]
    if pixels != series.shape[1]:
        kept[:, -1] = 0
    return scipy.fft.irfft(kept, n=pixels, axis=1, overwrite_x=True)  # type: ignore[no-any-return]


def interpolation_loss(pixels: int, oversampling: int) -> NDArray[np.float64]:
    """Amplitude left after linear interpolation between pixels `oversampling` times as fine: sinc²."""
    loss: NDArray[np.float64] = np.sinc(np.fft.rfftfreq(pixels) / oversampling) ** 2
    return loss


def ramp_weights(pixels: int, window: Window = "ramp", cutoff: float = 0.5) -> NDArray[np.float64]:
    """Weights of back-projection for the frequencies of `rfft`, in cycles/pixel; see `TiltGeometry`."""
    if window not in get_args(Window):
        raise ValueError(f"the window is ramp or hamming, not {window!r}")
    frequency = np.fft.rfftfreq(pixels)
    ramp = np.maximum(frequency, 0.25 / pixels)
    if window == "hamming":
        ramp = ramp * (0.54 + 0.46 * np.cos(2 * np.pi * frequency))
    beyond = np.maximum(frequency - cutoff, 0)
    weights: NDArray[np.float64] = ramp * np.exp(-((beyond / 0.05) ** 2) / 2)
    return weights


def angular_weights(tilt_angles_deg: Sequence[float]) -> Array:
    """The angle, in radians, that every tilt stands for: half the way to both of its neighbours.

    The outermost tilts count as if the series went on with the same step, equal angles share one
    weight, and none counts more than twice as much as the median, as one next to a gap would.

    Examples
    --------
    >>> np.rad2deg(angular_weights([3, -3, 0])).round(3)
    array([3., 3., 3.], dtype=float32)
    """
    angles, member, copies = np.unique(
        np.asarray(tilt_angles_deg, np.float64), return_inverse=True, return_counts=True
    )
    if len(angles) == 1:
        return np.full(len(member), 1 / len(member), np.float32)
    steps = np.diff(angles)
    widths = (np.concatenate((steps[:1], steps)) + np.concatenate((steps, steps[-1:]))) / 2
    widths = np.deg2rad(np.minimum(widths, HEAVIEST * np.median(widths))) / copies
    weights: Array = widths[member].astype(np.float32)
    return weights
