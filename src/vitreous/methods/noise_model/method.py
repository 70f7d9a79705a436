"""Denoising one volume with the help of its own noise spectrum (recorrupted-to-recorrupted)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from vitreous.fourier import NoiseGenerator, crop_spectrum
from vitreous.inference import Tile
from vitreous.inference.binning import ROLLOFF
from vitreous.inference.predict import Predictor
from vitreous.losses import masked_mean_square
from vitreous.methods.method import (
    PreparedVolume,
    batch_of,
    binned,
    placed,
    predict_mirrored,
)
from vitreous.methods.noise_model.dependence import signal_dependence
from vitreous.methods.noise_model.gain import estimate_gain
from vitreous.methods.noise_model.spectrum import estimate_noise_spectrum
from vitreous.methods.periodic import PeriodicFields
from vitreous.methods.warm_start import WarmConfig
from vitreous.networks.unet3d import unet_bytes_per_voxel
from vitreous.training import Patch, PatchSampler, TrainingVolume

WRAP = 16  # the drawn noise is periodic: a patch is cut from a block this much larger
ALPHA, ALPHA_VERY_NOISY = 0.7, 1.0
VOXELS_FOR_WIDTH = 50_000  # voxels that each channel needs, lest a network learns their noise by heart
NARROWEST = 4
MOST_VISITS = 700  # of each voxel in training, likewise
MOST_STEPS = 900
WARM_STEPS, WARM_VOXELS = 300, 60**3  # enough from the shipped weights; with the square root of the voxels
VERY_NOISY = 0.97  # share of the variance that is noise
NEARLY_WHITE = 0.9  # of Fourier space filled: each voxel has its own noise


class NoiseModelConfig(WarmConfig):
    """Settings of the noise-model method.

    `alpha` splits the added noise between input and target: 0.7, or 1 in a very noisy volume.
    There a network learns the one realization of the noise by heart that the volume has. From random
    weights it is therefore made as narrow and trained as briefly as the number of voxels asks for: at
    noise/signal 12 and 40³ binned voxels, 600 steps of width 16 gave 22.1 dB, 200 steps of width 4 23.8.
    From the shipped weights it learns the noise of any small volume by heart, if given the time, and has
    300 √(voxels/60³) steps at the most. `steps` are so chosen, up to 900, when None, and `binning` from
    the spectrum. `draws` is the number of noise draws averaged at prediction, every second one the last
    with its sign turned: what the network does linearly then adds no noise at all (+0.08 and +0.06 dB at
    noise/signal 1.3 and 10).
    """

    steps: PositiveInt | None = None
    alpha: PositiveFloat | None = None
    binning: PositiveInt | None = None
    draws: PositiveInt = 16


class NoiseModel:
    """Train from y + αn to y - n/α with n drawn from the estimated noise spectrum.

    For Gaussian noise of that spectrum the noises of the two are independent, so the least-squares
    optimum is E[x | y + αn]; the prediction averages it over draws (Pang et al. 2021, eqs 4–8).

    Parameters
    ----------
    config
        Settings.
    precision
        "float32" or "bfloat16", for prediction.
    """

    name: ClassVar[str] = "noise-model"
    tile: int | None = None

    def __init__(self, config: NoiseModelConfig | None = None, *, precision: str = "float32") -> None:
        self.config: NoiseModelConfig = config or NoiseModelConfig()
        self.precision = precision

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        return unet_bytes_per_voxel(self.config.width)

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Estimate the noise spectrum and how its strength varies over the volume or with the density."""
        spectrum = estimate_noise_spectrum(volume.data, volume.normalization, volume.mask)
        binning = self.config.binning or spectrum.useful_binning()
        share = min(spectrum.noise_share, 1.0)
        axis = "y" if spectrum.tilt_axis == 1 else "x"
        summary = {
            "noise share of variance": f"{share:.0%}",
            "Fourier space filled by noise": f"{spectrum.filled_share:.0%}",
            "tilt axis": axis if spectrum.tilt_axis_seen else "not seen in the noise",
            **self.config.beginning,
        }
        stabilizer = None
        # Projections mix all densities on their way: only noise that is nearly white can follow them.
        if binning == 1 and spectrum.filled_share > NEARLY_WHITE:
            stabilizer = signal_dependence(volume.data, volume.normalization, spectrum, volume.mask)
        if stabilizer is not None:
            change = f"{stabilizer.slope:+.0%} of its variance for each deviation of the grey values"
            summary["noise follows the density"] = f"{change}, made even"
        gain = estimate_gain(volume.data, volume.normalization, spectrum, volume.mask, stabilizer)
        if gain is not None:
            weakest, strongest = float(gain.values.min()), float(gain.values.max())
            summary["noise level over the volume"] = f"{weakest:.2f} to {strongest:.2f} of its mean, levelled"
        if binning == 1:
            return PreparedVolume(
                volume,
                spectrum.power,
                share,
                summary=summary,
                tilt_axis=spectrum.tilt_axis,
                gain=gain,
                stabilizer=stabilizer,
            )
        summary["network works on"] = (
            f"the volume binned {binning} ×: above that there is no signal to be seen"
        )
        power = crop_spectrum(spectrum.power, binning, rolloff=ROLLOFF)
        working = binned(volume, binning)
        return PreparedVolume(
            volume,
            spectrum.power,
            share,
            binning,
            working,
            power,
            summary,
            tilt_axis=spectrum.tilt_axis,
            gain=None if gain is None else gain.binned(binning, working.data.shape),
        )

    def adapted(self, volumes: Sequence[PreparedVolume]) -> NoiseModel:
        """The weakest binning that any of the volumes asks for, and what goes with it."""
        binning = min(v.binning for v in volumes)
        very_noisy = all(v.noise_share > VERY_NOISY for v in volumes)
        fixed: dict[str, float] = {"binning": binning, "alpha": ALPHA_VERY_NOISY if very_noisy else ALPHA}
        if self.config.alpha is not None:
            fixed["alpha"] = self.config.alpha
        voxels = sum(v.network_volume.data.size for v in volumes)
        steps = MOST_STEPS
        if self.config.is_warm:
            steps = min(steps, math.ceil(WARM_STEPS * math.sqrt(voxels / WARM_VOXELS)))
        elif very_noisy and self.config.binning is None:
            fixed["width"] = min(self.config.width, max(NARROWEST, voxels // VOXELS_FOR_WIDTH))
            visited = self.config.batch * self.config.patch_side**3
            steps = min(steps, -(-MOST_VISITS * voxels // visited))
        fixed["steps"] = self.config.steps or steps
        return NoiseModel(self.config.model_copy(update=fixed), precision=self.precision)

    def build_network(self, seed: int) -> nn.Module:
        """A U-Net."""
        return self.config.build_unet(seed)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> RecorruptedObjective:
        """Recorrupted pairs from all volumes."""
        return RecorruptedObjective(placed(network, device), volumes, self.config, device)

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """Mean over noise draws, each and its opposite seen in another of the eight mirror images.

        The noise of a draw is one periodic field fixed to the volume's coordinates: neighbouring
        tiles see the same noise where they overlap, so that tiling leaves no seams. The network sees
        the volume levelled.
        """
        drawn, draws = self._drawn(network, volume, device, seed), self.config.draws

        def predict(block: Tensor, tile: Tile) -> Tensor:
            gain = gain_over(volume, tile.start, tile.shape)
            level = levelled(volume, block, gain)
            total = torch.zeros(block.shape, device=device)
            for draw in range(draws):
                total += drawn(level, tile, draw)
            result = total / draws * gain.to(device)
            return result if volume.stabilizer is None else volume.stabilizer.invert(result)

        return predict

    def members(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> list[Predictor]:
        """The draws whose mean the predictor takes, of a volume whose noise was not stabilized."""
        if volume.stabilizer is not None:
            raise ValueError("the mean over draws is taken before the stabilization is undone")
        drawn = self._drawn(network, volume, device, seed)

        def member(draw: int) -> Predictor:
            def predict(block: Tensor, tile: Tile) -> Tensor:
                gain = gain_over(volume, tile.start, tile.shape)
                return drawn(levelled(volume, block, gain), tile, draw) * gain.to(device)

            return predict

        return [member(draw) for draw in range(self.config.draws)]

    def _drawn(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Callable[[Tensor, Tile, int], Tensor]:
        """What the network makes of a levelled block with one draw of the noise, counted from 0."""
        network, alpha = placed(network, device).eval(), fixed_alpha(self.config)
        spectrum = seen_spectrum(volume)
        fields = PeriodicFields(lambda shape, g: NoiseGenerator(spectrum, shape).draw(g)[0], seed)

        def drawn(level: Tensor, tile: Tile, draw: int) -> Tensor:
            grid = [np.arange(s, s + n) for s, n in zip(tile.start, tile.shape, strict=True)]
            pair, opposite = divmod(draw, 2)
            noisy = level + (-alpha if opposite else alpha) * fields.cut(pair, grid)
            return predict_mirrored(network, noisy, pair, device, self.precision)

        return drawn


class RecorruptedObjective:
    """Mean squared error from y + αn to y - n/α on random patches, their noise levelled.

    Parameters
    ----------
    network
        What is trained.
    volumes
        Prepared by `NoiseModel.prepare`.
    config
        Settings.
    device
        Where it is trained.
    """

    def __init__(
        self,
        network: nn.Module,
        volumes: Sequence[PreparedVolume],
        config: NoiseModelConfig,
        device: torch.device,
    ) -> None:
        self.network, self.config, self.device = network, config, device
        self.volumes = volumes
        self.sampler = PatchSampler([v.network_volume for v in volumes], config.patch_side)
        self.noise = [PatchNoise(v, config.patch_side) for v in volumes]

    def loss(self, generator: torch.Generator) -> tuple[Tensor, str]:
        """Draw a batch and compare."""
        patches = [self.sampler.draw(generator) for _ in range(self.config.batch)]
        pairs = [self._pair(patch, generator) for patch in patches]
        x, t, m = (
            batch_of(part, self.device)
            for part in ([p[0] for p in pairs], [p[1] for p in pairs], [p.inside for p in patches])
        )
        return masked_mean_square(self.network(x).float(), t, m), " and ".join(p.where for p in patches)

    def _pair(self, patch: Patch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        volume = self.volumes[patch.volume]
        gain = gain_over(volume, patch.start, patch.values.shape).flip(patch.flips)
        noise = self.noise[patch.volume].draw(patch, generator)
        return recorrupted_pair(levelled(volume, patch.values, gain), noise, fixed_alpha(self.config))


class PatchNoise:
    """Draws noise for patches, as a network sees that of one volume.

    Parameters
    ----------
    volume
        Prepared by `NoiseModel.prepare`.
    side
        Of the patches.
    """

    def __init__(self, volume: PreparedVolume, side: int) -> None:
        self.source = NoiseGenerator(seen_spectrum(volume), (side + WRAP,) * 3)

    def draw(self, patch: Patch, generator: torch.Generator) -> Tensor:
        """Noise (z, y, x) flipped as the patch is, so that the wedges of both agree."""
        block = self.source.draw(generator)[0]
        return block[tuple(slice(0, n) for n in patch.values.shape)].flip(patch.flips)


def fixed_alpha(config: NoiseModelConfig) -> float:
    """The α of a configuration that `NoiseModel.adapted` has fixed; 0.7 before."""
    return ALPHA if config.alpha is None else config.alpha


def recorrupted_pair(values: Tensor, noise: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Y + αn and y - n/α: independent noises when n is Gaussian with the noise's own spectrum."""
    return values + alpha * noise, values - noise / alpha


def seen_spectrum(volume: PreparedVolume) -> Tensor:
    """Spectrum of the noise that the network sees, in units of its own input's variance."""
    if volume.noise_spectrum is None:
        raise ValueError("the volume was not prepared by NoiseModel.prepare")
    if volume.working is None or volume.working_spectrum is None:
        return volume.noise_spectrum
    return volume.working_spectrum / volume.working.normalization.deviation**2


def levelled(volume: PreparedVolume, values: Tensor, gain: Tensor) -> Tensor:
    """Standardized values with noise that is equally strong everywhere, given the gain where they lie."""
    return (values if volume.stabilizer is None else volume.stabilizer.apply(values)) / gain


def gain_over(volume: PreparedVolume, start: Sequence[int], shape: Sequence[int]) -> Tensor:
    """How strong the noise of a block is that the network is to see, relative to `seen_spectrum`."""
    return torch.ones(1, 1, 1) if volume.gain is None else volume.gain.over(start, shape)
