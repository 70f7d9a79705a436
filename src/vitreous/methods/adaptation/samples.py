"""Subtomograms to train on, with labels and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.training.samples import standardized

# Along z, y and x. They leave a wedge about the y axis as it is, whatever its tilt range.
MIRRORS = ((), (1,), (0, 2), (0, 1, 2))


class UnlabelledSubtomograms:
    """Subtomograms in memory.

    Each is standardized by its own mean and deviation. A draw takes any of them, the same one more than
    once if need be, so that a batch may be larger than the set, and mirrors it so that a missing wedge
    about the y axis stays what it is.

    Parameters
    ----------
    densities
        (n, z, y, x), finite.
    mirrored
        Whether drawn volumes are mirrored at random.

    Raises
    ------
    ValueError
        If there is none, or the array is not one of finite volumes.
    """

    def __init__(self, densities: NDArray[Any], *, mirrored: bool = True) -> None:
        if densities.ndim != 4 or not len(densities):
            raise ValueError(f"one subtomogram or more (n, z, y, x) are needed, not {densities.shape}")
        if not np.isfinite(densities).all():
            raise ValueError("not all voxels are finite")
        self.values = standardized(torch.from_numpy(np.ascontiguousarray(densities, np.float32))[:, None])
        self.mirrored = mirrored

    def __len__(self) -> int:
        return len(self.values)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """See `training.UnlabelledSamples`."""
        chosen, mirrors = self._chosen(count, generator)
        return torch.stack([_mirror(self.values[i], m) for i, m in zip(chosen, mirrors, strict=True)])

    def _chosen(self, count: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """Which subtomograms a draw takes, and which of the mirrors for each."""
        chosen = torch.randint(len(self.values), (count,), generator=generator).tolist()
        mirrors = torch.randint(len(MIRRORS), (count,), generator=generator).tolist()
        return chosen, mirrors if self.mirrored else [0] * count


class SubtomogramSamples:
    """Subtomograms in memory with a class for every voxel; drawn as `UnlabelledSubtomograms` are.

    Parameters
    ----------
    densities
        (n, z, y, x), finite.
    labels
        (n, z, y, x) integers from 0, the background.
    mirrored
        Whether drawn volumes are mirrored at random.

    Raises
    ------
    ValueError
        If the arrays do not fit each other or are not what is said above.

    Examples
    --------
    >>> densities = np.random.default_rng(0).normal(size=(3, 8, 8, 8))
    >>> samples = SubtomogramSamples(densities, densities > 1)
    >>> values, labels = samples.draw(5, torch.Generator().manual_seed(0))
    >>> values.shape, labels.shape, labels.dtype
    (torch.Size([5, 1, 8, 8, 8]), torch.Size([5, 8, 8, 8]), torch.int64)
    """

    def __init__(self, densities: NDArray[Any], labels: NDArray[Any], *, mirrored: bool = True) -> None:
        if densities.shape != labels.shape:
            raise ValueError(f"subtomograms {densities.shape} and labels {labels.shape} differ in shape")
        self.unlabelled = UnlabelledSubtomograms(densities, mirrored=mirrored)
        self.labels = torch.from_numpy(np.ascontiguousarray(labels, np.uint8))
        if not np.array_equal(self.labels.numpy(), labels):
            raise ValueError("labels must be integers from 0 to 255")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def original(self) -> SubtomogramSamples:
        """These: nothing is done to them."""
        return self

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """See `training.LabelledSamples`."""
        chosen, mirrors = self.unlabelled._chosen(count, generator)
        pairs = list(zip(chosen, mirrors, strict=True))
        values = torch.stack([_mirror(self.unlabelled.values[i], m) for i, m in pairs])
        return values, torch.stack([_mirror(self.labels[i], m) for i, m in pairs]).long()


def _mirror(volume: Tensor, index: int) -> Tensor:
    """The index-th of the mirrors of a volume (..., z, y, x)."""
    return volume.flip([axis - 3 for axis in MIRRORS[index]])
