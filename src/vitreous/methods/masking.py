"""Self-supervision by hiding voxels: what is left of a patch predicts what was hidden of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitreous.core import read_block
from vitreous.losses import masked_mean_square
from vitreous.methods.method import LearnedConfig, batch_of
from vitreous.training import Patch, PatchSampler, TrainingVolume

TRIES = 8  # draws of a neighbour: one that is hidden itself will not do

Hide = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
Penalty = Callable[[Tensor, Tensor], Tensor]


class MaskedObjective:
    """Mean squared error of a network's prediction of the voxels that it was not shown.

    Parameters
    ----------
    network
        What is trained.
    volumes
        Where patches are cut.
    config
        Side and number of the patches.
    device
        Where it is trained.
    hide
        From values (z, y, x) to what the network is shown and which voxels that hides (boolean).
    penalty
        Added to the loss: a function of the prediction and of where it is no reflection, both
        (b, 1, z, y, x).
    """

    def __init__(
        self,
        network: nn.Module,
        volumes: Sequence[TrainingVolume],
        config: LearnedConfig,
        device: torch.device,
        *,
        hide: Hide,
        penalty: Penalty | None = None,
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.hide, self.penalty = hide, penalty
        self.sampler = PatchSampler(volumes, config.patch_side)

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch, hide voxels of it and compare."""
        patches = [self.sampler.draw(generator) for _ in range(self.config.batch)]
        pairs = [hidden_in_patch(patch, self.hide, generator) for patch in patches]
        shown, hidden, noisy, inside = (
            batch_of(part, self.device)
            for part in (
                [shown for shown, _ in pairs],
                [hidden for _, hidden in pairs],
                [p.values for p in patches],
                [p.inside for p in patches],
            )
        )
        prediction = self.network(shown).float()
        loss = masked_mean_square(prediction, noisy, hidden)
        if self.penalty is not None:
            loss = loss + self.penalty(prediction, inside)
        return loss, " and ".join(p.where for p in patches)


def hidden_in_patch(patch: Patch, hide: Hide, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What is shown of a patch and, as 0 and 1, which voxels are hidden; no reflection counts as hidden.

    The reflection that fills a patch of a thin volume is made of what is shown: filled first, it
    would still show the hidden voxels.
    """
    inner = (patch.inside > 0).nonzero()
    low, high = inner.amin(0).tolist(), inner.amax(0).tolist()
    box = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
    shown, hidden = hide(patch.values[box], generator)
    start, shape = [-a for a in low], patch.values.shape
    filled = [torch.from_numpy(read_block(t.numpy(), start, shape)) for t in (shown, hidden.float())]
    return filled[0], filled[1] * patch.inside


def with_neighbours(values: Tensor, hidden: Tensor, radius: int, generator: torch.Generator) -> Tensor:
    """A copy in which each hidden voxel has the value of a random neighbour that is not hidden.

    Parameters
    ----------
    values
        (z, y, x).
    hidden
        Which voxels to replace, same shape, boolean.
    radius
        Neighbours are at most so many voxels away along each axis, mirrored at the borders.
    generator
        Draws them.

    Returns
    -------
    Tensor of the same shape. Where eight draws met hidden neighbours only, it is 0.
    """
    places = hidden.nonzero()
    offsets = cube_offsets(radius)
    draws = torch.randint(len(offsets), (len(places), TRIES), generator=generator)
    z, y, x = folded(places[:, None] + offsets[draws], values.shape).unbind(2)
    usable = ~hidden[z, y, x]
    first = usable.int().argmax(1, keepdim=True)
    result = values.clone()
    result[hidden] = torch.where(usable, values[z, y, x], 0.0).gather(1, first)[:, 0]
    return result


def with_means(values: Tensor, hidden: Tensor, radius: int) -> Tensor:
    """A copy in which each hidden voxel has the mean of its neighbours that are not hidden.

    Parameters and result are those of `with_neighbours`; without any such neighbour it is 0.
    """
    shown = (~hidden).to(values)
    sums, counts = (
        F.avg_pool3d(t[None], 2 * radius + 1, 1, radius)[0] for t in (values * shown, shown)
    )  # zeros beyond the borders count as hidden
    return torch.where(hidden, sums / counts.clamp_min(1e-6), values)


def cube_offsets(radius: int) -> Tensor:
    """Offsets to the neighbours within `radius` along each axis, (n, 3), without the centre."""
    steps = range(-radius, radius + 1)
    return torch.tensor([offset for offset in product(steps, repeat=3) if any(offset)])


def folded(indices: Tensor, shape: Sequence[int]) -> Tensor:
    """Indices (…, 3) mirrored at the borders of `shape`, which is larger than they reach beyond it."""
    last = torch.tensor(shape) - 1
    return last - (last - indices.abs()).abs()
