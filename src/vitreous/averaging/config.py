"""Settings of an alignment."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

MOST_CANDIDATES = 24


class SearchConfig(BaseModel):
    """How orientations and shifts are searched.

    Parameters
    ----------
    angular_step_deg
        Of the coarse search, see `rotation_grid`.
    reach_deg
        Search only so far around each particle's orientation; all orientations if None.
    shift_voxels
        How far from where it is thought to be a particle's centre may be.
    band
        Lowest and highest |k| that are compared, in cycles/voxel.
    refinements
        How often the steps are halved around the best.
    candidates
        Orientations of a search over all of them that are refined.
    symmetry
        Point group of the template.
    whiten
        Divide by the root of the particles' mean power, shell by shell: little is made of frequencies
        at which noise or neighbours are strong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    angular_step_deg: PositiveFloat = Field(15.0, le=90)
    reach_deg: PositiveFloat | None = None
    shift_voxels: float = Field(4.0, ge=0)
    band: tuple[float, float] = (0.02, 0.25)
    refinements: int = Field(3, ge=0, le=6)
    candidates: int = Field(3, ge=1, le=MOST_CANDIDATES)
    symmetry: str = "C1"
    whiten: bool = True

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not 0 <= self.band[0] < self.band[1] <= math.sqrt(3) / 2:
            raise ValueError("the band needs two rising frequencies in cycles/voxel")
        return self
