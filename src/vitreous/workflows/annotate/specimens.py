"""Training specimens in the style of a tomogram: its wedge and voxels, its structures, and others beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import InputError, Progress, SilentProgress, Template
from vitreous.fourier import patch_spectra
from vitreous.fourier.resample import cosine_edge
from vitreous.inference.binning import ROLLOFF
from vitreous.methods.supervised.pairs import FIRST_SEED, Style, about_axis
from vitreous.segmentation.tomogram_samples import LabelledBox
from vitreous.simulate import GrandModel
from vitreous.workflows.simulate import SimulationSpec, simulate_tomogram
from vitreous.workflows.simulate.spec import ParticleSpec
from vitreous.workflows.simulate.structures import template_of

BESIDE = ("membrane", "gold")  # classes that every tomogram may have
MEMBRANES = ("membrane", "vesicle")  # of the simulator, one class here
OTHERS = ("26s", "apoferritin", "groel", "p97", "cand1", "get3", "hsp70", "tric", "ribosome", "clpb")
MOST_OTHERS = 5
ALIKE_MASS, ALIKE_SIZE = 1.3, 1.12  # ratios up to which a structure is no stranger to another
OCCUPANCIES = (0.05, 0.12, 0.2, 0.3)
SHARE, SHARE_OF_OTHERS = 3, 1
DEFOCUS_UM = (2.5, 5.0)
WITHOUT_WEDGE_DEG = (-60.0, 60.0)  # where the noise shows no wedge
TILT_STEP_DEG = 3.0
PATCH = 32  # voxels: signal strength is measured in such patches, as the tomogram's was

Array = NDArray[np.float32]


@dataclass(frozen=True)
class SpecimenPlan:
    """How many specimens of which size.

    Parameters
    ----------
    count
        How many.
    shape
        (z, y, x) in voxels of the working volume.
    defocus_um
        Lowest and highest underfocus; each specimen draws its own.
    seed
        Of all draws.
    """

    count: int
    shape: tuple[int, int, int]
    defocus_um: tuple[float, float] = DEFOCUS_UM
    seed: int = 0


def class_names(particles: Sequence[ParticleSpec]) -> tuple[str, ...]:
    """Names of the labels 1, 2, …: the structures, then membrane and gold."""
    return (*(spec.class_name for spec in particles), *BESIDE)


def specimens(
    particles: Sequence[ParticleSpec],
    style: Style,
    plan: SpecimenPlan,
    progress: Progress | None = None,
    *,
    binned: bool = False,
) -> list[LabelledBox]:
    """Noise-free boxes with labels, protein bright, as strong as the tomogram's own signal on average.

    They go through the whole physics of `workflows.simulate`: CTF, dose, tilts, back-projection. Structures
    that nobody asked for stand among the others, as background: a tomogram holds more than what is looked
    for. `binned`: with the edge that binning gave the tomogram's spectrum.

    Raises
    ------
    InputError
        If a structure cannot be had or finds no room.
    Interrupted
        If the user stopped.
    """
    progress = progress or SilentProgress()
    spacing = style.simulated_spacing_angstrom
    templates = [template_of(spec, spacing) for spec in particles]
    others = strangers(templates, spacing)
    made: list[tuple[Array, NDArray[np.uint8]]] = []
    progress.start("simulating specimens", plan.count)
    for index in range(plan.count):
        spec = specimen_spec(particles, others, style, plan, index)
        tomogram = simulate_tomogram(spec, progress=Quiet(progress))
        labels = label_volume(tomogram.grand_model, class_names(particles))
        values = -np.asarray(tomogram.noise_free.data, np.float32)
        if binned:
            values = rolled_off(values)
        values, labels = about_axis(values, style.tilt_axis), about_axis(labels, style.tilt_axis)
        made.append((values - values.mean(), labels))
        progress.advance()
    check_room(particles, [labels for _, labels in made], min(plan.shape) * spacing)
    gold = class_names(particles).index("gold") + 1
    power = np.mean([power_of(np.where(labels == gold, 0, values)) for values, labels in made])
    scale = np.float32(style.signal_deviation / np.sqrt(power))
    return [LabelledBox(np.ascontiguousarray(v * scale), np.ascontiguousarray(n)) for v, n in made]


def check_room(
    particles: Sequence[ParticleSpec], labels: Sequence[NDArray[Any]], thinnest_angstrom: float
) -> None:
    """Raise InputError if a structure is in none of the specimens."""
    for value, name in enumerate(class_names(particles)[: len(particles)], 1):
        if not any((one == value).any() for one in labels):
            text = f"{name} found no room in boxes {thinnest_angstrom:.0f} Å thin, which the network would "
            text += "learn it from"
            raise InputError(text, remedy="leave it out, or work on wider voxels with --binning")


def specimen_spec(
    particles: Sequence[ParticleSpec],
    others: Sequence[str],
    style: Style,
    plan: SpecimenPlan,
    index: int,
    finer: int = 1,
) -> SimulationSpec:
    """The index-th specimen: crowded more or less, with membranes and gold; in voxels so many times finer."""
    lowest, highest = style.tilt_range_deg or WITHOUT_WEDGE_DEG
    wanted = [spec.model_copy(update={"count": SHARE}) for spec in particles]
    beside = [ParticleSpec(structure=f"phantom:{name}", count=SHARE_OF_OTHERS) for name in others]
    reach = min(plan.shape) * style.simulated_spacing_angstrom
    return SimulationSpec.model_validate(
        {
            "seed": (FIRST_SEED + 1000 * plan.seed + index) % 2**62,
            "box": {
                "shape": tuple(finer * side for side in plan.shape),
                "voxel_spacing_angstrom": style.simulated_spacing_angstrom / finer,
            },
            "particles": [spec.model_dump(exclude_none=True) for spec in (*wanted, *beside)],
            "packing": {"occupancy": OCCUPANCIES[index % len(OCCUPANCIES)]},
            "vesicles": {"count": 1, "radius_angstrom": (0.15 * reach, 0.4 * reach)},
            "sheets": {"count": index % 2},
            "gold": {"count": 2 + index % 3},
            "tilts": {
                "lowest_deg": lowest,
                "highest_deg": highest,
                "step_deg": TILT_STEP_DEG,
                "start_deg": min(max(0.0, lowest), highest),
            },
            "imaging": {"defocus_um": plan.defocus_um, "shift_jitter_angstrom": 2.0},
        }
    )


def label_volume(model: GrandModel, names: Sequence[str]) -> NDArray[np.uint8]:
    """Labels of the wanted classes; all others are background."""
    table = np.zeros(len(model.class_names) + 1, np.uint8)
    for label, name in enumerate(model.class_names, 1):
        known = "membrane" if name in MEMBRANES else name
        table[label] = names.index(known) + 1 if known in names else 0
    labels: NDArray[np.uint8] = table[model.class_mask]
    return labels


def strangers(templates: Sequence[Template], voxel_spacing_angstrom: float) -> list[str]:
    """Well-known complexes that are not of like mass and size as any of the structures."""
    known = [mass_and_size(template) for template in templates]
    chosen = []
    for name in OTHERS:
        mass, size = mass_and_size(
            template_of(ParticleSpec(structure=f"phantom:{name}"), voxel_spacing_angstrom)
        )
        if not any(alike(mass, m, ALIKE_MASS) and alike(size, s, ALIKE_SIZE) for m, s in known):
            chosen.append(name)
    return chosen[:MOST_OTHERS]


def mass_and_size(template: Template) -> tuple[float, float]:
    """Sum of the density, and radius of gyration in voxels."""
    weights = np.clip(template.density, 0, None).astype(np.float64)
    grid = np.indices(weights.shape) - template.side // 2
    total = float(weights.sum())
    return total, float(np.sqrt((weights * (grid**2).sum(axis=0)).sum() / total))


def alike(first: float, second: float, ratio: float) -> bool:
    """Whether two sizes differ by less than a ratio."""
    return max(first, second) < ratio * min(first, second)


def rolled_off(values: Array) -> Array:
    """The values as binning leaves them: a cosine edge along each axis below the Nyquist frequency."""
    transform = torch.fft.fftn(torch.from_numpy(np.ascontiguousarray(values)))
    for axis, side in enumerate(values.shape):
        edge = cosine_edge(torch.fft.fftfreq(side), ROLLOFF)
        transform = transform * edge.reshape([-1 if i == axis else 1 for i in range(3)])
    result: Array = torch.fft.ifftn(transform).real.numpy()
    return result


def power_of(values: Array) -> float:
    """Mean power in windowed patches, which is what the tomogram's signal was estimated from."""
    shape = tuple(min(PATCH, side - side % 2) for side in values.shape)
    starts = np.stack(
        np.meshgrid(
            *[np.unique([0, (n - p) // 2, n - p]) for n, p in zip(values.shape, shape, strict=True)],
            indexing="ij",
        ),
        axis=-1,
    ).reshape(-1, 3)
    patches = [values[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))] for start in starts]
    return float(patch_spectra(torch.from_numpy(np.ascontiguousarray(p)) for p in patches).mean())


class Quiet(SilentProgress):
    """Says nothing of what goes on inside a stage, but hands on the wish to stop."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def should_stop(self) -> bool:
        """Whether the user asked to stop."""
        return self.progress.should_stop()
