"""Pick particles that look like a structure, in any orientation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vitreous.core import InputError, Poses, Progress, VoxelStatistics, measure_voxels
from vitreous.fourier.rotations import symmetry_group
from vitreous.picking import SearchSpace, TemplateConfig, match_template, template_bytes
from vitreous.workflows.pick.pickers import Found, count_doubts
from vitreous.workflows.pick.source import PickSource
from vitreous.workflows.search_template import SearchTemplate, open_template, wedge_of

MARGIN = 6  # voxels around the template
LEAST_ACROSS = 4  # of the finest detail that is compared, along the tomogram


@dataclass(frozen=True)
class StructureSettings:
    """Which structure is looked for, and how."""

    structure: str
    matching: TemplateConfig
    tilt_range_deg: tuple[float, float] | None
    defocus_um: float | None

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """Plain values for `run.json`."""
        limits = None if self.tilt_range_deg is None else list(self.tilt_range_deg)
        plain = {"structure": self.structure, "tilt_range_deg": limits, "defocus_um": self.defocus_um}
        return {**self.matching.model_dump(mode="json"), **plain}


@dataclass(frozen=True)
class Prepared:
    """What is searched for in one tomogram, whose grey values were measured."""

    space: SearchSpace
    name: str
    statistics: VoxelStatistics
    wedge: str


class TemplatePicker:
    """Correlation with a template over a grid of orientations, within the missing wedge."""

    score_text = (
        "In multiples of the noise of the correlation at one orientation. The best of many orientations "
        "is well above 0 where there is nothing; unless it was given, the threshold is what white noise "
        "would exceed in one of ten such tomograms."
    )

    remedy = "check the file, --voxel-size and --template"

    def config(self, settings: Any) -> StructureSettings:
        """Those of the method."""
        if settings.template is None:
            raise InputError("--method template needs a structure", remedy="give --template")
        symmetry_group(settings.symmetry)
        chosen = settings.chosen(
            "count", "threshold", "min_distance_angstrom", "angular_step_deg", "low_pass_angstrom"
        )
        matching = TemplateConfig(**chosen, symmetry=settings.symmetry, bright=settings.invert)
        return StructureSettings(settings.template, matching, settings.tilt_range_deg, settings.defocus_um)

    def prepared(self, source: PickSource, config: StructureSettings) -> Prepared:
        """Template, wedge and grey values, once it is clear that they suit each other."""
        data, spacing = source.volume.data, source.spacing_angstrom
        finest, longest = config.matching.low_pass_angstrom, max(source.volume.shape) * spacing
        if finest > longest / LEAST_ACROSS:
            raise ValueError(f"--low-pass {finest:g} Å leaves nothing of a tomogram of {longest:.0f} Å")
        coarse = config.matching.binning(spacing) * spacing
        template = open_template(config.structure, coarse)
        side = box_of(template, coarse)
        if side > 2 * min(n * spacing / coarse for n in source.volume.shape):
            raise ValueError(
                f"the template of {template.diameter_angstrom:.0f} Å is larger than the tomogram"
            )
        statistics = measure_voxels(data, source.mask)
        wedge = wedge_of(data, statistics.normalization, source.volume.path, config.tilt_range_deg)
        seen = template.box(side, config.defocus_um)
        space = SearchSpace(seen, template.diameter_angstrom, wedge.tilt_range_deg, wedge.tilt_axis)
        return Prepared(space, template.template.name, statistics, wedge.described)

    def threshold(self, config: StructureSettings) -> float:
        """In multiples of noise; 0 where the method decides."""
        return config.matching.threshold or 0.0

    def memory(self, source: PickSource, config: StructureSettings) -> int:
        """Of the score map and of one tile."""
        factor = config.matching.binning(source.spacing_angstrom)
        return template_bytes(source.volume.shape, factor)

    def pick(
        self, source: PickSource, config: StructureSettings, prepared: Prepared, progress: Progress
    ) -> Found:
        """Particles with their orientations, the best first."""
        progress.note(f"{prepared.name}, {prepared.space.diameter_angstrom:.0f} Å; {prepared.wedge}")
        matched = match_template(
            source.volume.data,
            prepared.statistics.normalization,
            source.spacing_angstrom,
            prepared.space,
            config.matching,
            mask=source.mask,
            progress=progress,
        )
        count = len(matched.picks)
        names = (prepared.name,) * count
        texts = count_doubts(count, matched.candidates, matched.threshold, "--template")
        if prepared.statistics.non_finite:
            missing = f"{prepared.statistics.non_finite} voxels are NaN or infinite"
            texts = (f"{missing}; they were taken as the mean.", *texts)
        return Found(
            Poses(
                np.asarray(matched.rotations).reshape(count, 3, 3), matched.picks.positions_angstrom, names
            ),
            matched.picks.scores,
            matched.candidates,
            {prepared.name: prepared.space.diameter_angstrom},
            texts,
            {
                "diameter_angstrom": prepared.space.diameter_angstrom,
                "threshold": matched.threshold,
                "orientations": matched.orientations,
                "wedge": prepared.wedge,
            },
        )

    def described(self, config: StructureSettings) -> Mapping[str, str]:
        """Structure, detail and polarity."""
        matching = config.matching
        step = matching.angular_step_deg
        return {
            "method": f"template matching with {config.structure}, detail down to "
            f"{matching.low_pass_angstrom:g} Å",
            "angular step": "after the particle's size" if step is None else f"{step:g}°",
            "symmetry": matching.symmetry,
            "defocus": "not told" if config.defocus_um is None else f"{config.defocus_um:g} µm",
            "particles": "bright" if matching.bright else "dark",
        }


def box_of(template: SearchTemplate, spacing_angstrom: float) -> int:
    """Even side in voxels of the box of a template."""
    return 2 * math.ceil((template.diameter_angstrom / spacing_angstrom + MARGIN) / 2)
