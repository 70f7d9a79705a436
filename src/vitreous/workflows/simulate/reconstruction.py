"""From a simulated tilt series to its tomograms, with the noise that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitreous.core import AS_IS, InputError, Progress
from vitreous.methods.noise_model.spectrum import mean_periodogram
from vitreous.simulate import TiltSeries, Window, sirt, weighted_back_projection
from vitreous.workflows.simulate.measured_noise import DrawnNoise
from vitreous.workflows.simulate.spec import DEFAULT_ITERATIONS, SimulationSpec

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Reconstructed:
    """Volumes (z, y, x) of a tilt series, whose noise has been scaled to the SNR asked for, and that SNR."""

    series: TiltSeries
    tomogram: Array
    even: Array
    odd: Array
    noise_free: Array
    snr: float


def reconstruct_halves(
    spec: SimulationSpec,
    series: TiltSeries,
    progress: Progress,
    drawn: DrawnNoise | None = None,
    aside: NDArray[np.bool_] | None = None,
) -> Reconstructed:
    """The tomogram, its halves and the noise-free one.

    Reconstruction is linear: signal and noise are reconstructed apart, which says how to scale the
    noise and saves doing it again afterwards. Noise that was drawn takes the place of the images', which
    have none then; voxels `aside` (z, y, x) do not count when it is made as strong as it was measured.

    Raises
    ------
    InputError
        If there is no signal.
    Interrupted
        If the user stopped.
    """
    angles = series.tilt_angles_deg

    def made(images: Array, tilts: Sequence[int]) -> Array:
        return reconstruct(spec, images[list(tilts)], [angles[tilt] for tilt in tilts], progress)

    every = range(len(angles))
    signal = made(series.noise_free, every)
    if series.halves == "frames":
        even_signal = odd_signal = signal
        if drawn is not None:
            even, odd = drawn.even, drawn.odd
        else:
            even, odd = made(series.even_noise, every), made(series.odd_noise, every)
        noise = np.float32(0.5) * (even + odd)
    else:
        even_signal, odd_signal = (made(series.noise_free, t) for t in (series.even_tilts, series.odd_tilts))
        both = np.float32(0.5) * (series.even_noise + series.odd_noise)
        noise, even, odd = (made(both, t) for t in (every, series.even_tilts, series.odd_tilts))
    snr, scale = measured_snr(signal, noise), None
    if spec.imaging.snr is not None:
        scale = np.float32(np.sqrt(snr / spec.imaging.snr))
    elif drawn is not None:
        scale = np.float32(np.sqrt(snr_in_patches(signal, noise, aside) / drawn.snr))
    if scale is not None:
        if drawn is None:
            series = with_noise_scaled(series, scale)
        for part in (noise, even, odd):
            part *= scale
        snr = measured_snr(signal, noise)
    for part, base in ((noise, signal), (even, even_signal), (odd, odd_signal)):
        part += base  # in place: these are the largest arrays there are
    return Reconstructed(series, noise, even, odd, signal, snr)


def reconstruct(spec: SimulationSpec, images: Array, angles: Sequence[float], progress: Progress) -> Array:
    """A volume (z, y, x) from images (tilt, y, x), with the contrast asked for."""
    chosen, depth = spec.reconstruction, spec.box.shape[0]
    if chosen.method == "sirt":
        iterations = chosen.iterations or DEFAULT_ITERATIONS
        volume = sirt(images, angles, depth, iterations=iterations, progress=progress).volume
    else:
        window: Window = "hamming" if chosen.hamming else "ramp"
        volume = weighted_back_projection(images, angles, depth, window=window, progress=progress)
    if chosen.invert:
        np.negative(volume, out=volume)
    return volume


def with_noise_scaled(series: TiltSeries, scale: np.float32) -> TiltSeries:
    """The series with so many times its noise."""
    return replace(
        series,
        even_noise=series.even_noise * scale,
        odd_noise=series.odd_noise * scale,
        noise_scale=series.noise_scale * float(scale),
    )


def snr_in_patches(signal: Array, noise: Array, aside: NDArray[np.bool_] | None) -> float:
    """Variance of the signal over that of the noise, the signal's in the patches a tomogram's is measured in.

    Their windows weigh the middle of a volume more than its faces, where there is less of a specimen.
    """
    counted = signal if aside is None or aside.all() else np.where(aside, np.float32(0), signal)
    return float(mean_periodogram(counted, AS_IS).mean()) / float(noise.var(dtype=np.float64))


def measured_snr(signal: Array, noise: Array) -> float:
    """Variance of the signal over that of the noise in the whole volume.

    Raises
    ------
    InputError
        If there is no signal.
    """
    variance = float(signal.var(dtype=np.float64))
    if variance == 0:
        raise InputError("the box is empty, so there is no signal", remedy="add [[particles]] to it")
    return variance / float(noise.var(dtype=np.float64))
