"""Templates that are not the structure, to compare it with."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from vitreous.core import Template

BILAYER_ANGSTROM = 40.0  # between the head groups of a membrane

Array = NDArray[np.float32]


def phase_randomized(density: Array, rng: np.random.Generator, beyond: float = 0.0) -> Array:
    """The density with the phases of white noise, its power spectrum kept: as large and as smooth.

    Parameters
    ----------
    density
        (z, y, x).
    rng
        Draws the phases.
    beyond
        Frequencies up to it, in cycles/voxel, keep their phases.

    Examples
    --------
    >>> ball = np.zeros((9, 9, 9), np.float32); ball[3:6, 3:6, 3:6] = 1
    >>> other = phase_randomized(ball, np.random.default_rng(0))
    >>> bool(np.isclose((other**2).sum(), (ball**2).sum(), rtol=1e-4))
    True
    """
    transform = scipy.fft.rfftn(density)
    noise = scipy.fft.rfftn(rng.standard_normal(density.shape, dtype=np.float32))
    phases = noise / np.maximum(np.abs(noise), 1e-12)
    phases[0, 0, 0] = np.sign(transform[0, 0, 0].real) or 1
    changed = np.where(frequencies(density.shape) > beyond, np.abs(transform) * phases, transform)
    result: Array = scipy.fft.irfftn(changed, s=density.shape).astype(np.float32)
    return result


def mirror_image(density: Array) -> Array:
    """The other hand of a structure."""
    return np.ascontiguousarray(density[::-1])


def slab_of(template: Template) -> Template:
    """A patch of membrane as large as a structure: two leaflets across z, cut to a disc."""
    side, spacing = template.side, template.voxel_spacing_angstrom
    z, y, x = np.meshgrid(*[(np.arange(side) - side // 2) * spacing] * 3, indexing="ij")
    width = max(10.0, 0.5 * spacing)
    leaflets = sum(np.exp(-0.5 * ((z - sign * BILAYER_ANGSTROM / 2) / width) ** 2) for sign in (-1, 1))
    reach = 0.42 * side * spacing
    disc = 1 / (1 + np.exp((np.hypot(y, x) - reach) / (0.5 * spacing)))
    return Template("membrane", (leaflets * disc).astype(np.float32), spacing)


def frequencies(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """|k| in cycles/voxel in the order of rfftn."""
    z, y, x = (scipy.fft.fftfreq(shape[0]), scipy.fft.fftfreq(shape[1]), scipy.fft.rfftfreq(shape[2]))
    radius: NDArray[np.float64] = np.sqrt(
        z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    )
    return radius
