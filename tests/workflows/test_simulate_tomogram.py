"""One simulated tomogram in memory: signal, noise, truth."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_simulation import SMALL_BOX, SMALL_SPEC, SPACING

import vitreous
from vitreous.core import InputError
from vitreous.simulate import IceLayer, through_uneven_ice, weighted_back_projection
from vitreous.workflows.simulate import SimulationSpec, simulate_tomogram
from vitreous.workflows.simulate.spec import ParticleSpec
from vitreous.workflows.simulate.structures import template_of

HERE = Path(__file__).resolve()
SHARED_DATA = HERE.parents[2].parent / "shared" / "data"


def small(**tables):
    """The small specification with other values in some tables, and other particles."""
    plain = tomllib.loads(SMALL_SPEC)
    new = {k: v if isinstance(v, list) else plain.get(k, {}) | v for k, v in tables.items()}
    return SimulationSpec(**plain | new)


@pytest.fixture(scope="module")
def made():
    return simulate_tomogram(small())


def arrays(made):
    return {
        "tomogram": made.tomogram.data,
        "even": made.even.data,
        "odd": made.odd.data,
        "noise-free": made.noise_free.data,
        "images": made.tilt_series.images,
        "density": made.grand_model.density,
        "instances": made.grand_model.instance_mask,
    }


def test_shapes_spacing_and_what_was_asked_for(made):
    assert made.tomogram.shape == made.noise_free.shape == made.even.shape == SMALL_BOX
    assert made.tomogram.voxel_spacing_angstrom == (SPACING,) * 3
    assert made.tilt_series.tilt_angles_deg == tuple(range(-50, 61, 10))
    assert {t.name: t.placed for t in made.grand_model.tallies} == {
        "phantom:apoferritin": 6,
        "phantom:ldh": 8,
        "gold": 1,
    }
    assert 2 <= made.defocus_um <= 4
    assert made.warnings == ()
    assert vitreous.simulate_tomogram is simulate_tomogram


def test_the_same_seed_gives_the_same_bytes_and_no_other_does(made):
    again = arrays(simulate_tomogram(small()))
    for name, data in arrays(made).items():
        assert np.array_equal(again[name], data), name
    reseeded = small().model_copy(update={"seed": 4})
    for other in (simulate_tomogram(small(), 1), simulate_tomogram(reseeded)):
        assert other.defocus_um != made.defocus_um
        for name, data in arrays(other).items():
            assert not np.array_equal(arrays(made)[name], data), name


def test_the_tomogram_is_that_of_the_images(made):
    series = made.tilt_series
    expected = weighted_back_projection(series.images, series.tilt_angles_deg, SMALL_BOX[0])
    assert np.abs(made.tomogram.data - expected).max() < 1e-5 * np.abs(expected).max() * 10
    halves = (made.even.data + made.odd.data) / 2
    assert np.abs(made.tomogram.data - halves).max() < 1e-5 * np.abs(halves).max() * 10
    assert np.corrcoef(made.noise_free.data.ravel(), made.grand_model.density.ravel())[0, 1] < -0.3


@pytest.mark.parametrize("halves", ["frames", "tilts"])
@pytest.mark.parametrize("method", ["wbp", "sirt"])
@pytest.mark.parametrize("snr", [0.02, 0.5])
def test_requested_snr(method, halves, snr):
    reconstruction = {"method": "sirt", "iterations": 4} if method == "sirt" else {}
    spec = small(imaging={"snr": snr, "halves": halves}, reconstruction=reconstruction)
    made = simulate_tomogram(spec)
    noise = made.tomogram.data.astype(np.float64) - made.noise_free.data
    assert made.noise_free.data.var(dtype=np.float64) / noise.var() == pytest.approx(snr, rel=0.05)
    assert made.snr == pytest.approx(snr, rel=1e-3)
    assert made.tilt_series.noise_scale != 1


def test_halves_by_tilts_are_reconstructions_of_every_other_image():
    made = simulate_tomogram(small(imaging={"halves": "tilts"}))
    series = made.tilt_series
    for half, images, tilts in (
        (made.even, series.even, series.even_tilts),
        (made.odd, series.odd, series.odd_tilts),
    ):
        angles = [series.tilt_angles_deg[tilt] for tilt in tilts]
        expected = weighted_back_projection(images, angles, SMALL_BOX[0])
        assert np.abs(half.data - expected).max() < 1e-4 * np.abs(expected).max()
    assert set(series.even_tilts) & set(series.odd_tilts) == set()


def test_inverted_contrast_is_the_negative(made):
    inverted = simulate_tomogram(small(reconstruction={"invert": True}))
    for name in ("tomogram", "even", "noise_free"):
        assert np.array_equal(getattr(inverted, name).data, -getattr(made, name).data)
    assert np.array_equal(inverted.tilt_series.images, made.tilt_series.images)


def test_masks_agree_with_each_other(made):
    model = made.grand_model
    inside = model.instance_mask > 0
    assert np.array_equal(inside, model.class_mask > 0)
    classes = np.array([0, *model.instance_classes])
    assert np.array_equal(model.class_mask, classes[model.instance_mask])
    thresholds = np.array([0, *model.instance_thresholds_volt])
    assert (model.density[inside] >= thresholds[model.instance_mask][inside]).all()
    occupied_planes = np.flatnonzero(inside.any(axis=(1, 2)))
    assert occupied_planes.min() >= 2
    assert occupied_planes.max() < 22


def test_what_finds_no_room_is_said():
    crowd = small(box={"slab": [2, 14]}, gold={"count": 500})
    made = simulate_tomogram(crowd)
    (text,) = made.warnings
    placed = made.grand_model.tallies[-1].placed
    assert text == f"There was no room for {500 - placed} of 500 gold."


def test_a_specimen_that_cannot_fit_or_is_not_there():
    thin = small(box={"slab": [2, 3]}, gold={"count": 0})
    with pytest.raises(InputError, match="no room for a single phantom:apoferritin"):
        simulate_tomogram(thin)
    with pytest.raises(InputError, match="the box is empty"):
        simulate_tomogram({"box": {"shape": (16, 16, 16)}, "tilts": {"step_deg": 30}})


def test_no_ctf_has_no_defocus():
    imaging = {"ctf": False, "defocus_um": None}
    assert simulate_tomogram(small(imaging=imaging)).defocus_um is None


def test_a_range_of_tilts_without_zero():
    made = simulate_tomogram(small(tilts={"lowest_deg": 10, "highest_deg": 40, "order": "continuous"}))
    assert made.tilt_series.tilt_angles_deg == (10, 20, 30, 40)


def test_uneven_ice_dims_images_as_its_thickness_says(made):
    series = replace(made.tilt_series, noise_free=np.zeros_like(made.tilt_series.noise_free))
    ice = IceLayer(1000.0, gradient=(0.0, 0.5))
    seen = through_uneven_ice(series, ice, 3100.0)
    assert through_uneven_ice(series, IceLayer(1000.0), 3100.0) is series
    x = (np.arange(48) - 23.5) * SPACING
    for tilt, angle in enumerate(series.tilt_angles_deg):
        cosine = np.cos(np.deg2rad(angle))
        transmitted = np.exp(-0.5 * (x / cosine) / cosine / 3100.0)
        assert np.allclose(1 + seen.noise_free[tilt], transmitted, rtol=1e-4)
        assert np.allclose(
            seen.even_noise[tilt], series.even_noise[tilt] * np.sqrt(transmitted), rtol=1e-3, atol=1e-6
        )


def test_a_map_scatters_as_its_mass_says(tmp_path):
    template = template_of(ParticleSpec(structure="phantom:ldh", count=1), SPACING)
    file = vitreous.write_volume(
        tmp_path / "ldh.mrc", vitreous.Volume(7 * template.density + 2, (SPACING,) * 3)
    )
    found = template_of(ParticleSpec(structure=str(file), count=1, mass_kda=138), SPACING)
    assert found.density.sum() == pytest.approx(template.density.sum(), rel=0.02)
    heavier = template_of(ParticleSpec(structure=str(file), count=1, mass_kda=276), SPACING)
    assert np.allclose(heavier.density, 2 * found.density)


def test_bad_structures(tmp_path):
    empty = tmp_path / "empty.pdb"
    empty.write_text("REMARK none\nEND\n")
    with pytest.raises(InputError, match="no atoms"):
        template_of(ParticleSpec(structure=str(empty), count=1), SPACING)
    with pytest.raises(InputError, match="no phantom"):
        template_of(ParticleSpec(structure="phantom:unicorn", count=1), SPACING)


def test_real_structures_and_maps():
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder is not here")
    particles = [
        {"structure": str(SHARED_DATA / "pdb" / "1bxn.pdb"), "count": 2},
        {"structure": str(SHARED_DATA / "maps_10A" / "4cr2.mrc"), "mass_kda": 1309, "count": 1},
    ]
    made = simulate_tomogram(small(particles=particles))
    model = made.grand_model
    assert [(t.name, t.placed) for t in model.tallies] == [("4cr2", 1), ("1bxn", 2), ("gold", 1)]
    total = {
        name: model.density[model.class_mask == label].sum() * SPACING**3
        for label, name in enumerate(model.class_names, 1)
    }
    assert total["1bxn"] / 2 == pytest.approx(4000 * 544, rel=0.2)  # V Å³ against ice
    assert total["4cr2"] == pytest.approx(4000 * 1309, rel=0.2)
