"""Losses of segmentation on logits; class 0 is the background."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTH = 1.0  # voxels: a class that is in no volume of a batch then costs little, not everything


def dice_loss(logits: Tensor, labels: Tensor, *, present_only: bool = False) -> Tensor:
    """1 - 2 Σ p·y / (Σ p + Σ y) of the classes but the background, their mean (v-net).

    Sums run over the whole batch, as a class may be missing in one volume.

    Parameters
    ----------
    logits
        (n, classes, z, y, x).
    labels
        (n, z, y, x), int64.
    present_only
        Leave out classes that no volume of the batch holds: where there are many, most are in few crops.

    Examples
    --------
    >>> labels = torch.tensor([0, 0, 1, 1]).reshape(1, 1, 1, 4)
    >>> sure = 50.0 * torch.stack([1 - labels, labels], dim=1)
    >>> round(float(dice_loss(sure, labels)), 4), round(float(dice_loss(-sure, labels)), 4)  # 1 - 1 / 5
    (0.0, 0.8)
    """
    chances = logits.float().softmax(1)[:, 1:]
    truth = F.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:].to(chances.dtype)
    axes = (0, 2, 3, 4)
    both, sizes = (chances * truth).sum(axes), (chances + truth).sum(axes)
    losses: Tensor = 1 - (2 * both + SMOOTH) / (sizes + SMOOTH)
    if not present_only:
        return losses.mean()
    there = (truth.sum(axes) > 0).to(losses.dtype)
    return (losses * there).sum() / there.sum().clamp_min(1)


def segmentation_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Dice loss plus cross entropy: L_seg of vox-uda eq. 1.

    Parameters
    ----------
    logits, labels
        As in `dice_loss`.
    weights
        (classes,) of the cross entropy where there are many classes and most are rare; the Dice loss is
        then that of the classes which the batch holds.
    """
    overlap = dice_loss(logits, labels, present_only=weights is not None)
    return overlap + F.cross_entropy(logits.float(), labels, weight=weights)


def kept_cross_entropy(logits: Tensor, labels: Tensor, kept: Tensor) -> Tensor:
    """Mean cross entropy over the voxels that are kept, 0 if none is.

    Parameters
    ----------
    logits
        (n, classes, z, y, x).
    labels
        (n, z, y, x), int64.
    kept
        (n, z, y, x), 1 or True where a voxel counts; other weights are allowed.
    """
    each = F.cross_entropy(logits.float(), labels, reduction="none")
    weights = kept.to(each.dtype)
    return (each * weights).sum() / weights.sum().clamp_min(torch.finfo(each.dtype).tiny)


def feature_consistency(
    features: tuple[Tensor, ...], others: tuple[Tensor, ...], weights: tuple[float, ...]
) -> Tensor:
    """Σ λ (1 - cos(f, f')) over taps, the cosine taken over the channels of each voxel (vox-uda eq. 7).

    Parameters
    ----------
    features, others
        As many tensors (n, channels, z, y, x) of either kind.
    weights
        λ of each.

    Examples
    --------
    >>> one = torch.ones(1, 2, 1, 1, 1)
    >>> other = torch.tensor([1.0, -1.0]).reshape(1, 2, 1, 1, 1)
    >>> round(float(feature_consistency((one, one), (3 * one, other), (0.2, 0.3))), 4)
    0.3
    """
    terms = [
        weight * (1 - F.cosine_similarity(a.float(), b.float(), dim=1)).mean()
        for a, b, weight in zip(features, others, weights, strict=True)
    ]
    return torch.stack(terms).sum()
