"""Particles made of Gaussians, which can be turned, shifted and cut by a wedge without interpolation."""

import torch

from vitreous.fourier import measured_region

SIDE = 24
GENERATOR_SEED = 5
# Centres (z, y, x) in voxels and weights of the Gaussians: a shape without any symmetry.
CENTRES = torch.tensor(
    [[0.0, 0, 0], [5, 0, 0], [0, 5, 1], [-3, -2, 4], [-1, 4, -4], [3, -5, -2], [-5, 1, -1]],
    dtype=torch.float64,
)
WEIGHTS = torch.tensor([1.0, 1.2, 0.8, 1.0, 0.7, 1.1, 0.9], dtype=torch.float64)


def blobs(rotation=None, shift=(0.0, 0.0, 0.0), centres=CENTRES, side=SIDE):
    rotation = torch.eye(3, dtype=torch.float64) if rotation is None else rotation
    places = centres @ rotation.T + torch.as_tensor(shift, dtype=torch.float64) + side // 2
    axis = torch.arange(side, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    distance = ((grid[..., None, :] - places) ** 2).sum(-1)
    return ((torch.exp(-distance / (2 * 1.4**2))) @ WEIGHTS[: len(centres)]).float()


def wedge(tilt_range=(-60.0, 60.0), side=SIDE):
    return measured_region((side,) * 3, tilt_range, half=True)


def seen(volume, transfer):
    return torch.fft.irfftn(torch.fft.rfftn(volume) * transfer, s=volume.shape)


def imaged(rotations, shifts, snr, tilt_range=(-60.0, 60.0), seed=GENERATOR_SEED):
    """Particles (n, side, side, side) of an SNR (ratio of variances), signal and noise cut by a wedge."""
    generator = torch.Generator().manual_seed(seed)
    transfer = wedge(tilt_range)
    boxes = []
    for rotation, shift in zip(rotations, shifts, strict=True):
        signal = seen(blobs(rotation, shift), transfer)
        noise = seen(torch.randn(signal.shape, generator=generator), transfer)
        boxes.append(signal + noise * (signal.var() / (snr * noise.var())).sqrt())
    return torch.stack(boxes)


def random_shifts(count, reach, seed=GENERATOR_SEED):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand((count, 3), generator=generator, dtype=torch.float64) - 1) * reach
