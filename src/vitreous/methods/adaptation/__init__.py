"""Segmentation learned from labelled simulations and adapted to volumes without labels (vox-uda)."""

from __future__ import annotations

import torch
from torch import nn

from vitreous.methods.adaptation.asc import Asc
from vitreous.methods.adaptation.config import AdaptationConfig
from vitreous.methods.adaptation.domains import Dann
from vitreous.methods.adaptation.le_uda import LeUda
from vitreous.methods.adaptation.networks import AdaptationNetworks, Segmenter
from vitreous.methods.adaptation.objective import AdaptationObjective, Supervised
from vitreous.methods.adaptation.pdam import Pdam
from vitreous.methods.adaptation.samples import SubtomogramSamples, UnlabelledSubtomograms
from vitreous.methods.adaptation.vox_uda import VoxUda, pseudo_label_warnings
from vitreous.training import LabelledSamples, UnlabelledSamples

OBJECTIVES: dict[str, type[AdaptationObjective]] = {
    "source-only": Supervised,
    "supervised": Supervised,  # its labelled volumes are those of the target
    "dann": Dann,
    "pdam": Pdam,
    "asc": Asc,
    "le-uda": LeUda,
    "vox-uda": VoxUda,
}


def objective_for(
    method_name: str,
    network: nn.Module,
    source: LabelledSamples,
    target: UnlabelledSamples | None,
    config: AdaptationConfig,
    device: torch.device,
) -> AdaptationObjective:
    """The objective of a method, for `training.train`; the network to keep afterwards is its `trained`.

    Parameters
    ----------
    method_name
        A key of `OBJECTIVES`.
    network
        The segmentation network to train; see `Segmenter`.
    source
        Labelled volumes: those of the target domain for "supervised".
    target
        Volumes of the target domain; "source-only" and "supervised" do without.
    config, device
        Settings, whose number of steps must be fixed, and where to train.

    Raises
    ------
    KeyError
        If there is no such method.
    """
    return OBJECTIVES[method_name](network, source, target, config, device)


__all__ = [
    "OBJECTIVES",
    "AdaptationConfig",
    "AdaptationNetworks",
    "AdaptationObjective",
    "Segmenter",
    "SubtomogramSamples",
    "UnlabelledSubtomograms",
    "objective_for",
    "pseudo_label_warnings",
]
