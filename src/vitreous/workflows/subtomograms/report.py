"""From a set of subtomograms to the page that shows it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vitreous.report import TableSection, render_tables_report
from vitreous.report.panels import Panel, outlined, panels_svg
from vitreous.simulate import Subtomogram, SubtomogramSimulator, Which

MOST_STRUCTURES = 12


def subtomogram_report(simulator: SubtomogramSimulator, command: str, warnings: Sequence[str]) -> str:
    """An HTML page with counts, and one subtomogram of each structure and SNR."""
    settings = simulator.settings
    tilts = sorted(settings.tilts.acquisition_order())
    noise = " and ".join(f"{snr:g}" for snr in settings.snrs)
    defocus = "no CTF" if settings.defocus_um is None else f"{settings.defocus_um:g} µm under focus"
    summary = {
        "subtomograms": f"{len(simulator)}, {settings.count} of each structure at each SNR",
        "size": f"{settings.side}³ voxels of {settings.voxel_spacing_angstrom:g} Å",
        "structures": ", ".join(template.name for template in simulator.templates),
        "neighbours": str(settings.neighbours),
        "SNR (variance)": noise,
        "tilt series": f"{len(tilts)} tilts, {tilts[0]:+g}° to {tilts[-1]:+g}°",
        "imaging": f"{defocus}, {settings.optics.voltage_kv:g} kV, "
        f"Cs {settings.optics.spherical_aberration_mm:g} mm",
        "contrast": "protein bright" if settings.invert else "protein dark",
        "seed": str(settings.seed),
    }
    text = "Slices through the middle; the line is the border of the target's mask. "
    text += "Across the beam first, then along it, with x to the right, where the missing wedge shows."
    sections = [TableSection("What was simulated", rows=list(summary.items()))]
    for structure, template in list(enumerate(simulator.templates))[:MOST_STRUCTURES]:
        panels = _panels(simulator, structure)
        figure = panels_svg(panels, f"subtomograms of {template.name}", columns=len(panels))
        sections.append(TableSection(template.name, text, figure_svg=figure))
        text = ""
    sections.append(TableSection("Repeat", f"`{command}`"))
    return render_tables_report("Simulated subtomograms", sections, warnings=warnings)


def _panels(simulator: SubtomogramSimulator, structure: int) -> list[Panel]:
    """The first subtomogram at each SNR, and the last one of them without noise."""
    panels = []
    for index, snr in enumerate(simulator.settings.snrs):
        one = simulator.make(Which(structure, index, 0))
        panels.append(Panel(f"SNR {snr:g}", _outlined(one.density, one, 0)))
    panels.append(Panel(f"SNR {snr:g}, along the beam", _outlined(one.density, one, 1)))
    panels.append(Panel("noise-free", _outlined(one.noise_free, one, 0)))
    panels.append(Panel("noise-free, along the beam", _outlined(one.noise_free, one, 1)))
    return panels


def _outlined(volume: NDArray[np.float32], one: Subtomogram, axis: int) -> NDArray[np.uint8]:
    """The middle slice with the border of the mask in colour."""
    middle = len(volume) // 2
    return outlined(np.take(volume, middle, axis), np.take(one.mask, middle, axis))
