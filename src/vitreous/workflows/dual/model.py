"""A trained DUAL, from its run directory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import AS_IS, InputError, Normalization, Volume
from vitreous.inference import choose_device
from vitreous.inference.memory import BASE_BYTES, GIGABYTE, available_memory
from vitreous.io import open_volume
from vitreous.methods.dual import Dual, DualNetworks, standardized_density
from vitreous.methods.dual.method import SAME_SPACING
from vitreous.training import TrainingVolume, load_model
from vitreous.workflows.denoise import TrainedModel
from vitreous.workflows.denoise.model import saved_model
from vitreous.workflows.dual.domains import is_density

COPIES = 7  # float32 volumes held at once: density, noise and its transform, signal, output


@dataclass(frozen=True, eq=False)
class DualModel:
    """Trained networks and what `model.json` says of their domains."""

    trained: TrainedModel
    facts: Mapping[str, Any]

    @property
    def method(self) -> Dual:
        """The method with its configuration."""
        assert isinstance(self.trained.method, Dual)
        return self.trained.method

    @property
    def network(self) -> DualNetworks:
        """All six networks."""
        assert isinstance(self.trained.network, DualNetworks)
        return self.trained.network

    def grey_values_of(self, domain: str) -> Normalization:
        """Constants that give standardized values the grey values of a domain's first volume.

        Those of the standardized values themselves where the model does not say.
        """
        first = self.facts.get("domains", {}).get(domain, [{}])[0]
        return Normalization(**first["normalization"]) if "normalization" in first else AS_IS

    def density(self, file: Path, voxel_size: float | None) -> tuple[Volume, TrainingVolume]:
        """A density to simulate from: as its file has it, and in the contrast of the clean domain.

        Raises
        ------
        InputError
            If it cannot be read, is constant, too large for the memory, or has another voxel spacing:
            its truth would no longer fit, so it is not rescaled.
        """
        volume = open_volume(file, voxel_spacing_angstrom=voxel_size)
        found, wanted = volume.mean_spacing_angstrom or 0.0, self.method.config.voxel_spacing_angstrom
        if wanted is not None and abs(found / wanted - 1) > SAME_SPACING:
            text = f"has voxels of {found:.4g} Å, and the model was trained on {wanted:.4g} Å"
            raise InputError(text, path=file, remedy=f"make it with voxels of {wanted:.4g} Å")
        check_memory(volume)
        data = np.asarray(volume.data, np.float32)
        if is_density(file):
            data = self.as_in_tomograms(data)
        return volume, standardized_density(data, str(file), found)

    def as_in_tomograms(self, density: NDArray[np.float32]) -> NDArray[np.float32]:
        """A density (protein bright) in the contrast of the clean domain, which is the tomograms'."""
        return -density if self.method.config.protein == "dark" else density


def load_dual(folder: Path, device: str) -> DualModel:
    """The model of a training, or of a tomogram that was denoised with --method dual.

    Raises
    ------
    InputError
        If there is none, it is damaged, or of another method.
    """
    facts, _ = load_model(folder)
    if facts.get("method") != "dual":
        text = f"the model is of the method {facts.get('method')}, not dual"
        raise InputError(text, path=folder, remedy="train one with vitreous dual train")
    return DualModel(saved_model(folder, choose_device(device)), facts)


def check_memory(volume: Volume) -> None:
    """Raise InputError if there is not enough memory for what is made of a volume."""
    needed = BASE_BYTES + COPIES * 4 * math.prod(volume.shape)
    free = available_memory(torch.device("cpu"))
    if needed > free:
        raise InputError(
            f"needs {needed / GIGABYTE:.1f} GB of memory and {free / GIGABYTE:.1f} GB are free",
            path=volume.path,
            remedy="crop it, or use a larger machine",
        )
