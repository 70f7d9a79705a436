"""Rotational and translational search between two small volumes, for tests."""

import numpy as np
import scipy.ndimage as ndi
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation


def spread_rotations(count):
    """Rotations spread evenly over all, by the super-Fibonacci spiral (Alexa, CVPR 2022)."""
    psi, s = 1.533751168755204288118041, np.arange(count) + 0.5
    r, big_r = np.sqrt(s / count), np.sqrt(1 - s / count)
    alpha, beta = 2 * np.pi * s / np.sqrt(2), 2 * np.pi * s / psi
    return Rotation.from_quat(
        np.stack([r * np.sin(alpha), r * np.cos(alpha), big_r * np.sin(beta), big_r * np.cos(beta)], axis=1)
    )


def turned(volume, rotation, shift=(0.0, 0.0, 0.0), order=1):
    """`volume` turned about its middle voxel by a (z, y, x) rotation, then moved by `shift` voxels."""
    matrix, centre = rotation.as_matrix().T, np.array(volume.shape) // 2
    return ndi.affine_transform(volume, matrix, centre - matrix @ (centre + np.asarray(shift)), order=order)


def pearson(a, b):
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def in_box(volume, side):
    """A cube of odd side about the volume's centre of mass (to a voxel), filled up with zeros."""
    centre = np.round(ndi.center_of_mass(np.maximum(volume, 0))).astype(int)
    padded = np.pad(volume, side)
    return padded[tuple(slice(c + side - side // 2, c + side + side // 2 + 1) for c in centre)]


def best_correlation(moving, fixed, *, rotations=600, refined=3):
    """Largest Pearson correlation of `fixed` with `moving` over all rotations and shifts.

    Coarsely on a few thousand voxels, where an FFT finds the shift, then by a simplex search from the
    best few at full sampling. Returns the correlation and the rotation.
    """
    longest = max(*moving.shape, *fixed.shape)
    step = max(2, round(longest / 14))
    side = 2 * step * -(-longest // (2 * step)) + 1  # the coarse box has the same middle, and an odd side
    moving, fixed = in_box(moving, side), in_box(fixed, side)
    small = [ndi.gaussian_filter(v, step / 2)[::step, ::step, ::step] for v in (moving, fixed)]
    target = np.fft.rfftn(small[1] - small[1].mean()).conj()
    scores = []
    for rotation in spread_rotations(rotations):
        candidate = turned(small[0], rotation)
        cross = np.fft.irfftn(np.fft.rfftn(candidate) * target, s=candidate.shape, axes=(0, 1, 2))
        peak = np.array(np.unravel_index(cross.argmax(), cross.shape))
        half = np.array(cross.shape) // 2
        shift = -step * ((peak + half) % np.array(cross.shape) - half)
        scores.append((cross.max() / candidate.std(), rotation, shift))
    scores.sort(key=lambda entry: -entry[0])

    def loss(p, start):
        return -pearson(turned(moving, Rotation.from_rotvec(p[:3] / 10) * start, p[3:]), fixed)

    found = []
    for _, rotation, shift in scores[:refined]:
        simplex = np.vstack([np.zeros(6), np.diag([1.5] * 3 + [0.7] * 3)]) + np.concatenate(
            [np.zeros(3), shift]
        )
        result = minimize(
            loss,
            simplex[0],
            args=(rotation,),
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "maxfev": 200, "xatol": 0.02, "fatol": 1e-4},
        )
        found.append((-result.fun, Rotation.from_rotvec(result.x[:3] / 10) * rotation))
    return max(found, key=lambda entry: entry[0])
