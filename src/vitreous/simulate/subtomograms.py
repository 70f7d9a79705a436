"""Single particles with neighbours, each imaged and reconstructed for itself: thousands in a minute."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt
from typing import Literal, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vitreous.core import InputError, Template
from vitreous.fourier import Optics, contrast_transfer
from vitreous.simulate.canvas import Mask, Piece
from vitreous.simulate.projection import TiltGeometry
from vitreous.simulate.rotation import Turnable, make_turnable, random_rotation, turn
from vitreous.simulate.surroundings import reach_of, surround
from vitreous.simulate.tilt_scheme import TiltScheme

Array = NDArray[np.float32]
OVERSAMPLING = 4
ANGSTROM_PER_UM = 1e4
LEAST_SPREAD = 2  # rows around the box that are imaged even without a CTF


class SubtomogramSettings(BaseModel):
    """What subtomograms show and how they are imaged; the defaults are those of Vox-UDA's source domain.

    Parameters
    ----------
    side
        Voxels along the edge.
    voxel_spacing_angstrom
        Edge of a voxel in Å.
    count
        Subtomograms of each structure at each SNR.
    snrs
        Variance of the signal over variance of the noise in the whole subtomogram: ratios, not dB.
    neighbours
        Particles beside the target, their centres within the box where there is room.
    tilts
        Which tilts are taken.
    defocus_um
        Underfocus in µm, the same for all of the box; None images without a CTF.
    optics
        The microscope.
    invert
        Whether protein is bright; otherwise it is dark, as in raw tomograms.
    seed
        Draws everything. A subtomogram depends on it, its structure, its SNR and its number alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    side: int = Field(32, ge=8, le=256)
    voxel_spacing_angstrom: float = Field(10.0, gt=0, lt=1000)
    count: int = Field(500, ge=1)
    snrs: tuple[float, ...] = Field((0.03, 0.05), min_length=1)
    neighbours: int = Field(4, ge=0, le=100)
    tilts: TiltScheme = TiltScheme()
    defocus_um: float | None = Field(5.0, ge=-100, le=100)
    optics: Optics = Optics(spherical_aberration_mm=2.0)
    invert: bool = False
    seed: int = Field(0, ge=0)


class Which(NamedTuple):
    """One subtomogram of a set: its structure, its SNR (both as indices) and its number among those."""

    structure: int
    snr: int
    number: int


@dataclass(frozen=True, eq=False)
class Subtomogram:
    """One particle in its surroundings, all arrays (side, side, side).

    Parameters
    ----------
    density
        float32 contrast with noise.
    noise_free
        float32; the same without noise.
    mask
        bool; where the target alone is above a quarter of its maximum.
    rotation
        (3, 3), particle → subtomogram, acts on (z, y, x) columns.
    position_voxel
        (3,), zyx, of the particle's centre; within half a voxel of side // 2.
    neighbours
        Names of the particles beside the target.
    snr
        Variance of `noise_free` over that of the noise, as measured.
    """

    density: Array
    noise_free: Array
    mask: Mask
    rotation: NDArray[np.float64]
    position_voxel: NDArray[np.float64]
    neighbours: tuple[str, ...]
    snr: float


class SubtomogramSimulator:
    """Makes subtomograms of given structures; the same one however often and in whatever order.

    A target sits in the middle of its box, turned at random and shifted by up to half a voxel, with
    neighbours around it (`surround`). All of it is projected at every tilt, the projections get the CTF
    and white noise, and weighted back-projection makes the box: signal and noise pass through the same
    operator. The noise is scaled so that the SNR in the whole box is the one asked for.

    Against `image`, which this agrees with, all of the box has one defocus: across the images of 32
    voxels of 1 nm it changes by less than 0.1 µm, 0.1 rad of phase at the Nyquist frequency. There is
    no radiation damage, and no detector but a perfect one.

    Parameters
    ----------
    templates
        The structures, at the voxel spacing of the settings; names must differ.
    settings
        See `SubtomogramSettings`.

    Raises
    ------
    InputError
        If a structure does not fit the box, has another voxel spacing, or two have one name, or an
        SNR is not a positive number.

    Examples
    --------
    >>> from vitreous.simulate import bead_model, template_from_beads
    >>> template = template_from_beads(bead_model("phantom:ldh"), 10.0)
    >>> simulator = SubtomogramSimulator([template], SubtomogramSettings(count=2, snrs=(0.1,), side=24))
    >>> len(simulator), simulator.make(Which(0, 0, 1)).density.shape
    (2, (24, 24, 24))
    """

    def __init__(self, templates: Sequence[Template], settings: SubtomogramSettings | None = None) -> None:
        self.settings = settings or SubtomogramSettings()
        self.templates = tuple(templates)
        _check(self.templates, self.settings)

    def __len__(self) -> int:
        return len(self.templates) * len(self.settings.snrs) * self.settings.count

    @property
    def all(self) -> list[Which]:
        """Every subtomogram of the set, structure by structure, SNR by SNR."""
        return [
            Which(structure, snr, number)
            for structure in range(len(self.templates))
            for snr in range(len(self.settings.snrs))
            for number in range(self.settings.count)
        ]

    def make(self, which: Which) -> Subtomogram:
        """One subtomogram."""
        rng = np.random.default_rng([self.settings.seed, *which])
        rotation, shift = random_rotation(rng), rng.uniform(-0.5, 0.5, size=3)
        target = Piece.of_density(turn(self._turnables[which.structure], rotation, shift))
        scene = surround(target, self.settings.side, self._turnables, self.settings.neighbours, rng)
        images = self._images(scene.density)
        noise = rng.standard_normal(images.shape, dtype=np.float32)
        signal, noise = self._reconstructed(images), self._reconstructed(noise)
        power = signal.var(dtype=np.float64)
        noise *= np.float32(sqrt(power / (self.settings.snrs[which.snr] * noise.var(dtype=np.float64))))
        density = signal + noise
        left = (density - signal).var(dtype=np.float64)
        centre = self.settings.side // 2 + shift
        names = tuple(self.templates[n].name for n in scene.neighbours)
        return Subtomogram(density, signal, scene.mask, rotation, centre, names, float(power / left))

    def make_many(self, wanted: Iterable[Which], *, workers: int | None = None) -> Iterator[Subtomogram]:
        """Those subtomograms in their order, made by several threads (all cores when not given)."""
        self._projector.matrix, self._reconstructor.matrix  # noqa: B018 (made once, not once per thread)
        self._transfer, self._turnables  # noqa: B018
        with ThreadPoolExecutor(workers or available_cores()) as pool:
            try:
                yield from pool.map(self.make, wanted)
            finally:  # whoever stops half-way must not wait for the rest
                pool.shutdown(cancel_futures=True)

    @cached_property
    def _turnables(self) -> list[Turnable]:
        return [make_turnable(template) for template in self.templates]

    @cached_property
    def _spread(self) -> int:
        """Pixels over which the CTF spreads signal: λ·Δf·k at Nyquist."""
        settings = self.settings
        angle = settings.optics.wavelength_angstrom * 0.5 / settings.voxel_spacing_angstrom
        pixels = abs(settings.defocus_um or 0) * ANGSTROM_PER_UM * angle / settings.voxel_spacing_angstrom
        return min(LEAST_SPREAD + ceil(pixels), settings.side)

    @cached_property
    def _projector(self) -> TiltGeometry:
        """From the scene to images wide enough for all of it at every tilt."""
        depth = self.settings.side + 2 * reach_of(self._turnables)
        margin = ceil((sqrt(2) - 1) / 2 * depth) + self._spread
        return self._geometry(depth, depth + 2 * margin)

    @cached_property
    def _reconstructor(self) -> TiltGeometry:
        """From those images to the box; it is as wide as they are, and its margins are cut off."""
        return self._geometry(self.settings.side, self._projector.width)

    def _geometry(self, depth: int, width: int) -> TiltGeometry:
        tilts = sorted(self.settings.tilts.acquisition_order())
        return TiltGeometry(depth, width, tilts, oversampling=OVERSAMPLING)

    @cached_property
    def _transfer(self) -> Array:
        """From projected volts to contrast, on the `rfft2` grid: -2·σ_e·CTF, as in `weak_phase`."""
        settings = self.settings
        shape = (settings.side + 2 * self._spread, self._projector.width)
        phase = settings.optics.interaction_rad_per_volt_angstrom * settings.voxel_spacing_angstrom
        gain = np.float32(2 * phase if settings.invert else -2 * phase)
        if settings.defocus_um is None:
            return np.full((shape[0], shape[1] // 2 + 1), gain)
        spacing = settings.voxel_spacing_angstrom
        ctf: Array = contrast_transfer(shape, spacing, settings.defocus_um, settings.optics).numpy()
        return gain * ctf

    def _images(self, scene: Array) -> Array:
        """Noise-free contrast (tilt, y, x) of the rows that matter to the box."""
        margin = (self._projector.width - len(scene)) // 2
        # Cut, or pad where the CTF reaches further than the particles do.
        first = (len(scene) - self.settings.side) // 2 - self._spread
        rows = scene[:, max(first, 0) : len(scene) - max(first, 0)]
        wide = np.pad(rows, ((0, 0), (max(-first, 0),) * 2, (margin, margin)))
        images = self._projector.project(wide)
        spectrum = scipy.fft.rfft2(images, axes=(1, 2)) * self._transfer
        return np.asarray(scipy.fft.irfft2(spectrum, s=images.shape[1:], axes=(1, 2)), np.float32)

    def _reconstructed(self, images: Array) -> Array:
        """Weighted back-projection (side, side, side)."""
        side, width = self.settings.side, self._reconstructor.width
        inner = slice(self._spread, self._spread + side)
        volume = self._reconstructor.reconstruct(images[:, inner])
        first = (width - side) // 2
        return np.ascontiguousarray(volume[..., first : first + side])


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check(templates: Sequence[Template], settings: SubtomogramSettings) -> None:
    names = [template.name for template in templates]
    if not names or len(set(names)) < len(names):
        raise InputError("subtomograms need structures with different names", remedy="name each once")
    if len(set(settings.snrs)) < len(settings.snrs) or not all(0 < snr < np.inf for snr in settings.snrs):
        raise InputError("every SNR must be a positive number, given once", remedy="write for example 0.05")
    for template in templates:
        if abs(template.voxel_spacing_angstrom / settings.voxel_spacing_angstrom - 1) > 1e-3:
            spacing = template.voxel_spacing_angstrom
            raise InputError(f"{template.name} has voxels of {spacing} Å, not those of the subtomograms")
        across = 2 * ceil(make_turnable(template).radius_voxels) + 1
        if across > settings.side:
            raise InputError(
                f"{template.name} is {across} voxels wide and does not fit a box of {settings.side}",
                remedy="give a larger --side or --voxel-size",
            )
