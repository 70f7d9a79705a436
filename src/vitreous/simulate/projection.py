"""Single-axis projection and weighted back-projection as one sparse operator and its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Array = NDArray[np.float32]


class TiltGeometry:
    """Projection along z of a volume tilted about y, for a fixed slice shape and set of tilts.

    At tilt t the voxel (z, x), measured from the centre, falls on the detector at
    u = x·cos(t) + z·sin(t), and is shared linearly between its two neighbouring detector pixels.

    Parameters
    ----------
    depth, width
        Voxels along z and x. The detector has `width` pixels.
    tilt_angles_deg
        Signed tilt angles in degrees.
    """

    def __init__(self, depth: int, width: int, tilt_angles_deg: Sequence[float]) -> None:
        self.depth, self.width = depth, width
        self.tilt_angles_deg = tuple(float(a) for a in tilt_angles_deg)

    @cached_property
    def matrix(self) -> scipy.sparse.csr_matrix:
        """Sparse operator (tilt · u, z · x); its transpose is back-projection."""
        z, x = np.mgrid[: self.depth, : self.width].astype(np.float64)
        z, x = z.ravel() - (self.depth - 1) / 2, x.ravel() - (self.width - 1) / 2
        voxel = np.arange(z.size)
        rows, columns, weights = [], [], []
        for tilt, angle in enumerate(np.deg2rad(self.tilt_angles_deg)):
            u = x * np.cos(angle) + z * np.sin(angle) + (self.width - 1) / 2
            left = np.floor(u).astype(int)
            for pixel, weight in ((left, left + 1 - u), (left + 1, u - left)):
                inside = (pixel >= 0) & (pixel < self.width)
                rows.append(tilt * self.width + pixel[inside])
                columns.append(voxel[inside])
                weights.append(weight[inside])
        shape = (len(self.tilt_angles_deg) * self.width, z.size)
        entries = (
            np.concatenate(weights).astype(np.float32),
            (np.concatenate(rows), np.concatenate(columns)),
        )
        return scipy.sparse.csr_matrix(entries, shape=shape)

    def project(self, volume: Array) -> Array:
        """Tilt series (tilt, y, x) of a volume (z, y, x)."""
        columns = volume.transpose(0, 2, 1).reshape(self.depth * self.width, -1)
        flat = self.matrix @ columns
        return np.ascontiguousarray(
            flat.reshape(len(self.tilt_angles_deg), self.width, -1).transpose(0, 2, 1)
        )

    def back_project(self, tilt_series: Array) -> Array:
        """Transpose of `project`: volume (z, y, x) from a tilt series (tilt, y, x)."""
        rows = tilt_series.transpose(0, 2, 1).reshape(len(self.tilt_angles_deg) * self.width, -1)
        flat = self.matrix.T @ rows
        return np.ascontiguousarray(flat.reshape(self.depth, self.width, -1).transpose(0, 2, 1))

    def reconstruct(self, tilt_series: Array) -> Array:
        """Weighted back-projection: |kx| ramp (a quarter step at DC), then `back_project`, over tilts."""
        return self.back_project(ramp_filter(tilt_series)) / np.float32(len(self.tilt_angles_deg))


def ramp_filter(tilt_series: Array) -> Array:
    """|kx| filter along the last axis, edge-padded to twice the width against wrap-around."""
    width = tilt_series.shape[-1]
    before = width // 2
    padded = np.pad(tilt_series, ((0, 0), (0, 0), (before, width - before)), mode="edge")
    ramp = np.maximum(np.fft.rfftfreq(2 * width), 0.25 / (2 * width)).astype(np.float32)
    filtered = np.fft.irfft(np.fft.rfft(padded, axis=-1) * ramp, n=2 * width, axis=-1)
    return np.ascontiguousarray(filtered[..., before : before + width], dtype=np.float32)
