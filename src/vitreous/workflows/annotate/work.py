"""What the stages share: the request, the folder, the tomogram and the structures, each opened once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vitreous.core import Progress, Template
from vitreous.inference import ComputeDevice, choose_device
from vitreous.workflows.annotate.dual_specimens import Learnt, learnt_style
from vitreous.workflows.annotate.request import AnnotateRequest
from vitreous.workflows.annotate.specimens import class_names
from vitreous.workflows.annotate.subject import Subject, diameter_of, open_subject
from vitreous.workflows.dual.model import load_dual
from vitreous.workflows.run_directory import RunDirectory
from vitreous.workflows.simulate.spec import ParticleSpec
from vitreous.workflows.simulate.structures import template_of

TEMPLATE_ANGSTROM = 10.0  # voxels at which the size of a structure is measured


@dataclass(eq=False)
class Work:
    """One chain at work.

    Parameters
    ----------
    request
        What was asked for.
    progress
        Told of everything.
    facts
        What `run.json` says of the stages that are done, by name.
    """

    request: AnnotateRequest
    progress: Progress
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where everything goes."""
        return self.request.output

    @property
    def run(self) -> RunDirectory:
        """The run directory of the chain."""
        return RunDirectory(self.folder)

    @cached_property
    def particles(self) -> tuple[ParticleSpec, ...]:
        """The structures, as the simulator takes them."""
        return self.request.particles()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the labels from 1 on."""
        return class_names(self.particles)

    @cached_property
    def sizes(self) -> Mapping[str, float]:
        """Diameter of each structure in Å."""
        made = {spec.class_name: template_of(spec, TEMPLATE_ANGSTROM) for spec in self.particles}
        return {name: diameter_of(template) for name, template in made.items()}

    @cached_property
    def subject(self) -> Subject:
        """The tomogram, made ready."""
        templates = [template_of(spec, TEMPLATE_ANGSTROM) for spec in self.particles]
        return open_subject(self.request, templates)

    @property
    def spacing_angstrom(self) -> float:
        """Edge of a voxel of the tomogram as it is in the file, in Å."""
        return self.subject.volume.mean_spacing_angstrom or 0.0

    @cached_property
    def templates(self) -> Mapping[str, Template]:
        """The structures at the voxel spacing that the chain works at."""
        spacing = self.subject.style.simulated_spacing_angstrom
        return {spec.class_name: template_of(spec, spacing) for spec in self.particles}

    @cached_property
    def averaged_templates(self) -> Mapping[str, Template]:
        """The structures in the voxels that particles are averaged in."""
        subject = self.subject
        finer = subject.averaging_spacing_angstrom / subject.spacing_angstrom
        spacing = finer * subject.style.simulated_spacing_angstrom
        return {spec.class_name: template_of(spec, spacing) for spec in self.particles}

    @cached_property
    def compute(self) -> ComputeDevice:
        """Where to compute."""
        return choose_device(self.request.settings.device)

    @cached_property
    def learnt(self) -> Learnt | None:
        """The DUAL that makes specimens look like the tomogram, if one is to."""
        folder = self.request.dual
        if folder is None:
            return None
        return learnt_style(load_dual(folder, self.request.settings.device), self.subject.style, folder)

    def open(self) -> None:
        """Open structures, tomogram and model now; raises InputError for what cannot be used."""
        _ = self.sizes, self.subject, self.learnt

    def place(self, *parts: str) -> Path:
        """A path in the folder."""
        return self.folder.joinpath(*parts)
