"""Picks and random places, aligned to the structure and to decoys, in data that picking has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from vitreous.averaging import SearchConfig, scores_at
from vitreous.evidence import PickScores, against_chance, decoy_test, mirror_image, share_better
from vitreous.workflows.annotate.boxes import HIGHEST, LOWEST, Boxes, boxes_for
from vitreous.workflows.annotate.decoys import ONE_SHAPE, Decoys, decoys_of
from vitreous.workflows.annotate.subject import diameter_of
from vitreous.workflows.annotate.work import Work

SEARCHED_ANGSTROM = 60.0  # of the poses that are averaged
MOST_JUDGED = 80  # picks of a class, drawn from all: more would only make it slower
ELSEWHERE = 160  # random places that picks are judged by: what is not known of chance is doubt of every pick
MIRROR = "its mirror image"
SURE = 0.05  # chance to say of a structure without a hand that one is seen
SYMMETRIC = "At this detail it is the same as its mirror image: which hand it has does not show."
VARIED, STILL, RECORDED = 7, 0.01, 0.9  # voxels; of the usual variance within these; of a box

Array = NDArray[np.float32]


def room_for(data: Array, side: int) -> NDArray[np.bool_]:
    """Where boxes lie in what was recorded, nearly whole; (z, y, x) like the tomogram.

    What was padded, or was NaN, has no noise but what was drawn: its two copies are each other's opposite.
    """
    small = min(VARIED, *data.shape)
    variance = ndi.uniform_filter(np.square(data), small) - np.square(ndi.uniform_filter(data, small))
    recorded = variance > STILL * np.quantile(variance, 0.95)  # most of it may be padding
    share = ndi.uniform_filter(recorded.astype(np.float32), side)
    room: NDArray[np.bool_] = share > RECORDED
    return room


def random_places(
    room: NDArray[np.bool_],
    spacing: float,
    away_from: NDArray[np.float64],
    apart: float,
    rng: np.random.Generator,
    count: int,
) -> NDArray[np.float64]:
    """At most `count` places in Å, (n, 3), drawn evenly over a volume where it is true.

    No pick is nearer to one than a distance, nor is another place: what is counted twice would make chance
    look surer than it is.
    """
    voxels = rng.uniform(0, 1, (20 * count, 3)) * (np.array(room.shape) - 1)
    places = spacing * voxels[room[tuple(np.rint(voxels).astype(int).T)]]
    if len(away_from):
        distance, _ = cKDTree(away_from).query(places)
        places = places[distance > apart]
    chosen = np.zeros((0, 3))
    for place in places:
        if len(chosen) == count:
            break
        if not apart or (np.linalg.norm(chosen - place, axis=1) > apart).all():
            chosen = np.vstack([chosen, place])
    return chosen


@dataclass(frozen=True, eq=False)
class Sight:
    """Boxes at the same places in both copies of the tomogram, whose noises are independent."""

    searched: Tensor
    judged: Tensor

    @classmethod
    def of(cls, boxes: Boxes, searched: Array, judged: Array, positions: NDArray[np.float64]) -> Sight:
        """What lies at positions (n, 3) in Å."""
        return cls(boxes.cut(searched, positions), boxes.cut(judged, positions))

    def scores(self, boxes: Boxes, density: Array) -> NDArray[np.float64]:
        """Scores (n,) of a density in the judging copy, in the poses that it has in the searched one.

        Searched for in the judging copy itself, each template would be given the noise that suits it best,
        five times as strong there.
        """
        poses = boxes.aligned(self.searched, density)
        at = SearchConfig(band=(LOWEST, HIGHEST))
        found: NDArray[np.float64] = scores_at(
            self.judged, boxes.fitted(density), boxes.passed, poses, at
        ).numpy()
        return found


@dataclass(frozen=True, eq=False)
class Judgeable:
    """What is known of the picks of a structure.

    Parameters
    ----------
    scores
        Of them, their decoys, and random places.
    better_than_mirror
        Share of the picks that fit the structure better than its mirror image; None where the two are one
        shape, or nothing was picked.
    also
        What is to be said beside the verdict, sentences.
    """

    scores: PickScores
    better_than_mirror: float | None
    also: tuple[str, ...]


def scored(
    work: Work,
    name: str,
    positions: NDArray[np.float64],
    everything: NDArray[np.float64],
    copies: tuple[Array, Array],
    recorded: Sequence[Array],
    rng: np.random.Generator,
) -> Judgeable:
    """Scores of some picks of a structure, of its decoys and of random places; and of the mirror image.

    Scores of a template are in deviations from those that it has at random places. These keep away from
    everything that was picked of the structure: with particles among them chance looks too good. `copies`:
    the tomogram that was searched, and the one that judges; `recorded`: where places may lie.
    """
    template = work.templates[name]
    boxes = boxes_for(work, template)
    apart = 0.5 * diameter_of(template)
    spacing = boxes.spacing_angstrom
    room = np.logical_and.reduce([room_for(volume, boxes.side) for volume in recorded])
    empty = random_places(room, spacing, everything, apart, rng, ELSEWHERE)
    picked, elsewhere = (Sight.of(boxes, *copies, places) for places in (positions, empty))

    def beyond(density: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        here, chance = picked.scores(boxes, density), elsewhere.scores(boxes, density)
        return against_chance(here, chance), against_chance(chance, chance)

    right, by_chance = beyond(template.density)
    if not len(positions):
        return Judgeable(PickScores(right, {}, by_chance), None, ())
    known = decoys_of(work, name, boxes, rng)
    decoys = {other: beyond(density) for other, density in known.densities.items()}
    scores = PickScores(
        right,
        {other: here for other, (here, _) in decoys.items()},
        by_chance,
        {other: chance for other, (_, chance) in decoys.items()},
    )
    mirror = mirrored(template.density, boxes)
    if mirror is None:
        share, hand = None, SYMMETRIC
    else:
        there, chance = beyond(mirror)
        share, hand = hand_of(PickScores(right, {MIRROR: there}, by_chance, {MIRROR: chance}))
    return Judgeable(scores, share, (hand, *in_words(known)))


def mirrored(density: Array, boxes: Boxes) -> Array | None:
    """The mirror image of a structure; None where the tomogram does not show the difference."""
    image = mirror_image(density)
    return image if boxes.likeness(density, image) < ONE_SHAPE else None


def hand_of(scores: PickScores) -> tuple[float, str]:
    """Share of picks that fit a structure better than its mirror image, and what that says of its hand."""
    share = share_better(scores.structure, scores.decoys[MIRROR])
    for turned, told in ((False, "its hand is seen"), (True, "the tomogram, or the structure, is mirrored")):
        p_value = decoy_test(scores, MIRROR, turned=turned)
        if p_value <= SURE:
            return (
                share,
                f"{share:.0%} of the picks fit it better than its mirror image: {told} (p = {p_value:.1g}).",
            )
    return share, f"{share:.0%} of the picks fit it better than its mirror image: its hand is not seen."


def in_words(known: Decoys) -> tuple[str, ...]:
    """What cannot be told from the structure, as a sentence; none if there is nothing."""
    if not known.alike:
        return ()
    names = " or ".join(known.alike)
    return (f"Nothing here could tell it from {names}: at this detail they are of one shape.",)
