"""Grey values bent so that noise that grows with them is everywhere equally strong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEAST_VARIANCE = 0.05  # relative to the mean: below, where few counts are left, the bend goes on straight
RANGE, KNOTS = 20.0, 4001  # of the inverse's table, in standardized units
QUADRATURE = 24


@dataclass(frozen=True)
class Stabilizer:
    """f(x) = 2 (√(1 + r x) - 1) / r, of noise with variance v (1 + r x), which it makes v everywhere.

    Counting noise is of this kind (Anscombe 1948). A denoised value d is an average of f of noisy values,
    which is not f of their average: `invert` gives the x for which E[f(x + noise)] = d (after Mäkitalo and
    Foi 2011), with the noise taken to be Gaussian.

    Parameters
    ----------
    slope
        r, not 0: what the variance changes by for each standardized unit of x, relative to its mean.
    variance
        v, in standardized units.

    Examples
    --------
    >>> bend = Stabilizer(slope=0.3, variance=0.5)
    >>> x = torch.linspace(-2, 4, 7)
    >>> bool((bend.apply(x).diff() > 0).all())
    True
    """

    slope: float
    variance: float

    def apply(self, x: Tensor) -> Tensor:
        """Bent values f(x) of standardized ones, same shape."""
        relative = 1 + self.slope * x
        root = relative.clamp_min(LEAST_VARIANCE).sqrt()
        beyond = (relative - LEAST_VARIANCE).clamp_max(0) / (2 * LEAST_VARIANCE**0.5)
        bent: Tensor = 2 * (root + beyond - 1) / self.slope
        return bent

    def invert(self, denoised: Tensor) -> Tensor:
        """The standardized values whose noisy versions have these means of f, same shape."""
        values, means = self._table
        found = np.interp(denoised.cpu().numpy(), means, values)
        return torch.from_numpy(found.astype(np.float32)).to(denoised.device)

    @cached_property
    def _table(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values x and E[f(x + noise)], both increasing."""
        values = np.linspace(-RANGE, RANGE, KNOTS)
        nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)
        deviation = np.sqrt(self.variance * np.maximum(1 + self.slope * values, 0))
        noisy = values[:, None] + deviation[:, None] * nodes
        means = self.apply(torch.from_numpy(noisy)).numpy() @ (weights / weights.sum())
        return values, np.maximum.accumulate(means)
