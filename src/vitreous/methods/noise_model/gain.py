"""How the strength of the noise varies over a tomogram: thicker ice, borders that fewer tilts have seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, median_filter

from vitreous.core import Normalization
from vitreous.fourier import frequency_radius, patch_spectra
from vitreous.methods.gain import FloatArray, GainMap
from vitreous.methods.noise_model.spectrum import MOST_PATCHES, PATCH_SIDE, NoiseSpectrum
from vitreous.methods.stabilizer import Stabilizer

MEASURED = 0.1  # of the mean noise power: frequencies with less were not measured
LEAST_SPREAD = 0.05  # of the gain: below it there is nothing to level; the estimate errs by 0.01 to 0.02
SMOOTHING = 0.7  # nodes
MOST_GAIN = 4.0  # relative to the median, and its inverse: beyond lies padding


def estimate_gain(
    data: NDArray[Any],
    normalization: Normalization,
    spectrum: NoiseSpectrum,
    mask: NDArray[np.bool_] | None = None,
    stabilizer: Stabilizer | None = None,
) -> GainMap | None:
    """Read the strength of the noise off the outer frequencies of patches on a grid.

    Parameters
    ----------
    data
        (z, y, x) grey values, may be memory-mapped; at most 600 patches of 32³ voxels are read.
    normalization
        Constants that standardize the volume.
    spectrum
        Its noise spectrum: where "outer" begins and what was measured there.
    mask
        Optional specimen mask: elsewhere the gain is the median of that inside.
    stabilizer
        What the grey values are bent by before the noise is levelled: what it makes even is no gain.

    Returns
    -------
    The gain, or None where it varies by less than 5 %.

    Examples
    --------
    >>> from vitreous.methods.noise_model import estimate_noise_spectrum
    >>> noise = np.random.default_rng(0).normal(size=(48, 48, 96)).astype(np.float32)
    >>> noise[..., 48:] *= 2
    >>> as_is = Normalization(0, 1, -99, 99)
    >>> gain = estimate_gain(noise, as_is, estimate_noise_spectrum(noise, as_is))
    >>> left, right = gain.over((24, 24, 20), (1, 1, 1)), gain.over((24, 24, 76), (1, 1, 1))
    >>> bool(1.7 < right / left < 2.1)
    True
    """
    side = tuple(min(PATCH_SIDE, n - n % 2) for n in data.shape)
    starts = grid_starts(data.shape, side)
    patches = (
        data[tuple(slice(s, s + n) for s, n in zip((z, y, x), side, strict=True))]
        for z in starts[0]
        for y in starts[1]
        for x in starts[2]
    )
    outer = frequency_radius(side) > spectrum.inner_frequency
    outer &= spectrum.power > MEASURED * spectrum.power[outer].mean()
    values = (torch.from_numpy(normalization.apply(patch)) for patch in patches)
    bent = values if stabilizer is None else map(stabilizer.apply, values)
    power = [patch_spectra([patch])[0][outer].mean() for patch in bent]
    gain = torch.stack(power).sqrt().numpy().reshape([len(s) for s in starts])
    z, y, x = (s.astype(np.float32) + np.float32(n - 1) / 2 for s, n in zip(starts, side, strict=True))
    inside = np.ones(gain.shape, bool) if mask is None else mask[np.ix_(*(c.astype(int) for c in (z, y, x)))]
    if not inside.any():
        return None
    middle = np.median(gain[inside])
    gain = np.clip(np.where(inside, gain, middle) / middle, 1 / MOST_GAIN, MOST_GAIN)
    logs = gaussian_filter(median_filter(np.log(gain), 3, mode="nearest"), SMOOTHING, mode="nearest")
    logs = np.pad(logs, 1, mode="reflect", reflect_type="odd")  # from the outermost centres to the borders
    logs -= 0.5 * np.log(np.exp(2 * logs[1:-1, 1:-1, 1:-1][inside]).mean())
    made = GainMap(np.exp(logs).astype(np.float32), (beyond(z), beyond(y), beyond(x)), tuple(data.shape))
    return made if made.spread > LEAST_SPREAD else None


def beyond(nodes: FloatArray) -> FloatArray:
    """Nodes with one more at either end."""
    step = nodes[1] - nodes[0] if len(nodes) > 1 else np.float32(PATCH_SIDE)
    return np.concatenate([nodes[:1] - step, nodes, nodes[-1:] + step])


def grid_starts(volume: Sequence[int], patch: Sequence[int]) -> list[NDArray[np.intp]]:
    """Starts along each axis of patches on a regular grid, half overlapping or sparser: at most 600."""
    step = PATCH_SIDE / 2
    while True:
        counts = [max(1, round((n - p) / step) + 1) for n, p in zip(volume, patch, strict=True)]
        if np.prod(counts) <= MOST_PATCHES:
            break
        step *= 1.1
    return [
        np.linspace(0 if count > 1 else (n - p) // 2, n - p, count).round().astype(np.intp)
        for n, p, count in zip(volume, patch, counts, strict=True)
    ]
