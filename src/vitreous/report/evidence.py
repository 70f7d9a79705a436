"""What a denoise report shows, as one value small enough to be saved with the run."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.core import InputError, Spacing

SCHEMA_VERSION = 1
JSON_NAME, ARRAYS_NAME = "evidence.json", "evidence.npz"

FloatArray = NDArray[np.floating[Any]]
Stacks = Mapping[str, NDArray[np.uint8]]
Curve = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class NoiseCurve:
    """Shell-averaged power against frequency; whatever was not measured is None.

    Parameters
    ----------
    frequency
        Shape (n,), in cycles per voxel, ascending.
    estimate
        Estimated noise power per shell, shape (n,).
    input_power, residual_power
        Power of the input and of input − output, shape (n,), in the same units.
    expected_residual
        Power the residual has when the estimate is right (METHODS § 1.2: S²/(P + S)), shape (n,).
    """

    frequency: FloatArray
    estimate: FloatArray | None = None
    input_power: FloatArray | None = None
    residual_power: FloatArray | None = None
    expected_residual: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class LossCurve:
    """Training loss against step, both of shape (n,), and optionally the validation loss at its own steps."""

    steps: NDArray[Any]
    values: FloatArray
    validation_steps: NDArray[Any] | None = None
    validation_values: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class DenoiseEvidence:
    """Everything a denoise report shows.

    Parameters
    ----------
    title
        Heading of the report; may hold a file name, it is escaped.
    summary
        What was run on what, in the order to be shown: input file, shape, method and why, seed, time …
    before, after, reference, removed
        Display slices as uint8 stacks (n, height, width), one for each axis they are perpendicular to:
        "z" → (n, y, x), "y" → (n, z, x), "x" → (n, z, y). `removed` is before − after.
        `slices_for_display` makes them all.
    uncertainty
        The same slices of a result's uncertainty, where there is one: brighter is less certain.
    slice_positions
        For each axis the n voxel indices of the slices.
    shape_zyx
        Shape of the whole tomogram in voxels.
    warnings
        Shown first, one sentence each.
    voxel_spacing_angstrom
        (z, y, x) in Å, or None when unknown: lengths are then given in voxels only.
    spectrum_before, spectrum_after, noise_spectrum_image
        log10 power in the (kz, kx) plane, zero frequency in the centre, from `xz_power_spectrum`.
    noise_curve
        Noise estimate and residual per frequency shell.
    residual_check
        Figures of the residual check by name. The key "agrees" (bool) decides the sentence shown, and
        "message" (str) is shown as it is.
    loss
        Training curve.
    fsc
        For each label (frequency in cycles per voxel, FSC against the reference).
    scores
        Row label → metric name → value, such as {"denoised": {"psnr": 21.3, "ssim": 0.81}}.
    histograms
        For each label (bin edges of shape (n + 1,), counts of shape (n,)).
    replay_command
        The command that repeats the run.
    citations
        What to cite, one plain line each.
    """

    title: str
    summary: Mapping[str, str]
    before: Stacks
    after: Stacks
    slice_positions: Mapping[str, tuple[int, ...]]
    shape_zyx: tuple[int, int, int]
    warnings: tuple[str, ...] = ()
    voxel_spacing_angstrom: Spacing | None = None
    reference: Stacks | None = None
    removed: Stacks | None = None
    uncertainty: Stacks | None = None
    spectrum_before: FloatArray | None = None
    spectrum_after: FloatArray | None = None
    noise_spectrum_image: FloatArray | None = None
    noise_curve: NoiseCurve | None = None
    residual_check: Mapping[str, float | str | bool] | None = None
    loss: LossCurve | None = None
    fsc: Mapping[str, Curve] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    histograms: Mapping[str, Curve] = field(default_factory=dict)
    replay_command: str = ""
    citations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("before", "after", "reference", "removed", "uncertainty"):
            stacks = getattr(self, name)
            for axis in self.slice_positions if stacks is not None else ():
                if axis not in stacks or len(stacks[axis]) != len(self.slice_positions[axis]):
                    raise ValueError(
                        f"{name}[{axis!r}] must hold one slice for each of slice_positions[{axis!r}]"
                    )

    def files(self) -> dict[str, bytes]:
        """Names and contents of the files that `load` reads, in the order in which to write them.

        The JSON names the SHA-256 of the arrays.
        """
        arrays: dict[str, NDArray[Any]] = {}
        tree = {f.name: _pack(getattr(self, f.name), arrays, f.name) for f in fields(self)}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        packed = buffer.getvalue()
        document = {
            "schema_version": SCHEMA_VERSION,
            "arrays": {"file": ARRAYS_NAME, "sha256": hashlib.sha256(packed).hexdigest()},
            "evidence": tree,
        }
        text = json.dumps(document, indent=1, ensure_ascii=False)
        return {ARRAYS_NAME: packed, JSON_NAME: text.encode("utf-8", "surrogateescape")}

    @classmethod
    def load(cls, run_dir: str | Path) -> DenoiseEvidence:
        """Read what `files` gave, from a folder.

        Raises
        ------
        InputError
            If the files are missing, damaged, do not belong together or come from a newer version.
        """
        path = Path(run_dir) / JSON_NAME
        remedy = "give the directory of a finished denoise run"
        try:
            document = json.loads(path.read_bytes().decode("utf-8", "surrogateescape"))
            if document["schema_version"] != SCHEMA_VERSION:
                raise InputError("the evidence was written by another version of vitreous", path=path)
            packed = path.with_name(ARRAYS_NAME).read_bytes()
            if hashlib.sha256(packed).hexdigest() != document["arrays"]["sha256"]:
                raise InputError(
                    "evidence.npz does not belong to it", path=path, remedy="run the command again"
                )
            with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
                return cls(**_restore(document["evidence"], dict(archive)))
        except OSError as error:
            problem = f"the evidence cannot be read ({error.strerror})"
            raise InputError(problem, path=path, remedy=remedy) from error
        except (ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise InputError("the evidence is damaged", path=path, remedy=remedy) from error


def _pack(value: Any, arrays: dict[str, NDArray[Any]], name: str) -> Any:
    """JSON tree of `value`; its arrays move to `arrays` and leave {"array": key} behind."""
    if isinstance(value, np.ndarray):
        key = f"{len(arrays):03d}_{name}"  # numbered: labels need not be valid file names
        arrays[key] = value
        return {"array": key}
    if isinstance(value, (NoiseCurve, LossCurve)):
        return {f.name: _pack(getattr(value, f.name), arrays, name) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _pack(item, arrays, name) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_pack(item, arrays, name) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _restore(tree: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Field values of `DenoiseEvidence` from the JSON tree and the arrays it points to."""

    def fetch(node: Any) -> Any:
        return None if node is None else arrays[node["array"]]

    def each(node: Any) -> Any:
        return None if node is None else {label: fetch(item) for label, item in node.items()}

    values = dict(tree)
    for name in ("before", "after", "reference", "removed", "uncertainty"):
        values[name] = each(tree.get(name))
    for name in ("spectrum_before", "spectrum_after", "noise_spectrum_image"):
        values[name] = fetch(tree[name])
    for name in ("fsc", "histograms"):
        values[name] = {label: tuple(map(fetch, pair)) for label, pair in tree[name].items()}
    for name, kind in (("noise_curve", NoiseCurve), ("loss", LossCurve)):
        values[name] = None if tree[name] is None else kind(**each(tree[name]))
    values["slice_positions"] = {axis: tuple(p) for axis, p in tree["slice_positions"].items()}
    for name in ("shape_zyx", "warnings", "citations", "voxel_spacing_angstrom"):
        values[name] = None if tree[name] is None else tuple(tree[name])
    return values
