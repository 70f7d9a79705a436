"""What adaptation asks of a segmentation network, and all networks of a training as one module."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol, Self, cast

import torch
from torch import Tensor, nn

WARMING = 90.0


class Segmenter(Protocol):
    """A network that any objective here can train: `networks.VoxResNet` is one.

    It must be an `nn.Module`, and map volumes (n, 1, z, y, x) to logits (n, classes, z, y, x).
    """

    classes: int
    stride: int
    fused_channels: int

    def __call__(self, x: Tensor) -> Tensor:
        """`classified(fused(taps(x)))`."""

    def taps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features from fine to coarse, each (n, channels, …)."""

    def fused(self, taps: Sequence[Tensor]) -> Tensor:
        """All that the logits are made of, (n, fused_channels, z, y, x)."""

    def branches(self, fused: Tensor) -> tuple[Tensor, ...]:
        """Logits of parts of the network, for deep supervision; () if it has none."""

    def classified(self, fused: Tensor) -> Tensor:
        """Logits (n, classes, z, y, x)."""


class AdaptationNetworks(nn.Module):
    """The network that is trained, its moving averages and whatever else the objective trains.

    All of it is in one module, and so is the number of steps done, so that a checkpoint holds the whole
    state and a resumed training gives the same bytes.

    Parameters
    ----------
    student
        The network that is trained; it is not copied.
    teachers
        How many moving averages of it there are; each begins as a copy of it.
    others
        Discriminators, generators and the like, by name.

    Attributes
    ----------
    done
        Steps begun.
    """

    done: Tensor

    def __init__(self, student: nn.Module, teachers: int = 0, others: dict[str, nn.Module] | None = None):
        super().__init__()
        self.student = student
        self.teachers = nn.ModuleList(copy.deepcopy(student) for _ in range(teachers))
        self.teachers.requires_grad_(False)
        self.others = nn.ModuleDict(others or {})
        self.register_buffer("done", torch.zeros((), dtype=torch.int64))
        self.train()

    def train(self, mode: bool = True) -> Self:
        """As for any module, but teachers never learn."""
        super().train(mode)
        self.teachers.eval()
        return self

    def segmenter(self, teacher: int | None = None) -> Segmenter:
        """The student, or a teacher."""
        return cast(Segmenter, self.student if teacher is None else self.teachers[teacher])

    @torch.no_grad()
    def chances(self, values: Tensor, teacher: int = 0, temperature: float = 1.0) -> Tensor:
        """A teacher's probabilities (n, classes, z, y, x) for volumes (n, 1, z, y, x)."""
        return (self.segmenter(teacher)(values).float() / temperature).softmax(1)

    def other(self, name: str) -> Any:
        """One of the other networks."""
        return self.others[name]

    @torch.no_grad()
    def begin_step(self, momenta: Sequence[float]) -> None:
        """Count a step, and let each teacher follow the student with its momentum.

        A teacher becomes m · teacher + (1 - m) · student with m = min(momentum, (1 + n) / (1 + n + w)) at the
        n-th step, so that the random weights it began with are soon forgotten. w is 9 for a momentum of
        0.99 and falls with the root of 1 - momentum: of two teachers the slower one is so from the first
        step. What is no weight, such as the statistics of batch normalization, is copied.
        """
        step = int(self.done)
        for teacher, momentum in zip(self.teachers, momenta, strict=True):
            share = 1 - min(momentum, (1 + step) / (1 + step + WARMING * (1 - momentum) ** 0.5))
            for own, weight in zip(teacher.parameters(), self.student.parameters(), strict=True):
                own.lerp_(weight, share)
            for held, new in zip(teacher.buffers(), self.student.buffers(), strict=True):
                held.copy_(new)
        self.done.add_(1)

    def trained(self, *names: str) -> list[nn.Parameter]:
        """Parameters of the student and of the others of these names."""
        parts = [self.student, *(self.others[name] for name in names)]
        return [parameter for part in parts for parameter in part.parameters()]
