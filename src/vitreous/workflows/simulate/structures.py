"""From the structures that a specification names to templates at its voxel spacing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from vitreous.core import InputError, Interrupted, Progress, Template
from vitreous.io import fetch_structure, file_sha256, read_atomic_model, read_density_map
from vitreous.simulate import bead_model, template_from_atoms, template_from_beads, template_from_density
from vitreous.simulate.bead_models import CONTRAST_PER_KDA
from vitreous.workflows.simulate.spec import ParticleSpec, SimulationSpec


def build_templates(spec: SimulationSpec, progress: Progress) -> tuple[Template, ...]:
    """A template for each structure, called as its class.

    Raises
    ------
    InputError
        If a file cannot be read, an entry not be fetched, there is no such phantom, or a structure
        scatters no more than the ice.
    Interrupted
        If the user stopped.
    """
    templates = []
    progress.start("structures", len(spec.particles))
    for particles in spec.particles:
        if progress.should_stop():
            raise Interrupted
        template = template_of(particles, spec.box.voxel_spacing_angstrom)
        templates.append(replace(template, name=particles.class_name))
        progress.advance()
    return tuple(templates)


def template_of(particles: ParticleSpec, voxel_spacing_angstrom: float) -> Template:
    """The density of one structure, in volts against ice."""
    structure = particles.structure
    if particles.source == "phantom":
        return template_from_beads(bead_model(structure), voxel_spacing_angstrom)
    if particles.source == "map":
        return _with_words(structure, lambda: _template_of_map(particles, voxel_spacing_angstrom))
    path = fetch_structure(structure.partition(":")[2]) if particles.source == "pdb" else Path(structure)
    model = read_atomic_model(path, particles.class_name)
    return _with_words(structure, lambda: template_from_atoms(model, voxel_spacing_angstrom))


def input_digests(spec: SimulationSpec) -> dict[str, str]:
    """SHA-256 of every file that is a structure or has the noise."""
    files = [p.structure for p in spec.particles if p.source in ("model", "map")]
    files += [] if spec.imaging.noise_like is None else [spec.imaging.noise_like]
    return {path: file_sha256(path) for path in files}


def _template_of_map(particles: ParticleSpec, voxel_spacing_angstrom: float) -> Template:
    """A map's grey values, scaled so that they add up to what so much mass scatters."""
    volume = read_density_map(particles.structure)
    spacing = volume.mean_spacing_angstrom
    if spacing is None or particles.mass_kda is None:
        raise ValueError("a map needs a voxel spacing and a mass")
    density = np.asarray(volume.data, np.float32)
    template = template_from_density(density, spacing, voxel_spacing_angstrom, particles.class_name)
    total = float(template.density.sum(dtype=np.float64)) * voxel_spacing_angstrom**3
    scale = np.float32(CONTRAST_PER_KDA * particles.mass_kda / total)
    return replace(template, density=template.density * scale)


def _with_words(structure: str, build: Callable[[], Template]) -> Template:
    try:
        return build()
    except ValueError as error:
        raise InputError(str(error), path=structure, remedy="give another structure") from error
