"""Reconstruction of a volume from projections in known directions, by insertion of Fourier slices."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor


def insert_slices(
    images: Tensor, rotations: Tensor, weights: Tensor | None = None, *, floor: float = 1e-2
) -> Tensor:
    """Volume whose projections the images are: every image is a central slice of its Fourier transform.

    With rotation R the image is the sum along z of the object turned by R about its centre, so that its
    transform at (ky, kx) is that of the object at Rᵀ·(0, ky, kx). Each value is shared by the eight
    frequencies around (trilinearly), sums are divided by the summed weights, and the volume by the
    transform of the interpolation kernel. Frequencies beyond Nyquist along any axis are left out.

    For images multiplied by a filter whose square root the signal already carries, and whose noise
    variance it is (CTF-premultiplied images: CTF²), that filter as `weights` gives least squares.

    Parameters
    ----------
    images
        (n, side, side) in (y, x), an even side; the centre is at pixel side // 2. Interpolation between
        frequencies needs an empty border: pad images with zeros to twice the object, and cut the result.
    rotations
        (n, 3, 3) that act on (z, y, x) columns, object → image.
    weights
        (n, side, side), not negative, in FFT order: the factor on the signal in each image's transform;
        ones if None.
    floor
        Added to the summed weights, as a share of their mean where there are any; keeps frequencies
        that hardly any image holds from being amplified.

    Returns
    -------
    float32 (side, side, side) in (z, y, x), the centre at voxel side // 2. Images being sums along z,
    grey values are those of the object.

    Raises
    ------
    ValueError
        If the images are not square with an even side, or a shape does not match.

    Examples
    --------
    >>> point = torch.zeros(3, 8, 8)
    >>> point[:, 4, 4] = 1
    >>> turns = torch.eye(3)[torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]])]
    >>> tuple(int(i) for i in torch.unravel_index(insert_slices(point, turns).argmax(), (8, 8, 8)))
    (4, 4, 4)
    """
    count, side = images.shape[0], images.shape[-1]
    if images.shape != (count, side, side) or side % 2 or rotations.shape != (count, 3, 3):
        raise ValueError(f"images {tuple(images.shape)} or rotations {tuple(rotations.shape)} do not fit")
    if weights is not None and weights.shape != images.shape:
        raise ValueError(f"weights {tuple(weights.shape)} must be as many as pixels {tuple(images.shape)}")
    sums = torch.zeros(side**3, dtype=torch.complex64, device=images.device)
    norm = torch.zeros(side**3, device=images.device)
    for number in range(count):  # one at a time: the eight corners of all would take much memory
        spectrum = torch.fft.fft2(torch.fft.ifftshift(images[number].float()))
        weight = torch.ones_like(images[number]) if weights is None else weights[number]
        _insert(sums, norm, spectrum, weight.float(), rotations[number].float())
    positive = norm[norm > 0]
    level = floor * positive.mean() if positive.numel() else torch.ones_like(norm[0])
    values = torch.fft.ifftn((sums / (norm + level)).reshape(side, side, side)).real
    volume: Tensor = torch.fft.fftshift(values) / _kernel(side, images.device)
    return volume


def _insert(sums: Tensor, norm: Tensor, spectrum: Tensor, weight: Tensor, rotation: Tensor) -> None:
    """Add one slice to the sums (flat, in FFT order), in place."""
    side = spectrum.shape[-1]
    steps = torch.fft.fftfreq(side, device=spectrum.device) * side
    ky, kx = torch.meshgrid(steps, steps, indexing="ij")
    at = torch.stack([torch.zeros_like(ky), ky, kx], dim=-1) @ rotation  # rows times R: Rᵀ k
    # The Nyquist row has no partner of opposite sign, without which the volume would not be real.
    inside = (at.abs() <= side / 2 - 1).all(dim=-1) & (ky.abs() < side / 2) & (kx.abs() < side / 2)
    at, value, weight = at[inside], spectrum[inside], weight[inside]
    low = at.floor()
    high_share = at - low
    for corner in product((0, 1), repeat=3):
        step = torch.tensor(corner, device=at.device)
        share = torch.where(step == 1, high_share, 1 - high_share).prod(dim=-1)
        z, y, x = ((low + step).long() % side).unbind(dim=-1)
        index = (z * side + y) * side + x
        sums.index_add_(0, index, value * share)
        norm.index_add_(0, index, weight * share)


def _kernel(side: int, device: torch.device) -> Tensor:
    """Fourier transform of the trilinear kernel, by which it dims the volume towards its borders."""
    axis = torch.sinc((torch.arange(side, device=device) - side // 2) / side) ** 2
    return axis[:, None, None] * axis[:, None] * axis
