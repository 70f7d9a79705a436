"""Settings that all wedge-filling methods share."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from vitreous.methods.noise_model import NoiseModelConfig
from vitreous.methods.wedge.geometry import AXES, MissingWedge


class WedgeConfig(NoiseModelConfig):
    """Settings of the noise-model method with wedge filling; see `NoiseModelConfig` for the others.

    `tilt_range_deg` and `tilt_axis` ("y" or "x") are estimated where None. `upright_share` of the
    patches are neither rotated nor emptied: they are not interpolated, and so keep the measured region
    as sharp as plain denoising does. `round` is the training that a method is in, counted from 0.
    """

    tilt_range_deg: tuple[float, float] | None = None
    tilt_axis: str | None = Field(None, pattern="^[yx]$")
    upright_share: float = Field(0.25, ge=0, le=1)
    round: NonNegativeInt = 0


def fixed_wedge(config: WedgeConfig) -> MissingWedge:
    """The wedge of a configuration that `adapted` has fixed."""
    if config.tilt_range_deg is None or config.tilt_axis is None:
        raise ValueError("the wedge was left to the volumes: call the method's adapted() first")
    return MissingWedge(config.tilt_range_deg, AXES[config.tilt_axis])
