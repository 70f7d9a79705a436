"""The two domains of DUAL: which files they are, one voxel spacing for both, each volume's normalization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vitreous.core import InputError, Progress, Volume, measure_voxels, read_block
from vitreous.fourier import resample
from vitreous.io import open_volume, volume_warnings
from vitreous.methods.dual import DualConfig, standardized_density
from vitreous.methods.dual.method import contrast_of
from vitreous.training import TrainingVolume
from vitreous.workflows.simulate import build_templates, load_spec
from vitreous.workflows.simulate.tomogram import packed

PRESET = "preset:"
DENSITIES = ("grand_model", "grandmodel")  # ours, SHREC 2021's: protein is bright in them
NAMES = {"noisy": ("tomogram", "reconstruction"), "clean": DENSITIES}
SUFFIXES = (".mrc", ".rec", ".map", ".zarr")
NEARLY = 0.005  # relative difference of spacings that is left as it is
ROLLOFF = 0.1
NEVER_SET_ANGSTROM = 1.0  # what a header says that nobody wrote a spacing into

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class DomainVolume:
    """A volume of a domain, ready to train on, and where it came from.

    `turned`: its contrast was inverted, so that its protein is as dark or bright as the tomograms'.
    `doubts`: what is odd about a file's voxels, one sentence each.
    """

    training: TrainingVolume
    source: str
    spacing_before_angstrom: float
    turned: bool = False
    doubts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `model.json` says of it."""
        return {
            "source": self.source,
            "shape": list(self.training.data.shape),
            "normalization": self.training.normalization.to_json(),
            "voxel_spacing_angstrom": self.training.voxel_spacing_angstrom,
            "voxel_spacing_before_angstrom": self.spacing_before_angstrom,
            "contrast_turned": self.turned,
        }


def files_of(path: Path, domain: str) -> list[Path]:
    """The volumes that a path stands for.

    A file is itself. Of a folder, and of the folders in it, the file that our layout or that of SHREC
    2021 has for the domain; if there is none, every volume in the folder.

    Raises
    ------
    InputError
        If there is no such path, or nothing in the folder.
    """
    if not path.is_dir() or path.suffix == ".zarr":
        return [path]
    for folders in ([path], sorted(p for p in path.iterdir() if p.is_dir())):
        named = [f / f"{name}{s}" for f in folders for name in NAMES[domain] for s in SUFFIXES]
        found = [file for file in named if file.exists()]
        if found:
            return found
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"holds no volumes for the {domain} domain", path=path, remedy="name their folder")
    return found


def open_noisy(
    paths: Sequence[Path], spacing: float | None, voxel_size: float | None, config: DualConfig
) -> tuple[list[DomainVolume], list[str]]:
    """The tomograms at one voxel spacing, the first one's if none is given, and what is odd about them.

    Raises
    ------
    InputError
        If a file cannot be used: unreadable, of unknown spacing, constant, or smaller than a patch.
    """
    volumes, warnings = [], []
    for file in (f for path in paths for f in files_of(path, "noisy")):
        volume = open_volume(file, voxel_spacing_angstrom=voxel_size)
        warnings += [f"{file}: {text}" for text in volume_warnings(volume)]
        spacing = spacing or volume.mean_spacing_angstrom
        volumes.append(domain_volume(volume, spacing, config.patch_side, turned=False))
    return volumes, warnings


def open_clean(
    names: Sequence[str],
    spacing: float,
    voxel_size: float | None,
    config: DualConfig,
    seed: int,
    progress: Progress,
) -> tuple[list[DomainVolume], list[str]]:
    """Densities, or cleaner tomograms, at a voxel spacing, with protein as in the tomograms; what is odd.

    Files by the names of grand models are turned where the tomograms' protein is dark. `voxel_size` is
    theirs where a file has none, or the 1 Å of one that was never set.

    Raises
    ------
    InputError
        As `open_noisy`; and for a preset that is not there.
    """
    turn = config.protein == "dark"
    volumes, warnings = [], []
    for name in names:
        if name.startswith(PRESET):
            volumes += packed_domain(name, spacing, config, seed, progress)
            continue
        for file in files_of(Path(name), "clean"):
            volume = open_volume(file, allow_damaged=voxel_size is not None)
            if voxel_size is not None and never_set(volume):
                volume = replace(volume, voxel_spacing_angstrom=(voxel_size,) * 3)
            turned = turn and is_density(file)
            one = domain_volume(volume, spacing, config.patch_side, turned=turned)
            warnings += [f"{file}: {text}" for text in (*volume_warnings(volume), *turned_about(one, config))]
            volumes.append(one)
    return volumes, warnings


def never_set(volume: Volume) -> bool:
    """Whether a file says nothing of its voxels' spacing, or what it says before anyone sets it."""
    spacing = volume.mean_spacing_angstrom
    return spacing is None or abs(spacing - NEVER_SET_ANGSTROM) < NEARLY


def turned_about(one: DomainVolume, config: DualConfig) -> list[str]:
    """That protein looks otherwise in a clean volume than in the tomograms, in a sentence; or nothing."""
    seen = contrast_of(one.training)
    if seen in ("unclear", config.protein):
        return []
    return [
        f"its protein looks {seen}, and that of the tomograms is {config.protein}: turn one of them over, "
        f"or, if it is a density with bright protein, call it {DENSITIES[0]}.mrc"
    ]


def is_density(file: Path) -> bool:
    """Whether a file is a grand model by its name: its protein is bright."""
    return file.name.split(".")[0] in DENSITIES


def packed_domain(
    name: str, spacing: float, config: DualConfig, seed: int, progress: Progress
) -> list[DomainVolume]:
    """Grand models that the simulator packs as a preset says, at another voxel spacing."""
    spec = load_spec(name.removeprefix(PRESET))
    rounded = float(f"{spacing:.4g}")
    box = spec.box.model_copy(update={"voxel_spacing_angstrom": rounded})
    spec = spec.model_copy(update={"box": box, "seed": seed})
    templates = build_templates(spec, progress)
    volumes = []
    for index in range(config.boxes):
        density = packed(spec, index, templates, progress).density
        volume = Volume(density, (rounded,) * 3)
        title = f"{name} {index + 1}"
        turned = config.protein == "dark"
        volumes.append(domain_volume(volume, spacing, config.patch_side, turned=turned, name=title))
    return volumes


def domain_volume(
    volume: Volume, spacing: float | None, patch_side: int, *, turned: bool, name: str = ""
) -> DomainVolume:
    """A volume at a voxel spacing with its own normalization."""
    title = name or str(volume.path)
    before = volume.mean_spacing_angstrom
    if before is None or spacing is None:
        raise InputError("the voxel spacing is unknown", path=title, remedy="give --voxel-size in Å")
    data = rescaled(volume, spacing)
    if turned:
        data = -np.asarray(data, np.float32)
    if min(data.shape) < patch_side:
        sides = " × ".join(map(str, data.shape))
        raise InputError(
            f"has {sides} voxels of {spacing:.4g} Å, and a training patch has {patch_side} a side",
            path=title,
            remedy="give larger volumes, or a --config with a smaller patch_side",
        )
    training = standardized_density(data, title, spacing)
    doubts = () if volume.path is None else measure_voxels(volume.data).doubts()
    return DomainVolume(training, title, before, turned, doubts)


def rescaled(volume: Volume, spacing: float) -> Array:
    """Band-limited voxels at another spacing; as they are if it is the same within half a percent.

    The first voxel stays where it is; along an axis that `padded_sides` takes from `old` to `new` voxels,
    what was at index i is at i · new / old. Borders are continued by reflection before the Fourier
    transform, which takes the volume to be periodic; voxels that are not finite become the mean of the
    others.
    """
    axes = volume.voxel_spacing_angstrom or (spacing,) * 3
    if all(abs(before / spacing - 1) < NEARLY for before in axes):
        return volume.data
    padded = [padded_sides(side, before / spacing) for side, before in zip(volume.shape, axes, strict=True)]
    old, new = ([pair[i] for pair in padded] for i in (0, 1))
    starts = [-((o - n) // 2) for o, n in zip(old, volume.shape, strict=True)]
    block = without_gaps(read_block(volume.data, starts, old))
    # What lies before the volume goes behind it: sample 0 alone is on both grids, whatever their ratio.
    block = np.roll(block, starts, axis=(0, 1, 2))
    fine: Array = resample(torch.from_numpy(block), new, rolloff=ROLLOFF).numpy()
    sides = (max(1, round(side * n / o)) for o, n, side in zip(old, new, volume.shape, strict=True))
    return np.ascontiguousarray(fine[tuple(slice(side) for side in sides)])


def without_gaps(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of which those that are not finite are the mean of the others; as they are if none is finite.

    Examples
    --------
    >>> without_gaps(np.array([1, np.nan, 3, np.inf], np.float32)).tolist()
    [1.0, 2.0, 3.0, 2.0]
    """
    finite = np.isfinite(values)
    if finite.all() or not finite.any():
        return values
    return np.where(finite, values, values[finite].mean(dtype=np.float64)).astype(np.float32)


def padded_sides(side: int, factor: float) -> tuple[int, int]:
    """Even sides, before and after, whose ratio is the factor within half a percent.

    Examples
    --------
    >>> padded_sides(100, 1.368)
    (120, 164)
    """
    best = (side + 16 + side % 2, 0)
    least = np.inf
    for old in range(side + 16 + side % 2, side + 96, 2):
        new = 2 * max(1, round(old * factor / 2))
        error = abs(new / (old * factor) - 1)
        if error < least:
            best, least = (old, new), error
        if error < NEARLY / 5:
            break
    return best
