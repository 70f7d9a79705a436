"""What an inspection finds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from vitreous.core import Spacing, VoxelStatistics
from vitreous.methods.noise_model import NoiseSpectrum
from vitreous.metrics import Layer, Outliers, Polarity

DIGITS = 4


@dataclass(frozen=True)
class TiltRange:
    """Which tilts a tomogram was made from, as Fourier space shows it.

    Parameters
    ----------
    lowest_deg, highest_deg
        Signed, with the sign of `fourier.measured_region`.
    uncertainty_deg
        One standard error of either, half a tilt step included.
    tilt_axis
        1 for y, 2 for x.
    seen_in
        "noise", or "signal" where there is too little noise: then the axis is taken to be y.
    """

    lowest_deg: float
    highest_deg: float
    uncertainty_deg: float
    tilt_axis: int = 1
    seen_in: Literal["noise", "signal"] = "noise"

    @property
    def limits_deg(self) -> tuple[float, float]:
        """Lowest and highest tilt."""
        return self.lowest_deg, self.highest_deg


@dataclass(frozen=True, eq=False)
class Inspection:
    """A tomogram as far as it tells about itself. Parts that cannot be told are None.

    Parameters
    ----------
    shape
        (z, y, x).
    voxel_spacing_angstrom
        As the file or the user has it; None, and lengths in Å are not measured, if unknown.
    statistics
        Of the grey values; None if they are all equal or none is finite, and nothing else is known then.
    noise
        Noise and total power spectra, in units of the standardized variance; None for a tiny volume.
    tilt_range
        None if no missing wedge is seen.
    polarity
        Contrast of protein.
    layer
        Where the specimen lies; None if it fills the volume or cannot be told from it.
    outliers
        Gold and places that were cut out.
    doubts
        Sentences for people: what looks wrong, and what to do.
    """

    shape: tuple[int, int, int]
    voxel_spacing_angstrom: Spacing | None
    statistics: VoxelStatistics | None = None
    noise: NoiseSpectrum | None = None
    tilt_range: TiltRange | None = None
    polarity: Polarity | None = None
    layer: Layer | None = None
    outliers: Outliers | None = None
    doubts: tuple[str, ...] = ()

    @property
    def noise_share(self) -> float | None:
        """Share of the variance that is noise."""
        return None if self.noise is None else min(self.noise.noise_share, 1.0)

    @property
    def noise_to_signal(self) -> float | None:
        """Deviation of the noise over that of the signal; infinite if no signal is seen."""
        share = self.noise_share
        return None if share is None else (math.sqrt(share / (1 - share)) if share < 1 else math.inf)

    def to_json(self) -> dict[str, Any]:
        """Plain values by the names that `vitreous inspect --json` has."""
        facts: dict[str, Any] = {
            "size_zyx": list(self.shape),
            "voxel_spacing_angstrom": rounded(self.voxel_spacing_angstrom),
        }
        if self.statistics is not None:
            constants = self.statistics.normalization
            facts |= {
                "mean": constants.mean,
                "deviation": constants.deviation,
                "non_finite_voxels": self.statistics.non_finite,
                "clipped_share": self.statistics.clipped_share,
            }
        if self.polarity is not None:
            facts |= {
                "protein": self.polarity.protein,
                "probability_dark": rounded(self.polarity.probability_dark),
                "skewness": rounded(self.polarity.skewness),
            }
        if self.noise is not None:
            facts |= {
                "noise_share_of_variance": rounded(self.noise_share),
                "noise_to_signal": rounded(self.noise_to_signal),
                "fourier_space_filled_by_noise": rounded(self.noise.filled_share),
                "tilt_axis": ("y" if self.noise.tilt_axis == 1 else "x")
                if self.noise.tilt_axis_seen
                else None,
                "tilt_range": None
                if self.tilt_range is None
                else {**rounded(asdict(self.tilt_range)), "tilt_axis": "yx"[self.tilt_range.tilt_axis - 1]},
            }
        if self.polarity is not None:
            facts["layer"] = None if self.layer is None else rounded(asdict(self.layer))
        if self.outliers is not None:
            facts |= {
                "gold_beads": self.outliers.beads,
                "gold_diameter_angstrom": rounded(self.outliers.diameter_angstrom),
                "erased_places": self.outliers.erased,
            }
        return {**facts, "doubts": list(self.doubts)}


def rounded(value: Any) -> Any:
    """The same plain values with as many digits as they deserve; None for what is no finite number.

    Examples
    --------
    >>> rounded({"a": (1.23456, math.inf), "b": "y"})
    {'a': [1.2346, None], 'b': 'y'}
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value
