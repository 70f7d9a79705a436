"""Subtomograms from stores, folders, STAR files and tomograms with picks: standardized, fitted, refused."""

import json
import shutil

import numpy as np
import pytest

from vitreous import Volume, write_volume
from vitreous.core import InputError, Poses, SilentProgress
from vitreous.io import StarTable, write_relion5_particles, write_star
from vitreous.simulate import SubtomogramSettings, TiltScheme
from vitreous.workflows.evaluate_segments import evaluate_segmented
from vitreous.workflows.subtomograms import (
    Grid,
    SubtomogramRequest,
    load_boxes,
    open_boxes,
    write_subtomograms,
)
from vitreous.workflows.subtomograms.loading import centre_contrast

SIDE = 24
GRID = Grid(SIDE, 10.0)
SETTINGS = SubtomogramSettings(
    count=2, snrs=(0.5,), side=SIDE, neighbours=0, defocus_um=None, tilts=TiltScheme(step_deg=12)
)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for form in ("zarr", "mrc"):
        request = SubtomogramRequest(("phantom:ldh", "phantom:1bxn"), folder / form, SETTINGS, form)
        write_subtomograms(request, SilentProgress())
    return folder


def load(path, grid=GRID, **options):
    chosen = {key: options.pop(key) for key in ("invert", "masks") if key in options}
    return load_boxes(open_boxes(path, **options), grid, SilentProgress(), **chosen)


def white(seed=0, side=SIDE):
    return np.random.default_rng(seed).normal(3, 5, (side,) * 3).astype(np.float32)


def test_both_forms_of_a_simulated_set_are_the_same(simulated):
    store, folder = (load(simulated / form, masks=True) for form in ("zarr", "mrc"))
    np.testing.assert_array_equal(store.values, folder.values)
    np.testing.assert_array_equal(store.masks, folder.masks)
    assert store.kinds == folder.kinds == ("phantom:ldh",) * 2 + ("phantom:1bxn",) * 2
    assert store.masks.mean(axis=(1, 2, 3)).min() > 0.005
    # Protein is dark: the masked voxels are darker than the rest, in every subtomogram.
    assert all(v[m > 0].mean() < v[m == 0].mean() for v, m in zip(store.values, store.masks, strict=True))
    np.testing.assert_allclose(store.values.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(store.values.std(axis=(1, 2, 3)), 1, atol=1e-3)


def test_a_set_that_was_simulated_bright_is_turned(simulated, tmp_path):
    settings = SETTINGS.model_copy(update={"invert": True})
    request = SubtomogramRequest(("phantom:ldh", "phantom:1bxn"), tmp_path / "bright", settings)
    write_subtomograms(request, SilentProgress())
    bright, dark = load(tmp_path / "bright", masks=True), load(simulated / "zarr")
    assert bright.turned
    assert not dark.turned
    assert all(v[m > 0].mean() < v[m == 0].mean() for v, m in zip(bright.values, bright.masks, strict=True))


def folder_of(path, boxes, spacing=10.0):
    for number, box in enumerate(boxes):
        write_volume(path / f"{number:03d}.mrc", Volume(box, spacing))
    return path


def test_nan_and_constant_subtomograms_are_skipped_and_named(tmp_path):
    broken = white(1)
    broken[3, 4, 5] = np.nan
    loaded = load(folder_of(tmp_path / "boxes", [white(), broken, np.ones((SIDE,) * 3), white(2)]))
    assert len(loaded) == 2
    assert [text.rsplit("/", 1)[1] for text in loaded.skipped] == [
        "001.mrc: 1 voxels are NaN or infinite",
        "002.mrc: all its voxels are equal",
    ]


def test_nothing_usable_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no subtomograms"):
        load(tmp_path / "empty")
    with pytest.raises(InputError, match=r"no usable subtomogram.*NaN"):
        load(folder_of(tmp_path / "nan", [np.full((SIDE,) * 3, np.nan)]))
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "none")
    with pytest.raises(InputError, match="--picks"):
        load(tmp_path / "nan" / "000.mrc")


def test_mixed_sizes_are_refused_or_fitted_by_option(tmp_path):
    path = folder_of(tmp_path / "boxes", [white(), white(1, 30)])
    with pytest.raises(InputError, match=r"30 × 30 × 30 voxels of 10 Å, and 24³ of 10 Å.*--fit resample"):
        load(path)
    cut = load(path, Grid(SIDE, 10.0, "resample"))
    assert cut.changed == 1
    inner = white(1, 30)[3:27, 3:27, 3:27]
    np.testing.assert_allclose(cut.values[1], (inner - inner.mean()) / inner.std(), atol=1e-3)
    assert load(path, Grid(SIDE, 10.0, "resize")).values.shape == (2, SIDE, SIDE, SIDE)


def ball(side, radius):
    grids = np.ogrid[(slice(side),) * 3]
    return -np.exp(-sum((g - side // 2) ** 2 for g in grids) / radius**2).astype(np.float32)


def test_other_spacings_are_resampled_in_place(tmp_path):
    """A ball of 40 Å drawn on voxels of 5 Å becomes the same ball on voxels of 10 Å: to 0.05 deviations."""
    path = folder_of(tmp_path / "fine", [ball(48, 8)], spacing=5.0)
    with pytest.raises(InputError, match="of 5 Å"):
        load(path)
    found = load(path, Grid(SIDE, 10.0, "resample")).values[0]
    wanted = ball(SIDE, 4)
    wanted = (wanted - wanted.mean()) / wanted.std()
    core = (slice(4, -4),) * 3
    np.testing.assert_allclose(found[core], wanted[core], atol=0.05)
    off = np.roll(wanted, 1, axis=0)
    assert np.abs(found[core] - off[core]).max() > 0.5  # a voxel off the middle would be seen


def test_a_spacing_that_is_not_known_is_not_guessed(tmp_path):
    write_volume(tmp_path / "boxes" / "a.mrc", Volume(white()))
    with pytest.raises(InputError, match="--voxel-size"):
        load(tmp_path / "boxes")
    assert len(load(tmp_path / "boxes", voxel_size=10.0)) == 1


def test_a_star_file_names_volumes(tmp_path):
    folder_of(tmp_path / "project" / "boxes", [white(), white(1)])
    star = tmp_path / "project" / "job" / "particles.star"
    star.parent.mkdir()
    names = {"rlnImageName": ("boxes/001.mrc", "boxes/000.mrc")}
    write_star(star, {"particles": StarTable(names)})
    direct = load(tmp_path / "project" / "boxes")
    np.testing.assert_array_equal(load(star).values, direct.values[::-1])
    write_star(star, {"particles": StarTable({"rlnImageName": ("1@boxes/a.mrcs",)})}, overwrite=True)
    with pytest.raises(InputError, match="no volume"):
        load(star)
    write_star(star, {"particles": StarTable({"rlnImageName": ("boxes/9.mrc",)})}, overwrite=True)
    with pytest.raises(InputError, match="is not there"):
        load(star)


def test_boxes_are_cut_around_picks_and_those_over_the_edge_are_named(tmp_path):
    tomogram = np.random.default_rng(0).normal(size=(40, 50, 60)).astype(np.float32)
    write_volume(tmp_path / "t.mrc", Volume(tomogram, 10.0))
    where = np.array([[20, 22, 30], [20, 22, 55]]) * 10.0
    poses = Poses(np.tile(np.eye(3), (2, 1, 1)), where, ("phantom:26s", "phantom:tric"))
    write_relion5_particles(
        tmp_path / "p.star", poses, tomogram_name="t", shape=tomogram.shape, voxel_spacing_angstrom=10.0
    )
    loaded = load(tmp_path / "t.mrc", picks=tmp_path / "p.star", edge_angstrom=240)
    assert loaded.kinds == ("phantom:26s",)
    assert "pick 2: its box leaves the tomogram" in loaded.skipped[0]
    box = tomogram[8:32, 10:34, 18:42]  # the picked voxel is voxel side // 2 of the box
    np.testing.assert_allclose(loaded.values[0], (box - box.mean()) / box.std(), atol=1e-3)


@pytest.mark.parametrize(
    ("file", "name"),
    [("rec_TS_1.mrc", "TS_1"), ("TS_1_10.00Apx.mrc", "TS_1.tomostar"), ("TS_1.mrc", "rec_TS_1")],
)
def test_boxes_are_of_the_tomogram_that_the_picks_mean(tmp_path, file, name):
    tomogram = np.random.default_rng(0).normal(size=(40, 50, 60)).astype(np.float32)
    write_volume(tmp_path / file, Volume(tomogram, 10.0))
    centred = {f"rlnCenteredCoordinate{axis}Angst": ("0", "500", "600") for axis in "XYZ"}
    columns = {"rlnTomoName": (name, "TS_2", "TS_3"), **centred}
    write_star(tmp_path / "p.star", {"particles": StarTable(columns)})
    write_star(tmp_path / "q.star", {"particles": StarTable({**columns, "rlnTomoName": ("4", "5", "6")})})
    write_star(tmp_path / "r.star", {"particles": StarTable({**columns, "rlnTomoName": ("any",) * 3})})
    (box,) = open_boxes(tmp_path / file, picks=tmp_path / "p.star", edge_angstrom=240).boxes
    np.testing.assert_array_equal(box.density().data, tomogram[8:32, 13:37, 18:42])
    with pytest.raises(InputError, match="holds particles of 3 tomograms, and none of them is called TS_1"):
        open_boxes(tmp_path / file, picks=tmp_path / "q.star", edge_angstrom=240)
    source = open_boxes(tmp_path / file, picks=tmp_path / "r.star", edge_angstrom=240)
    assert (len(source.boxes), len(source.skipped)) == (1, 2)


def test_bright_particles_are_refused_unless_told(tmp_path):
    boxes = [white(n) - 20 * ball(SIDE, 5) for n in range(30)]
    path = folder_of(tmp_path / "boxes", boxes)
    with pytest.raises(InputError, match=r"look bright.*--invert"):
        load(path)
    turned, as_is = load(path, invert=True), load(path, invert=False)
    np.testing.assert_allclose(turned.values, -as_is.values, atol=1e-4)
    assert centre_contrast(turned.values) > 4 > -4 > centre_contrast(as_is.values)


def test_noise_alone_is_taken_as_it_is(tmp_path):
    assert len(load(folder_of(tmp_path / "boxes", [white(n) for n in range(30)]))) == 30


def test_a_table_of_another_set_is_found_out(simulated, tmp_path):
    shutil.copytree(simulated / "mrc", tmp_path / "set")
    next((tmp_path / "set" / "densities").glob("*.mrc")).unlink()
    with pytest.raises(InputError, match="4 lines for 3"):
        load(tmp_path / "set")


def test_sets_are_evaluated_subtomogram_by_subtomogram(simulated):
    facts = evaluate_segmented(simulated / "mrc", simulated / "zarr")
    assert (facts["dice"], facts["iou"], facts["count"]) == (1.0, 1.0, 4)
    assert set(facts["kinds"]) == {"phantom:ldh", "phantom:1bxn"}
    json.dumps(facts)


def test_label_volumes_are_evaluated_and_what_does_not_fit_is_refused(simulated, tmp_path):
    labels = np.zeros((8, 8, 8), np.int8)
    labels[2:6], labels[6:] = 1, 2
    write_volume(tmp_path / "a.mrc", Volume(labels, 10.0), dtype=np.int8)
    half = np.where(labels == 2, 0, labels)
    write_volume(tmp_path / "b.mrc", Volume(half.astype(np.float32), 10.0))
    facts = evaluate_segmented(tmp_path / "b.mrc", tmp_path / "a.mrc")
    assert facts["dice"] == 0.5
    assert facts["classes"]["1"] == {"dice": 1.0, "iou": 1.0}
    assert facts["classes"]["any label"]["iou"] == pytest.approx(4 / 6)
    for name, data, spacing, message in (
        ("size", labels[1:], 10.0, "its size"),
        ("spacing", labels, 12.0, "voxels of 12 Å"),
        ("values", labels + 0.5, 10.0, "no labels"),
    ):
        write_volume(tmp_path / f"{name}.mrc", Volume(data, spacing))
        with pytest.raises(InputError, match=message):
            evaluate_segmented(tmp_path / "a.mrc", tmp_path / f"{name}.mrc")
    with pytest.raises(InputError, match="is one volume"):
        evaluate_segmented(tmp_path / "a.mrc", simulated / "zarr")
