"""Structure tensors of volumes and what their eigenvalues and eigenvectors are, in closed form.

Symmetric 3 × 3 tensors are sequences of six arrays: xx, yy, zz, xy, xz, yz, where x, y, z stand for
the first, second and third of the last three axes of the arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

TRUNCATE = 3.0  # a Gaussian kernel ends at this many standard deviations
NEARLY_EQUAL = 1e-4  # eigenvalues closer than about this share of the trace have no directions of their own
TINY = 1e-30


def kernel_radius(sigma: float) -> int:
    """Radius of the truncated Gaussian kernel; 0 for no smoothing."""
    return round(TRUNCATE * sigma)


def gaussian_kernel(sigma: float) -> list[float]:
    """Weights of the centre and of its neighbours on one side; they and the other side sum to 1.

    Examples
    --------
    >>> [round(w, 3) for w in gaussian_kernel(0.5)]
    [0.787, 0.106, 0.0]
    """
    weights = [math.exp(-0.5 * (i / sigma) ** 2) if i else 1.0 for i in range(kernel_radius(sigma) + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    return [w / total for w in weights]


def smooth(values: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing along the last three axes, without the margin of `kernel_radius` that it eats."""
    centre, *sides = gaussian_kernel(sigma)
    radius = len(sides)
    if radius == 0:
        return values
    for axis in (-3, -2, -1):
        n = values.shape[axis] - 2 * radius
        out = values.narrow(axis, radius, n) * centre
        for i, weight in enumerate(sides, 1):
            pair = values.narrow(axis, radius - i, n) + values.narrow(axis, radius + i, n)
            out.add_(pair, alpha=weight)
        values = out
    return values


def gradient(volume: Tensor) -> list[Tensor]:
    """Central differences of (z, y, x) along its axes, without the outermost voxels."""
    parts = []
    for axis in range(3):
        behind = tuple(slice(None, -2) if a == axis else slice(1, -1) for a in range(3))
        ahead = tuple(slice(2, None) if a == axis else slice(1, -1) for a in range(3))
        parts.append((volume[ahead] - volume[behind]).mul_(0.5))
    return parts


def structure_tensor(volume: Tensor, *, smoothing: float, integration: float) -> tuple[Tensor, Tensor]:
    """K_ρ * (∇v_σ ∇v_σᵀ) and |∇v_σ|² of a volume smoothed by σ = `smoothing`, ρ = `integration` voxels.

    Parameters
    ----------
    volume
        (z, y, x) with a margin of `margin_of(smoothing, integration)` voxels all around.

    Returns
    -------
    The tensor (6, z, y, x) and the squared gradient (z, y, x), without the margin.
    """
    x, y, z = gradient(smooth(volume, smoothing))
    products = torch.stack([x * x, y * y, z * z, x * y, x * z, y * z])
    radius = kernel_radius(integration)
    n = [side - 2 * radius for side in products.shape[1:]]
    inner = products[:3, radius : radius + n[0], radius : radius + n[1], radius : radius + n[2]]
    return smooth(products, integration), inner.sum(0)


def margin_of(smoothing: float, integration: float) -> int:
    """How many voxels around a voxel its structure tensor looks at."""
    return kernel_radius(smoothing) + 1 + kernel_radius(integration)


def eigenvalues(tensor: Sequence[Tensor] | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues of symmetric tensors, falling [smith]; exact to about 3·10⁻⁴ of the trace in float32.

    Examples
    --------
    >>> diagonal = [torch.tensor([v]) for v in (2.0, 3.0, 1.0, 0.0, 0.0, 0.0)]
    >>> [round(float(v), 3) for v in eigenvalues(diagonal)]
    [3.0, 2.0, 1.0]
    """
    xx, yy, zz, xy, xz, yz = tensor
    mean = (xx + yy + zz) / 3
    x, y, z = xx - mean, yy - mean, zz - mean
    squares = x * x + y * y + z * z + 2 * (xy * xy + xz * xz + yz * yz)
    spread = (squares / 6).sqrt_()
    determinant = x * (y * z - yz * yz) - xy * (xy * z - yz * xz) + xz * (xy * yz - y * xz)
    angle = (determinant / (2 * spread**3 + TINY)).clamp_(-1, 1).acos_() / 3
    largest = mean + 2 * spread * angle.cos()
    smallest = mean + 2 * spread * (angle + 2 * math.pi / 3).cos_()
    return largest, 3 * mean - largest - smallest, smallest


def projector(tensor: Sequence[Tensor] | Tensor, eigenvalue: Tensor) -> list[Tensor]:
    """Projectors v vᵀ on the unit eigenvectors v that belong to the largest or the smallest eigenvalue.

    It is the adjugate of `tensor - eigenvalue`, divided by its trace: no vector has to be picked. The
    tensors have trace 1. Where the eigenvalue is (nearly) double, no direction is distinguished, and the
    projector fades to zero.

    Examples
    --------
    >>> diagonal = [torch.tensor([v]) for v in (0.1, 0.7, 0.2, 0.0, 0.0, 0.0)]
    >>> [abs(round(float(v), 3)) for v in projector(diagonal, torch.tensor([0.7]))][:3]
    [0.0, 1.0, 0.0]
    """
    xx, yy, zz, xy, xz, yz = tensor
    x, y, z = xx - eigenvalue, yy - eigenvalue, zz - eigenvalue
    adjugate = [
        y * z - yz * yz,
        x * z - xz * xz,
        x * y - xy * xy,
        xz * yz - z * xy,
        xy * yz - y * xz,
        xy * xz - x * yz,
    ]
    trace = adjugate[0] + adjugate[1] + adjugate[2]
    inverse = trace / (trace * trace + NEARLY_EQUAL**2)
    return [part.mul_(inverse) for part in adjugate]
