"""Reconstruction of a user's tilt series: what comes out, and what is refused before any work."""

import numpy as np
import pytest

from vitreous.core import FileHeader, InputError, Interrupted, SilentProgress, Volume
from vitreous.io import open_volume, write_volume
from vitreous.simulate import ImagingSettings, TiltGeometry, TiltScheme, crowd, image
from vitreous.workflows.reconstruct import ReconstructRequest, ReconstructSettings, reconstruct_file
from vitreous.workflows.tilt_images import OpenedSeries, depth_of

TILTS = tuple(float(t) for t in range(-60, 61, 5))
DEPTH, HEIGHT, WIDTH = 24, 40, 48


@pytest.fixture(scope="module")
def density():
    structures = ("rubisco", "hsp90", "apoferritin")
    box = crowd((40, HEIGHT, WIDTH), occupancy=0.1, seed=0, structures=structures, sheets=1)
    return np.ascontiguousarray(box.density[8:32])


@pytest.fixture(scope="module")
def images(density):
    """Projections with dark protein on a bright background that changes from image to image."""
    series = TiltGeometry(DEPTH, WIDTH, TILTS, oversampling=4).project(density)
    brightness = np.random.default_rng(0).uniform(800, 1200, size=(len(TILTS), 1, 1))
    return (brightness * (1 - 0.0025 * series)).astype(np.float32)


@pytest.fixture
def files(tmp_path, images):
    stack = Volume(images, (7.5, 7.5, 7.5), FileHeader(space_group=0))
    write_volume(tmp_path / "stack.mrc", stack)
    (tmp_path / "stack.tlt").write_text("\n".join(map(str, TILTS)))
    return tmp_path


def run(folder, *, progress=None, even_odd=False, output="out.mrc", overwrite=False, **settings):
    settings = {"thickness": str(DEPTH)} | settings
    request = ReconstructRequest(
        folder / "stack.mrc",
        folder / "stack.tlt",
        folder / output,
        ReconstructSettings(**settings),
        even_odd=even_odd,
        overwrite=overwrite,
    )
    return reconstruct_file(request, progress or SilentProgress())


def correlation(path, density):
    return np.corrcoef(np.asarray(open_volume(path).data).ravel(), density.ravel())[0, 1]


@pytest.mark.parametrize("method", ["wbp", "sirt"])
def test_a_tomogram_with_dark_protein_and_its_spacing(files, density, method):
    facts = run(files, method=method)
    volume = open_volume(files / "out.mrc")
    assert volume.shape == (DEPTH, HEIGHT, WIDTH)
    assert volume.voxel_spacing_angstrom == pytest.approx((7.5, 7.5, 7.5))
    assert correlation(files / "out.mrc", density) < -0.6
    assert facts["size_zyx"] == [DEPTH, HEIGHT, WIDTH]
    assert facts["tilt_range_deg"] == [-60, 60]
    run(files, method=method, invert=True, overwrite=True)
    assert correlation(files / "out.mrc", density) > 0.6


def test_angles_in_another_order_than_the_tilts(files, density, images):
    order = np.random.default_rng(1).permutation(len(TILTS))
    run(files)
    sorted_one = np.asarray(open_volume(files / "out.mrc").data)
    write_volume(files / "stack.mrc", Volume(images[order], (7.5, 7.5, 7.5)), overwrite=True)
    (files / "stack.tlt").write_text("\n".join(str(TILTS[n]) for n in order))
    run(files, output="b.mrc", even_odd=True)
    np.testing.assert_allclose(np.asarray(open_volume(files / "b.mrc").data), sorted_one, atol=1e-4)
    for half in ("even", "odd"):  # every other tilt, however they lie in the file
        assert correlation(files / f"b_{half}.mrc", density) < -0.5


def test_halves_by_tilts_have_independent_noise(files, density):
    scheme = TiltScheme(step_deg=5)
    series = image(density * 0, 10.0, ImagingSettings(tilts=scheme, defocus_um=None))
    write_volume(files / "stack.mrc", Volume(series.images, (10.0, 10.0, 10.0)), overwrite=True)
    facts = run(files, even_odd=True)
    even, odd, whole = (np.asarray(open_volume(facts[n]).data).ravel() for n in ("even", "odd", "output"))
    assert abs(np.corrcoef(even, odd)[0, 1]) < 0.05
    assert np.corrcoef(even + odd, whole)[0, 1] > 0.95


def test_the_scale_is_kept_when_asked_for(files, density):
    series = TiltGeometry(DEPTH, WIDTH, TILTS, oversampling=4).project(density)
    write_volume(files / "stack.mrc", Volume(series, (7.5, 7.5, 7.5)), overwrite=True)
    run(files, keep_scale=True, method="sirt")
    values = np.asarray(open_volume(files / "out.mrc").data)
    assert np.polyfit(density.ravel(), values.ravel(), 1)[0] == pytest.approx(0.8, abs=0.2)
    run(files, keep_scale=True, overwrite=True, method="sirt", nonnegative=True)
    assert open_volume(files / "out.mrc").data.min() == 0


def test_filters_and_zarr(files, images):
    noise = np.random.default_rng(0).standard_normal(images.shape, dtype=np.float32)
    write_volume(files / "stack.mrc", Volume(noise, (7.5, 7.5, 7.5)), overwrite=True)
    for number, options in enumerate(({}, {"hamming": True}, {"low_pass_angstrom": 40.0})):
        run(files, output=f"{number}.zarr", **options)
    deviations = [np.asarray(open_volume(files / f"{n}.zarr").data).std() for n in range(3)]
    assert max(deviations[1:]) < 0.9 * deviations[0]


def test_thickness_in_voxels_and_angstrom():
    series = OpenedSeries(Volume(np.zeros((2, 30, 40)), (10.0, 10.0, 10.0)), (-3.0, 3.0))
    for text, depth in ((None, 20), ("17", 17), ("300A", 30), ("305 Å", 30), ("1200a", 120)):
        assert depth_of(text, series) == depth
    for text in ("0", "-3", "thick", "3nm", "", "1A", "99999"):
        with pytest.raises(InputError, match="--thickness"):
            depth_of(text, series)


def test_missing_pixels_are_filled_and_said(files, images):
    holed = images.copy()
    holed[3, :5, :5] = np.nan
    write_volume(files / "stack.mrc", Volume(holed, (7.5, 7.5, 7.5)), overwrite=True)
    facts = run(files)
    assert any("25 pixels" in text for text in facts["warnings"])
    assert np.isfinite(open_volume(files / "out.mrc").data).all()


def test_an_interrupted_run_leaves_nothing(files):
    class Impatient(SilentProgress):
        def __init__(self, patience):
            self.patience = patience

        def should_stop(self):
            self.patience -= 1
            return self.patience < 0

    before = sorted(p.name for p in files.iterdir())
    for patience in (0, 3, 5):  # in the first tomogram, in the second, in the third
        with pytest.raises(Interrupted):
            run(files, even_odd=True, progress=Impatient(patience))
        assert sorted(p.name for p in files.iterdir()) == before
    run(files, even_odd=True, progress=Impatient(6))
    assert (files / "out_odd.mrc").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "art"},
        {"iterations": 0},
        {"low_pass_angstrom": -5.0},
        {"method": "sirt", "hamming": True},
        {"nonnegative": True},
        {"max_memory": "lots"},
        {"max_memory": "1MB"},
        {"thickness": "0"},
    ],
)
def test_settings_that_make_no_sense_are_refused(files, wrong):
    with pytest.raises(InputError):
        run(files, **wrong)
    assert not (files / "out.mrc").exists()
