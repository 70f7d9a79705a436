"""ASC: consistent under a change of appearance and under cut and mixed structure (asc), in 3-D."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.fourier import with_amplitude_of
from vitreous.methods.adaptation.objective import AdaptationObjective, Terms

LEAST_CUT, MOST_CUT = 0.25, 0.75  # of the side


class Asc(AdaptationObjective):
    """Supervised on source volumes in either appearance, and consistent with a teacher on the target.

    Amplitudes at low frequency are swapped between the domains. The student has to say of a target
    volume in the source's appearance what the teacher says of it as it is (appearance), and of two
    target volumes cut and mixed what the teacher says of each, cut and mixed (structure).
    """

    momenta = ("momentum",)

    def terms(self, generator: torch.Generator) -> Terms:
        """L_seg, and mean square differences of probabilities."""
        values, labels = self.labelled(generator)
        target = self.unlabelled(generator)
        share, count = self.config.swapped_share, len(values)
        like_target = with_amplitude_of(values, target, share)
        like_source = with_amplitude_of(target, values, share)
        cut = cut_out(target.shape, generator).to(target.device)
        mixed = torch.where(cut, target.roll(1, 0), target)
        everything = self.on_device(torch.cat([values, like_target, like_source, mixed]))
        fused = self.student.fused(self.student.taps(everything))
        said = self.student.classified(fused[2 * count :]).float().softmax(1)
        believed = self.network.chances(target)
        believed_mixed = torch.where(cut, believed.roll(1, 0), believed)
        trust = self.config.agreement * self.ramp
        return {
            "segmentation": self.supervised(fused[: 2 * count], labels.repeat(2, 1, 1, 1)),
            "appearance": trust * F.mse_loss(said[:count], believed),
            "structure": trust * F.mse_loss(said[count:], believed_mixed),
        }


def cut_out(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """True in a random box of each volume (n, 1, z, y, x), a quarter to three quarters of each side (cutmix).

    Examples
    --------
    >>> boxes = cut_out(torch.Size((40, 1, 8, 8, 8)), torch.Generator().manual_seed(0))
    >>> boxes.shape, sorted(set(boxes.any(-1).any(-1).sum(-1).flatten().tolist()))
    (torch.Size([40, 1, 8, 8, 8]), [2, 3, 4, 5, 6])
    """
    count = shape[0]
    inside = torch.ones(count, 1, 1, 1, 1, dtype=torch.bool)
    for axis in (2, 3, 4):
        side = shape[axis]
        share = LEAST_CUT + (MOST_CUT - LEAST_CUT) * torch.rand(count, generator=generator)
        length = (share * side).round()
        start = (torch.rand(count, generator=generator) * (side - length + 1)).floor()
        where = torch.arange(side)
        along = (where >= start[:, None]) & (where < (start + length)[:, None])
        inside = inside & along.reshape([count if i == 0 else side if i == axis else 1 for i in range(5)])
    return inside
