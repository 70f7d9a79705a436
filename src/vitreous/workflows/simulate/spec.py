"""What to simulate, as one immutable value: the specimen, how it is imaged and reconstructed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from vitreous.fourier import Optics
from vitreous.simulate import Detector, TiltScheme
from vitreous.workflows.simulate.specimen import (
    Box,
    Contradiction,
    FilamentSpec,
    GoldSpec,
    IceSpec,
    Packing,
    Part,
    ParticleSpec,
    Positive,
    SheetSpec,
    VesicleSpec,
)

__all__ = ["Contradiction", "ParticleSpec", "SimulationSpec", "dose_of"]

DEFAULT_DOSE = 3.0
DEFAULT_DEFOCUS_UM = (4.0, 4.0)
DEFAULT_ITERATIONS = 20


def as_range(value: Any) -> Any:
    """A number as the range from it to itself."""
    if not isinstance(value, (int, float, list, tuple)):
        raise ValueError("give a number or [lowest, highest]")
    return (value, value) if isinstance(value, (int, float)) else value


class ImagingSpec(Part):
    """Dose, defocus and noise.

    Parameters
    ----------
    dose_e_per_angstrom2
        Electrons/Å² of each tilt; 3 if None.
    snr
        Variance of the signal over that of the noise in the whole tomogram, instead of a dose.
    noise_like
        A tomogram's file: noise of its power spectrum is added to the reconstruction in place of counting
        noise, as strong as `snr` says or, if that is None, as it is there beside the signal without gold.
        The dose then only damps.
    ctf
        Whether the microscope has a CTF; without it every frequency is transferred with 1.
    defocus_um
        Underfocus in µm, or (lowest, highest), between which each tomogram draws its own; 4 if None.
    radiation_damage
        Whether the dose damps high frequencies. With an `snr`, 3 electrons/Å² for each tilt do so.
    halves
        What even and odd are: the "frames" of every tilt, or every other of the "tilts".
    shift_jitter_angstrom, rotation_jitter_deg
        Standard deviations of what alignment has left.
    """

    dose_e_per_angstrom2: Positive | None = None
    snr: Positive | None = None
    noise_like: Annotated[str, Field(min_length=1)] | None = None
    ctf: bool = True
    defocus_um: Annotated[tuple[float, float], BeforeValidator(as_range)] | None = None
    radiation_damage: bool = True
    halves: Literal["frames", "tilts"] = "frames"
    shift_jitter_angstrom: Annotated[float, Field(ge=0)] = 0.0
    rotation_jitter_deg: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if None not in (self.snr, self.dose_e_per_angstrom2) and self.noise_like is None:
            raise Contradiction("a dose and an snr exclude each other: the noise follows from either", "snr")
        if self.noise_like is not None and self.halves == "tilts":
            raise Contradiction("noise_like has no noise of single tilts: halves are of frames", "halves")
        if not self.ctf and self.defocus_um is not None:
            raise Contradiction("a defocus without a CTF has no effect", "defocus_um")
        if self.defocus_um is not None and self.defocus_um[0] > self.defocus_um[1]:
            raise Contradiction("the lowest defocus comes first", "defocus_um")
        return self


class ReconstructionSpec(Part):
    """How the tilt series becomes a tomogram.

    Parameters
    ----------
    method
        "wbp", weighted back-projection, or "sirt".
    iterations
        Of SIRT; 20 if None.
    hamming
        Damp high frequencies (wbp).
    invert
        Protein bright, as in subtomogram averages; raw tomograms have it dark.
    """

    method: Literal["wbp", "sirt"] = "wbp"
    iterations: Annotated[int, Field(ge=1)] | None = None
    hamming: bool = False
    invert: bool = False

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.method == "wbp" and self.iterations is not None:
            raise Contradiction("iterations belong to sirt", "iterations")
        if self.method == "sirt" and self.hamming:
            raise Contradiction("hamming belongs to wbp", "hamming")
        return self


class SimulationSpec(Part):
    """Everything that decides what is simulated: the same specification gives the same bytes.

    Parameters
    ----------
    version
        Of this schema.
    seed
        Of every random draw; tomogram i draws from (seed, i).
    tomograms
        How many to make.
    box, particles, packing, vesicles, sheets, filaments, gold, ice
        The specimen.
    tilts, imaging, optics, detector, reconstruction
        What happens to it.

    Examples
    --------
    >>> spec = SimulationSpec(particles=[{"structure": "phantom:ribosome", "count": 3}])
    >>> spec.box.shape, spec.tilts.step_deg, spec.particles[0].class_name
    ((64, 128, 128), 3.0, 'phantom:ribosome')
    """

    version: Literal[1] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    tomograms: Annotated[int, Field(ge=1, le=100_000)] = 1
    box: Box = Box()
    particles: tuple[ParticleSpec, ...] = ()
    packing: Packing = Packing()
    vesicles: VesicleSpec = VesicleSpec()
    sheets: SheetSpec = SheetSpec()
    filaments: tuple[FilamentSpec, ...] = ()
    gold: GoldSpec = GoldSpec()
    ice: IceSpec = IceSpec()
    tilts: TiltScheme = TiltScheme()
    imaging: ImagingSpec = ImagingSpec()
    optics: Optics = Optics()
    detector: Detector = Detector()
    reconstruction: ReconstructionSpec = ReconstructionSpec()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        refuse_twins([p.class_name for p in self.particles], "particles", "structure")
        refuse_twins([f.kind for f in self.filaments], "filaments", "kind")
        for index, particles in enumerate(self.particles):
            if self.packing.occupancy is None and particles.count is None:
                raise Contradiction(
                    f"{particles.class_name} needs a count, or [packing] an occupancy", "particles", index
                )
        if self.packing.occupancy is not None and not any(p.count != 0 for p in self.particles):
            raise Contradiction("an occupancy needs particles", "packing", "occupancy")
        return self

    def to_json(self) -> dict[str, Any]:
        """Plain values that make the same specification again; None is left out."""
        return self.model_dump(mode="json", exclude_none=True)


def dose_of(spec: SimulationSpec) -> float:
    """Electrons/Å² of each tilt, also where the noise is scaled to an SNR."""
    return spec.imaging.dose_e_per_angstrom2 or DEFAULT_DOSE


def refuse_twins(names: Sequence[str], table: str, key: str) -> None:
    """Refuse a class that occurs twice, at its second place."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Contradiction(f"there are two classes {name}: give one another name", table, index, key)
