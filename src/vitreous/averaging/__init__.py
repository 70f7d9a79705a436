"""Subtomograms to poses and half maps: alignment within the missing wedge, averages."""

from vitreous.averaging.alignment import Alignment, align, scores_at
from vitreous.averaging.average import WedgeAverage
from vitreous.averaging.config import SearchConfig
from vitreous.averaging.halves import close_pairs, groups_of, halves_of_groups, starting_halves
from vitreous.averaging.references import finest_shared, low_passed
from vitreous.averaging.refinement import (
    AverageConfig,
    BoxedParticles,
    ParticleSet,
    Round,
    evidence_beyond,
    particle_mask,
    refine_halves,
)
from vitreous.fourier.rotations import angles_between, nearby_rotations, rotation_grid, symmetry_group

__all__ = [
    "Alignment",
    "AverageConfig",
    "BoxedParticles",
    "ParticleSet",
    "Round",
    "SearchConfig",
    "WedgeAverage",
    "align",
    "angles_between",
    "close_pairs",
    "evidence_beyond",
    "finest_shared",
    "groups_of",
    "halves_of_groups",
    "low_passed",
    "nearby_rotations",
    "particle_mask",
    "refine_halves",
    "rotation_grid",
    "scores_at",
    "starting_halves",
    "symmetry_group",
]
