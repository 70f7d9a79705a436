"""OME-Zarr: judged by the `ome-zarr` reader and the schema; variants read, broken stores refused."""

import json

import numpy as np
import pytest
import zarr

from vitreous.core.errors import InputError
from vitreous.core.volume import FileHeader, Volume
from vitreous.io import open_volume, volume_warnings, write_volume


def make(path, data, *, unit="angstrom", scale=(8.0, 8.0, 8.0), axes="zyx", image=None, version=2):
    group = zarr.open_group(path, mode="w", zarr_format=version)
    group.create_array("full", data=data, chunks=tuple(min(4, side) for side in data.shape))
    steps = [{"type": "scale", "scale": list(scale)}] if scale else []
    unit = {"unit": unit} if unit else {}
    kinds = {"t": "time", "c": "channel"}
    multiscales = [
        {
            "axes": [
                {"name": a, "type": kinds.get(a, "space"), **(unit if a in "zyx" else {})} for a in axes
            ],
            "datasets": [{"path": "full", "coordinateTransformations": steps}],
            **(image or {}),
        }
    ]
    group.attrs.update(
        {"multiscales": multiscales} if version == 2 else {"ome": {"multiscales": multiscales}}
    )
    return path


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        open_volume(path, **options)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_layout_on_disk_is_ome_zarr_0_4(tmp_path):
    data = np.random.default_rng(0).normal(size=(130, 70, 9)).astype(np.float32)
    path = write_volume(tmp_path / "a.zarr", Volume(data, (8.0, 4.0, 2.0)), label="denoised")
    array = json.loads((path / "0" / ".zarray").read_text())
    assert (array["zarr_format"], array["dimension_separator"], array["dtype"]) == (2, "/", "<f4")
    assert array["chunks"] == [128, 70, 9]
    assert (path / "0" / "1" / "0" / "0").is_file()
    (image,) = json.loads((path / ".zattrs").read_text())["multiscales"]
    assert image["version"] == "0.4"
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in image["axes"]} == {"angstrom"}
    assert [level["path"] for level in image["datasets"]] == ["0", "1", "2"]
    scales = [level["coordinateTransformations"][0]["scale"] for level in image["datasets"]]
    assert scales == [[8, 4, 2], [16, 8, 4], [32, 16, 8]]
    shifts = [level["coordinateTransformations"][1:] for level in image["datasets"]]
    assert shifts[0] == []
    assert shifts[1][0]["translation"] == [4, 2, 1]
    assert shifts[2][0]["translation"] == [12, 6, 3]


def test_ome_zarr_reads_what_we_write(tmp_path):
    reader = pytest.importorskip("ome_zarr.reader")
    parse_url = pytest.importorskip("ome_zarr.io").parse_url
    data = np.random.default_rng(0).normal(size=(10, 12, 14)).astype(np.float32)
    path = write_volume(tmp_path / "a.zarr", Volume(data, 10.0))
    (node,) = reader.Reader(parse_url(path, mode="r"))()
    np.testing.assert_array_equal(np.asarray(node.data[0]), data)
    binned = data.reshape(5, 2, 6, 2, 7, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(np.asarray(node.data[1]), binned, rtol=1e-5, atol=1e-6)
    assert [axis["name"] for axis in node.metadata["axes"]] == ["z", "y", "x"]
    assert node.metadata["coordinateTransformations"][1][0]["scale"] == [20.0, 20.0, 20.0]


def test_published_schema_accepts_what_we_write(tmp_path):
    models = pytest.importorskip("ome_zarr_models.v04")
    path = write_volume(tmp_path / "a.zarr", Volume(np.zeros((4, 4, 4)), 10.0, FileHeader((1.0, 2.0, 3.0))))
    image = models.Image.from_zarr(zarr.open_group(path, mode="r"))
    assert [level.path for level in image.attributes.multiscales[0].datasets] == ["0", "1", "2"]


def test_odd_sides_and_labels_in_the_pyramid(tmp_path):
    data = np.arange(5 * 3 * 1, dtype=np.float32).reshape(5, 3, 1)
    group = zarr.open_group(write_volume(tmp_path / "a.zarr", Volume(data, 10.0)), mode="r")
    assert group["1"].shape == (3, 2, 1)
    assert group["1"][0, 0, 0] == data[:2, :2].mean()
    assert group["1"][2, 1, 0] == data[4, 2, 0]
    labels = np.array([0, 7, 7, 0, 9, 9, 0, 3], np.uint8).reshape(2, 2, 2)
    group = zarr.open_group(write_volume(tmp_path / "b.zarr", Volume(labels, 10.0), dtype=np.uint8), mode="r")
    assert group["1"].dtype == np.uint8
    assert set(np.unique(group["1"][:])) <= {0, 3, 7, 9}


def test_blocks_across_chunk_borders(tmp_path):
    data = np.random.default_rng(0).integers(-9, 9, (3, 300, 259)).astype(np.float32)
    path = write_volume(tmp_path / "a.zarr", Volume(data, 10.0))
    np.testing.assert_array_equal(open_volume(path).data, data)
    even = (
        np.pad(data, ((0, 1), (0, 0), (0, 1)), mode="edge").reshape(2, 2, 150, 2, 130, 2).mean(axis=(1, 3, 5))
    )
    np.testing.assert_allclose(zarr.open_group(path, mode="r")["1"][:], even, rtol=1e-6)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("angstrom", 1), ("nanometer", 10), ("nm", 10), ("micrometer", 1e4), ("Å", 1), ("µm", 1e4)],
)
@pytest.mark.parametrize("version", [2, 3])
def test_units_and_versions(tmp_path, unit, factor, version):
    data = np.arange(60, dtype=np.int16).reshape(5, 4, 3)
    volume = open_volume(make(tmp_path / "a.zarr", data, unit=unit, scale=(3.0, 2.0, 1.5), version=version))
    assert volume.voxel_spacing_angstrom == pytest.approx((3 * factor, 2 * factor, 1.5 * factor))
    np.testing.assert_array_equal(volume.data, data)
    assert isinstance(volume.data, np.ndarray)


def test_scales_multiply_and_translations_become_the_origin(tmp_path):
    shared = {
        "coordinateTransformations": [
            {"type": "scale", "scale": [2.0, 2.0, 2.0]},
            {"type": "translation", "translation": [1.0, 2.0, 3.0]},
        ],
        "datasets": [
            {
                "path": "full",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [8.0, 8.0, 8.0]},
                    {"type": "translation", "translation": [0.5, 0.0, 0.0]},
                ],
            }
        ],
    }
    volume = open_volume(make(tmp_path / "a.zarr", np.zeros((2, 2, 2)), unit="nanometer", image=shared))
    assert volume.voxel_spacing_angstrom == (160.0, 160.0, 160.0)
    assert volume.header.origin_angstrom == (20.0, 20.0, 30.0)


def test_leading_axes_of_length_one(tmp_path):
    data = np.arange(24.0).reshape(1, 1, 2, 3, 4)
    path = make(tmp_path / "a.zarr", data, axes="tczyx", scale=(1, 1, 8, 8, 8))
    np.testing.assert_array_equal(open_volume(path).data, data[0, 0])
    stack = make(tmp_path / "b.zarr", np.zeros((2, 2, 3, 4)), axes="czyx", scale=(1, 8, 8, 8))
    assert "4-D stack" in refusal(stack)


@pytest.mark.parametrize(
    "options", [{"unit": None}, {"unit": "parsec"}, {"scale": None}, {"scale": (0.0, 1.0, 1.0)}]
)
def test_spacing_is_never_guessed(tmp_path, options):
    path = make(tmp_path / "a.zarr", np.zeros((2, 2, 2)), **options)
    assert "--voxel-size" in refusal(path)
    assert open_volume(path, allow_damaged=True).voxel_spacing_angstrom is None
    assert open_volume(path, voxel_spacing_angstrom=5).voxel_spacing_angstrom == (5.0, 5.0, 5.0)


def test_bare_array_needs_a_spacing(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=np.ones((2, 3, 4), np.float32))
    assert "--voxel-size" in refusal(tmp_path / "a.zarr")
    assert open_volume(tmp_path / "a.zarr", voxel_spacing_angstrom=5).shape == (2, 3, 4)


def test_bad_stores_are_refused_in_one_line(tmp_path):
    assert "2-D" in refusal(
        make(tmp_path / "a.zarr", np.zeros((3, 4)), axes="yx", scale=(8, 8), image={"axes": []})
    )
    assert "2-D" in refusal(make(tmp_path / "b.zarr", np.zeros((1, 3, 4))))
    assert "not z, y, x" in refusal(make(tmp_path / "c.zarr", np.zeros((3, 4, 5)), axes="xyz"))
    assert "complex" in refusal(make(tmp_path / "d.zarr", np.zeros((3, 4, 5), np.complex64)))
    zarr.open_group(tmp_path / "e.zarr", mode="w", zarr_format=2)
    assert "multiscales" in refusal(tmp_path / "e.zarr")
    (make(tmp_path / "f.zarr", np.zeros((3, 4, 5))) / ".zattrs").write_text("{")
    assert "metadata" in refusal(tmp_path / "f.zarr")
    (tmp_path / "g.zarr").mkdir()
    assert "no OME-Zarr" in refusal(tmp_path / "g.zarr")
    broken = make(tmp_path / "h.zarr", np.zeros((3, 4, 5)), image={"datasets": [{"path": "absent"}]})
    assert "metadata" in refusal(broken)
    for damage in ([], [1], {"multiscales": 3}, {"multiscales": [{"datasets": []}]}, {"ome": 5}):
        (tmp_path / "e.zarr" / ".zattrs").write_text(json.dumps(damage))
        refusal(tmp_path / "e.zarr")


def test_damaged_chunk_is_refused_and_absent_chunk_is_said(tmp_path):
    data = np.random.default_rng(0).normal(size=(4, 4, 4))
    path = write_volume(tmp_path / "a.zarr", Volume(data, 10.0))
    assert volume_warnings(open_volume(path)) == ()
    chunk = path / "0" / "0" / "0" / "0"
    content = chunk.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 5, 0):
        chunk.write_bytes(content[:length])
        assert "chunk" in refusal(path)
    chunk.unlink()
    assert "1 of 1 chunks are absent" in volume_warnings(open_volume(path))[0]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("codec", [None, "gzip", "zstd", "blosc"])
def test_cut_chunk_of_any_codec_is_refused(tmp_path, version, codec):
    import numcodecs

    if version == 2:
        codecs = {"gzip": numcodecs.GZip(), "zstd": numcodecs.Zstd(), "blosc": numcodecs.Blosc()}
    else:
        codecs = {
            "gzip": zarr.codecs.GzipCodec(),
            "zstd": zarr.codecs.ZstdCodec(),
            "blosc": zarr.codecs.BloscCodec(),
        }
    data = np.random.default_rng(0).normal(size=(8, 8, 8))
    array = zarr.create_array(
        tmp_path / "a.zarr", data=data, chunks=(8, 8, 4), zarr_format=version, compressors=codecs.get(codec)
    )
    np.testing.assert_array_equal(open_volume(tmp_path / "a.zarr", voxel_spacing_angstrom=5).data, data)
    name = "0.0.1" if version == 2 else "c/0/0/1"
    chunk = tmp_path / "a.zarr" / name
    chunk.write_bytes(chunk.read_bytes()[:-9])
    assert array.nchunks_initialized == 2
    assert "chunk" in refusal(tmp_path / "a.zarr", voxel_spacing_angstrom=5)


def test_shards_are_read(tmp_path):
    data = np.random.default_rng(0).normal(size=(8, 8, 8))
    options = {"chunks": (4, 4, 4), "shards": (8, 8, 4), "compressors": zarr.codecs.BloscCodec()}
    zarr.create_array(tmp_path / "a.zarr", data=data, **options)
    volume = open_volume(tmp_path / "a.zarr", voxel_spacing_angstrom=5)
    np.testing.assert_array_equal(volume.data, data)
    assert volume_warnings(volume) == ()


def test_labels_are_carried_on(tmp_path):
    volume = Volume(np.zeros((2, 2, 2)), 10.0, FileHeader(labels=("by IMOD",)))
    again = open_volume(write_volume(tmp_path / "a.zarr", volume, label="denoised"))
    assert again.header.labels == ("by IMOD", "denoised")
