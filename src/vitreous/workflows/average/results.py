"""What comes out of an average: facts, what may be wrong with them, and files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from vitreous.averaging import Round, evidence_beyond, low_passed, particle_mask
from vitreous.core import Poses, Volume
from vitreous.core.volume import as_spacing
from vitreous.io import ALIGNMENT_SCORE, SUBSET, write_aligned_particles, write_text_atomic, write_volume
from vitreous.metrics import fourier_shell_correlation, fsc_resolution
from vitreous.workflows.average.halves import Halves, shared_doubts
from vitreous.workflows.average.particles import TomogramParticles
from vitreous.workflows.average.plan import averaged_diameter, diameter_of
from vitreous.workflows.average.request import AverageRequest
from vitreous.workflows.run_directory import plain
from vitreous.workflows.search_template import SearchTemplate

MAPS = ("average", "half1", "half2", "average_filtered")


def finished(
    request: AverageRequest,
    particles: TomogramParticles,
    halves: Halves,
    template: SearchTemplate | None,
    done: Round,
) -> dict[str, Any]:
    """What `run.json` says of the result."""
    opened, side, spacing = particles.opened, particles.side, particles.voxel_spacing_angstrom
    config = request.settings.config(diameter_of(request, template))
    mask, limit = particle_mask(particles, config).numpy(), evidence_beyond(particles, config)
    curve, resolution = None, None
    if template is not None:
        box = template.box(side, request.settings.defocus_um).numpy() * mask
        found = fourier_shell_correlation(done.average.numpy() * mask, box)
        curve, resolution = found[1].tolist(), fsc_resolution(found, spacing)
    return {
        "particles": opened.count,
        "box_voxels": side,
        "voxel_spacing_angstrom": spacing,
        "diameter_angstrom": averaged_diameter(request, template, particles),
        "halves_from_file": halves.from_file,
        "resolution_angstrom": plain(done.resolution_angstrom),
        "finest_used_angstrom": done.finest_used_angstrom,
        "evidence_beyond_angstrom": limit,
        "template_fsc": curve,
        "template_resolution_angstrom": plain(resolution),
        "mean_score": float(done.poses.scores.mean()),
        "settings": request.to_json()["settings"],
        "wedges": {one.name: one.wedge.described for one in opened.tomograms},
        "warnings": [
            *opened.warnings,
            *halves.notes,
            *doubts(request, done, spacing, limit),
            *shared_doubts(halves, particles, done.poses),
        ],
    }


def doubts(request: AverageRequest, done: Round, spacing: float, limit: float) -> list[str]:
    """What may be wrong with a result, as sentences; `limit` is that of `evidence_beyond`."""
    texts = []
    if not done.resolution_angstrom < limit:
        texts.append(
            f"The half maps agree no further than the {limit:.0f} Å up to which they share detail: that is "
            "no evidence of a particle. Check --invert, the picks and the template."
        )
    if abs(done.resolution_angstrom - 2 * spacing) < 1e-6:
        texts.append(
            "The FSC never falls to 0.143: smaller voxels would show more, or the halves share noise."
        )
    if request.settings.template is None:
        texts.append("Without a template the average's orientation and hand are its own choice.")
    return texts


def write_results(
    request: AverageRequest,
    particles: TomogramParticles,
    halves: Halves,
    done: Round,
    facts: Mapping[str, Any],
) -> None:
    """Maps, FSC and aligned particles."""
    folder, opened, spacing = request.output, particles.opened, particles.voxel_spacing_angstrom
    finest = done.resolution_angstrom
    filtered = low_passed(done.average, min(0.5, spacing / finest)) if math.isfinite(finest) else done.average
    for name, values in zip(MAPS, (done.average, *done.halves, filtered), strict=True):
        volume = Volume(values.numpy().astype(np.float32), as_spacing(spacing))
        write_volume(folder / f"{name}.mrc", volume, overwrite=True, label=f"vitreous average: {name}")
    fsc = {
        "frequency_per_angstrom": (done.fsc.frequency / spacing).tolist(),
        **{
            name: getattr(done.fsc, name).tolist()
            for name in ("unmasked", "masked", "randomized", "corrected")
        },
        "against_template": facts["template_fsc"],
        "resolution_angstrom": facts["resolution_angstrom"],
        "evidence_beyond_angstrom": facts["evidence_beyond_angstrom"],
    }
    write_text_atomic(folder / "fsc.json", json.dumps(fsc, indent=2) + "\n")
    names = tuple(name for one in opened.tomograms for name in one.poses.names)
    write_aligned_particles(
        folder / "aligned.star",
        opened.table,
        np.concatenate([one.rows for one in opened.tomograms]),
        Poses(done.poses.rotations.numpy(), particles.positions_angstrom(done.poses), names),
        shapes={one.name: one.volume.shape for one in opened.tomograms},
        voxel_spacing_angstrom=spacing,
        columns={
            ALIGNMENT_SCORE: done.poses.scores.tolist(),
            SUBSET: (halves.which + 1).tolist(),
        },
        overwrite=True,
    )
