"""A segmentation network with what it must be told: classes, voxel spacing, contrast, standardization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from vitreous.core import InputError
from vitreous.networks import UNet3d, VoxResNet
from vitreous.training import load_model, save_model

KIND = "segmentation"
POLARITIES = ("dark", "bright")
SAME_SPACING = 0.01  # relative difference that a network does not notice


class ModelDescription(BaseModel):
    """What `model.json` says of a segmentation model.

    Parameters
    ----------
    architecture, width, norm
        A name of NETWORKS, its channels, and the normalization layers of a VoxResNet.
    classes
        Names of the labels 0, 1, …; the first is the background.
    voxel_spacing_angstrom
        Edge of the voxels it was trained on, in Å.
    side
        Voxels along the edge of the boxes it was trained on.
    centred
        Whether it was trained on boxes with the particle in the middle alone: it then knows where that is.
    protein
        Whether protein is dark or bright in what it was trained on.
    standardization
        "each": every subtomogram, or every tomogram as a whole, has outliers clipped (`measure_voxels`) and
        then mean 0 and deviation 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    architecture: str = "voxresnet"
    width: int = Field(8, ge=1)
    norm: Literal["group", "batch", "none"] = "group"
    classes: tuple[str, ...] = Field(("background", "particle"), min_length=2)
    voxel_spacing_angstrom: float = Field(gt=0)
    side: int = Field(32, ge=8)
    centred: bool = False
    protein: Literal["dark", "bright"] = "dark"
    standardization: Literal["each"] = "each"


# From a description to a network whose logits are (n, classes, z, y, x).
NETWORKS: Mapping[str, Callable[[ModelDescription], nn.Module]] = {
    "voxresnet": lambda d: VoxResNet(len(d.classes), width=d.width, norm=d.norm),
    "unet": lambda d: UNet3d(1, len(d.classes), width=d.width),
    "unet-norm": lambda d: UNet3d(1, len(d.classes), width=d.width, norm=True),
}


@dataclass(frozen=True, eq=False)
class SegmentationModel:
    """A network, from (n, 1, z, y, x) to logits (n, classes, z, y, x), and its description."""

    network: nn.Module
    description: ModelDescription

    def check_spacing(self, spacing_angstrom: float, path: Path | str) -> None:
        """Raise InputError if voxels of this edge in Å are not those that the network knows."""
        wanted = self.description.voxel_spacing_angstrom
        if abs(spacing_angstrom / wanted - 1) > SAME_SPACING:
            raise InputError(
                f"has voxels of {spacing_angstrom:.4g} Å, and the model was trained on {wanted:.4g} Å",
                path=path,
                remedy="add --fit resample, give --voxel-size if the header is wrong, or use another model",
            )


def build_network(description: ModelDescription, seed: int) -> nn.Module:
    """The network of a description, as it is before training.

    Raises
    ------
    InputError
        If the architecture is not known.
    """
    if description.architecture not in NETWORKS:
        raise InputError(f"there is no network {description.architecture}", remedy="update vitreous")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[description.architecture](description)


def save_segmentation_model(folder: Path, model: SegmentationModel, facts: Mapping[str, Any]) -> None:
    """Write `model.safetensors` and `model.json`; `facts` (seeds, method, …) go into the latter."""
    save_model(
        folder, model.network, {"kind": KIND, **facts, KIND: model.description.model_dump(mode="json")}
    )


def load_segmentation_model(folder: Path, device: torch.device | None = None) -> SegmentationModel:
    """A model that `save_segmentation_model` wrote, ready to predict.

    Raises
    ------
    InputError
        If there is none, it is damaged, or no model for segmentation.
    """
    facts, tensors = load_model(folder)
    if facts.get("kind") != KIND:
        remedy = "name a run directory of vitreous adapt or annotate"
        raise InputError("the model is not one for segmentation", path=folder, remedy=remedy)
    try:
        description = ModelDescription.model_validate(facts[KIND])
        network = build_network(description, 0)
        network.load_state_dict(tensors)
    except (LookupError, TypeError, RuntimeError, ValidationError) as error:
        text = "the saved model is of another kind than this version reads"
        raise InputError(text, path=folder, remedy="train it again") from error
    return SegmentationModel(network.to(device or torch.device("cpu")).eval(), description)
