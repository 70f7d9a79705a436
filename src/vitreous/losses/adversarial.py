"""Losses of unpaired translation between two domains; equations of [dual]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-4  # of the standardized domains' variance; and of one minus a correlation
SHRINKAGE = 0.02


def reconstruction_loss(real: Tensor, reconstructed: Tensor, epsilon: float = EPSILON) -> Tensor:
    """log(‖a - b‖² + ε) + log(1 - corr(a, b) + ε), mean over the batch (dual eqs 4 and 5).

    The norm is a mean over voxels, which adds a constant to the paper's sum. Without ε both logarithms
    have no lower bound, and a good reconstruction would outweigh all other losses.

    Parameters
    ----------
    real, reconstructed
        (batch, 1, z, y, x).
    epsilon
        What is added within both logarithms.

    Examples
    --------
    >>> a = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> round(float(reconstruction_loss(a, a, 0.01)), 2)  # 2 log 0.01
    -9.21
    """
    a, b = real.float().flatten(1), reconstructed.float().flatten(1)
    square = (a - b).square().mean(1)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    scale = (a.square().mean(1) * b.square().mean(1) + epsilon**2).sqrt()
    distance = 1 - (a * b).mean(1) / scale
    return ((square + epsilon).log() + (distance.clamp_min(0) + epsilon).log()).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log D(real) - log(1 - D(fake)), mean over all logits, D being their sigmoid (dual eqs 6 and 7)."""
    return F.softplus(-real_logits.float()).mean() + F.softplus(fake_logits.float()).mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    """-log D(fake), mean over all logits: a term of dual eq. 8."""
    return F.softplus(-fake_logits.float()).mean()


def code_divergence(codes: Tensor, queue: Tensor, shrinkage: float = SHRINKAGE) -> Tensor:
    """KL(N(0, I) ‖ N(μ̂, Σ̂)) of the codes' mean and covariance (dual eq. 9).

    The covariance of a batch smaller than K + 1 is singular, and that of a batch of 16 is so uncertain
    that its inverse pulls the variance of the codes to about 2.5. So μ̂ and Σ̂ are those of the batch and
    of a queue of earlier codes together, and Σ̂ is shrunk a little towards I, which leaves the minimum
    where it is. The gradient of the batch is weighted as if all codes had been encoded anew.

    Parameters
    ----------
    codes
        (batch, K), of this batch.
    queue
        (n, K), of earlier batches; no gradient flows into it. n may be 0.
    shrinkage
        Share of I in the covariance.

    Examples
    --------
    >>> unit = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]) * (3 / 4) ** 0.5  # mean 0, variance 1
    >>> abs(float(code_divergence(unit, torch.zeros(0, 1)))) < 1e-6
    True
    """
    with torch.autocast(codes.device.type, enabled=False):  # a covariance in bfloat16 has no root
        weight = (len(codes) + len(queue)) / len(codes)
        current = codes.float()
        current = weight * current - (weight - 1) * current.detach()
        everything = torch.cat([current, queue.float().detach()])
        mean = everything.mean(0)
        centred = everything - mean
        covariance = centred.T @ centred / max(len(everything) - 1, 1)
        identity = torch.eye(codes.shape[1], device=codes.device)
        covariance = (1 - shrinkage) * covariance + shrinkage * identity
        factor = torch.linalg.cholesky(covariance)
        inverse = torch.cholesky_inverse(factor)
        logarithm = 2 * factor.diagonal().log().sum()
        divergence: Tensor = 0.5 * (inverse.trace() + mean @ inverse @ mean - codes.shape[1] + logarithm)
    return divergence


def feature_distance(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Mean absolute difference between the batch means of features: feature matching (salimans)."""
    pairs = [(r.detach().mean(0) - f.mean(0)).abs().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(pairs).mean()
