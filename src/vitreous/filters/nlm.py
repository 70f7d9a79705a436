"""Non-local means on 3-D tensors."""

from __future__ import annotations

from torch import Tensor

from vitreous.filters.neighbours import neighbour_mean


def nlm(
    volume: Tensor,
    *,
    tolerance: float,
    noise_deviation: float = 0.0,
    patch_side: int = 5,
    search_radius: int = 3,
) -> Tensor:
    """Mean of the voxels around each voxel, those with a similar neighbourhood weighing more [nlm].

    With d² the mean squared difference between the patches around two voxels, the weight is
    exp(-max(d² - 2·noise_deviation², 0) / tolerance²): 2·noise_deviation² is what noise alone makes of d².
    No gradients pass.

    Parameters
    ----------
    volume
        (..., z, y, x); leading axes are batches. Faces are mirrored.
    tolerance
        Difference beyond that of noise, in grey values, at which a weight falls to 1/e.
    noise_deviation
        Standard deviation of the noise in grey values.
    patch_side
        Side of the cubic patches in voxels; its cost grows with its logarithm only. An even one reaches
        one voxel further up than down.
    search_radius
        Largest shift between two patches along each axis.

    Returns
    -------
    Tensor of the same shape.

    Notes
    -----
    The fast mode of scikit-image 0.26 compares patches of (s - 1)³ voxels where s³ are asked for, and
    divides by s³: its `patch_size=s`, `h` are `patch_side=s - 1`, `tolerance=h * (s / (s - 1)) ** 1.5` here.

    Examples
    --------
    >>> import torch
    >>> bool(torch.allclose(nlm(torch.ones(4, 4, 4), tolerance=1), torch.ones(())))
    True
    """
    squared = max(tolerance**2, 1e-30)
    return neighbour_mean(
        volume,
        radius=search_radius,
        scale=1 / (patch_side**3 * squared),
        offset=lambda shift: 2 * noise_deviation**2 / squared,
        window=patch_side,
        padding="reflect",
    )
