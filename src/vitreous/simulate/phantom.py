"""A noise-free test tomogram: packed particles of several sizes and a bilayer membrane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float32]
PARTICLE_RADII = (4, 5, 6, 7, 8, 9, 10, 12)
POSES = 24  # rotations made of each assembly; every copy takes one of them
TRIES = 60  # random positions tried for each copy


@dataclass(frozen=True, eq=False)
class Phantom:
    """Density in [0, 1] with labels, all (z, y, x).

    `density` is protein-positive; `particles` and `membrane` are boolean masks.
    """

    density: Array
    particles: NDArray[np.bool_]
    membrane: NDArray[np.bool_]

    @property
    def occupancy(self) -> float:
        """Share of voxels inside a particle or the membrane."""
        return float((self.particles | self.membrane).mean())


def make_phantom(shape: Sequence[int], *, particles: int, seed: int, membrane: bool = True) -> Phantom:
    """Pack `particles` randomly rotated assemblies without overlap, and a curved bilayer.

    Fewer are placed when there is no room; `Phantom.occupancy` says what came out.

    Parameters
    ----------
    shape
        (z, y, x) in voxels; sides of at least 40.
    particles
        Number of assemblies asked for.
    seed
        Draws shapes, positions and orientations.
    membrane
        Whether to lay a spherical bilayer shell, centred at a corner, through the volume.

    Examples
    --------
    >>> phantom = make_phantom((48, 48, 48), particles=5, seed=0)
    >>> bool(phantom.density.min() >= 0 and phantom.density.max() <= 1)
    True
    """
    if min(shape) < 40:
        raise ValueError(f"a phantom needs sides of at least 40 voxels, not {tuple(shape)}")
    rng = np.random.default_rng(seed)
    density = np.zeros(tuple(shape), np.float32)
    occupied = np.zeros(tuple(shape), bool)
    shell = _bilayer(shape) if membrane else np.zeros(tuple(shape), np.float32)
    bilayer_mask = shell > 0.1
    occupied |= bilayer_mask
    # Large ones first: what is left over still takes small ones, so that dense packings fill up.
    for radius, count in zip(
        sorted(PARTICLE_RADII, reverse=True), _shares(particles, len(PARTICLE_RADII)), strict=True
    ):
        assembly = _assembly(rng, radius)
        _place([_rotated(assembly, rng) for _ in range(POSES)], count, density, occupied, rng)
    total = density + shell
    total /= max(total.max(), 1e-12)  # an empty phantom stays empty
    return Phantom(total.astype(np.float32), (occupied & ~bilayer_mask), bilayer_mask)


def _shares(total: int, parts: int) -> list[int]:
    """`total` split into `parts` whole numbers that differ by one at most."""
    return [total // parts + (part < total % parts) for part in range(parts)]


def _place(
    poses: list[Array], count: int, density: Array, occupied: NDArray[np.bool_], rng: np.random.Generator
) -> None:
    """Add up to `count` copies where they touch nothing, writing into `density` and `occupied`."""
    side = poses[0].shape[0]
    masks = [pose > 0.1 for pose in poses]
    for _ in range(count):
        for _ in range(TRIES):
            pose = rng.integers(len(poses))
            corner = [int(rng.integers(0, max(1, s - side + 1))) for s in density.shape]
            block = tuple(slice(c, c + side) for c in corner)
            inside = tuple(slice(0, s) for s in occupied[block].shape)
            mask = masks[pose][inside]
            if not (occupied[block] & mask).any():
                occupied[block] |= mask
                density[block] += poses[pose][inside]
                break


def _assembly(rng: np.random.Generator, radius: float, beads: int = 60) -> Array:
    """A compact bead model with cyclic symmetry, blurred to about two voxels and scaled to 1."""
    directions = rng.normal(size=(beads, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = directions * radius * np.sqrt(rng.uniform(0.04, 1, size=(beads, 1)))
    order = int(rng.integers(1, 5))
    turns = [Rotation.from_euler("x", 360 * k / order, degrees=True).apply(points) for k in range(order)]
    side = int(2 * radius + 9)
    box = np.zeros((side,) * 3, np.float32)
    np.add.at(box, tuple(np.round(np.concatenate(turns) + side / 2).astype(int).T), 1.0)
    box = ndi.gaussian_filter(box, 1.1)
    scaled: Array = box / box.max()
    return scaled


def _rotated(particle: Array, rng: np.random.Generator) -> Array:
    rotation = Rotation.random(rng=rng).as_matrix()
    centre = (np.array(particle.shape) - 1) / 2
    turned: Array = ndi.affine_transform(particle, rotation, offset=centre - rotation @ centre, order=1)
    return turned


def _bilayer(shape: Sequence[int], separation: float = 4.0, thickness: float = 1.5) -> Array:
    """Two Gaussian leaflets on a sphere centred near the (y, x) corner at mid-height."""
    side = min(shape[1:])
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    distance = np.sqrt((z - shape[0] / 2) ** 2 + (y - side * 0.1) ** 2 + (x - side * 0.1) ** 2)
    inner, outer = (np.exp(-(((distance - side * 0.35 - s) / thickness) ** 2)) for s in (0.0, separation))
    shell: Array = (0.8 * (inner + outer)).astype(np.float32)
    return shell
