"""Settings of NMSG."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from vitreous.methods.nmsg.patches import NoiseFrom
from vitreous.methods.plain_unet import UNetConfig


class NmsgConfig(UNetConfig):
    """Settings of NMSG.

    The noise is learned from patches of `noise_side` voxels, `noise_batch` at a time: the `quiet_share`
    of all patches with the least structure, or those at the "top-and-bottom" of the volume;
    `gradient_penalty` steadies the game that it is learned by.

    `pairs`: "noisier" trains from y + n to y and shows the network y, as published, which leaves much of
    the noise in the result. "corrected" takes it off, see `Nmsg`, and averages over `draws` of n.

    `sparsity` weighs the mean absolute gradient of the prediction, `guidance` its mean square distance
    to the volume smoothed by a Gaussian of `smooth_sigma` voxels; published are 0.05 and 0.5. Measured on
    white noise after 250 steps: 19.7 dB with noisier pairs, 24.0 with both weights as well, 26.4 for the
    best Gaussian, 30.7 with corrected pairs alone, 30.5 with sparsity as well.

    The published first beta of 0.5 makes the game settle a little closer, but the denoiser's gradient
    burst on all of three volumes of wedge-shaped noise (norms of 2,500 to 380,000) and once left it useless.
    With 0.9 the norms were 6 and 8 on two of these, and 5 and 34 in white noise.
    """

    noise_side: PositiveInt = Field(16, ge=12, multiple_of=4)
    noise_batch: PositiveInt = 6
    noise_from: NoiseFrom = "quiet"
    quiet_share: float = Field(0.15, gt=0, le=1)
    gradient_penalty: NonNegativeFloat = 1.0
    pairs: Literal["corrected", "noisier"] = "corrected"
    sparsity: NonNegativeFloat = 0.05
    guidance: NonNegativeFloat = 0.0
    smooth_sigma: PositiveFloat = 1.0
    draws: PositiveInt = 16
