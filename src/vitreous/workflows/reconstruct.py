"""Reconstruct tomograms from a user's own aligned tilt series."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

import vitreous
from vitreous.core import InputError, Progress, Volume
from vitreous.inference.memory import GIGABYTE, available_memory, parse_memory
from vitreous.io import (
    atomic_folder,
    atomic_path,
    check_writable,
    remove_stale,
    volume_warnings,
    write_volume,
    written_suffix,
)
from vitreous.simulate import Window, reconstruction_bytes, sirt, weighted_back_projection
from vitreous.workflows.tilt_images import OpenedSeries, depth_of, open_series, prepared_images

Array = NDArray[np.float32]
Method = Literal["wbp", "sirt"]
BASE_BYTES = 400_000_000  # Python, torch and the libraries
IMAGE_COPIES = 3  # as float32: all of them, those of one tomogram, and inverted
LEAST_IMAGES = 2  # of each reconstruction


@dataclass(frozen=True)
class ReconstructSettings:
    """How to reconstruct.

    Parameters
    ----------
    method
        "wbp" or "sirt".
    thickness
        Depth of the tomogram: "300" voxels or "3000A"; half the width of the images if None.
    iterations, nonnegative
        Of SIRT, see `simulate.sirt`. What is kept from being negative is the contrast as written.
    hamming
        Whether a Hamming window damps the ramp of back-projection.
    low_pass_angstrom
        Resolution in Å, across the tilt axis, at which back-projection is cut off; None for Nyquist.
    invert
        Turn the contrast: raw images have dark protein, and so has their tomogram.
    keep_scale
        Take the images as they are. Otherwise each is brought to mean 0 and deviation 1, as counts
        differ with dose and thickness.
    max_memory
        Memory to stay under, such as "8GB".
    """

    method: str = "wbp"
    thickness: str | None = None
    iterations: int = 20
    nonnegative: bool = False
    hamming: bool = False
    low_pass_angstrom: float | None = None
    invert: bool = False
    keep_scale: bool = False
    max_memory: str | None = None


@dataclass(frozen=True)
class ReconstructRequest:
    """One tilt series, the file of its angles, and where the tomogram goes.

    With `even_odd`, tomograms of every other image, sorted by tilt, are written beside it, named
    `_even` and `_odd`.
    """

    input: Path
    tilts: Path
    output: Path
    settings: ReconstructSettings = field(default_factory=ReconstructSettings)
    even_odd: bool = False
    voxel_size_angstrom: float | None = None
    overwrite: bool = False

    def outputs(self) -> dict[str, Path]:
        """Where each tomogram goes."""
        names = {"output": self.output}
        if self.even_odd:
            for half in ("even", "odd"):
                names[half] = self.output.with_name(f"{self.output.stem}_{half}{self.output.suffix}")
        return names


def reconstruct_file(request: ReconstructRequest, progress: Progress) -> dict[str, Any]:
    """Reconstruct a tilt series, and its halves if asked for; all outputs appear, or none.

    Returns
    -------
    dict
        Plain values: the outputs, method, size, spacing, tilt range, seconds and warnings.

    Raises
    ------
    InputError
        If the images, the angles, the settings or the outputs cannot be used.
    Interrupted
        If the user stopped; nothing is left behind then.
    """
    check_settings(request.settings)
    series = open_series(
        request.input,
        request.tilts,
        least=2 * LEAST_IMAGES if request.even_odd else LEAST_IMAGES,
        pixel_spacing_angstrom=request.voxel_size_angstrom,
    )
    depth = depth_of(request.settings.thickness, series)
    check_outputs(request, series, depth)
    plan = check_memory(request, series, depth)
    begun = time.monotonic()
    images, doubts = prepared_images(series.stack, keep_scale=request.settings.keep_scale)
    progress.note(plan)
    warnings = (*volume_warnings(series.stack), *doubts)
    for text in warnings:
        progress.warn(text)
    residuals = write_tomograms(request, series, images, depth, progress)
    return {
        **{name: str(path) for name, path in request.outputs().items()},
        "method": request.settings.method,
        "images": len(series.angles),
        "size_zyx": [depth, *series.stack.shape[1:]],
        "voxel_spacing_angstrom": [series.pixel_spacing_angstrom] * 3,
        "tilt_range_deg": [min(series.angles), max(series.angles)],
        "warnings": list(warnings),
        "residuals": list(residuals),
        "seconds": time.monotonic() - begun,
    }


def write_tomograms(
    request: ReconstructRequest, series: OpenedSeries, images: Array, depth: int, progress: Progress
) -> tuple[float, ...]:
    """Reconstruct and write what is asked for; the residuals of SIRT on all images."""
    ranks = np.argsort(series.angles, kind="stable")
    members = {"output": ranks, "even": ranks[0::2], "odd": ranks[1::2]}
    residuals = {}
    with ExitStack() as stack:
        for name, path in request.outputs().items():
            atomic = atomic_folder if path.suffix.lower() == ".zarr" else atomic_path
            temporary = stack.enter_context(atomic(path, request.overwrite))
            progress.note(f"{'all' if name == 'output' else name} images: {path}")
            angles = [series.angles[tilt] for tilt in members[name]]
            cutoff = cutoff_of(request.settings, series.pixel_spacing_angstrom)
            data, residuals[name] = reconstructed(
                images[members[name]], angles, depth, cutoff, request.settings, progress
            )
            volume = Volume(data, series.stack.voxel_spacing_angstrom)
            write_volume(temporary, volume, label=label(request, name))
            del data, volume  # the next tomogram needs the room
    return residuals["output"]


def cutoff_of(settings: ReconstructSettings, pixel_spacing_angstrom: float) -> float:
    """Where back-projection is cut off, in cycles/pixel."""
    if settings.low_pass_angstrom is None:
        return 0.5
    return min(0.5, pixel_spacing_angstrom / settings.low_pass_angstrom)


def check_settings(settings: ReconstructSettings) -> None:
    """Raise InputError for settings that make no sense."""
    if settings.method not in get_args(Method):
        raise InputError(f"--method {settings.method} is unknown", remedy="use wbp or sirt")
    if settings.iterations < 1:
        raise InputError("SIRT needs at least one iteration", remedy="give --iterations 20")
    low_pass = settings.low_pass_angstrom
    if low_pass is not None and not 0 < low_pass < math.inf:
        raise InputError("--low-pass must be a positive number of Å")
    if settings.method == "sirt" and (settings.hamming or low_pass is not None):
        raise InputError("--hamming and --low-pass belong to --method wbp", remedy="leave them out")
    if settings.method == "wbp" and settings.nonnegative:
        raise InputError("--nonnegative belongs to --method sirt", remedy="add --method sirt")
    if settings.max_memory is not None:
        parse_memory(settings.max_memory)


def check_outputs(request: ReconstructRequest, series: OpenedSeries, depth: int) -> None:
    """Raise InputError if an output is of no type that is written, exists, or would spoil an input."""
    written_suffix(request.output)
    size = 4 * depth * math.prod(series.stack.shape[1:])
    for path in request.outputs().values():
        if any(path.resolve() == source.resolve() for source in (request.input, request.tilts)):
            raise InputError("the output is an input", path=path, remedy="choose another -o")
        check_writable(path, size * len(request.outputs()), request.overwrite)
        remove_stale(path)


def check_memory(request: ReconstructRequest, series: OpenedSeries, depth: int) -> str:
    """What will be done with how much memory, in words; raises InputError if there is not enough."""
    images = series.stack.shape
    needed = BASE_BYTES + IMAGE_COPIES * 4 * math.prod(images) + reconstruction_bytes(images, depth)
    limit = available_memory(torch.device("cpu"))
    if request.settings.max_memory is not None:
        limit = min(limit, parse_memory(request.settings.max_memory))
    if needed > limit:
        raise InputError(
            f"a tomogram {depth} voxels thick needs {needed / GIGABYTE:.1f} GB "
            f"and {limit / GIGABYTE:.1f} GB may be used",
            path=request.input,
            remedy="raise --max-memory, lower --thickness or bin the images",
        )
    sides = " × ".join(map(str, (depth, *images[1:])))
    return (
        f"{request.settings.method}: {images[0]} images to {sides} voxels (z × y × x), "
        f"up to {needed / GIGABYTE:.1f} GB of memory"
    )


def reconstructed(
    images: Array,
    angles: Sequence[float],
    depth: int,
    cutoff: float,
    settings: ReconstructSettings,
    progress: Progress,
) -> tuple[Array, tuple[float, ...]]:
    """One tomogram (z, y, x) with the contrast asked for, and the residuals of SIRT."""
    if settings.invert:
        images = -images
    if settings.method == "sirt":
        result = sirt(
            images,
            angles,
            depth,
            iterations=settings.iterations,
            nonnegative=settings.nonnegative,
            progress=progress,
        )
        return result.volume, result.residuals
    window: Window = "hamming" if settings.hamming else "ramp"
    volume = weighted_back_projection(images, angles, depth, window=window, cutoff=cutoff, progress=progress)
    return volume, ()


def label(request: ReconstructRequest, name: str) -> str:
    """What the header of an output says about it."""
    settings = request.settings
    method = "SIRT" if settings.method == "sirt" else "weighted back-projection"
    extra = ["" if name == "output" else f", {name} images", ", inverted" if settings.invert else ""]
    return f"vitreous {vitreous.__version__}: {method}{''.join(extra)}"
