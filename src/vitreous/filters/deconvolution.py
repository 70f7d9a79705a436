"""Wiener-like deconvolution of the contrast transfer function."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from vitreous.fourier import Optics, contrast_transfer

PADDING = 16  # mirrored voxels, so that opposite faces do not mix
SAMPLES = 8192  # of the radial filter, from zero frequency to 1 / spacing


def deconvolve(
    volume: NDArray[Any],
    *,
    spacing_angstrom: float,
    defocus_um: float,
    optics: Optics | None = None,
    strength: float = 1.0,
    falloff: float = 1.0,
    highpass: float = 0.02,
    phases_flipped: bool = False,
) -> NDArray[np.float32]:
    """Multiply the spectrum with CTF / (CTF² + 1 / SNR), with the one CTF of the mean defocus [warp].

    The signal-to-noise ratio is assumed, not measured:
    SNR(k) = 10^(3 · strength) · exp(-200 Å · falloff · |k|) · (1 - cos(π · min(1, |k| / (highpass · k_N))))
    with the Nyquist frequency k_N. Dark protein stays dark; the mean is lost.

    Parameters
    ----------
    volume
        (z, y, x).
    spacing_angstrom
        Voxel spacing in Å.
    defocus_um
        Mean defocus in µm, positive for underfocus.
    optics
        The microscope; `Optics()` if None. Astigmatism is left out: one volume has many directions.
    strength, falloff, highpass
        See above. They are those of Warp and IsoNet and take the same values there.
    phases_flipped
        Whether the phases were corrected before: then the filter has the CTF's absolute value.

    Returns
    -------
    float32 array of the same shape.

    Examples
    --------
    >>> deconvolve(np.zeros((8, 9, 10)), spacing_angstrom=10, defocus_um=4).shape
    (8, 9, 10)
    """
    profile = wiener_profile(
        spacing_angstrom,
        defocus_um,
        optics or Optics(),
        strength=strength,
        falloff=falloff,
        highpass=highpass,
        phases_flipped=phases_flipped,
    )
    sides = [scipy.fft.next_fast_len(side + 2 * PADDING, real=True) for side in volume.shape]
    pads = [(PADDING, whole - side - PADDING) for whole, side in zip(sides, volume.shape, strict=True)]
    padded = np.pad(np.asarray(volume, np.float32), pads, mode="symmetric")
    spectrum = scipy.fft.rfftn(padded, overwrite_x=True)
    del padded
    z, y, x = (np.square(f) for f in (*map(scipy.fft.fftfreq, sides[:2]), scipy.fft.rfftfreq(sides[2])))
    frequency = np.linspace(0, 1, len(profile))
    for plane, z2 in zip(spectrum, z, strict=True):  # a grid of all radii would take as much as the volume
        plane *= np.interp(np.sqrt(z2 + y[:, None] + x), frequency, profile).astype(np.float32)
    filtered = scipy.fft.irfftn(spectrum, s=sides, overwrite_x=True)
    cut = tuple(slice(PADDING, PADDING + side) for side in volume.shape)
    return np.ascontiguousarray(filtered[cut], dtype=np.float32)


def wiener_profile(
    spacing_angstrom: float,
    defocus_um: float,
    optics: Optics,
    *,
    strength: float,
    falloff: float,
    highpass: float,
    phases_flipped: bool,
) -> NDArray[np.float64]:
    """The filter of `deconvolve` at frequencies from 0 to 1 cycle per voxel, which no corner reaches."""
    round_optics = optics.model_copy(update={"astigmatism_um": 0.0})
    half_spacing = spacing_angstrom / 2  # whose Nyquist frequency is that of 1 cycle per voxel
    ctf = contrast_transfer((1, 2 * SAMPLES), half_spacing, defocus_um, round_optics)[0].double().numpy()
    if phases_flipped:
        ctf = np.abs(ctf)
    frequency = np.linspace(0, 1, SAMPLES + 1)  # cycles per voxel
    snr = 10 ** (3 * strength) * np.exp(-200 * falloff / spacing_angstrom * frequency)
    if highpass > 0:
        snr *= 1 - np.cos(np.pi * np.minimum(1, 2 * frequency / highpass))
    profile: NDArray[np.float64] = snr * ctf / (snr * ctf**2 + 1)
    return profile
