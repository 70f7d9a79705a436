"""What a picker has to say to a pick run, and the one for blobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vitreous.core import Poses, Progress, VoxelStatistics, measure_voxels
from vitreous.picking import DogConfig, Picked, dog_bytes, pick_blobs, sigmas_voxel
from vitreous.workflows.pick.source import PickSource

OTHER_POLARITY = -0.4  # skewness of the score map; noise alone stays within ±0.2


@dataclass(frozen=True, eq=False)
class Found:
    """What picking found in one tomogram.

    Parameters
    ----------
    poses
        The best first.
    scores
        (n,), falling.
    candidates
        Scores of all maxima, kept or not.
    diameters_angstrom
        Of the particles, by name.
    doubts
        What may be wrong with the result, as sentences.
    facts
        More that `run.json` and the caller are told.
    """

    poses: Poses
    scores: NDArray[np.float64]
    candidates: NDArray[np.float64]
    diameters_angstrom: Mapping[str, float]
    doubts: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Picker(Protocol):
    """One way to pick. Settings of all ways are `PickSettings`; each makes its own config of them."""

    score_text: str  # what scores are, for the report
    remedy: str  # of a volume that cannot be picked from

    def config(self, settings: Any) -> Any:
        """The method's own settings; InputError if they make no sense."""

    def prepared(self, source: PickSource, config: Any) -> Any:
        """What is measured before the run starts; ValueError if this volume cannot be picked from."""

    def threshold(self, config: Any) -> float:
        """Lowest score that is kept."""

    def memory(self, source: PickSource, config: Any) -> int:
        """Bytes that picking takes beside the libraries and the volume."""

    def pick(self, source: PickSource, config: Any, prepared: Any, progress: Progress) -> Found:
        """Pick; raises Interrupted if the user stopped."""

    def described(self, config: Any) -> Mapping[str, str]:
        """The settings for people, by name."""


def unturned(picked: Picked, name: str) -> Poses:
    """Picks as poses of one structure whose orientations are not known and written as none."""
    count = len(picked.picks)
    rotations = np.tile(np.eye(3), (count, 1, 1))
    return Poses(rotations, picked.picks.positions_angstrom, (name,) * count)


class BlobPicker:
    """Difference of Gaussians."""

    score_text = (
        "In multiples of the noise of the score map (its robust deviation). Particles that stand out "
        "are a hump of their own to the right of the noise."
    )

    remedy = "check the file, --voxel-size and --diameter"

    def config(self, settings: Any) -> DogConfig:
        """Those of the method; a diameter sets both Gaussians and the distance for merging."""
        chosen = settings.chosen("count", "threshold", "min_distance_angstrom")
        if settings.diameter_angstrom is None:
            return DogConfig(**chosen, bright=settings.invert)
        return DogConfig.for_diameter(settings.diameter_angstrom, **chosen, bright=settings.invert)

    def prepared(self, source: PickSource, config: DogConfig) -> VoxelStatistics:
        """Grey values, once it is clear that the particle suits the voxels and the volume."""
        sigmas_voxel(source.volume.shape, (source.spacing_angstrom,) * 3, config)
        return measure_voxels(source.volume.data, source.mask)

    def threshold(self, config: DogConfig) -> float:
        """In multiples of noise."""
        return config.threshold

    def memory(self, source: PickSource, config: DogConfig) -> int:
        """Of the score map."""
        return dog_bytes(source.volume.shape, (source.spacing_angstrom,) * 3, config)

    def pick(
        self, source: PickSource, config: DogConfig, prepared: VoxelStatistics, progress: Progress
    ) -> Found:
        """Blobs, all called "particle"."""
        progress.note(f"particles of {config.diameter_angstrom:.0f} Å")
        picked = pick_blobs(
            source.volume.data,
            (source.spacing_angstrom,) * 3,
            config,
            mask=source.mask,
            statistics=prepared,
            progress=progress,
        )
        return Found(
            unturned(picked, "particle"),
            picked.picks.scores,
            picked.candidates,
            {"particle": config.diameter_angstrom},
            blob_doubts(picked, config),
            {"skewness": picked.skewness, "diameter_angstrom": config.diameter_angstrom},
        )

    def described(self, config: DogConfig) -> Mapping[str, str]:
        """Widths, polarity and distance."""
        sigmas = [config.sigma_angstrom, config.ratio * config.sigma_angstrom]
        return {
            "method": "difference of Gaussians, σ = " + " and ".join(f"{s:.1f} Å" for s in sigmas),
            "particles": "bright" if config.bright else "dark",
            "merged if closer than": f"{config.min_distance_angstrom:.0f} Å",
        }


def blob_doubts(picked: Picked, config: DogConfig) -> tuple[str, ...]:
    """What may be wrong with blobs, as sentences."""
    texts = []
    if picked.non_finite:
        texts.append(f"{picked.non_finite} voxels are NaN or infinite; they were taken as the mean.")
    if picked.skewness < OTHER_POLARITY:
        told, other = ("bright", "dark") if config.bright else ("dark", "bright")
        change = "leave out" if config.bright else "add"
        texts.append(
            f"Particles were taken to be {told}, but {other} blobs stand out more: {change} --invert?"
        )
    return (*texts, *count_doubts(len(picked.picks), picked.candidates, config.threshold, "--diameter"))


def count_doubts(
    count: int, candidates: NDArray[np.float64], threshold: float, option: str
) -> tuple[str, ...]:
    """Nothing found, or more than are kept, as sentences; `option` is what may help beside the threshold."""
    above = int((candidates > threshold).sum())
    if not count:
        return (
            f"Nothing scores above the threshold of {threshold:g}: the file of picks is empty. "
            f"A lower --threshold or another {option} may find something.",
        )
    if above > count:
        return (
            f"{above} maxima score above the threshold, and the best {count} were kept: "
            "raise --count for more.",
        )
    return ()
