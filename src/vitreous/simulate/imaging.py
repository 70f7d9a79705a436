"""From a potential to a tilt series: tilting, CTF, radiation damage, detector and counting noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.fft
import scipy.ndimage as ndi
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vitreous.core import Interrupted, Progress, SilentProgress
from vitreous.fourier import Optics
from vitreous.simulate.detector import Detector, count_electrons
from vitreous.simulate.reconstruction import weighted_back_projection
from vitreous.simulate.tilt_scheme import TiltScheme
from vitreous.simulate.weak_phase import Microscope, as_columns

Array = NDArray[np.float32]
Halves = Literal["frames", "tilts"]
LEAST_COSINE = 0.1


class ImagingSettings(BaseModel):
    """How a specimen is imaged.

    Parameters
    ----------
    tilts
        Which tilts are taken, and in which order.
    defocus_um
        Underfocus of the specimen's centre in µm; None images without a CTF.
    optics
        The microscope.
    detector
        MTF and DQE.
    dose_e_per_angstrom2
        Electrons/Å² of each tilt.
    radiation_damage
        Whether the dose so far damps high frequencies; half of a tilt's own dose counts.
    ice_thickness_angstrom
        Thickness of the ice in Å, which takes electrons away; the depth of the volume if None.
    inelastic_mean_free_path_angstrom
        Mean free path in ice in Å [rice].
    snr
        If not None, the noise is scaled until the variance of the signal over that of the noise is
        this in the whole volume that weighted back-projection makes, as deep as the potential.
    halves
        What even and odd are: the "frames" of every tilt, or every other of the sorted "tilts".
    shift_jitter_angstrom
        Standard deviation in Å, along y and x, of what alignment has left of each image's shift.
    rotation_jitter_deg
        Standard deviation in degrees of what it has left of each image's rotation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    tilts: TiltScheme = TiltScheme()
    defocus_um: float | None = 4.0
    optics: Optics = Optics()
    detector: Detector = Detector()
    dose_e_per_angstrom2: float = Field(3.0, gt=0)
    radiation_damage: bool = True
    ice_thickness_angstrom: float | None = Field(None, ge=0)
    inelastic_mean_free_path_angstrom: float = Field(3100.0, gt=0)
    snr: float | None = Field(None, gt=0)
    halves: Halves = "frames"
    shift_jitter_angstrom: float = Field(0.0, ge=0)
    rotation_jitter_deg: float = Field(0.0, ge=0)


@dataclass(frozen=True, eq=False)
class TiltSeries:
    """Aligned images (tilt, y, x), lowest tilt first, in contrast: counts over their mean, minus 1.

    Protein is dark, as in raw tomograms.

    Parameters
    ----------
    noise_free
        Images without noise.
    even_noise, odd_noise
        Noise of the even and of the odd frames of every tilt, independent of each other.
    halves
        What `even` and `odd` are: halves of the "frames", or of the "tilts".
    tilt_angles_deg, doses_e_per_angstrom2, defoci_um
        Of every image: signed tilt, dose before it in electrons/Å², underfocus of the centre in µm.
    pixel_spacing_angstrom
        Pixel spacing in Å.
    mean_counts
        Electrons per pixel of bare ice.
    shifts_angstrom, rotations_deg
        By which alignment is wrong: (tilt, 2) along y and x in Å, (tilt,) in degrees.
    noise_scale
        What the counting noise was multiplied with to reach a requested SNR.
    """

    noise_free: Array
    even_noise: Array
    odd_noise: Array
    halves: Halves
    tilt_angles_deg: tuple[float, ...]
    doses_e_per_angstrom2: tuple[float, ...]
    defoci_um: tuple[float | None, ...]
    pixel_spacing_angstrom: float
    mean_counts: tuple[float, ...]
    shifts_angstrom: NDArray[np.float64]
    rotations_deg: NDArray[np.float64]
    noise_scale: float = 1.0

    @property
    def images(self) -> Array:
        """All frames of all tilts: the mean of both halves of the frames."""
        return self.noise_free + np.float32(0.5) * (self.even_noise + self.odd_noise)

    @property
    def even(self) -> Array:
        """The even half; with halves by tilts only the images of `even_tilts`."""
        return self.images[0::2] if self.halves == "tilts" else self.noise_free + self.even_noise

    @property
    def odd(self) -> Array:
        """The odd half; with halves by tilts only the images of `odd_tilts`."""
        return self.images[1::2] if self.halves == "tilts" else self.noise_free + self.odd_noise

    @property
    def even_tilts(self) -> tuple[int, ...]:
        """Which of the tilts the images of `even` belong to."""
        return tuple(range(len(self.tilt_angles_deg)))[:: 2 if self.halves == "tilts" else 1]

    @property
    def odd_tilts(self) -> tuple[int, ...]:
        """Which of the tilts the images of `odd` belong to."""
        tilts = tuple(range(len(self.tilt_angles_deg)))
        return tilts[1::2] if self.halves == "tilts" else tilts


def image(
    density: Array,
    voxel_spacing_angstrom: float,
    settings: ImagingSettings | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> TiltSeries:
    """Take a tilt series of a specimen.

    Parameters
    ----------
    density
        Electrostatic potential against that of ice, in volts, (z, y, x); z is along the beam at tilt
        0, towards the source, and y is the tilt axis.
    voxel_spacing_angstrom
        Edge of a voxel in Å; that of the images' pixels too.
    settings
        How it is imaged.
    seed
        Draws noise and alignment errors; the same seed gives the same bytes.
    progress
        Receives progress.

    Raises
    ------
    ValueError
        If the density is no finite volume, or empty where an SNR is asked for.
    Interrupted
        If the user stopped.

    Examples
    --------
    >>> density = np.zeros((16, 24, 32), np.float32)
    >>> density[8, 12, 16] = 10.0
    >>> series = image(density, 10.0, ImagingSettings(tilts=TiltScheme(step_deg=30)))
    >>> series.images.shape, series.tilt_angles_deg
    ((5, 24, 32), (-60.0, -30.0, 0.0, 30.0, 60.0))
    """
    settings, progress = settings or ImagingSettings(), progress or SilentProgress()
    if density.ndim != 3 or not np.isfinite(density).all() or not 0 < voxel_spacing_angstrom < np.inf:
        raise ValueError("imaging needs finite voxels (z, y, x) and a positive voxel spacing")
    series = _without_images(settings, density.shape, voxel_spacing_angstrom, seed)
    microscope = Microscope(density.shape, voxel_spacing_angstrom, settings.defocus_um, settings.optics)
    columns = as_columns(density)
    progress.start("imaging", len(series.tilt_angles_deg))
    for tilt, angle in enumerate(series.tilt_angles_deg):
        damage = series.doses_e_per_angstrom2[tilt] + settings.dose_e_per_angstrom2 / 2
        contrast = microscope.contrast(
            columns, angle, damage if settings.radiation_damage else 0.0, series.shifts_angstrom[tilt]
        )
        contrast = _turned(contrast, series.rotations_deg[tilt])
        rng = np.random.default_rng([seed, 1, tilt])
        exposed = expose(contrast, series.mean_counts[tilt], settings.detector, rng)
        series.noise_free[tilt], series.even_noise[tilt], series.odd_noise[tilt] = exposed
        progress.advance()
        if progress.should_stop():
            raise Interrupted
    del columns
    return series if settings.snr is None else _with_snr(series, len(density), settings.snr)


def _without_images(
    settings: ImagingSettings, shape: tuple[int, ...], voxel_spacing_angstrom: float, seed: int
) -> TiltSeries:
    """A series whose images are still empty."""
    taken = settings.tilts.acquisition_order()
    order = sorted(range(len(taken)), key=taken.__getitem__)
    angles = tuple(taken[turn] for turn in order)
    rng = np.random.default_rng([seed, 0])
    noise_free, even_noise, odd_noise = np.zeros((3, len(angles), *shape[1:]), np.float32)
    return TiltSeries(
        noise_free,
        even_noise,
        odd_noise,
        settings.halves,
        angles,
        doses_e_per_angstrom2=tuple(turn * settings.dose_e_per_angstrom2 for turn in order),
        defoci_um=(settings.defocus_um,) * len(angles),
        pixel_spacing_angstrom=float(voxel_spacing_angstrom),
        mean_counts=tuple(mean_count(settings, shape, voxel_spacing_angstrom, a) for a in angles),
        shifts_angstrom=rng.normal(scale=settings.shift_jitter_angstrom, size=(len(angles), 2)),
        rotations_deg=rng.normal(scale=settings.rotation_jitter_deg, size=len(angles)),
    )


def expose(
    contrast: Array, mean_count: float, detector: Detector, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Signal, and noise of the even and of the odd frames, all (y, x) and relative to the mean count.

    No pixel gets fewer than no electrons: contrast below -1, outside the weak-phase approximation,
    is taken as -1.
    """
    contrast = np.maximum(contrast, -1)
    signal = scipy.fft.irfft2(scipy.fft.rfft2(contrast) * detector.mtf(contrast.shape), s=contrast.shape)
    expected = mean_count * (1 + contrast.astype(np.float64))
    even, odd = (
        detector.noise(counts, expected / 2) * np.float32(2 / mean_count)
        for counts in count_electrons(expected, rng)
    )
    return signal, even, odd


def mean_count(
    settings: ImagingSettings, shape: tuple[int, ...], voxel_spacing_angstrom: float, tilt_deg: float
) -> float:
    """Electrons per pixel behind bare ice: dose · pixel area · exp(-path / mean free path).

    The path is thickness/cos(t), at most that at 84°: nobody's ice is without end.
    """
    thickness = settings.ice_thickness_angstrom
    if thickness is None:
        thickness = shape[0] * voxel_spacing_angstrom
    path = thickness / max(np.cos(np.deg2rad(tilt_deg)), LEAST_COSINE)
    electrons = settings.dose_e_per_angstrom2 * voxel_spacing_angstrom**2
    return float(electrons * np.exp(-path / settings.inelastic_mean_free_path_angstrom))


def _turned(contrast: Array, angle_deg: float) -> Array:
    if angle_deg == 0:
        return contrast
    turned: Array = ndi.rotate(contrast, angle_deg, reshape=False, order=3, output=np.float32)
    return turned


def _with_snr(series: TiltSeries, depth: int, snr: float) -> TiltSeries:
    """The series with its noise scaled so that its reconstruction has this SNR."""
    noise = np.float32(0.5) * (series.even_noise + series.odd_noise)
    signal, noise_before = (
        float(weighted_back_projection(images, series.tilt_angles_deg, depth).var(dtype=np.float64))
        for images in (series.noise_free, noise)
    )
    if signal == 0:
        raise ValueError("a specimen without contrast has no signal-to-noise ratio")
    scale = np.float32(np.sqrt(signal / (snr * noise_before)))
    return replace(
        series,
        even_noise=series.even_noise * scale,
        odd_noise=series.odd_noise * scale,
        noise_scale=float(scale),
    )
