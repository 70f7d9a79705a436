"""Specifications: presets, files, and what is wrong with them by line."""

from pathlib import Path

import pytest

from vitreous.core import InputError
from vitreous.workflows.simulate import SimulationSpec, load_spec, preset_names, preset_text, spec_text
from vitreous.workflows.simulate.spec_file import parse_spec
from vitreous.workflows.simulate.toml_lines import line_numbers, line_of

EVERY_PRESET = ("apoferritin-like", "crowded-cell", "demo", "poly-ga-like", "purified-ribosomes", "shrec21")


def test_presets_are_those_promised():
    assert preset_names() == EVERY_PRESET


@pytest.mark.parametrize("name", EVERY_PRESET)
def test_a_printed_preset_reads_back_as_itself(name, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(preset_text(name), encoding="utf-8")
    assert load_spec(file) == load_spec(name)
    assert parse_spec(spec_text(load_spec(name)), name, Path()) == load_spec(name)
    assert sum(line.lstrip().startswith("#") for line in preset_text(name).splitlines()) >= 2


def test_the_demo_shows_every_key():
    text = preset_text("demo")
    keys = {key for line in text.splitlines() if (key := line.lstrip("# ").partition(" ")[0])}
    for name, field in SimulationSpec.model_fields.items():
        table = getattr(field.annotation, "__args__", (field.annotation,))[0]
        for key in getattr(table, "model_fields", {name: None}):
            assert key in keys | {"name", "mass_kda"}, f"{name}.{key} is not in the demo"
    assert "mass_kda" in text
    assert 'name = "..."' in text


def test_what_presets_promise():
    shrec, poly = load_spec("shrec21"), load_spec("poly-ga-like")
    assert shrec.box.shape == (512, 512, 512)
    assert shrec.box.slab == (156, 356)
    assert (shrec.tilts.lowest_deg, shrec.tilts.highest_deg, shrec.tilts.step_deg) == (-60, 60, 3)
    assert len(shrec.particles) == 13
    assert max(load_spec("demo").box.shape) <= 128
    counts = [particles.count for particles in poly.particles[:3]]
    assert [count / counts[1] for count in counts] == pytest.approx([901 / 66, 1, 1], rel=0.01)
    crowd = load_spec("crowded-cell")
    assert crowd.gold.count
    assert crowd.sheets.count
    assert {f.kind for f in crowd.filaments} == {"actin", "microtubule"}
    assert len(crowd.particles) == 13


BAD = [
    ("seed = 1\n\nfoo = 2\n", 3, "unknown key foo"),
    ("[box]\nshapes = [16, 16, 16]\n", 2, "unknown key box.shapes; did you mean shape?"),
    ("# one\n[optics]\nvoltage = 200\n", 3, "did you mean voltage_kv?"),
    ("[boxes]\nshape = [16, 16, 16]\n", 1, "unknown key boxes; did you mean box?"),
    ("[imaging]\ndose_e_per_angstrom2 = 3\nsnr = 0.1\n", 3, "exclude each other"),
    ('[imaging]\nnoise_like = "t.mrc"\nhalves = "tilts"\n', 3, "no noise of single tilts"),
    ('[imaging]\nnoise_like = ""\n', 2, "at least 1 character"),
    ("[imaging]\nctf = false\n\ndefocus_um = 3\n", 4, "without a CTF"),
    ("[imaging]\ndefocus_um = [5, 3]\n", 2, "lowest defocus comes first"),
    ('[imaging]\ndefocus_um = "far"\n', 2, "give a number or [lowest, highest]"),
    ("[imaging]\nsnr = -1\n", 2, "greater than 0"),
    (
        '[[particles]]\nstructure = "phantom:ldh"\ncount = 2\n\n[[particles]]\ncuont = 2\n',
        6,
        "did you mean count?",
    ),
    ('[[particles]]\nstructure = "a.mrc"\ncount = 1\n', 2, "needs its mass"),
    ('[[particles]]\nstructure = "a.pdb"\ncount = 1\nmass_kda = 3\n', 4, "belongs to a density map"),
    ('[[particles]]\nstructure = "ribosome"\ncount = 1\n', 2, "is no structure"),
    ("[[particles]]\ncount = 1\n", 1, "particles.structure: field required"),
    ('[[particles]]\n\nstructure = "phantom:ldh"\n', 1, "needs a count"),
    ("[box]\nshape = [\n  16,\n  16,\n  4]\n[gold]\ncount = -1\n", 2, "greater than or equal to 16"),
    ("[box]\nslab = [3, 70]\n", 2, "not within the 64 planes"),
    ("[packing]\noccupancy = 0.1\n", 2, "needs particles"),
    ('[reconstruction]\nmethod = "wbp"\niterations = 3\n', 3, "belong to sirt"),
    ('[reconstruction]\nhamming = true\nmethod = "sirt"\n', 2, "belongs to wbp"),
    ("seed = 1\n[tilts]\nlowest_deg = 5\nhighest_deg = 3\n", 2, "must lie below"),
    (
        '[[filaments]]\nkind = "actin"\ncount = 1\n[[filaments]]\nkind = "actin"\ncount = 1\n',
        5,
        "two classes",
    ),
    ("seed = = 1\n", 1, "is no TOML"),
    ("version = 2\n", 1, "version"),
]


@pytest.mark.parametrize(("text", "line", "words"), BAD)
def test_what_is_wrong_is_told_with_its_line(text, line, words, tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as fault:
        load_spec(file)
    told = str(fault.value)
    assert told.startswith(f"{file}: ")
    assert f"line {line}" in told
    assert words in told
    assert "\n" not in told


def test_lines_of_all_that_toml_can_be():
    text = """\
title = "a [not.a.table]"  # [nor.this]
dotted.key.inside = 1
[table]
array = [
    1,  # [no]
    2,
]
text = '''
[inside]
key = 1
'''
inline = { first = 1, second = { third = 2 } }
[table.sub]
x = 1
[["quoted name"]]
y = 1
[["quoted name"]]
y = 2
["quoted name".deep]
z = 3
"""
    lines = line_numbers(text)
    assert lines["dotted", "key", "inside"] == 2
    assert lines["table", "array"] == 4
    assert lines["table", "text"] == 8
    assert lines["table", "inline", "second", "third"] == 12
    assert lines["table", "sub"] == 13
    assert lines["quoted name", 0, "y"] == 16
    assert lines["quoted name", 1, "y"] == 18
    assert lines["quoted name", 1, "deep", "z"] == 20
    assert not any("inside" in place for place in lines if place[0] == "inside")
    assert line_of(("table", "sub", "unknown"), lines) == 13
    assert line_of(("nowhere",), lines) is None


def test_structures_lie_beside_the_file_that_names_them(tmp_path):
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "a.toml").write_text('[[particles]]\nstructure = "models/x.pdb"\ncount = 1\n', encoding="utf-8")
    (particles,) = load_spec(folder / "a.toml").particles
    assert particles.structure == str(folder / "models" / "x.pdb")
    assert particles.class_name == "x"


def test_unknown_presets_and_missing_files(tmp_path):
    with pytest.raises(InputError, match="did you mean demo"):
        load_spec("dmeo")
    with pytest.raises(InputError, match="cannot be read"):
        load_spec(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_spec(tmp_path / "binary.toml")
