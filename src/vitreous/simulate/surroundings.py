"""A particle in the middle of a box, and others around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreous.simulate.canvas import Canvas, Mask, Piece
from vitreous.simulate.free_space import find_free
from vitreous.simulate.rotation import Turnable, random_rotation, turn


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What lies in and around a box.

    Parameters
    ----------
    density
        (depth, depth, depth) float32 in volts, the box in its middle.
    mask
        (side, side, side) bool, of the box: where the target alone is above a quarter of its maximum.
    neighbours
        Which structures lie beside the target.
    """

    density: NDArray[np.float32]
    mask: Mask
    neighbours: tuple[int, ...]


def reach_of(turnables: Sequence[Turnable]) -> int:
    """Voxels that a particle with its centre on the border of the box may reach beyond it."""
    return max(turnable.side for turnable in turnables) // 2 + 1


def surround(
    target: Piece, side: int, turnables: Sequence[Turnable], neighbours: int, rng: np.random.Generator
) -> Surroundings:
    """Put particles, drawn from all structures and turned at random, around a target.

    Each comes to lie where it overlaps nothing, drawn from all such places that have its centre in the
    box or, where the box is full, around it. One for which there is no place is left out.

    Parameters
    ----------
    target
        Its middle voxel comes to index side // 2 of the box.
    side
        Voxels along the edge of the box.
    turnables
        The structures, all at the same voxel spacing.
    neighbours
        How many.
    rng
        Draws everything.
    """
    reach = reach_of(turnables)
    depth = side + 2 * reach
    canvas = Canvas.empty((depth,) * 3)
    corner = [depth // 2 - n // 2 for n in target.density.shape]
    canvas.lay(target, corner, canvas.begin(1))
    placed = []
    for _ in range(neighbours):
        chosen = int(rng.integers(len(turnables)))
        shift = rng.uniform(-0.5, 0.5, size=3)
        piece = Piece.of_density(turn(turnables[chosen], random_rotation(rng), shift))
        # First with its centre in the box, then anywhere that leaves it whole.
        for start in (reach - turnables[chosen].side // 2, 0):
            region = canvas.occupied[(slice(start, depth - start),) * 3]
            free = find_free(region, piece.solid, rng)
            if free is not None:
                canvas.lay(piece, [c + start for c in free], canvas.begin(2))
                placed.append(chosen)
                break
    box = (slice(reach, reach + side),) * 3
    return Surroundings(canvas.density, canvas.instance_mask[box] == 1, tuple(placed))
