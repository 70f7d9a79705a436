"""Settings that all wedge-filling methods share."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveFloat

from vitreous.methods.noise_model import NoiseModelConfig
from vitreous.methods.wedge.geometry import AXES, MissingWedge


class WedgeConfig(NoiseModelConfig):
    """What wedge-filling methods have beyond the noise model's settings.

    `tilt_range_deg` and `tilt_axis` ("y" or "x") are estimated where None. `round` is the training that a
    method is in, counted from 0.
    """

    tilt_range_deg: tuple[float, float] | None = None
    tilt_axis: str | None = Field(None, pattern="^[yx]$")
    round: NonNegativeInt = 0


class FillingConfig(WedgeConfig):
    """Settings of the noise model's wedge filling.

    Parameters
    ----------
    steps
        Of denoising: as many as the noise model takes, when None.
    filling_share
        Of as many steps, for filling.
    upright_share
        Share of the patches that are neither rotated nor emptied while the wedge is being filled.
    """

    filling_share: PositiveFloat = 0.4
    upright_share: float = Field(0, ge=0, le=1)


def fixed_wedge(config: WedgeConfig) -> MissingWedge:
    """The wedge of a configuration that `adapted` has fixed."""
    if config.tilt_range_deg is None or config.tilt_axis is None:
        raise ValueError("the wedge was left to the volumes: call the method's adapted() first")
    return MissingWedge(config.tilt_range_deg, AXES[config.tilt_axis])
