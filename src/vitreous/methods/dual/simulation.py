"""Whole tomograms from densities, by trained networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import Normalization, Progress, read_block
from vitreous.inference import Tile, blend_tiles
from vitreous.methods.dual.networks import DualNetworks
from vitreous.methods.method import placed

Array = NDArray[np.float32]


def noise_masks(network: DualNetworks, shape: Sequence[int], seed: int, progress: Progress) -> Array:
    """One draw of unshaped noise over a volume, (z, y, x) float32.

    Every tile has a code and a permutation of its own; tiles are blended at equal variance, so that
    the noise is no weaker where they overlap. Their means are not: weights whose squares add up to one
    would make a lattice of them.
    """
    generator = torch.Generator().manual_seed(seed)
    side, device = network.noise_power.shape[0], network.codes.device
    means: dict[tuple[int, ...], Tensor] = {}

    def fluctuation_of(tile: Tile) -> Tensor:
        code = torch.randn((1, network.codes.shape[1]), generator=generator).to(device)
        mask = network.mask_of(code, generator)[0, 0]
        means[tile.start] = mask.mean()
        return mask - means[tile.start]

    def mean_of(tile: Tile) -> Tensor:
        return means[tile.start].expand(tile.shape)

    with torch.no_grad():
        noise = blend_tiles(shape, side, fluctuation_of, progress, equal_variance=True)
        if not network.prior:  # with one, masks have no mean
            noise += blend_tiles(shape, side, mean_of, progress)
    return noise


def simulated_tomogram(
    network: DualNetworks,
    density: NDArray[Any],
    normalization: Normalization,
    seed: int,
    progress: Progress,
    device: torch.device,
) -> Array:
    """A standardized tomogram of a density (dual eq. 1), (z, y, x) float32; see `simulated_tomograms`."""
    return next(simulated_tomograms(network, density, normalization, (seed,), progress, device))


def simulated_tomograms(
    network: DualNetworks,
    density: NDArray[Any],
    normalization: Normalization,
    seeds: Sequence[int],
    progress: Progress,
    device: torch.device,
) -> Iterator[Array]:
    """Standardized tomograms of a density (dual eq. 1), (z, y, x) float32, one for each draw of noise.

    With a noise prior, the noise has the spectrum of the prior over the whole volume, and is added to
    what Gs makes of the density, which is the same for all; without one, Gs sees both together. It is shaped
    in a larger box, so that it does not go on at the opposite face.

    Parameters
    ----------
    network
        Trained.
    density
        (z, y, x) in the contrast of the training's clean domain.
    normalization
        That of the density.
    seeds
        Of the noise.
    progress
        Receives progress.
    device
        Where to compute.
    """
    placed(network, device).eval()
    side = network.noise_power.shape[0]
    margin = side // 2 if network.prior else 0
    signal: Array | None = None
    for seed in seeds:
        noise = noise_masks(network, [n + margin for n in density.shape], seed, progress)
        if not network.prior:
            yield passed(network, density, normalization, noise, progress, device)
            continue
        if signal is None:
            signal = passed(network, density, normalization, None, progress, device)
        with torch.no_grad():
            shaped = network.shaped(torch.from_numpy(noise)[None, None].to(device))
        yield signal + shaped[0, 0].cpu().numpy()[tuple(slice(n) for n in density.shape)]


def passed(
    network: DualNetworks,
    density: NDArray[Any],
    normalization: Normalization,
    noise: Array | None,
    progress: Progress,
    device: torch.device,
) -> Array:
    """What Gs makes of a density, and of the noise on it if there is some, tile by tile."""

    def block_of(tile: Tile) -> Tensor:
        block = torch.from_numpy(normalization.apply(read_block(density, tile.start, tile.shape)))
        if noise is not None:
            block = block + torch.from_numpy(read_block(noise, tile.start, tile.shape))
        seen: Tensor = network.seen(block[None, None].to(device))[0, 0]
        return seen

    with torch.no_grad():
        return blend_tiles(density.shape, network.noise_power.shape[0], block_of, progress)
