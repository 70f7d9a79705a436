"""Simulate one tomogram in memory: fill the box, take the tilt series, reconstruct."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from vitreous.core import InputError, Progress, SilentProgress, Template, Volume, as_spacing
from vitreous.simulate import (
    ACTIN,
    MICROTUBULE,
    Contents,
    Filaments,
    Gold,
    GrandModel,
    IceLayer,
    ImagingSettings,
    Particles,
    Sheets,
    TiltSeries,
    Vesicles,
    image,
    pack,
    through_uneven_ice,
)
from vitreous.workflows.simulate.measured_noise import MeasuredNoise, noise_of
from vitreous.workflows.simulate.reconstruction import reconstruct_halves
from vitreous.workflows.simulate.spec import (
    DEFAULT_DEFOCUS_UM,
    SimulationSpec,
    dose_of,
)
from vitreous.workflows.simulate.spec_file import load_spec
from vitreous.workflows.simulate.structures import build_templates
from vitreous.workflows.simulate.values import SimulatedTomogram

PACKING, DEFOCUS, NOISE = 0, 1, 2  # what a tomogram draws; imaging has a seed of its own
FRINGES_ANGSTROM = 50.0  # how far the CTF carries what stands out of a bead
KINDS = {kind.name: kind for kind in (ACTIN, MICROTUBULE)}


def simulate_tomogram(
    spec: SimulationSpec | str | Path | Mapping[str, Any],
    index: int = 0,
    *,
    templates: Sequence[Template] | None = None,
    noise: MeasuredNoise | None = None,
    progress: Progress | None = None,
) -> SimulatedTomogram:
    """Simulate one tomogram with complete ground truth, in memory.

    Parameters
    ----------
    spec
        A specification, its keys as a mapping, the name of a preset such as "demo", or a TOML file.
    index
        Which of its tomograms; each is drawn from (seed, index) and does not depend on the others.
    templates
        Densities of the structures, for those who make several tomograms; built when not given.
    noise
        That of `imaging.noise_like`, likewise.
    progress
        Receives progress; silent by default.

    Raises
    ------
    InputError
        If the specification contradicts itself, a structure cannot be had, or nothing finds room.
    Interrupted
        If the user stopped.

    Examples
    --------
    >>> box = {"shape": (16, 32, 32)}
    >>> made = simulate_tomogram({"box": box, "gold": {"count": 1}, "tilts": {"step_deg": 20}})
    >>> made.tomogram.shape, made.grand_model.tallies
    ((16, 32, 32), (Tally(name='gold', requested=1, placed=1),))
    """
    if isinstance(spec, (str, Path)):
        spec = load_spec(spec)
    elif not isinstance(spec, SimulationSpec):
        spec = SimulationSpec(**spec)
    progress = progress or SilentProgress()
    if templates is None:
        templates = build_templates(spec, progress)
    noise = noise or noise_of(spec, progress)
    clock = Clock()
    with clock.running("packing"):
        model = packed(spec, index, templates, progress)
    with clock.running("imaging"):
        series = imaged(spec, index, model, progress)
    with clock.running("reconstruction"):
        drawn, aside = None, None
        if noise is not None:
            drawn, aside = noise.drawn(spec.box.shape, seed_of(spec, index, NOISE)), near_gold(model)
        volumes = reconstruct_halves(spec, series, progress, drawn, aside)
    spacing = as_spacing(spec.box.voxel_spacing_angstrom)
    return SimulatedTomogram(
        spec,
        index,
        Volume(volumes.tomogram, spacing),
        Volume(volumes.even, spacing),
        Volume(volumes.odd, spacing),
        Volume(volumes.noise_free, spacing),
        volumes.series,
        model,
        series.defoci_um[0],
        volumes.snr,
        clock.seconds,
        (*shortfall_warnings(model), *(() if noise is None else noise.doubts)),
    )


class Clock:
    """Adds up what took how long."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Count the time of a `with` block."""
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 3)


def packed(spec: SimulationSpec, index: int, templates: Sequence[Template], progress: Progress) -> GrandModel:
    """The specimen."""
    rng = np.random.default_rng([spec.seed, index, PACKING])
    contents = contents_of(spec, templates)
    model = pack(spec.box.shape, spec.box.voxel_spacing_angstrom, contents, rng, progress)
    if model.tallies and not any(tally.placed for tally in model.tallies):
        kinds = ", ".join(tally.name for tally in model.tallies)
        raise InputError(f"the box has no room for a single {kinds}", remedy="enlarge [box] or its slab")
    return model


def contents_of(spec: SimulationSpec, templates: Sequence[Template]) -> Contents:
    """What is to be packed."""
    counts = [1 if particles.count is None else particles.count for particles in spec.particles]
    return Contents(
        tuple(Particles(template, count) for template, count in zip(templates, counts, strict=True)),
        spec.packing.occupancy,
        Vesicles(**spec.vesicles.model_dump()),
        Sheets(**spec.sheets.model_dump()),
        tuple(Filaments(KINDS[f.kind], f.count, f.max_elevation_deg) for f in spec.filaments),
        Gold(**spec.gold.model_dump()),
        spec.box.slab,
        spec.packing.gap_voxels,
        spec.packing.overlap_tolerance_voxels,
    )


def imaged(spec: SimulationSpec, index: int, model: GrandModel, progress: Progress) -> TiltSeries:
    """The tilt series of a specimen; its noise is that of the dose, whatever SNR is asked for.

    It has none where the noise is drawn like that of a tomogram.
    """
    imaging = spec.imaging
    spacing = spec.box.voxel_spacing_angstrom
    ice = IceLayer(
        spec.ice.thickness_angstrom or spec.box.slab_planes * spacing,
        spec.ice.gradient,
        spec.ice.meniscus_angstrom,
    )
    settings = ImagingSettings(
        tilts=spec.tilts,
        defocus_um=drawn_defocus(spec, index),
        optics=spec.optics,
        detector=spec.detector,
        dose_e_per_angstrom2=dose_of(spec),
        ice_thickness_angstrom=ice.thickness_angstrom,
        **imaging.model_dump(
            include={"radiation_damage", "halves", "shift_jitter_angstrom", "rotation_jitter_deg"}
        ),
    )
    series = image(model.density, spacing, settings, seed=seed_of(spec, index), progress=progress)
    if imaging.noise_like is not None:
        silent = np.zeros_like(series.even_noise)
        series = replace(series, even_noise=silent, odd_noise=silent)
    return through_uneven_ice(series, ice, settings.inelastic_mean_free_path_angstrom)


def near_gold(model: GrandModel) -> NDArray[np.bool_] | None:
    """Where gold and its fringes are, (z, y, x); None without gold.

    Patches with gold do not count where a tomogram's signal is measured; here it would outweigh all else.
    """
    gold = [label for label, name in enumerate(model.class_names, 1) if name == "gold"]
    inside = np.isin(model.class_mask, gold)
    if not inside.any():
        return None
    reach = math.ceil(FRINGES_ANGSTROM / model.voxel_spacing_angstrom)
    near: NDArray[np.bool_] = ndi.maximum_filter(inside, 2 * reach + 1)
    return near


def seed_of(spec: SimulationSpec, *parts: int) -> int:
    """A seed for what is drawn by others, such as (index, NOISE)."""
    return int(np.random.SeedSequence([spec.seed, *parts]).generate_state(1, np.uint64)[0])


def drawn_defocus(spec: SimulationSpec, index: int) -> float | None:
    """Underfocus of one tomogram in µm, None without a CTF."""
    if not spec.imaging.ctf:
        return None
    low, high = spec.imaging.defocus_um or DEFAULT_DEFOCUS_UM
    return float(np.random.default_rng([spec.seed, index, DEFOCUS]).uniform(low, high))


def shortfall_warnings(model: GrandModel) -> tuple[str, ...]:
    """What found no room, one sentence each."""
    return tuple(
        f"There was no room for {tally.requested - tally.placed} of {tally.requested} {tally.name}."
        for tally in model.shortfalls
    )
