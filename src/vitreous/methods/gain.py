"""A gain that varies slowly over a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import reflected_indices

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GainMap:
    """Deviation of the noise relative to its root mean square over the volume, linear between nodes.

    Parameters
    ----------
    values
        (z, y, x) gain at the nodes.
    nodes
        Their coordinates along z, y and x, in voxels.
    shape
        Of the volume, (z, y, x): coordinates beyond it are reflected as its voxels are.
    """

    values: FloatArray
    nodes: tuple[FloatArray, FloatArray, FloatArray]
    shape: tuple[int, ...]

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm."""
        return float(np.log(self.values).std())

    def over(self, start: Sequence[int], shape: Sequence[int]) -> Tensor:
        """The gain in the block at `start`, (z, y, x) float32."""
        gain = self.values
        for nodes, first, count, side in zip(self.nodes, start, shape, self.shape, strict=True):
            voxels = reflected_indices(first, count, side)
            weights = np.stack([np.interp(voxels, nodes, unit) for unit in np.eye(len(nodes))])
            gain = np.tensordot(gain, weights.astype(np.float32), axes=(0, 0))  # the next axis comes first
        return torch.from_numpy(np.ascontiguousarray(gain))

    def binned(self, factor: float, shape: Sequence[int]) -> GainMap:
        """The same gain over the volume in voxels `factor` times as large, of the given shape."""
        z, y, x = (nodes / np.float32(factor) for nodes in self.nodes)
        return GainMap(self.values, (z, y, x), tuple(shape))
