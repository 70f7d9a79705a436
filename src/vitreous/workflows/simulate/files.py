"""The folder of one simulated tomogram: volumes, tilt series, truth, `run.json` and report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vitreous
from vitreous.core import FileHeader, Poses, Volume, as_spacing
from vitreous.io import write_text_atomic, write_volume
from vitreous.io.pose_table import write_pose_table
from vitreous.io.relion_writer import write_relion5_particles, write_relion5_tomograms
from vitreous.io.tilt_metadata import write_mdoc, write_tilt_angles
from vitreous.workflows.run_directory import RUN_SCHEMA, versions
from vitreous.workflows.simulate.evidence import tomogram_report
from vitreous.workflows.simulate.request import SimulateRequest
from vitreous.workflows.simulate.shrec_files import write_shrec_layout
from vitreous.workflows.simulate.spec import dose_of
from vitreous.workflows.simulate.values import SimulatedTomogram

KIND = "simulated-tomogram"
STACK = 0  # the space group of image stacks in MRC
BYTES_PER_VOXEL = 4 * 5 + 2 * 2 + 1  # of the files: five volumes of float32, two of labels, occupancy


def write_tomogram(folder: Path, made: SimulatedTomogram, request: SimulateRequest) -> None:
    """Write everything about one tomogram into a new folder, in the layout asked for.

    Parameters
    ----------
    folder
        Does not exist yet.
    made
        What to write.
    request
        Names the layout, the tomogram and the command.
    """
    name = request.folder(made.index).name
    folder.mkdir()
    if request.layout == "shrec21":
        write_shrec_layout(folder, made, header_label(made))
    else:
        write_volumes(folder, made)
        write_tilt_series(folder, made)
        poses = joined(made.grand_model.poses, made.grand_model.other_poses)
        write_pose_table(folder / "poses.csv", poses)
    shape, spacing = made.tomogram.shape, made.grand_model.voxel_spacing_angstrom
    write_relion5_particles(
        folder / "particles.star",
        made.grand_model.poses,
        tomogram_name=name,
        shape=shape,
        voxel_spacing_angstrom=spacing,
    )
    write_relion5_tomograms(folder / "tomograms.star", {name: shape}, voxel_spacing_angstrom=spacing)
    told = {"kind": KIND, "status": "done", "name": name, "command": request.command()}
    record = {"schema": RUN_SCHEMA, **told, "layout": request.layout, **facts_of(made)}
    write_text_atomic(folder / "run.json", json.dumps(record, indent=2) + "\n")
    write_text_atomic(folder / "report.html", tomogram_report(made, name, request.command()))


def write_volumes(folder: Path, made: SimulatedTomogram) -> None:
    """Tomograms, the grand model and its masks, as MRC."""
    model = made.grand_model
    label = header_label(made)
    for name in ("tomogram", "even", "odd", "noise_free"):
        file = f"tomogram_{name}.mrc" if name in ("even", "odd") else f"{name}.mrc"
        write_volume(folder / file, getattr(made, name), label=label)
    masks: dict[str, tuple[NDArray[Any], Any]] = {
        "grand_model": (model.density, np.float32),
        "class_mask": (model.class_mask, np.int16),
        "instance_mask": (model.instance_mask, label_type(len(model.instance_classes))),
        "occupancy": (model.occupancy.view(np.int8), np.int8),
    }
    for name, (data, kind) in masks.items():
        text = f"vitreous {vitreous.__version__}: simulated {name.replace('_', ' ')}"
        volume = Volume(data, as_spacing(model.voxel_spacing_angstrom))
        write_volume(folder / f"{name}.mrc", volume, label=text, dtype=kind)


def label_type(count: int) -> type:
    """The smallest MRC type that holds labels up to `count` exactly."""
    if count < 2**15:
        return np.int16
    return np.uint16 if count < 2**16 else np.float32


def header_label(made: SimulatedTomogram) -> str:
    """What a header says about how it was imaged, in 80 characters."""
    spec, angles = made.spec, made.tilt_series.tilt_angles_deg
    defocus = "no CTF" if made.defocus_um is None else f"defocus {made.defocus_um:.3f} um"
    return (
        f"vitreous {vitreous.__version__} {spec.reconstruction.method} {angles[0]:+g}..{angles[-1]:+g} deg, "
        f"{dose_of(spec):g} e/A2 per tilt, {defocus}"
    )


def write_tilt_series(folder: Path, made: SimulatedTomogram) -> None:
    """The images, all and in halves, with the angles of each stack, and an mdoc.

    Without noise there are no halves.
    """
    series, spec = made.tilt_series, made.spec
    every = range(len(series.tilt_angles_deg))
    stacks: dict[str, tuple[NDArray[np.float32], Sequence[int]]] = {"tilt_series": (series.images, every)}
    label = header_label(made)
    if spec.imaging.noise_like is None:
        stacks["tilt_series_even"] = (series.even, series.even_tilts)
        stacks["tilt_series_odd"] = (series.odd, series.odd_tilts)
    else:
        label = f"no noise, {label}"  # first: a header cuts at 80 characters
    for name, (images, tilts) in stacks.items():
        stack = Volume(images, as_spacing(series.pixel_spacing_angstrom), FileHeader(space_group=STACK))
        write_volume(folder / f"{name}.mrc", stack, label=label)
        angles = [series.tilt_angles_deg[tilt] for tilt in tilts]
        for suffix in (".tlt", ".rawtlt"):
            write_tilt_angles(folder / f"{name}{suffix}", angles)
    write_mdoc(
        folder / "tilt_series.mdoc",
        image_file="tilt_series.mrc",
        image_shape=(series.noise_free.shape[1], series.noise_free.shape[2]),
        pixel_spacing_angstrom=series.pixel_spacing_angstrom,
        voltage_kv=spec.optics.voltage_kv,
        tilt_angles_deg=series.tilt_angles_deg,
        doses_before=series.doses_e_per_angstrom2,
        dose_e_per_angstrom2=dose_of(spec),
        defoci_um=series.defoci_um,
    )


def joined(first: Poses, second: Poses) -> Poses:
    """The poses of both."""
    return Poses(
        np.concatenate((first.rotations, second.rotations)),
        np.concatenate((first.positions_angstrom, second.positions_angstrom)),
        (*first.names, *second.names),
        np.concatenate((first.instances, second.instances)),
    )


def facts_of(made: SimulatedTomogram) -> dict[str, Any]:
    """What `run.json` says of a tomogram: its specification, its figures, and every tilt."""
    model, series = made.grand_model, made.tilt_series
    return {
        "request": {"spec": made.spec.to_json(), "index": made.index},
        "versions": versions(),
        "seed": [made.spec.seed, made.index],
        "seconds": dict(made.seconds),
        "warnings": list(made.warnings),
        "metrics": {
            "snr": made.snr,
            "occupied_share": float(model.occupancy.mean()),
            "instances": len(model.instance_classes),
            "requested": {tally.name: tally.requested for tally in model.tallies},
            "placed": {tally.name: tally.placed for tally in model.tallies},
        },
        "classes": {str(label): name for label, name in enumerate(model.class_names, 1)},
        "defocus_um": made.defocus_um,
        "voxel_spacing_angstrom": model.voxel_spacing_angstrom,
        "tilt_range_deg": [series.tilt_angles_deg[0], series.tilt_angles_deg[-1]],
        "dose_e_per_angstrom2": dose_of(made.spec),
        "noise_scale": series.noise_scale,
        "tilts": {
            "angles_deg": list(series.tilt_angles_deg),
            "doses_before_e_per_angstrom2": list(series.doses_e_per_angstrom2),
            "shifts_yx_angstrom": series.shifts_angstrom.tolist(),
            "rotations_deg": series.rotations_deg.tolist(),
            "mean_counts": list(series.mean_counts),
        },
    }
