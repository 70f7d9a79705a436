"""The page that shows what a training of DUAL has learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitreous.core import AS_IS, SilentProgress, read_block
from vitreous.inference import Tile, blend_tiles
from vitreous.methods import PreparedVolume
from vitreous.methods.dual import DualNetworks, simulated_tomogram
from vitreous.methods.method import predict_mirrored
from vitreous.report import LossCurve, TableSection, render_tables_report
from vitreous.report.figures import loss_svg
from vitreous.report.panels import Panel, grey, panels_svg
from vitreous.training import TrainingRecord, TrainingVolume
from vitreous.workflows.denoise import TrainedModel
from vitreous.workflows.denoise.model import blended_prediction
from vitreous.workflows.dual.request import DualTrainRequest

SHOWN = 96  # voxels of a volume's middle that are shown
MOST_ROWS = 12
EXPLAINED = (
    "For each domain, `variance ratio` is that of fake over real volumes and `spectral distance` the mean "
    "|log(fake power / real power)| over frequency shells. `drawn share` is the share of a simulated "
    "tomogram's variance that another noise draw changes."
)


def training_report(
    request: DualTrainRequest,
    model: TrainedModel,
    noisy: TrainingVolume,
    clean: TrainingVolume,
    warnings: Sequence[str],
    *,
    playing: bool = False,
) -> str:
    """An HTML page: what was trained on what, slices of both translations, figures and loss curves.

    `playing`: the game still goes on, and its denoiser is shown; later, where there is one, the student.
    """
    record = model.record or TrainingRecord((), 0.0, 0)
    steps = f"{len(record.losses)} steps" + (" so far" if playing else "")
    summary = {
        "tomograms": ", ".join(map(str, request.noisy)),
        "clean domain": ", ".join(request.clean),
        "voxel spacing": f"{noisy.voxel_spacing_angstrom or 0:.4g} Å",
        "protein in the tomograms": model.method.config.model_dump()["protein"],
        "training": f"{steps}, seed {request.settings.seed}, {record.seconds:.0f} s",
        "roll-backs": str(record.rollbacks),
        "computed on": model.compute.description,
        **({"state": "the training goes on; reload to see more"} if playing else {}),
    }
    sections = [
        TableSection("What was trained", rows=list(summary.items())),
        TableSection(
            "Slices",
            "Across the beam, then along it with x to the right, where the missing wedge shows. Tomogram and "
            "density are no pair. Each picture has its own grey window.",
            figure_svg=panels_svg(
                panels(model, noisy, clean, playing=playing), "slices of both domains", columns=4
            ),
        ),
        TableSection("Domains", EXPLAINED, *figure_table(record)),
        *loss_sections(record),
        TableSection("Repeat", f"`{request.command()}`"),
    ]
    return render_tables_report("DUAL training", sections, warnings=warnings)


def panels(
    model: TrainedModel, noisy: TrainingVolume, clean: TrainingVolume, *, playing: bool
) -> list[Panel]:
    """A tomogram and what it becomes, a density and what it becomes."""
    assert isinstance(model.network, DualNetworks)
    tomogram, density = middle(noisy), middle(clean)
    if playing:
        denoised = denoised_in_play(model, tomogram)
    else:
        tile = model.method.tile or int(model.network.noise_power.shape[0])
        denoised = blended_prediction(model, PreparedVolume(tomogram), tile, 0, SilentProgress())
    simulated = simulated_tomogram(
        model.network, density.data, density.normalization, 0, SilentProgress(), model.compute.device
    )
    volumes: dict[str, Any] = {
        "tomogram": tomogram.data,
        "denoised": denoised,
        "density": density.data,
        "simulated": simulated,
    }
    return [
        Panel(f"{name}, middle along {'zy'[axis]}", grey(np.take(v, v.shape[axis] // 2, axis)))
        for axis in (0, 1)
        for name, v in volumes.items()
    ]


def denoised_in_play(model: TrainedModel, tomogram: TrainingVolume) -> NDArray[np.float32]:
    """What the denoiser of the game makes of a standardized tomogram."""
    network: Any = model.network
    device, precision = model.compute.device, model.compute.precision

    def block_of(tile: Tile) -> Tensor:
        block = torch.from_numpy(read_block(tomogram.data, tile.start, tile.shape))
        return predict_mirrored(network.denoiser, block, 0, device, precision)

    return blend_tiles(tomogram.data.shape, network.noise_power.shape[0], block_of, SilentProgress())


def middle(volume: TrainingVolume) -> TrainingVolume:
    """The middle of a volume, standardized."""
    shape = [min(SHOWN, side) for side in volume.data.shape]
    start = [(side - n) // 2 for side, n in zip(volume.data.shape, shape, strict=True)]
    block = volume.normalization.apply(read_block(volume.data, start, shape))
    return TrainingVolume(block, AS_IS, name=volume.name)


def figure_table(record: TrainingRecord) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what was seen of the domains during training."""
    if not record.monitored:
        return [], []
    names = [n for n in record.monitored[-1][1] if n.endswith(("ratio", "distance", "share"))]
    chosen = np.unique(np.linspace(0, len(record.monitored) - 1, MOST_ROWS).astype(int))
    looks = [record.monitored[i] for i in chosen]
    header = ["step", *(name.replace("_", " ") for name in names)]
    return header, [[str(step), *(f"{seen[name]:.3g}" for name in names)] for step, seen in looks]


def loss_sections(record: TrainingRecord) -> list[TableSection]:
    """The loss of all steps, and each of its terms where it was looked at."""
    if not record.losses:
        return []
    whole = LossCurve(np.arange(1, len(record.losses) + 1), np.array(record.losses))
    sections = [TableSection("Loss of the generators", figure_svg=loss_svg(whole))]
    steps = np.array([step for step, _ in record.monitored])
    terms = [n for n in (record.monitored[-1][1] if record.monitored else {}) if not n.endswith(SUFFIXES)]
    for name in terms:
        values = np.array([seen[name] for _, seen in record.monitored])
        title = name.replace("_", " ").capitalize()
        sections.append(TableSection(title, figure_svg=loss_svg(LossCurve(steps, values))))
    return sections


SUFFIXES = ("ratio", "distance", "share", "healthy")
