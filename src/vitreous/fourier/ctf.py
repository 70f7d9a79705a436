"""Contrast transfer of the electron microscope: a thin wrapper of torch-ctf."""

from __future__ import annotations

import math

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch_ctf import calculate_ctf_2d

from vitreous.fourier.grids import frequency_radius

ELECTRON_REST_ENERGY_EV = 510_998.95
PLANCK_TIMES_C_EV_ANGSTROM = 12_398.4198
FINE = 128  # samples of a profile up to twice the Nyquist frequency


class Optics(BaseModel):
    """What an electron microscope does to an image, apart from its defocus.

    Parameters
    ----------
    voltage_kv
        Acceleration voltage in kV.
    spherical_aberration_mm
        Cs in mm.
    amplitude_contrast
        Share of amplitude contrast, 0 to 1.
    phase_shift_deg
        Phase shift of a phase plate in degrees; 0 without one.
    astigmatism_um
        Half the difference between the largest and the smallest defocus, in µm.
    astigmatism_angle_deg
        Direction of the largest defocus, in degrees from the x axis towards the y axis, as CTFFIND counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    voltage_kv: float = Field(300.0, gt=0)
    spherical_aberration_mm: float = Field(2.7, ge=0)
    amplitude_contrast: float = Field(0.07, ge=0, lt=1)
    phase_shift_deg: float = 0.0
    astigmatism_um: float = Field(0.0, ge=0)
    astigmatism_angle_deg: float = 0.0

    @property
    def wavelength_angstrom(self) -> float:
        """Relativistic wavelength of the electrons in Å."""
        energy = 1000 * self.voltage_kv
        return PLANCK_TIMES_C_EV_ANGSTROM / math.sqrt(energy * (energy + 2 * ELECTRON_REST_ENERGY_EV))

    @property
    def interaction_rad_per_volt_angstrom(self) -> float:
        """Phase that a projected potential of 1 V·Å gives to the electrons: σ_e of [kirkland].

        Examples
        --------
        >>> round(Optics().interaction_rad_per_volt_angstrom * 10, 5)  # per V·nm
        0.00653
        """
        energy = 1000 * self.voltage_kv
        relativistic = (ELECTRON_REST_ENERGY_EV + energy) / (2 * ELECTRON_REST_ENERGY_EV + energy)
        return 2 * math.pi / (self.wavelength_angstrom * energy) * relativistic


def contrast_transfer(
    shape: tuple[int, int],
    pixel_spacing_angstrom: float,
    defocus_um: float | Tensor,
    optics: Optics | None = None,
    *,
    half: bool = True,
) -> Tensor:
    """CTF(k) = sin(πλΔf·k² - ½π·Cs·λ³·k⁴ + φ + arcsin A) on the FFT grid of an image [rohou].

    Underfocus is positive, and so is the CTF at low frequencies: multiplied with a projected potential
    it gives protein bright on dark. Raw images, in which protein is dark, are its negative.

    Parameters
    ----------
    shape
        (y, x) of the image.
    pixel_spacing_angstrom
        Pixel spacing in Å.
    defocus_um
        Defocus in µm, positive for underfocus; a tensor (n,) gives n functions.
    optics
        The microscope; `Optics()` if None.
    half
        Whether the last axis follows `torch.fft.rfftn`.

    Returns
    -------
    float32 tensor (y, x) or (n, y, x), in FFT order.

    Examples
    --------
    >>> round(float(contrast_transfer((64, 64), 10.0, 4.0)[0, 0]), 2)  # the amplitude contrast
    0.07
    """
    optics = optics or Optics()
    ctf: Tensor = calculate_ctf_2d(
        defocus=defocus_um,
        astigmatism=optics.astigmatism_um,
        astigmatism_angle=optics.astigmatism_angle_deg,  # from x, whatever torch-ctf 0.6 says of it
        voltage=optics.voltage_kv,
        spherical_aberration=optics.spherical_aberration_mm,
        amplitude_contrast=optics.amplitude_contrast,
        phase_shift=optics.phase_shift_deg,
        pixel_size=pixel_spacing_angstrom,
        image_shape=tuple(shape),
        rfft=half,
        fftshift=False,
    )
    return ctf.to(torch.float32)


def volume_contrast_transfer(side: int, voxel_spacing_angstrom: float, defocus_um: float | Tensor) -> Tensor:
    """What a tomogram of one defocus passes of a particle's transform, apart from the wedge.

    Every tilt's image has the same CTF, so that the volume has it as a function of |k|; in the corners,
    beyond the Nyquist frequency, it stays as it is there.

    Parameters
    ----------
    side
        Of a cube, in voxels.
    voxel_spacing_angstrom
        Voxel spacing in Å.
    defocus_um
        Defocus in µm, positive for underfocus; the mean of all if it is a tensor (n,).

    Returns
    -------
    float32 tensor (side, side, side // 2 + 1), in the order of `torch.fft.rfftn`.
    """
    profile = contrast_transfer((FINE, FINE), voxel_spacing_angstrom, torch.as_tensor(defocus_um).reshape(-1))
    radius = frequency_radius((side,) * 3, half=True).numpy()
    along_x = profile.mean(0)[0].numpy()
    frequencies = np.arange(len(along_x)) / FINE
    return torch.from_numpy(np.interp(radius, frequencies, along_x).astype(np.float32))
