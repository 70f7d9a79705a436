"""Open what a request names, and say which bytes it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vitreous.core import InputError, Progress
from vitreous.io import file_sha256, find_half, half_split, open_volume, volume_warnings
from vitreous.workflows.denoise import Source, is_preset
from vitreous.workflows.denoise_files.request import DenoiseRequest


def open_source(request: DenoiseRequest, progress: Progress) -> tuple[Source, tuple[str, ...]]:
    """Open a request's files; finds halves by their names unless they are given or not wanted."""
    spacing = request.voxel_size_angstrom
    volume = open_volume(request.input, voxel_spacing_angstrom=spacing)
    halves = halves_of(request, progress)
    even, odd = (None if h is None else open_volume(h, voxel_spacing_angstrom=spacing) for h in halves)
    mask, reference = None, None
    if request.mask is not None:
        mask = np.asarray(open_volume(request.mask, allow_damaged=True).data) > 0.5
    if request.reference is not None:
        reference = open_volume(request.reference, allow_damaged=True)
    split = "unknown" if halves[0] is None else half_split(halves[0])
    return Source(volume, even, odd, mask, reference, split), volume_warnings(volume)


def halves_of(request: DenoiseRequest, progress: Progress) -> tuple[Path | None, Path | None]:
    """The even and odd tomogram of a request, named or found."""
    halves = (request.even, request.odd)
    if (
        halves == (None, None)
        and request.settings.method in ("auto", "n2n")
        and request.settings.model is None
    ):
        found = find_half(request.input)
        if found is not None:
            halves = found
            progress.note(f"half tomograms found by name: {found[0]} and {found[1]}")
    even, odd = halves
    if even is not None and odd is not None and even.resolve() == odd.resolve():
        raise InputError(
            "is given as both halves", path=even, remedy="give --even and --odd with different noise"
        )
    return halves


def input_digests(request: DenoiseRequest, source: Source) -> dict[str, str]:
    """SHA-256 of every file that a result depends on, found halves included, by path."""
    halves = [volume.path for volume in (source.even, source.odd) if volume is not None]
    paths = [*request.volumes, *(path for path in halves if path is not None)]
    config, model = request.settings.config, request.settings.model
    if config is not None and not is_preset(config):
        paths.append(Path(config))
    if model is not None:
        paths.append(model / "model.json")  # it holds the digest of the weights
    return {str(path): file_sha256(path) for path in dict.fromkeys(paths)}
