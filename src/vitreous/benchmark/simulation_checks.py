"""What a simulated tomogram must be, measured: signal, noise, labels, poses."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreous.benchmark.averaging import (
    average,
    highest_fine_fsc,
    lowest_fsc,
    unrotated_average,
    wrong_poses,
    wrong_templates,
)
from vitreous.core import Poses, SilentProgress
from vitreous.fourier import Optics
from vitreous.io import open_volume
from vitreous.io.pose_table import read_pose_table
from vitreous.io.relion import read_relion_particles
from vitreous.simulate import SubtomogramSettings, TiltGeometry, bead_model, template_from_beads
from vitreous.simulate import weighted_back_projection as back_projection
from vitreous.simulate.canvas import LABEL_SHARE
from vitreous.simulate.weak_phase import Microscope, as_columns
from vitreous.workflows.simulate import SimulateRequest, SimulationSpec, simulate_files
from vitreous.workflows.subtomograms import simulate_subtomograms

Array = NDArray[np.float32]
Figures = dict[str, float]
SPACING = 10.0
CHIRAL = "phantom:ribosome"  # without symmetry, and told apart from its mirror image
CROWD = ("phantom:ribosome", "phantom:tric", "phantom:rubisco", "phantom:hsp90")
PERFECT = {"mtf_at_nyquist": 1.0, "dqe_at_zero": 1.0, "dqe_at_nyquist": 1.0}
DRAWS = 24
VOLUMES = (
    *("tomogram", "tomogram_even", "tomogram_odd", "noise_free"),
    *("grand_model", "class_mask", "instance_mask"),
)


@dataclass(frozen=True, eq=False)
class Written:
    """A simulated tomogram as its files tell it.

    Parameters
    ----------
    volumes
        (z, y, x) by the names of their files.
    table, star
        Poses of everything, and of the particles alone.
    classes
        Names of the classes by their labels.
    """

    volumes: Mapping[str, NDArray[Any]]
    table: Poses
    star: Poses
    classes: Mapping[int, str]


def simulated(counts: Mapping[str, int], shape: Sequence[int], **more: object) -> Written:
    """Simulate phantoms at 1 nm into files, and read them."""
    particles = [{"structure": name, "count": count} for name, count in counts.items()]
    box = {"shape": list(shape), "voxel_spacing_angstrom": SPACING}
    spec = SimulationSpec.model_validate({"box": box, "particles": particles, **more})
    with tempfile.TemporaryDirectory() as folder:
        made = simulate_files(SimulateRequest(spec, Path(folder) / "run"), SilentProgress()).folders[0]
        volumes = {name: np.array(open_volume(made / f"{name}.mrc").data) for name in VOLUMES}
        z, y, x = (SPACING * n for n in shape)
        star = read_relion_particles(made / "particles.star", sizes_angstrom={made.name: (z, y, x)})
        classes = json.loads((made / "run.json").read_text("utf-8"))["classes"]
        table = read_pose_table(made / "poses.csv")
    return Written(
        volumes, table, star.poses[made.name], {int(label): name for label, name in classes.items()}
    )


def back_projected_full_range() -> Figures:
    """Noise-free projections over ±90° in steps of 1°, reconstructed, against the grand model."""
    density = crowded(96).volumes["grand_model"]
    side, tilts = len(density), np.arange(-90, 90, 1).tolist()
    images = TiltGeometry(side, side, tilts, oversampling=4).project(density)
    volume = back_projection(images, tilts, side)
    offsets = np.ogrid[tuple(slice(-(side - 1) / 2, side / 2) for _ in range(3))]
    sphere = np.sqrt(sum(o**2 for o in offsets)) < side / 2 - 2
    return {"correlation": float(np.corrcoef(volume[sphere], density[sphere])[0, 1])}


def crowded(side: int, **more: object) -> Written:
    """A cube with a little of everything."""
    counts = dict.fromkeys(CROWD, 4)
    return simulated(counts, (side,) * 3, gold={"count": 2}, tilts={"step_deg": 6.0}, **more)


def averaged_tomogram() -> Figures:
    """Particles cut from a written tomogram at its written poses, turned back and averaged."""
    shape = (64, 160, 168)
    made = simulated(
        {CHIRAL: 30},
        shape,
        packing={"gap_voxels": 3},
        imaging={"ctf": False, "radiation_damage": False, "dose_e_per_angstrom2": 100.0},
        detector=PERFECT,
        reconstruction={"invert": True},
    )
    volume = made.volumes["tomogram"]
    template = template_from_beads(bead_model(CHIRAL), SPACING).density
    side = len(template)
    by_table, by_star = (unrotated_average(volume, p, SPACING, side) for p in (made.table, made.star))
    wrong = [highest_fine_fsc(by_table, other) for other in wrong_templates(template).values()]
    for poses in wrong_poses(made.table, (np.array(shape) - 1) * SPACING).values():
        wrong.append(highest_fine_fsc(unrotated_average(volume, poses, SPACING, side), template))
    return {"true": min(lowest_fsc(m, template) for m in (by_table, by_star)), "wrong": max(wrong)}


def averaged_subtomograms() -> Figures:
    """The same of single subtomograms, each at the pose in its own box."""
    settings = SubtomogramSettings(side=48, count=40, snrs=(5.0,), neighbours=1, defocus_um=None, invert=True)
    made = simulate_subtomograms([CHIRAL], settings)
    template = template_from_beads(bead_model(CHIRAL), SPACING).density
    cut = average(
        unrotated_average(one, made.poses.select(np.array([n])), SPACING, len(template))
        for n, one in enumerate(made.densities)
    )
    wrong = [highest_fine_fsc(cut, other) for other in wrong_templates(template).values()]
    return {"true": lowest_fsc(cut, template), "wrong": max(wrong)}


def requested_snr() -> Figures:
    """Relative error of the SNR: tomograms of several, and subtomograms."""
    errors = []
    for snr in (0.03, 0.3, 3.0):
        made = crowded(64, imaging={"snr": snr})
        signal = made.volumes["noise_free"].astype(np.float64)
        noise = made.volumes["tomogram"] - signal
        errors.append(abs(signal.var() / noise.var() / snr - 1))
    pieces = simulate_subtomograms(["phantom:1bxn"], SubtomogramSettings(count=10))
    noises = (pieces.densities - pieces.noise_free).var(axis=(1, 2, 3), dtype=np.float64)
    measured = pieces.noise_free.var(axis=(1, 2, 3), dtype=np.float64) / noises
    errors += np.abs(measured / pieces.requested_snrs - 1).tolist()
    return {"relative_error": float(max(errors))}


def independent_halves() -> Figures:
    """Correlation of the noise of even and odd tomograms, in standard errors over the draws."""
    found = []
    for seed in range(DRAWS):
        made = simulated({"phantom:rubisco": 4}, (32, 48, 48), seed=seed, tilts={"step_deg": 6.0})
        even, odd = (made.volumes[f"tomogram_{h}"] - made.volumes["noise_free"] for h in ("even", "odd"))
        found.append(float(np.corrcoef(even.ravel(), odd.ravel())[0, 1]))
    error = stdev(found) / DRAWS**0.5
    return {"correlation": mean(found), "standard_errors": abs(mean(found)) / error}


def ctf_zeros() -> Figures:
    """Largest distance, in bins of the image's spectrum, of a measured zero of the CTF from its place."""
    shape, pixel, defocus, optics = (256, 256), 5.0, 2.0, Optics()
    rng = np.random.default_rng(0)
    powers = np.zeros((2, *shape))
    for _ in range(4):
        sheet = np.zeros((1, *shape), np.float32)
        sheet[0] = rng.standard_normal(shape)
        for n, chosen in enumerate((defocus, None)):
            scope = Microscope(sheet.shape, pixel, chosen, optics)
            powers[n] += np.abs(np.fft.fft2(scope.contrast(as_columns(sheet), 0.0, 0.0, np.zeros(2)))) ** 2
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")) * shape[0]
    index = np.rint(radius).astype(int).ravel()
    with_ctf, without = (np.bincount(index, p.ravel())[: shape[0] // 2] for p in powers)
    ctf = with_ctf / without
    minima = np.flatnonzero((ctf[1:-1] < ctf[:-2]) & (ctf[1:-1] <= ctf[2:])) + 1
    places = formula_zeros(defocus, pixel, optics) * shape[0] * pixel
    return {"bins": float(max(np.abs(minima - place).min() for place in places)), "zeros": len(places)}


def formula_zeros(defocus_um: float, pixel: float, optics: Optics) -> NDArray[np.float64]:
    """Frequencies in 1/Å, below 0.45 cycles/pixel, at which the phase of the CTF is a multiple of π."""
    k = np.linspace(0, 0.45 / pixel, 20000)[1:]
    wavelength, cs = optics.wavelength_angstrom, optics.spherical_aberration_mm * 1e7
    phase = np.pi * wavelength * defocus_um * 1e4 * k**2 - np.pi / 2 * cs * wavelength**3 * k**4
    sign = np.sign(np.sin(phase + np.arcsin(optics.amplitude_contrast)))
    found: NDArray[np.float64] = k[1:][np.diff(sign) != 0]
    return found


def mask_violations() -> Figures:
    """What contradicts itself in the labels of a crowd: voxels, or instances; all must be zero."""
    made = crowded(96)
    instances, classes = (made.volumes[f"{name}_mask"].ravel() for name in ("instance", "class"))
    density = made.volumes["grand_model"].ravel()
    peaks = {name: template_from_beads(bead_model(name), SPACING).density.max() for name in CROWD}
    class_of, below, misnamed, empty = np.zeros(instances.max() + 1, int), 0, 0, 0
    for name, instance in zip(made.table.names, made.table.instances.tolist(), strict=True):
        inside = instances == instance
        class_of[instance] = classes[inside].max(initial=0)
        misnamed += made.classes.get(class_of[instance]) != name
        below += int((density[inside] < LABEL_SHARE * peaks.get(name, 0) * (1 - 1e-6)).sum())
        empty += not inside.any()
    ends = (np.array(made.volumes["tomogram"].shape) - 1) * SPACING
    positions = made.table.positions_angstrom
    return {
        "class_of_instance": int((class_of[instances] != classes).sum()) + misnamed,
        "below_threshold": below,
        "outside_box": int(((positions < 0) | (positions > ends)).any(axis=1).sum()) + empty,
    }


def adjointness() -> Figures:
    """⟨Ax, y⟩ against ⟨x, Aᵀy⟩ in float32, of positive numbers, so that they do not cancel."""
    rng, errors = np.random.default_rng(0), []
    for oversampling in (1, 4):
        geometry = TiltGeometry(40, 56, range(-60, 61, 3), oversampling=oversampling)
        x = rng.random((40, 12, 56), dtype=np.float32)
        y = rng.random((41, 12, 56), dtype=np.float32)
        pairs = ((geometry.project(x), y), (x, geometry.back_project(y)))
        left, right = (float(np.vdot(a.astype(float), b.astype(float))) for a, b in pairs)
        errors.append(abs(left / right - 1))
    return {"relative_error": max(errors)}
