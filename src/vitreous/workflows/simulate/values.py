"""What a simulation gives, as an immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vitreous.core import Volume
from vitreous.simulate import GrandModel, TiltSeries
from vitreous.workflows.simulate.spec import SimulationSpec


@dataclass(frozen=True, eq=False)
class SimulatedTomogram:
    """One tomogram with the whole truth about it; all volumes (z, y, x).

    Parameters
    ----------
    spec
        What was asked for.
    index
        Which of its tomograms this is, from 0.
    tomogram, even, odd
        Reconstructions of the noisy images and of their halves.
    noise_free
        Reconstruction of the images without noise: what denoising can at best give back.
    tilt_series
        The images.
    grand_model
        Density, labels and poses of everything in the box.
    defocus_um
        Underfocus in µm; None without a CTF.
    snr
        Variance of `noise_free` over that of `tomogram` - `noise_free`.
    seconds
        What took how long.
    warnings
        What does not come out as asked for, one sentence each.
    """

    spec: SimulationSpec
    index: int
    tomogram: Volume
    even: Volume
    odd: Volume
    noise_free: Volume
    tilt_series: TiltSeries
    grand_model: GrandModel
    defocus_um: float | None
    snr: float
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
