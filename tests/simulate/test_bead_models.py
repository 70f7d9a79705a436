"""Bead models: mass, symmetry, dimensions and handedness as the table says."""

import importlib.util
from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from vitreous.core import InputError
from vitreous.io import read_atomic_model
from vitreous.simulate import (
    bead_model,
    find_complex,
    phantom_names,
    template_from_atoms,
    template_from_beads,
)
from vitreous.simulate.bead_models import CONTRAST_PER_KDA, _bead_model, symmetry_rotations
from vitreous.simulate.complexes import COMPLEXES

HERE = Path(__file__).resolve()
SHARED_DATA = HERE.parents[2].parent / "shared" / "data"
spec = importlib.util.spec_from_file_location("alignment", HERE.with_name("alignment.py"))
alignment = importlib.util.module_from_spec(spec)
spec.loader.exec_module(alignment)

SHREC = "1s3x 3qm1 3gl1 3h84 2cg9 3d2f 1u6g 3cf3 1bxn 1qvr 4cr2 5mrc 4v94"
NAMED = "hsp70 p97 rubisco clpb 26s ribosome ribosome-mito tric apoferritin 1f1b 1yg6 2byu 2h12 2ldb"
every_row = pytest.mark.parametrize("row", COMPLEXES, ids=lambda row: row.name)


def template(name, spacing):
    return template_from_beads(bead_model(name), spacing)


def test_the_names_that_users_type_are_there_and_mean_one_thing():
    for name in (*SHREC.split(), *NAMED.split()):
        assert name in (find_complex(f"phantom:{name.upper()}").name, *find_complex(name).aliases)
    names = [name for row in COMPLEXES for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert phantom_names() == tuple(f"phantom:{row.name}" for row in COMPLEXES)
    with pytest.raises(InputError, match=r"no phantom 'ribosom'; choose one of hsp70"):
        bead_model("phantom:ribosom")


@every_row
def test_mass_dimensions_and_symmetry_are_those_of_the_table(row):
    beads = bead_model(row.name)
    assert beads.name == f"phantom:{row.name}"
    assert beads.potentials.sum() == pytest.approx(CONTRAST_PER_KDA * row.mass_kda)
    points = beads.positions_angstrom
    tree = cKDTree(points)
    for operation in symmetry_rotations(row.symmetry):
        assert tree.query(points @ operation.T)[0].max() < 1e-3  # Å
    # Half a bead's distance lies around the outermost beads.
    along = np.ptp(points[:, 0]) + 2 * beads.sigma_angstrom
    views = [points[:, 1:] @ [np.cos(a), np.sin(a)] for a in np.linspace(0, np.pi, 36)]
    across = max(np.ptp(view) for view in views) + 2 * beads.sigma_angstrom
    assert (along, across) == pytest.approx(row.dimensions_angstrom, rel=0.12)


def test_beads_are_the_same_every_time():
    first = bead_model("hsp90").positions_angstrom
    _bead_model.cache_clear()
    np.random.default_rng(5).normal()
    assert np.array_equal(first, bead_model("phantom:2CG9").positions_angstrom)
    assert not np.array_equal(first[:80], bead_model("hsp70").positions_angstrom[:80])


@pytest.mark.parametrize("symbol", ["C1", "C3", "D2", "D7", "T", "O", "I"])
def test_symmetry_rotations_form_a_group_of_proper_rotations(symbol):
    orders = {"T": 12, "O": 24, "I": 60}
    rotations = symmetry_rotations(symbol)
    count = orders.get(symbol) or int(symbol[1:]) * (2 if symbol[0] == "D" else 1)
    assert len(rotations) == count
    assert np.allclose(rotations[0], np.eye(3))
    assert np.allclose(np.linalg.det(rotations), 1)
    products = (rotations[:, None] @ rotations[None]).reshape(-1, 9)
    assert cKDTree(rotations.reshape(-1, 9)).query(products)[0].max() < 1e-6
    if symbol[0] in "CD" and count > 2:  # the main axis is z, the first coordinate
        assert np.allclose(rotations[:, 0, 0] ** 2, 1)


@pytest.mark.parametrize(
    ("name", "wrong_deg"),
    [("rubisco", 45), ("p97", 30), ("groel", 180 / 7), ("apoferritin", 45), ("hsp16", 90)],
)
def test_densities_are_invariant_under_their_symmetry_and_no_other(name, wrong_deg):
    density = template(name, 4.0).density
    rotations = symmetry_rotations(find_complex(name).symmetry)

    def correlation(matrix):
        return alignment.pearson(alignment.turned(density, Rotation.from_matrix(matrix), order=3), density)

    assert min(correlation(matrix) for matrix in rotations[:: max(1, len(rotations) // 4)]) >= 0.99
    about_z = Rotation.from_rotvec([wrong_deg, 0, 0], degrees=True).as_matrix()
    assert correlation(about_z) < 0.96


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(row.name, marks=[pytest.mark.slow] if row.name in {"26s", "ribosome-mito"} else [])
        for row in COMPLEXES
        if row.chiral
    ],
)
def test_mirror_images_of_chiral_ones_can_be_told_apart_at_10_angstrom(name):
    density = template(name, 10.0).density
    assert alignment.best_correlation(density[::-1], density, rotations=400)[0] < 0.95


def test_that_search_would_have_found_the_same_hand():
    density = template("cand1", 10.0).density
    turned = alignment.turned(density, Rotation.from_euler("ZYX", [200, 50, 130], degrees=True), order=3)
    assert alignment.best_correlation(density, turned, rotations=400)[0] > 0.985


@pytest.mark.parametrize("name", ["ribosome", "ribosome-mito", "26s", "cand1", "hsp110"])
def test_asymmetric_ones_look_like_themselves_in_no_other_orientation(name):
    density = template(name, 10.0).density
    others = [m for m in symmetry_rotations("O") if not np.allclose(m, np.eye(3))]
    assert (
        max(alignment.pearson(alignment.turned(density, Rotation.from_matrix(m)), density) for m in others)
        < 0.92
    )


def test_templates_are_in_volts_and_as_bright_as_atoms():
    for spacing in (5.0, 10.0):
        rubisco = template("rubisco", spacing)
        total = rubisco.density.sum() * spacing**3
        assert total == pytest.approx(CONTRAST_PER_KDA * find_complex("rubisco").mass_kda, rel=0.01)
        assert 2 < rubisco.density.max() < 5


def test_contrast_agrees_with_that_of_1bxn():
    """In all, and for each kDa seen in the crystal; hydrogens are 7 % of a protein's mass."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared data folder is not here")
    model = read_atomic_model(SHARED_DATA / "pdb" / "1bxn.pdb")
    atoms = template_from_atoms(model, 10.0)
    total = atoms.density.sum() * 10.0**3
    kda = sum(gemmi.Element(str(e)).weight for e in model.elements) / 0.93 / 1000
    assert total / kda == pytest.approx(CONTRAST_PER_KDA, rel=0.05)
    beads = template("phantom:1bxn", 10.0)
    assert beads.density.sum() * 10.0**3 == pytest.approx(total, rel=0.15)
    assert np.percentile(beads.density[beads.density > 1], 90) == pytest.approx(
        np.percentile(atoms.density[atoms.density > 1], 90), rel=0.2
    )
