"""The page that shows what an adaptation has learned: losses, segmentations, features of both domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vitreous.metrics import separability, t_sne
from vitreous.report import LossCurve, TableSection, render_tables_report
from vitreous.report.figures import curves_svg, loss_svg, scatter_svg
from vitreous.report.panels import panels_svg
from vitreous.segmentation import SegmentationModel, build_network, segment_boxes
from vitreous.training import TrainingRecord
from vitreous.workflows.adapt.domains import Domains
from vitreous.workflows.adapt.model import Adapted
from vitreous.workflows.adapt.request import AdaptRequest
from vitreous.workflows.segment.report import BOXES_EXPLAINED, box_panels
from vitreous.workflows.subtomograms import LoadedBoxes

SHOWN = 6
EMBEDDED = 100  # subtomograms of each domain
FEATURES_EXPLAINED = (
    "Features of whole subtomograms (means and deviations over all voxels of the network's fused features) "
    "as points, by t-SNE: neighbours are alike, distances between groups mean little. The separability is "
    "how often the most similar other subtomogram is of the same domain: 0.5 where the two cannot be told "
    "apart, 1 where they always can."
)


def adaptation_report(request: AdaptRequest, result: Adapted, domains: Domains) -> str:
    """An HTML page of one training."""
    record, description = result.record, result.model.description
    summary = {
        "method": request.method,
        "source": f"{request.source}, {len(domains.source)} subtomograms",
        "target": f"{request.target}, {len(domains.target)} subtomograms",
        "structures of the source": ", ".join(sorted(set(domains.source.kinds))) or "not known",
        "size": f"{description.side}³ voxels of {description.voxel_spacing_angstrom:.4g} Å",
        "contrast of the target": "inverted" if domains.target.turned else "as it is, protein dark",
        "training": f"{len(record.losses)} steps, seed {request.seed}, {record.seconds:.0f} s",
        "roll-backs": str(record.rollbacks),
    }
    before = SegmentationModel(build_network(description, request.seed).eval(), description)
    models = {"before training": before, "after training": result.model}
    sections = [
        TableSection("What was trained", rows=[[k, v] for k, v in summary.items()]),
        segmented_section(result.model, domains.target),
        *feature_sections(models, domains.source, domains.target),
        *loss_sections(record),
        TableSection("Repeat", f"`{request.command()}`"),
    ]
    return render_tables_report("Adaptation", sections, warnings=list(domains.warnings))


def segmented_section(model: SegmentationModel, target: LoadedBoxes) -> TableSection:
    """Subtomograms of the target with what the network finds in them."""
    panels = []
    for n in np.unique(np.linspace(0, len(target) - 1, SHOWN).astype(int)):
        found = segment_boxes(model, target.values[n : n + 1])[0]
        panels += box_panels(f"{target.indices[n] + 1} {target.kinds[n]}".strip(), target.values[n], found)
    return TableSection("Target", BOXES_EXPLAINED, figure_svg=panels_svg(panels, "segmented target"))


def feature_sections(
    models: dict[str, SegmentationModel], source: LoadedBoxes, target: LoadedBoxes
) -> list[TableSection]:
    """Where both domains lie among the features of each model."""
    sections: list[TableSection] = []
    for name, model in models.items():
        both = [features_of(model.network, spread_over(boxes.values)) for boxes in (source, target)]
        apart = separability(*both)
        points = t_sne(scaled(np.concatenate(both)))
        groups = {"source": points[: len(both[0])], "target": points[len(both[0]) :]}
        figure = scatter_svg(groups, f"features of both domains {name}")
        text = f"Separability {apart:.2f}. {'' if sections else FEATURES_EXPLAINED}".strip()
        sections.append(TableSection(f"Features {name}", text, figure_svg=figure))
    return sections


def spread_over(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most EMBEDDED subtomograms, evenly over the set."""
    chosen: NDArray[np.float32] = values[np.unique(np.linspace(0, len(values) - 1, EMBEDDED).astype(int))]
    return chosen


@torch.no_grad()
def features_of(network: nn.Module, boxes: NDArray[np.float32], batch: int = 16) -> NDArray[np.float64]:
    """(n, 2 · channels): mean and deviation of each fused feature over a subtomogram."""
    segmenter: Any = network
    device = next(network.parameters()).device
    parts = []
    for first in range(0, len(boxes), batch):
        values = torch.from_numpy(boxes[first : first + batch, None]).to(device)
        fused = segmenter.fused(segmenter.taps(values)).flatten(2)
        parts.append(torch.cat([fused.mean(-1), fused.std(-1)], dim=1).double().cpu().numpy())
    return np.concatenate(parts)


def scaled(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every feature with deviation 1, so that none counts for more than another."""
    deviation = features.std(axis=0)
    result: NDArray[np.float64] = features / np.where(deviation > 0, deviation, 1)
    return result


def loss_sections(record: TrainingRecord) -> list[TableSection]:
    """The loss of all steps, and each of its terms where it was looked at."""
    if not record.losses:
        return []
    whole = LossCurve(np.arange(1, len(record.losses) + 1), np.array(record.losses))
    sections = [TableSection("Loss", figure_svg=loss_svg(whole))]
    names = [name for name in (record.monitored[-1][1] if record.monitored else {}) if name != "healthy"]
    if names:
        curves = {name.replace("_", " "): curve_of(record, name) for name in names}
        sections.append(TableSection("Terms and figures", figure_svg=curves_svg(curves, "value")))
        sections.append(TableSection("Figures", *figure_table(record, names)))
    return sections


def curve_of(record: TrainingRecord, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Steps and values of one figure."""
    seen = [(step, figures[name]) for step, figures in record.monitored if name in figures]
    return np.array([step for step, _ in seen]), np.array([value for _, value in seen])


def figure_table(
    record: TrainingRecord, names: Sequence[str], most: int = 10
) -> tuple[str, list[str], list[list[str]]]:
    """No text, header and rows of what was seen at some of the steps."""
    chosen = np.unique(np.linspace(0, len(record.monitored) - 1, most).astype(int))
    rows = [
        [str(step), *(f"{seen[name]:.3g}" if name in seen else "" for name in names)]
        for step, seen in (record.monitored[i] for i in chosen)
    ]
    return "", ["step", *(name.replace("_", " ") for name in names)], rows
