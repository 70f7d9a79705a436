"""DUAL: translation between tomograms and clean densities, learned without pairs (dual)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vitreous.core import InputError, Progress, measure_voxels, read_block
from vitreous.inference import Tile
from vitreous.inference.predict import Predictor
from vitreous.methods.dual.config import DualConfig
from vitreous.methods.dual.gold import has_gold, without_gold
from vitreous.methods.dual.networks import DualNetworks
from vitreous.methods.dual.objective import DualObjective
from vitreous.methods.dual.prior import set_prior
from vitreous.methods.dual.strength import with_strength
from vitreous.methods.dual.student import StudentObjective
from vitreous.methods.method import PreparedVolume, binned, placed, predict_mirrored
from vitreous.methods.noise_model.method import VERY_NOISY
from vitreous.methods.noise_model.spectrum import NoiseSpectrum, estimate_noise_spectrum
from vitreous.methods.supervised.pairs import COARSEST_ANGSTROM, check_spacing, specimen
from vitreous.metrics import find_outliers, measure_polarity
from vitreous.networks.unet3d import unet_bytes_per_voxel
from vitreous.training import CheckpointStore, TrainingRecord, TrainingVolume, tell_time, train

SAME_SPACING = 0.03  # relative
LOOKED_AT = 192  # voxels along an edge of the middle in which the contrast is judged
STUDENT_STEP = 0.5  # of a step of the game, in time
MOST_BINNING = 4  # blocks that are binned hold 80³ times the cube of it
FEWEST_BINNED = 16  # voxels along an edge of what is left
LEAST_CORRELATION = 0.02  # of a denoised volume with its tomogram


class Dual:
    """Learn to denoise and to simulate from tomograms and clean densities that are not pairs.

    Parameters
    ----------
    config
        Settings.
    precision
        "float32" or "bfloat16", for prediction.
    clean
        The clean domain; simulated grand models if empty.
    """

    name: ClassVar[str] = "dual"

    def __init__(
        self,
        config: DualConfig | None = None,
        *,
        precision: str = "float32",
        clean: Sequence[TrainingVolume] = (),
    ) -> None:
        self.config: DualConfig = config or DualConfig()
        self.precision, self.clean = precision, tuple(clean)
        # As large as the patches of what predicts.
        taught = self.config.student_ratio > 0
        self.tile: int | None = self.config.student_side if taught else self.config.patch_side
        self.main_share = 1 / (1 + STUDENT_STEP * self.config.student_ratio)

    @property
    def bytes_per_voxel(self) -> float:
        """Working memory of prediction for each voxel of a tile."""
        if self.config.student_ratio:
            return unet_bytes_per_voxel(self.config.student_width)
        return unet_bytes_per_voxel(self.config.width) * (2 if self.config.norm else 1)

    def prepare(self, volume: TrainingVolume) -> PreparedVolume:
        """Estimate the noise spectrum, and bin the volume where that says so or the training did.

        Raises
        ------
        InputError
            If the voxel spacing is not known, or no whole fraction of that of the training.
        """
        check_spacing(volume.voxel_spacing_angstrom, volume.name)
        found, wanted = volume.voxel_spacing_angstrom or 0.0, self.config.voxel_spacing_angstrom
        binning = self.config.binning
        if wanted is not None:
            binning = max(1, round(wanted / found))
            if binning > MOST_BINNING or abs(binning * found / wanted - 1) > SAME_SPACING:
                raise InputError(
                    f"has voxels of {found:.4g} Å, and the model was trained on {wanted:.4g} Å",
                    path=volume.name,
                    remedy="rescale it, or train a model on tomograms like it",
                )
        if binning is not None and binning > 1 and min(volume.data.shape) < FEWEST_BINNED * binning:
            text = f"is {min(volume.data.shape)} voxels thin, too thin to be binned {binning} ×"
            raise InputError(text, path=volume.name, remedy="train a model on tomograms like it")
        spectrum = estimate_noise_spectrum(volume.data, volume.normalization, volume.mask)
        if binning is None:
            binning = self._useful_binning(spectrum, volume)
        working = None if binning == 1 else binned(volume, binning)
        seen = spectrum
        if working is not None:  # anew: cut out of the other, it was 30 % off
            seen = estimate_noise_spectrum(working.data, working.normalization, working.mask)
        share = min(seen.noise_share, 1.0)
        summary = {"noise share of variance": f"{share:.0%}"}
        if working is not None:
            summary["network works on"] = f"the volume binned {binning} ×"
        if wanted is None:
            summary["clean domain"] = "as given" if self.clean else "simulated grand models"
        return PreparedVolume(
            volume,
            spectrum.power,
            share,
            binning,
            working,
            None if working is None else seen.power * working.normalization.deviation**2,
            total_spectrum=seen.total,
            summary=summary,
            tilt_axis=spectrum.tilt_axis,
        )

    def _useful_binning(self, spectrum: NoiseSpectrum, volume: TrainingVolume) -> int:
        """1 but where nearly all is noise: elsewhere the aim is detail that the tomogram does not show."""
        if spectrum.noise_share <= VERY_NOISY:
            return 1
        most = int(min(volume.data.shape)) // FEWEST_BINNED
        if not self.clean:
            most = min(most, int(COARSEST_ANGSTROM / (volume.voxel_spacing_angstrom or 1.0)))
        return max(1, min(spectrum.useful_binning(), most))

    def adapted(self, volumes: Sequence[PreparedVolume]) -> Dual:
        """The voxel spacing and the contrast that the networks see are fixed, and whether gold stays."""
        found: dict[str, Any] = {}
        if self.config.voxel_spacing_angstrom is None:
            least = min(volumes, key=lambda v: v.binning)
            found["binning"] = least.binning
            found["voxel_spacing_angstrom"] = least.network_volume.voxel_spacing_angstrom
        if self.config.protein == "seen":
            found["protein"] = protein_in(volumes[0].volume)
        if self.config.gold is None and self.config.voxel_spacing_angstrom is None:  # before the training
            found["gold"] = any(has_gold(volume) for volume in self.clean)
        config = self.config.model_copy(update=found)
        return Dual(config, precision=self.precision, clean=self.clean) if found else self

    def build_network(self, seed: int) -> DualNetworks:
        """The six networks."""
        torch.manual_seed(seed)
        return DualNetworks(self.config)

    def objective(
        self, network: nn.Module, volumes: Sequence[PreparedVolume], device: torch.device
    ) -> DualObjective:
        """The game between the volumes and the clean domain, which is simulated if none was given."""
        if not isinstance(network, DualNetworks):
            raise TypeError("the network is none of DUAL")
        clean = self.clean_domain(volumes)
        set_prior(network, volumes, clean)
        placed(network, device)
        return DualObjective(network, [v.network_volume for v in volumes], clean, self.config, device)

    def clean_domain(self, volumes: Sequence[PreparedVolume]) -> list[TrainingVolume]:
        """What was given, as the networks see the volumes; else simulated grand models."""
        if not self.clean:
            return simulated_domain(self.config, volumes)
        binning = volumes[0].binning
        return [c if binning == 1 else binned(c, binning) for c in self.clean]

    def predictor(
        self, network: nn.Module, volume: PreparedVolume, device: torch.device, seed: int
    ) -> Predictor:
        """The denoiser, one block at a time; its result is in the clean domain's standardized units.

        Blocks overlap by half, so that every voxel lies in eight; of these the student sees one mirror image
        each.
        """
        if not isinstance(network, DualNetworks):
            raise TypeError("the network is none of DUAL")
        networks = placed(network, device).eval()

        def predict(block: Tensor, tile: Tile) -> Tensor:
            step = self.config.student_side // 2
            index = 0 if networks.student is None else mirror_of(tile.start, step)
            return predict_mirrored(networks, block, index, device, self.precision)

        return predict

    def finish(
        self,
        network: nn.Module,
        volumes: Sequence[PreparedVolume],
        device: torch.device,
        seed: int,
        progress: Progress,
        store: CheckpointStore | None = None,
    ) -> TrainingRecord:
        """Train the student on tomograms that the networks simulate of the clean domain."""
        if not isinstance(network, DualNetworks):
            raise TypeError("the network is none of DUAL")
        if network.student is None:
            return TrainingRecord((), 0.0, 0)
        placed(network, device).eval()
        objective = StudentObjective(network, self.clean_domain(volumes), self.config, device)
        settings = self.config.student.training_settings(seed, device, self.precision)
        progress.note("training the denoiser on simulated tomograms")
        tell_time(objective, settings, progress)
        return train(objective, settings, progress, store)

    def cleared(self, prediction: NDArray[np.float32], prepared: PreparedVolume) -> Mapping[str, str]:
        """Put ice in the place of gold, in a blended prediction, if the clean domain has none; says so."""
        beads = 0
        if self.config.gold is False:
            beads = without_gold(prediction, prepared, self.config.protein)
        return {"gold beads that ice was put in the place of": str(beads)} if beads else {}

    def calibrated(
        self, prediction: NDArray[np.float32], volume: TrainingVolume, strength: float
    ) -> tuple[NDArray[np.float32], str]:
        """Grey values of a blended prediction; see `with_strength`."""
        result, correlation = with_strength(prediction, volume.data, volume.normalization, strength)
        text = f"the denoised volume hardly correlates with {volume.name} ({correlation:.2f}): was the "
        text += "model trained on tomograms of the other contrast, or for too short a time?"
        return result, text if correlation < LEAST_CORRELATION else ""


def protein_in(volume: TrainingVolume) -> str:
    """Whether protein looks dark or bright in the middle of a volume; dark where that does not tell."""
    return "bright" if contrast_of(volume) == "bright" else "dark"


def contrast_of(volume: TrainingVolume) -> str:
    """How protein looks in the middle of a volume: "dark", "bright" or "unclear"."""
    starts = [max(0, (n - LOOKED_AT) // 2) for n in volume.data.shape]
    block = read_block(volume.data, starts, [min(n, LOOKED_AT) for n in volume.data.shape])
    constants, spacing = volume.normalization, volume.voxel_spacing_angstrom or 0.0
    whole = replace(constants, low=-np.inf, high=np.inf).apply(block)  # gold is found by what is clipped
    return measure_polarity(constants.apply(block), spacing, find_outliers(whole, spacing).mask).protein


def mirror_of(start: Sequence[int], step: int) -> int:
    """Number of the mirror image that is shown of a block: neighbours along any axis have others.

    Examples
    --------
    >>> mirror_of((0, 0, 0), 24), mirror_of((24, 0, 72), 24)
    (0, 5)
    """
    return sum((-(-first // step) & 1) << axis for axis, first in enumerate(start))


def simulated_domain(config: DualConfig, volumes: Sequence[PreparedVolume]) -> list[TrainingVolume]:
    """Grand models at the voxel spacing of the volumes; protein as dark as in raw tomograms."""
    spacing = float(f"{volumes[0].network_volume.voxel_spacing_angstrom or 0.0:.3g}")
    boxes = [specimen(spacing, config.box_side, index) for index in range(config.boxes)]
    sign = np.float32(1 if config.protein == "bright" else -1)
    return [
        standardized_density(sign * box, f"simulated box {index}", spacing)
        for index, box in enumerate(boxes, 1)
    ]


def standardized_density(
    data: NDArray[np.float32], name: str, voxel_spacing_angstrom: float | None
) -> TrainingVolume:
    """A volume of the clean domain with its own normalization.

    Raises
    ------
    InputError
        If it is constant, or holds no finite voxel.
    """
    try:
        normalization = measure_voxels(data).normalization
    except ValueError as error:
        raise InputError(str(error), path=name, remedy="leave it out") from error
    return TrainingVolume(data, normalization, name=name, voxel_spacing_angstrom=voxel_spacing_angstrom)
