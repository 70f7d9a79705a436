"""Detail finer than the template that was searched with: there nothing of it can have been copied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreous.metrics import band_correlation, phase_randomized

NARROWEST = 2.0  # frequencies of the box
ROUNDING = 1e-6
DRAWS = 199  # random phases: the smallest p value is 1 in 200

Array = NDArray[np.float32]


@dataclass(frozen=True)
class DetailEvidence:
    """How an average agrees with a structure between two resolutions.

    Parameters
    ----------
    correlation
        Over all frequencies of the band.
    p_value
        How often random phases in the band agree as well.
    band_angstrom
        Coarse and fine end, in Å.
    """

    correlation: float
    p_value: float
    band_angstrom: tuple[float, float]


def resolution_in_words(value_angstrom: float | None, evidence_beyond_angstrom: float) -> str:
    """A resolution in Å, where it is evidence: what is no finer than where that begins says nothing.

    Examples
    --------
    >>> resolution_in_words(24.04, 49.0), resolution_in_words(52.1, 49.0), resolution_in_words(None, 49.0)
    ('24.0 Å', 'none beyond 49 Å', 'none beyond 49 Å')
    """
    if value_angstrom is None or not value_angstrom < evidence_beyond_angstrom:
        return f"none beyond {evidence_beyond_angstrom:.0f} Å"
    return f"{value_angstrom:.1f} Å"


def detail_beyond(
    average: Array,
    structure: Array,
    mask: Array,
    voxel_spacing_angstrom: float,
    band_angstrom: tuple[float, float],
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> DetailEvidence | None:
    """Compare an average with a structure beyond the resolution at which it was aligned.

    The average with random phases within the band, masked as it is, says what chance gives: a randomization
    test. The phases are those of the average before it is masked, as masking makes neighbours in Fourier
    space alike; random structures in the whole box, in their place, called noise significant at 5 % in every
    fifth trial.

    Parameters
    ----------
    average, structure
        (z, y, x), one orientation and place, both protein bright, neither masked.
    mask
        (z, y, x), soft: what is compared.
    voxel_spacing_angstrom
        Edge of a voxel in Å.
    band_angstrom
        Coarse and fine end in Å; the fine one is raised to 2.2 voxels.
    rng
        Draws the phases.
    draws
        How many random structures to compare with.

    Returns
    -------
    None if the band is narrower than two frequencies of the box: nothing could be seen in it.
    """
    coarse, fine = band_angstrom[0], max(band_angstrom[1], 2.2 * voxel_spacing_angstrom)
    band = voxel_spacing_angstrom / coarse, voxel_spacing_angstrom / fine
    if (band[1] - band[0]) * min(average.shape) < NARROWEST - ROUNDING:
        return None
    known = structure * mask
    seen = band_correlation(average * mask, known, band)
    chance = [
        band_correlation(phase_randomized(average, rng, band[0]) * mask, known, band) for _ in range(draws)
    ]
    p_value = (1 + sum(value >= seen for value in chance)) / (1 + draws)
    return DetailEvidence(seen, p_value, (coarse, fine))
