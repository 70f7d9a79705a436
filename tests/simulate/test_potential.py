"""Potentials against sums worked out in Fourier space, conservation laws, and an independent map."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vitreous.core import AtomicModel
from vitreous.io import read_atomic_model, read_density_map
from vitreous.simulate import template_from_atoms, template_from_density

HERE = Path(__file__).resolve()
SHARED_DATA = HERE.parents[2].parent / "shared" / "data"
spec = importlib.util.spec_from_file_location("alignment", HERE.with_name("alignment.py"))
alignment = importlib.util.module_from_spec(spec)
spec.loader.exec_module(alignment)

VOLTS = 47.878  # h²/2πme in V Å²
ICE = 4.53
AMPLITUDE = {"C": 2.5088, "N": 2.2110, "O": 1.9834, "P": 5.4876, "S": 5.1609}  # f(0) in Å, Int. Tables C
VOLUME = {"C": 16.44, "N": 2.49, "O": 9.13, "P": 5.73, "S": 19.86}


@pytest.fixture(scope="session")
def shared_data():
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder is not here")
    return SHARED_DATA


def cloud(count=40, radius=30.0, seed=0):
    rng = np.random.default_rng(seed)
    return AtomicModel(
        "cloud",
        rng.normal(size=(count, 3)) * radius / 2,
        rng.choice(list("CCCNOPS"), count),
        rng.uniform(0, 80, count),
        rng.uniform(0.3, 1, count),
    )


def contrast(model, ice=ICE):
    """Integral of the potential in V Å³."""
    each = [VOLTS * AMPLITUDE[e] - ice * VOLUME[e] for e in model.elements]
    return float(np.dot(each, model.weights))


def by_fourier_sum(model, template, ice=ICE):
    """The same potential from structure factors at the template's frequencies, term by term."""
    side, spacing = template.side + 1, template.voxel_spacing_angstrom
    axes = np.meshgrid(*(np.fft.fftfreq(side, spacing),) * 3, indexing="ij")
    s2 = sum(a**2 for a in axes)
    shares = [
        w * (VOLTS * AMPLITUDE[e] - ice * VOLUME[e])
        for e, w in zip(model.elements, model.weights, strict=True)
    ]
    centre = np.average(model.positions_angstrom, axis=0, weights=shares)
    total = np.zeros((side,) * 3, complex)
    for r, e, b, w in zip(
        model.positions_angstrom - centre + side // 2 * spacing,
        model.elements,
        model.b_factors,
        model.weights,
        strict=True,
    ):
        c = gemmi.Element(str(e)).c4322
        f = sum(a * np.exp(-g * s2 / 4) for a, g in zip(c.a, c.b, strict=True))
        solvent = VOLUME[e] * np.exp(-np.pi * VOLUME[e] ** (2 / 3) * s2)
        phase = np.exp(-2j * np.pi * sum(a * x for a, x in zip(axes, r, strict=True)))
        total += w * (VOLTS * f - ice * solvent) * np.exp(-b * s2 / 4) * phase
    nyquist = np.sqrt(s2) * 2 * spacing
    total *= 0.5 * (1 + np.cos(np.pi * np.minimum(nyquist, 1)))
    return np.fft.ifftn(total).real[1:, 1:, 1:] / spacing**3


@pytest.mark.parametrize(("spacing", "ice"), [(2.0, ICE), (3.7, 0.0), (5.0, ICE), (10.0, ICE)])
def test_the_potential_is_the_sum_of_scattering_factors(spacing, ice):
    model = cloud()
    template = template_from_atoms(model, spacing, solvent_potential_volts=ice)
    expected = by_fourier_sum(model, template, ice)
    inside = template.density != 0
    error = np.abs(template.density - expected)
    assert error[inside].max() < 0.02 * expected.max()
    assert np.abs(expected[~inside]).max() < 0.03 * expected.max()  # no more than this is cut off


@settings(max_examples=8, deadline=None)
@given(spacing=st.floats(2.0, 16.0), seed=st.integers(0, 99))
def test_integral_and_centre_are_kept_at_any_spacing(spacing, seed):
    model = cloud(seed=seed)
    template = template_from_atoms(model, spacing)
    density = template.density.astype(float)
    assert density.sum() * spacing**3 == pytest.approx(contrast(model), rel=0.01)
    indices = np.indices(density.shape).reshape(3, -1)
    centre = indices @ density.ravel() / density.sum()
    assert np.abs(centre - template.side // 2).max() < 0.1
    assert density.min() > -0.06 * density.max()  # no ringing


def test_axes_are_zyx_and_turning_the_atoms_turns_the_density():
    model = cloud()
    template = template_from_atoms(model, 6.0)
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # z → y, y → -z
    turned = replace(model, positions_angstrom=model.positions_angstrom @ turn.T)
    expected = np.rot90(template.density, 1, axes=(0, 1))
    assert np.abs(template_from_atoms(turned, 6.0).density - expected).max() < 0.01 * expected.max()
    assert np.abs(template.density - expected).max() > 0.3 * expected.max()


def test_occupancies_scale_the_potential():
    model = cloud()
    half = replace(model, weights=model.weights / 2)
    assert np.allclose(
        template_from_atoms(model, 8.0).density, 2 * template_from_atoms(half, 8.0).density, atol=1e-3
    )


def test_models_that_make_no_density_are_refused():
    none = np.zeros(0)
    with pytest.raises(ValueError, match="no atoms"):
        template_from_atoms(AtomicModel("a", np.zeros((0, 3)), np.array([], str), none, none), 10.0)
    with pytest.raises(ValueError, match="no more than the solvent"):
        template_from_atoms(cloud(), 10.0, solvent_potential_volts=50.0)
    with pytest.raises(ValueError, match="spacing"):
        template_from_atoms(cloud(), 0.0)


@settings(max_examples=8, deadline=None)
@given(
    spacing=st.floats(1.5, 12.0),
    new=st.floats(4.0, 14.0),
    offset=st.tuples(*[st.floats(-4, 4)] * 3),
    shape=st.tuples(*[st.integers(36, 44)] * 3),
)
def test_a_map_keeps_its_integral_and_is_centred(spacing, new, offset, shape):
    width = 1.3 * max(spacing, new)
    grids = np.meshgrid(*((np.arange(n) - n // 2) * spacing for n in shape), indexing="ij")
    reach = min(shape) / 2 * spacing - 4 * width
    if reach < 0:  # the blob would not fit
        return
    centre = np.array(offset) * min(spacing, reach / 4)
    blob = np.exp(-sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True)) / (2 * width**2))
    noise = np.random.default_rng(0).normal(scale=1e-3, size=shape)
    template = template_from_density(5.0 + blob + noise, spacing, new, "blob")
    density = template.density.astype(float)
    assert density.sum() * new**3 == pytest.approx((2 * np.pi) ** 1.5 * width**3, rel=0.04)
    middle = np.indices(density.shape).reshape(3, -1) @ density.ravel() / density.sum()
    assert np.abs(middle - template.side // 2).max() < 0.15
    assert density[0].max() == density[-1].max() == 0


def test_a_map_agrees_with_the_atoms_it_was_made_of():
    model = cloud(4000, 20.0)
    centres = np.random.default_rng(1).normal(size=(8, 3)) * 30
    model = replace(model, positions_angstrom=model.positions_angstrom + centres[np.arange(4000) % 8])
    map_of_it = template_from_atoms(model, 4.0)
    template = template_from_density(map_of_it.density, 4.0, 10.0, "map")
    expected = template_from_atoms(model, 10.0)
    side = max(template.side, expected.side)
    pair = [np.pad(t.density, (side - t.side) // 2).ravel() for t in (template, expected)]
    assert np.corrcoef(*pair)[0, 1] > 0.99
    mirrored = np.pad(template.density[::-1], (side - template.side) // 2).ravel()
    assert np.corrcoef(mirrored, pair[1])[0, 1] < 0.95


def test_an_empty_map_is_refused():
    with pytest.raises(ValueError, match="no density above"):
        template_from_density(np.ones((8, 8, 8), np.float32), 5.0, 10.0, "empty")


def test_the_alignment_of_these_tests_finds_a_known_rotation():
    template = template_from_atoms(cloud(300, 60.0), 8.0)
    turned = alignment.turned(
        template.density, Rotation.from_euler("ZYX", [40, 70, -25], degrees=True), order=3
    )
    assert alignment.best_correlation(template.density, turned)[0] > 0.97


def test_1bxn_agrees_with_an_independent_map(shared_data):
    """The map shows the asymmetric unit, L4S4, and not the assembly: compare like with like.

    No mask, no filter: Pearson's correlation over the whole box after alignment; 0.994 when written.
    """
    independent = read_density_map(shared_data / "maps_10A" / "1bxn.mrc")
    box = alignment.in_box(np.asarray(independent.data), 27)
    model = read_atomic_model(shared_data / "pdb" / "1bxn.pdb", assembly=False)
    found, _ = alignment.best_correlation(template_from_atoms(model, 10.0).density, box)
    assert found >= 0.97
    whole = template_from_atoms(read_atomic_model(shared_data / "pdb" / "1bxn.pdb"), 10.0)
    assert alignment.best_correlation(whole.density, box)[0] < 0.9  # twice as large: not the same thing
