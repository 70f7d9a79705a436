"""Train the U-Net that learned methods begin with: `python tools/pretrain.py RUN`, an hour on two cores.

It learns to denoise simulated tomograms of many styles: specimens, voxel spacings, tilt ranges, filters,
defoci, either contrast, noise from 0.4 to 12 times the signal. Half of its patches went through the whole
physics of the simulator, half through filters in Fourier space, which are far more various. No specimen is
one that benchmarks score or train on. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vitreous.cli.console import ConsoleProgress
from vitreous.core import Progress
from vitreous.fourier import Optics, frequency_axes, measured_region
from vitreous.inference import choose_device
from vitreous.methods.method import batch_of, placed
from vitreous.methods.warm_start import LEVELS, WIDTH
from vitreous.networks import UNet3d
from vitreous.simulate import (
    ACTIN,
    MICROTUBULE,
    Filaments,
    ImagingSettings,
    TiltScheme,
    crowd,
    image,
    weighted_back_projection,
)
from vitreous.training import CheckpointStore, TrainingSettings, train

FIRST_SEED = 700_000  # far from those of the specimens that benchmarks score and train on
BOX, CROP, SIDE, PATCH = 88, 72, 64, 48  # voxels: packed, reconstructed without its border, filtered, seen
BOXES, GROUPS, PER_GROUP = 32, 14, 4
SPACINGS_ANGSTROM = (8.0, 10.0, 13.0, 20.0)
LEAST_NOISE, MOST_NOISE = 0.4, 12.0  # relative to the signal
LEAST_WEIGHT = 0.05  # of a signal's deviation, lest the noisiest patches outweigh all others
STEPS, RATE, BATCH = 34_000, 2e-3, 2


@dataclass(frozen=True)
class Group:
    """Reconstructions of one geometry: specimens (n, z, y, x), and noises that any of them may have."""

    specimens: Tensor
    noises: Tensor


def packed(index: int, spacing: float) -> Tensor:
    """A box with particles, and often membranes and filaments."""
    rng = np.random.default_rng(FIRST_SEED + index)
    filaments = [Filaments(k, int(rng.integers(1, 3))) for k in (ACTIN, MICROTUBULE) if rng.random() < 0.4]
    model = crowd(
        (BOX,) * 3,
        occupancy=float(rng.choice([0.08, 0.12, 0.2, 0.3, 0.4])),
        seed=FIRST_SEED + index,
        sheets=int(rng.random() < 0.4),
        vesicles=int(rng.random() < 0.25),
        filaments=filaments,
        voxel_spacing_angstrom=spacing,
    )
    return torch.from_numpy(model.density)


def reconstructed(index: int) -> Group:
    """Specimens and counting noise of one tilt range and voxel spacing, through the whole physics."""
    rng = np.random.default_rng(FIRST_SEED - 1 - index)
    lowest, highest = -float(rng.choice(range(40, 75, 5))), float(rng.choice(range(40, 75, 5)))
    spacing = SPACINGS_ANGSTROM[index % len(SPACINGS_ANGSTROM)]
    tilts = TiltScheme(
        lowest_deg=lowest,
        highest_deg=highest if rng.random() < 0.3 else -lowest,
        step_deg=float(rng.choice([2, 3, 4])),
    )
    inner = (slice((BOX - CROP) // 2, (BOX + CROP) // 2),) * 3
    specimens, noises = [], []
    for member in range(PER_GROUP):
        density = packed(10_000 + PER_GROUP * index + member, spacing).numpy()
        series = image(density, spacing, ImagingSettings(tilts=tilts, snr=1 / 16), seed=index * 10 + member)
        made = [
            torch.from_numpy(weighted_back_projection(images, series.tilt_angles_deg, BOX)[inner].copy())
            for images in (series.noise_free, series.even_noise, series.odd_noise)
        ]
        specimens.append(made[0] - made[0].mean())
        noises += made[1:]
    return Group(torch.stack(specimens), torch.stack(noises))


class SimulatedStyles:
    """Mean squared error of a U-Net on patches of random style.

    Parameters
    ----------
    network
        What is trained.
    device
        Where it is.
    progress
        Is told of the specimens, which take two minutes.
    """

    def __init__(self, network: nn.Module, device: torch.device, progress: Progress) -> None:
        self.network, self.device = network, device
        self.boxes: list[tuple[Tensor, float]] = []
        progress.start("packing boxes", BOXES)
        for index in range(BOXES):
            spacing = SPACINGS_ANGSTROM[index % len(SPACINGS_ANGSTROM)]
            box = packed(index, spacing)
            for corner in ((0, 0, 0), (BOX - SIDE, 0, BOX - SIDE), (0, BOX - SIDE, BOX - SIDE)):
                cut = box[tuple(slice(c, c + SIDE) for c in corner)]
                self.boxes.append((torch.fft.rfftn(cut - cut.mean()), spacing))
            progress.advance()
        progress.start("reconstructing", GROUPS)
        self.groups = []
        for index in range(GROUPS):
            self.groups.append(reconstructed(index))
            progress.advance()
        kz, ky, kx = frequency_axes((SIDE,) * 3, half=True)
        self.along = ky.abs()
        self.radius, self.across = (kz**2 + ky**2 + kx**2).sqrt(), (kz**2 + kx**2).sqrt()
        ranges = torch.randint(35, 73, (32, 2), generator=torch.Generator().manual_seed(0)).tolist()
        self.wedges = [measured_region((SIDE,) * 3, (-low, high), half=True) for low, high in ranges]
        self.wedges += [measured_region((SIDE,) * 3, (-low, low), half=True) for low in range(40, 75, 5)]
        self.wedges += [torch.ones_like(self.wedges[0])] * 4

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch; its errors are relative to the signal's deviation."""
        parts = [self.patch(Draw(generator)) for _ in range(BATCH)]
        noisy = batch_of([p[0] for p in parts], self.device)
        clean = batch_of([p[1] for p in parts], self.device)
        weights = torch.tensor([1 / max(p[2], LEAST_WEIGHT) for p in parts], device=self.device)
        errors = (self.network(noisy).float() - clean).square().mean((1, 2, 3, 4))
        return (weights * errors).mean(), "simulated patches"

    def patch(self, draw: Draw) -> tuple[Tensor, Tensor, float]:
        """A standardized noisy patch, its clean one, and the deviation of the signal in it."""
        signal, noise = self.physical(draw) if draw.chance(0.5) else self.filtered(draw)
        contrast = 1 if draw.chance(0.5) else -1
        noise = noise * math.exp(draw.between(math.log(LEAST_NOISE), math.log(MOST_NOISE)))
        deviation = 1 / math.sqrt(1 + float(noise.var()))
        flips = [axis for axis in range(3) if draw.chance(0.5)]
        signal, noise = (deviation * part.flip(flips) for part in (contrast * signal, noise))
        if draw.chance(0.3):  # the tilt axis along x
            signal, noise = signal.transpose(1, 2), noise.transpose(1, 2)
        return signal + noise, signal, deviation

    def physical(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """Signal and noise of a group, each of about unit deviation; two noises are mixed anew each time."""
        group = draw.of(self.groups)
        signal, first, second = (draw.of(many) for many in (group.specimens, group.noises, group.noises))
        signal, first, second = (draw.cut(whole / whole.std()) for whole in (signal, first, second))
        angle = draw.between(0, 2 * math.pi)
        return signal, math.cos(angle) * first + math.sin(angle) * second

    def filtered(self, draw: Draw) -> tuple[Tensor, Tensor]:
        """A box and white noise, in the same wedge and through filters of their own."""
        box, spacing = draw.of(self.boxes)
        wedge = draw.of(self.wedges)
        signal = box * wedge
        if draw.chance(0.6):
            signal = signal * self.transfer(spacing, draw)
        numbers = torch.randn((*self.radius.shape, 2), generator=draw.generator)
        noise = torch.view_as_complex(numbers) * wedge
        if draw.chance(0.65):  # the ramp of back-projection
            noise = noise * self.across.clamp_min(0.5 / SIDE).sqrt()
        if draw.chance(0.35):
            noise = noise * torch.exp(-0.5 * (self.radius / draw.between(0.2, 0.5)) ** 2)
        if draw.chance(0.2):
            noise = noise * torch.exp(-0.5 * (self.along / draw.between(0.3, 0.6)) ** 2)
        start = draw.start((SIDE,) * 3)
        made = (torch.fft.irfftn(part, s=(SIDE,) * 3) for part in (signal, noise))
        first, second = (cut_at(whole / whole.std(), start) for whole in made)
        return first, second

    def transfer(self, spacing: float, draw: Draw) -> Tensor:
        """A radial CTF of 1 to 6 µm defocus, phases flipped in a quarter of cases, and an envelope."""
        optics, frequency = Optics(), self.radius / spacing
        wavelength, defocus = optics.wavelength_angstrom, 1e4 * draw.between(1, 6)
        aberration = 1e7 * optics.spherical_aberration_mm
        phase = math.pi * wavelength * defocus * frequency**2
        phase = phase - 0.5 * math.pi * aberration * wavelength**3 * frequency**4
        ctf = torch.sin(phase + optics.amplitude_contrast)
        envelope = torch.exp(-draw.between(0, 200) * frequency**2)
        return (ctf.abs() if draw.chance(0.25) else ctf) * envelope


@dataclass(frozen=True)
class Draw:
    """Random choices from one generator."""

    generator: torch.Generator

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.between(0, 1) < probability

    def between(self, low: float, high: float) -> float:
        """A number between two others."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def of(self, many: Sequence[Any] | Tensor) -> Any:
        """One of many."""
        return many[int(torch.randint(len(many), (), generator=self.generator))]

    def start(self, shape: Sequence[int]) -> list[int]:
        """Where a patch of a volume may begin."""
        return [int(torch.randint(side - PATCH + 1, (), generator=self.generator)) for side in shape]

    def cut(self, volume: Tensor) -> Tensor:
        """A patch of a volume."""
        return cut_at(volume, self.start(volume.shape))


def cut_at(volume: Tensor, start: Sequence[int]) -> Tensor:
    """The patch that begins there."""
    return volume[tuple(slice(s, s + PATCH) for s in start)]


def main() -> None:
    """Train and write `unet.safetensors` in half precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    compute = choose_device("auto")
    torch.manual_seed(0)
    network = placed(UNet3d(width=WIDTH, levels=LEVELS), compute.device)
    settings = TrainingSettings(arguments.steps, RATE, 0, compute.device, compute.precision)
    with ConsoleProgress().active() as progress:
        objective = SimulatedStyles(network, compute.device, progress)
        record = train(objective, settings, progress, CheckpointStore(arguments.run / "checkpoints"))
    weights = {name: tensor.half().contiguous().cpu() for name, tensor in network.state_dict().items()}
    save_file(weights, arguments.run / "unet.safetensors")
    last = record.losses[-1000:]
    print(f"mean loss of the last {len(last)} steps: {sum(last) / len(last):.4f}")  # noqa: T201


if __name__ == "__main__":
    main()
