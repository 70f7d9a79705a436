"""Whether what was removed looks like the noise that was assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Normalization
from vitreous.fourier import patch_spectra, shell_means
from vitreous.methods.noise_model.spectrum import PATCH_SIDE, patch_cuts

SHELLS = 16
SMALL_SIGNAL = 0.5  # a shell counts if the signal power there is below this share of the noise power
AGREEMENT = (0.75, 1.33)
MEASURED = 0.05  # frequencies with less than this share of the mean noise power were not measured

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ResidualCheck:
    """Power per shell of |k| within the measured region, and the verdict.

    All arrays have one entry per shell; power is in units of the standardized variance. `ratio` is
    the median of residual over expected power where the signal is small, NaN if it is small nowhere.
    """

    frequency: FloatArray
    estimate: FloatArray
    total: FloatArray
    residual: FloatArray
    expected: FloatArray
    ratio: float
    agrees: bool

    @property
    def message(self) -> str:
        """The verdict in words."""
        if np.isnan(self.ratio):
            return "The signal is strong everywhere: the residual cannot be compared with the noise estimate."
        verdict = (
            f"Where the signal is weak, the removed power is {self.ratio:.2f} times "
            "what the noise estimate implies"
        )
        advice = ": look for structure in the removed part before you trust the result."
        return verdict + ("." if self.agrees else advice)


def check_residual(
    data: NDArray[Any],
    denoised: NDArray[np.float32],
    normalization: Normalization,
    spectrum: Tensor,
    mask: NDArray[np.bool_] | None = None,
) -> ResidualCheck:
    """Compare the spectrum of input - output with S²/(P + S), what a right noise estimate S leaves.

    Parameters
    ----------
    data, denoised
        (z, y, x) grey values before and after.
    normalization
        Constants that standardize both.
    spectrum
        Estimated S(k), FFT-ordered, in units of the standardized variance.
    mask
        Optional specimen mask: only patches mostly inside it count, as they did for the estimate.
    """
    pairs = []
    for cut in patch_cuts(data.shape, mask):
        before = torch.from_numpy(normalization.apply(data[cut]))
        pairs.append((before, before - torch.from_numpy(normalization.apply(denoised[cut]))))
    total = patch_spectra(p[0] for p in pairs).mean(0)
    residual = patch_spectra(p[1] for p in pairs).mean(0)
    weights = (spectrum > MEASURED * spectrum.mean()).float()
    edges = np.linspace(1 / PATCH_SIDE, 0.5, SHELLS + 1)
    shells = [shell_means(t, edges.tolist(), weights).numpy() for t in (spectrum, total, residual)]
    expected = shell_means(
        spectrum.square() / torch.maximum(total, spectrum), edges.tolist(), weights
    ).numpy()
    weak = shells[1] < (1 + SMALL_SIGNAL) * shells[0]
    ratio = float(np.median(shells[2][weak] / expected[weak])) if weak.any() else float("nan")
    agrees = bool(np.isnan(ratio) or AGREEMENT[0] <= ratio <= AGREEMENT[1])
    return ResidualCheck(
        (edges[1:] + edges[:-1]) / 2, shells[0], shells[1], shells[2], expected, ratio, agrees
    )
