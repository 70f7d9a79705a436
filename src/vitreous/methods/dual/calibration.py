"""How far to trust a denoiser at each frequency, told by the tomograms that DUAL simulates itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from vitreous.core import Progress, measure_voxels, read_block
from vitreous.methods.dual.networks import DualNetworks, shells_of
from vitreous.methods.dual.simulation import simulated_tomogram
from vitreous.training import TrainingVolume

VOLUMES, TILES = 3, 2  # of the clean domain, and blocks along an edge of what is taken of each
RIDGE = 1e-3  # share of the mean power that keeps the equations of an empty shell solvable
AXES = (-3, -2, -1)


class ShellWeights:
    """Sums of the normal equations of v ≈ a·Dn(t) + b·t in each frequency shell of cubic blocks.

    Parameters
    ----------
    side
        Of the blocks in voxels; shell s holds the frequencies of s - ½ … s + ½ periods per block.
    """

    def __init__(self, side: int) -> None:
        self.shells = shells_of(side)
        count = int(self.shells.max()) + 1
        self.products = torch.zeros(count, 2, 2, dtype=torch.float64)
        self.targets = torch.zeros(count, 2, dtype=torch.float64)

    def add(self, density: Tensor, denoised: Tensor, tomogram: Tensor) -> None:
        """Take a block into account: v, Dn(t) and t, standardized, (side, side, side) each."""
        v, *known = (torch.fft.rfftn(x.double(), dim=AXES) for x in (density, denoised, tomogram))
        for i, first in enumerate(known):
            self.targets[:, i] += self._sums(first, v)
            for j, second in enumerate(known):
                self.products[:, i, j] += self._sums(first, second)

    def solved(self) -> Tensor:
        """The weights a and b of each shell, (shells, 2) float32; the mean has those of the first shell.

        Means of simulated blocks vary too little to tell, and b would grow without bound.
        """
        power = self.products.diagonal(dim1=1, dim2=2).mean(1)
        ridge = RIDGE * (power + RIDGE * power.mean())
        eye = torch.eye(2, dtype=torch.float64)
        weights: Tensor = torch.linalg.solve(self.products + ridge[:, None, None] * eye, self.targets).float()
        weights[0] = weights[1]
        return weights

    def _sums(self, first: Tensor, second: Tensor) -> Tensor:
        product = (first * second.conj()).real.flatten()
        sums = torch.zeros(len(self.targets), dtype=torch.float64)
        return sums.index_add_(0, self.shells.flatten(), product)


def weighted(denoised: Tensor, tomogram: Tensor, weights: Tensor) -> Tensor:
    """a·Dn(t) + b·t of a block (side, side, side), with the weights of its shells (shells, 2)."""
    a, b = weights.to(denoised.device)[shells_of(denoised.shape[-1]).to(denoised.device)].unbind(-1)
    transform = a * torch.fft.rfftn(denoised, dim=AXES) + b * torch.fft.rfftn(tomogram, dim=AXES)
    result: Tensor = torch.fft.irfftn(transform, s=denoised.shape, dim=AXES)
    return result


def told_by_simulation(
    network: DualNetworks,
    clean: Sequence[TrainingVolume],
    device: torch.device,
    seed: int,
    progress: Progress,
) -> Tensor:
    """The weights that bring tomograms, simulated of densities and denoised, closest to the densities.

    Parameters
    ----------
    network
        Trained.
    clean
        The clean domain, of whose first volumes the middle is taken.
    device, seed, progress
        Where to compute, of the noise, and what receives progress.
    """
    side = network.noise_power.shape[0]
    sums = ShellWeights(side)
    for index, volume in enumerate(clean[:VOLUMES]):
        start = [max(0, (n - TILES * side) // 2) for n in volume.data.shape]
        density = read_block(volume.data, start, [min(n, TILES * side) for n in volume.data.shape])
        tomogram = simulated_tomogram(network, density, volume.normalization, seed + index, progress, device)
        known = volume.normalization.apply(density)
        standard = measure_voxels(tomogram).normalization
        for corner in product(*(range(0, max(n - side, 0) + 1, side // 2) for n in density.shape)):
            t = torch.from_numpy(standard.apply(read_block(tomogram, corner, (side,) * 3)))
            with torch.no_grad():
                denoised = network(t[None, None].to(device))[0, 0].float().cpu()
            sums.add(torch.from_numpy(read_block(known, corner, (side,) * 3)), denoised, t)
    return sums.solved()
