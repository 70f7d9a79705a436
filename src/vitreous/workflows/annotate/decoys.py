"""What is not the structure, to compare picks with: random phases, simple shapes, and other complexes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Template
from vitreous.evidence import slab_of
from vitreous.metrics import phase_randomized
from vitreous.simulate import make_gold
from vitreous.simulate.bead_models import CONTRAST_PER_KDA
from vitreous.simulate.complexes import COMPLEXES
from vitreous.workflows.annotate.boxes import Boxes
from vitreous.workflows.annotate.specimens import mass_and_size, strangers
from vitreous.workflows.annotate.work import Work
from vitreous.workflows.simulate.spec import ParticleSpec
from vitreous.workflows.simulate.structures import template_of

# Thirty particles three deviations above chance are told from what correlates by 0.9 with them, not by 0.95.
# At 20 Å phantoms have up to 0.92 (ClpB and p97; TRiC and GroEL 0.74), those without a hand and their mirror
# images 0.97 to 0.99.
ONE_SHAPE = 0.95
OF_LIKE_MASS = 2

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Decoys:
    """What a structure is told from.

    Parameters
    ----------
    densities
        By what each is called in the report.
    alike
        Names of complexes that cannot be told from it, being of one shape with it as far as the tomogram
        shows.
    """

    densities: dict[str, Array] = field(default_factory=dict)
    alike: tuple[str, ...] = ()


def decoys_of(work: Work, name: str, boxes: Boxes, rng: np.random.Generator) -> Decoys:
    """What picks of a structure are compared with: simple shapes, and complexes unlike it and of its mass."""
    template, spacing = work.templates[name], work.subject.style.simulated_spacing_angstrom
    densities = {
        "a structure of random phases": phase_randomized(template.density, rng),
        "another of random phases": phase_randomized(template.density, rng),
        "a membrane": slab_of(template).density,
        "a gold bead": make_gold(100.0, spacing).density,
    }
    for other, known in work.templates.items():
        if other != name:
            densities[other] = known.density
    for other in strangers(list(work.templates.values()), spacing):
        densities[f"phantom:{other}"] = phantom(f"phantom:{other}", spacing).density
    rivals = rivals_of_like_mass(work, name, boxes)
    return Decoys(densities | rivals.densities, rivals.alike)


def rivals_of_like_mass(work: Work, name: str, boxes: Boxes) -> Decoys:
    """The complexes that are nearest in mass to a structure, without what was asked for.

    What fits a structure in spite of being another is most often as large as it is. Those of one shape with
    it are no decoys: true particles would fit them as well.
    """
    template = work.templates[name]
    asked = {text.rpartition(":")[2].lower() for text in work.templates}
    others = [row for row in COMPLEXES if asked.isdisjoint((row.name, *row.aliases))]
    others.sort(key=lambda row: abs(math.log(row.mass_kda / mass_of(template))))
    densities: dict[str, Array] = {}
    alike: list[str] = []
    for row in others:
        if len(densities) == OF_LIKE_MASS:
            break
        other = f"phantom:{row.name}"
        density = phantom(other, work.subject.style.simulated_spacing_angstrom).density
        if boxes.likeness(template.density, density) > ONE_SHAPE:
            alike.append(other)
        else:
            densities[other] = density
    return Decoys(densities, tuple(alike))


def mass_of(template: Template) -> float:
    """Of a template in volts, in kDa of protein."""
    total, _ = mass_and_size(template)
    return total * template.voxel_spacing_angstrom**3 / CONTRAST_PER_KDA


def phantom(name: str, voxel_spacing_angstrom: float) -> Template:
    """The template of a phantom."""
    return template_of(ParticleSpec(structure=name), voxel_spacing_angstrom)
