"""In which order the tilts of a series are taken."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Order = Literal["dose-symmetric", "continuous"]
LARGEST_SERIES = 1000


class TiltScheme(BaseModel):
    """Tilts from a signed range in equal steps, which need not be symmetric.

    Parameters
    ----------
    lowest_deg, highest_deg
        Signed limits in degrees; tilts are whole steps away from `start_deg` and within them.
    step_deg
        Step in degrees.
    order
        "dose-symmetric": outwards from the start, in turn to both sides, positive first [hagen];
        "continuous": from the lowest tilt to the highest.
    group
        Tilts taken on one side before changing to the other (dose-symmetric).
    start_deg
        Tilt to start from (dose-symmetric) and to count steps from; the lowest tilt if None, in a
        continuous series, and 0 in a dose-symmetric one.

    Examples
    --------
    >>> TiltScheme(lowest_deg=-6, highest_deg=9, step_deg=3).acquisition_order()
    (0.0, 3.0, -3.0, 6.0, -6.0, 9.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lowest_deg: float = Field(-60.0, ge=-90, le=90)
    highest_deg: float = Field(60.0, ge=-90, le=90)
    step_deg: float = Field(3.0, gt=0)
    order: Order = "dose-symmetric"
    group: int = Field(1, ge=1)
    start_deg: float | None = None

    @model_validator(mode="after")
    def _makes_a_series(self) -> Self:
        if not self.lowest_deg < self.highest_deg:
            raise ValueError(
                f"the lowest tilt, {self.lowest_deg:g}°, must lie below the highest, {self.highest_deg:g}°"
            )
        if not self.lowest_deg <= self.start <= self.highest_deg:
            raise ValueError(f"the tilt range does not hold its start, {self.start:g}°")
        steps = (self.highest_deg - self.lowest_deg) / self.step_deg
        if not 1 <= steps + 1e-6 < LARGEST_SERIES:
            raise ValueError(f"a step of {self.step_deg:g}° makes no tilt series of that range")
        return self

    @property
    def start(self) -> float:
        """The tilt to start from, in degrees."""
        if self.start_deg is not None:
            return self.start_deg
        return 0.0 if self.order == "dose-symmetric" else self.lowest_deg

    def acquisition_order(self) -> tuple[float, ...]:
        """Signed tilt angles in degrees, first taken first."""
        above = math.floor((self.highest_deg - self.start) / self.step_deg + 1e-6)
        below = math.floor((self.start - self.lowest_deg) / self.step_deg + 1e-6)
        if self.order == "continuous":
            steps = list(range(-below, above + 1))
        else:
            steps = [0]
            for first in range(1, max(above, below) + 1, self.group):
                taken = range(first, first + self.group)
                steps += [n for n in taken if n <= above] + [-n for n in taken if n <= below]
        return tuple(self.start + n * self.step_deg for n in steps)
