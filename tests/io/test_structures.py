"""Atomic models and density maps: what is kept, what is left out, and what is refused."""

import gzip

import numpy as np
import pytest

from vitreous.core import InputError
from vitreous.io import read_atomic_model, read_density_map


def atom(
    serial,
    name,
    x,
    y,
    z,
    *,
    element=None,
    altloc=" ",
    residue="ALA",
    occupancy=1.0,
    b=20.0,
    kind="ATOM",
    chain="A",
):
    element = name[0] if element is None else element
    return (
        f"{kind:6s}{serial:5d} {name:<4s}{altloc}{residue:>3s} {chain}{serial:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{b:6.2f}          {element:>2s}"
    )


TWO = [atom(1, "N", 1, 2, 3, b=11), atom(2, "CA", 4, 5, 6, b=12)]

MMCIF = """data_TEST
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_entity_id
_atom_site.label_seq_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.occupancy
_atom_site.B_iso_or_equiv
_atom_site.auth_asym_id
_atom_site.pdbx_PDB_model_num
ATOM 1 N N . ALA A 1 1 1.0 2.0 3.0 1.0 11.0 A 1
ATOM 2 C CA . ALA A 1 1 4.0 5.0 6.0 1.0 12.0 A 1
"""


@pytest.fixture
def pdb(tmp_path):
    def write(lines, name="a.pdb"):
        file = tmp_path / name
        file.write_text("\n".join([*lines, "END", ""]))
        return file

    return write


def test_positions_are_zyx_and_all_else_is_kept(pdb):
    model = read_atomic_model(pdb(TWO))
    assert model.name == "a"
    assert model.positions_angstrom.tolist() == [[3, 2, 1], [6, 5, 4]]
    assert model.elements.tolist() == ["N", "C"]
    assert model.b_factors.tolist() == [11, 12]
    assert model.weights.tolist() == [1, 1]


def test_mmcif_and_gzip_say_the_same(pdb, tmp_path):
    expected = read_atomic_model(pdb(TWO))
    (tmp_path / "b.cif").write_text(MMCIF)
    (tmp_path / "c.cif.gz").write_bytes(gzip.compress(MMCIF.encode()))
    (tmp_path / "d.PDB.GZ").write_bytes(gzip.compress(pdb(TWO).read_bytes()))
    for name in ("b.cif", "c.cif.gz", "d.PDB.GZ"):
        model = read_atomic_model(tmp_path / name, name="pdb:test")
        assert model.name == "pdb:test"
        for field in ("positions_angstrom", "elements", "b_factors", "weights"):
            assert np.array_equal(getattr(model, field), getattr(expected, field)), (name, field)


def test_hydrogens_waters_empty_atoms_and_later_models_are_left_out(pdb):
    lines = [
        "MODEL        1",
        *TWO,
        atom(3, "HA", 0, 0, 0),
        atom(4, "DA", 0, 0, 0, element="D"),
        atom(5, "O", 9, 9, 9, residue="HOH", kind="HETATM"),
        atom(6, "CB", 9, 9, 9, occupancy=0),
        "ENDMDL",
        "MODEL        2",
        atom(1, "N", 7, 7, 7),
        "ENDMDL",
    ]
    assert read_atomic_model(pdb(lines)).positions_angstrom.tolist() == [[3, 2, 1], [6, 5, 4]]


def test_alternative_conformations_are_all_kept_with_their_occupancies(pdb):
    both = [
        atom(7, "CA", 0, 0, 0, altloc="A", occupancy=0.6),
        atom(7, "CA", 1, 0, 0, altloc="B", occupancy=0.4),
    ]
    assert read_atomic_model(pdb([*TWO, *both])).weights == pytest.approx([1, 1, 0.6, 0.4])


OPERATORS = """REMARK 350   BIOMT1   1  1.000000  0.000000  0.000000        0.00000
REMARK 350   BIOMT2   1  0.000000  1.000000  0.000000        0.00000
REMARK 350   BIOMT3   1  0.000000  0.000000  1.000000        0.00000
REMARK 350   BIOMT1   2 -1.000000  0.000000  0.000000       10.00000
REMARK 350   BIOMT2   2  0.000000 -1.000000  0.000000        0.00000
REMARK 350   BIOMT3   2  0.000000  0.000000  1.000000        0.00000""".splitlines()


def test_the_first_assembly_is_expanded_unless_not_wanted(pdb):
    head = ["REMARK 350 BIOMOLECULE: 1", "REMARK 350 APPLY THE FOLLOWING TO CHAINS: A"]
    file = pdb([*head, *OPERATORS, *TWO, atom(3, "C", 50, 50, 50, chain="B")])
    found = {tuple(p) for p in read_atomic_model(file).positions_angstrom.round(3).tolist()}
    assert found == {(3, 2, 1), (6, 5, 4), (3, -2, 9), (6, -5, 6)}  # chain B is not part of it
    assert len(read_atomic_model(file, assembly=False).elements) == 3


@pytest.mark.parametrize("mark", ["", "                   AND CHAINS: "])
@pytest.mark.parametrize("per_line", [2, 4, 8])
def test_lists_of_chains_may_go_on_in_the_next_lines(pdb, mark, per_line):
    names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ12"
    groups = [names[k : k + per_line] for k in range(0, len(names) - 1, per_line)]
    head = [
        "REMARK 350 BIOMOLECULE: 1",
        "REMARK 350 APPLY THE FOLLOWING TO CHAINS: A" + ("," if not mark else ", "),
        *(f"REMARK 350 {mark}{', '.join(group)}," for group in groups[:-1]),
        f"REMARK 350 {mark}{', '.join(groups[-1])}",
    ]
    chains = [atom(k, "C", k, 1, 0, chain=chain) for k, chain in enumerate(f"{names}z")]
    listed = {k for k, chain in enumerate(names) if any(chain in group for group in groups)}
    found = read_atomic_model(pdb([*head, *OPERATORS, *chains])).positions_angstrom[:, 2]
    assert sorted(found) == sorted([*listed, *(10 - k for k in listed)])


def test_one_long_line_of_chains_loses_none(pdb):
    names = "BCDEFGHIJKLMNOPQRSTU"  # 70 columns once there are commas
    head = [
        "REMARK 350 BIOMOLECULE: 1",
        "REMARK 350 APPLY THE FOLLOWING TO CHAINS: A,",
        f"REMARK 350 {', '.join(names)}",
    ]
    chains = [atom(k, "C", k, 1, 0, chain=chain) for k, chain in enumerate(f"A{names}")]
    assert len(read_atomic_model(pdb([*head, *OPERATORS, *chains])).elements) == 2 * 21


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "a.pdb", "the file is empty"),
        (b"nothing of the kind\n", "a.pdb", "holds no atoms"),
        (b"nothing of the kind\n", "a.cif", "no readable structure"),
        (b"data_x\n_cell.length_a 3\n", "a.cif", "holds no atoms"),
        (b"x", "a.txt", "not a type of structure"),
        (gzip.compress(MMCIF.encode())[:-20], "a.cif.gz", "damaged or cut off"),
        (f"{TWO[0]}\n{TWO[1][:40]}\n".encode(), "a.pdb", "no readable structure"),
        (f"{atom(1, 'O', 1, 1, 1, residue='HOH', kind='HETATM')}\n".encode(), "a.pdb", "waters"),
        (f"{atom(1, 'C', 1, 1, float('nan'))}\n".encode(), "a.pdb", "not finite"),
        (f"{atom(1, 'Q', 1, 1, 1, element='X')}\n".encode(), "a.pdb", "unknown element"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path, content, name, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_atomic_model(tmp_path / name)
    text = str(caught.value)
    assert text.startswith(str(tmp_path / name))
    assert "\n" not in text
    assert ";" in text  # what to do


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_atomic_model(tmp_path / "a.pdb")
    (tmp_path / "folder.pdb").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_atomic_model(tmp_path / "folder.pdb")


def test_density_maps_must_have_cubic_voxels_of_known_size(raw_mrc, voxels, tmp_path):
    def write(**options):
        file = tmp_path / "a.mrc"
        file.write_bytes(raw_mrc(options.pop("data", voxels), **options))
        return file

    volume = read_density_map(write(spacing=(4.0, 4.0005, 4.0)))
    assert np.array_equal(volume.data, voxels)
    with pytest.raises(InputError, match=r"not cubes: 4 × 4 × 4\.2"):
        read_density_map(write(spacing=(4.0, 4.0, 4.2)))
    with pytest.raises(InputError, match="voxel spacing is unknown"):
        read_density_map(write(spacing=(0.0, 0.0, 0.0)))
    given = read_density_map(write(spacing=(0.0, 0.0, 0.0)), voxel_spacing_angstrom=5)
    assert given.voxel_spacing_angstrom == (5, 5, 5)
    with pytest.raises(InputError, match="same value"):
        read_density_map(write(data=np.full_like(voxels, 2)))
    with pytest.raises(InputError, match="not finite"):
        read_density_map(write(data=np.where(voxels > 1, np.float32(np.nan), voxels)))


@pytest.mark.parametrize(
    ("name", "atoms"), [("1bxn.pdb", 2 * 18144), ("1mnf_groel.pdb.gz", 55552), ("3gl1.pdb", 3022)]
)
def test_real_structures_are_read_to_the_last_atom(shared_data, name, atoms):
    model = read_atomic_model(shared_data / "pdb" / name)
    assert len(model.elements) == atoms  # counted in the lines of the file, times the operators
    assert set(model.elements) <= {"C", "N", "O", "S", "P", "Mg", "Cl"}


def test_real_maps(shared_data):
    assert read_density_map(shared_data / "maps_10A" / "1bxn.mrc").voxel_spacing_angstrom == (10, 10, 10)
