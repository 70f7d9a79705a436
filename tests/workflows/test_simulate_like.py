"""Simulations in the style of a tomogram: its voxels, wedge, noise and contrast, and nothing else of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import vitreous
from vitreous.core import AS_IS, InputError, SilentProgress
from vitreous.fourier import NoiseGenerator, frequency_radius, measured_region
from vitreous.io import read_tilt_angles
from vitreous.io.shrec import read_shrec21
from vitreous.methods.noise_model.spectrum import mean_periodogram
from vitreous.methods.supervised.pairs import about_axis
from vitreous.training import step_generator
from vitreous.workflows.simulate import (
    Likeness,
    SimulateRequest,
    SimulationSpec,
    estimate,
    load_spec,
    resume_simulation,
    simulate_files,
    simulate_tomogram,
    spec_like,
    spec_text,
)
from vitreous.workflows.simulate.measured_noise import MeasuredNoise
from vitreous.workflows.simulate.measured_noise import noise_of as measured_noise

SPACING, BOX = 13.7, (48, 72, 72)
TILTS = (-45.0, 60.0)
SHELLS = [(0.06, 0.15), (0.15, 0.25), (0.25, 0.35), (0.35, 0.5)]
SPECIMEN = {
    "seed": 5,
    "box": {"shape": BOX, "voxel_spacing_angstrom": SPACING, "slab": [2, 46]},
    "particles": [
        {"structure": "phantom:apoferritin", "count": 40},
        {"structure": "phantom:ldh", "count": 40},
    ],
    "tilts": {"lowest_deg": TILTS[0], "highest_deg": TILTS[1]},
    "imaging": {"snr": 0.4, "defocus_um": 3.0},
    "reconstruction": {"hamming": True, "invert": True},
}
PLAIN = SimulationSpec(
    seed=8,
    box={"shape": BOX, "slab": [2, 46]},
    particles=SPECIMEN["particles"],
    imaging={"defocus_um": 3.0, "dose_e_per_angstrom2": 2.0},
    reconstruction={"hamming": True},
)


class Heard(SilentProgress):
    """Keeps the warnings."""

    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


def saved(path, data, spacing=SPACING):
    return vitreous.write_volume(path, vitreous.Volume(np.asarray(data, np.float32), spacing))


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A tomogram of which everything is known, and its file."""
    made = simulate_tomogram(SPECIMEN)
    return made, saved(tmp_path_factory.mktemp("given") / "given.mrc", made.tomogram.data)


@pytest.fixture(scope="module")
def liked(given):
    return spec_like(PLAIN, given[1])


@pytest.fixture(scope="module")
def made(liked):
    return simulate_tomogram(liked)


def noise_of(made):
    return made.tomogram.data - made.noise_free.data


def powers(noise, tilts=TILTS):
    """Mean power of noise in shells, within and without the wedge; a margin about its edge is left out."""
    spectrum = mean_periodogram(noise / noise.std(), AS_IS)
    radius = frequency_radius(spectrum.shape)
    inside = measured_region(spectrum.shape, (tilts[0] + 8, tilts[1] - 8))
    missing = ~measured_region(spectrum.shape, (tilts[0] - 8, tilts[1] + 8))
    shells = [(radius > low) & (radius <= high) for low, high in SHELLS]
    return np.array([[float(spectrum[s & region].mean()) for s in shells] for region in (inside, missing)])


def assert_like(found, truth):
    """Powers agree; at the lowest frequencies the estimate is continued, and 32 samples blur the wedge."""
    assert found[0][1:] == pytest.approx(truth[0][1:], rel=0.12)
    assert found[0][0] == pytest.approx(truth[0][0], rel=0.3)
    assert (found[1] < np.array([0.3, 0.1, 0.1, 0.1]) * found[0]).all()


def test_what_a_tomogram_shows_is_taken_over_and_nothing_else(given, liked, made):
    assert liked.box.voxel_spacing_angstrom == SPACING
    limits = liked.tilts.lowest_deg, liked.tilts.highest_deg
    assert np.abs(np.subtract(limits, TILTS)).max() < 4  # degrees: half a step, and 2 of the estimate
    angles = made.tilt_series.tilt_angles_deg
    assert (angles[0], angles[-1]) == pytest.approx(TILTS, abs=3)  # a step
    assert liked.reconstruction.invert
    assert liked.imaging.noise_like == str(given[1])
    plain, now = PLAIN.to_json(), liked.to_json()
    for table, key in (
        ("box", "voxel_spacing_angstrom"),
        ("tilts", "lowest_deg"),
        ("tilts", "highest_deg"),
        ("reconstruction", "invert"),
        ("imaging", "noise_like"),
    ):
        plain[table].pop(key, None)
        now[table].pop(key)
    assert now == plain
    dark = saved(given[1].with_name("dark.mrc"), -given[0].tomogram.data)
    assert not spec_like(liked, dark).reconstruction.invert


def test_the_noise_has_the_tomograms_spectrum(given, liked, made):
    truth, found = powers(noise_of(given[0])), powers(noise_of(made))
    assert_like(found, truth)
    white = np.random.default_rng(0).normal(size=BOX).astype(np.float32)
    with pytest.raises(AssertionError):
        assert_like(powers(white), truth)
    assert (powers(white)[1] > 0.5 * powers(white)[0]).all()
    measured = measured_noise(liked, SilentProgress())
    drawn = measured.drawn((96, 96, 96), seed=1).even
    expected = measured.spectrum / measured.spectrum.mean()
    radius = frequency_radius(expected.shape)
    for low, high in SHELLS:  # wedge and all
        shell = (radius > low) & (radius <= high)
        power = float(mean_periodogram(drawn / drawn.std(), AS_IS)[shell].mean())
        assert power == pytest.approx(float(expected[shell].mean()), rel=0.08)


@pytest.mark.parametrize(("snr", "tolerance"), [(0.08, 0.4), (0.4, 0.15), (1.5, 0.15)])
def test_signal_and_noise_are_to_each_other_as_in_the_tomogram(given, tmp_path, snr, tolerance):
    truth = given[0]
    noisy = truth.noise_free.data + noise_of(truth) * np.sqrt(truth.snr / snr)
    file = saved(tmp_path / "noisy.mrc", noisy)
    assert simulate_tomogram(spec_like(PLAIN, file)).snr == pytest.approx(snr, rel=tolerance)


def test_gold_does_not_count_where_the_noise_is_made_as_strong_as_measured(given, liked, made):
    golden = liked.model_copy(update={"gold": SimulationSpec(gold={"count": 4}).gold})
    beads = simulate_tomogram(golden)
    assert noise_of(beads).std() == pytest.approx(noise_of(made).std(), rel=0.15)
    assert beads.snr > 1.5 * made.snr


def test_an_snr_that_is_asked_for_is_kept(given):
    imaging = PLAIN.imaging.model_copy(update={"snr": 0.2, "dose_e_per_angstrom2": None})
    asked = spec_like(PLAIN.model_copy(update={"imaging": imaging}), given[1])
    assert simulate_tomogram(asked).snr == pytest.approx(0.2, rel=1e-3)


def test_halves_have_independent_noise_twice_as_strong(made):
    even, odd = (half.data - made.noise_free.data for half in (made.even, made.odd))
    noise = noise_of(made)
    assert np.abs((even + odd) / 2 - noise).max() < 1e-5 * np.abs(noise).max() * 10
    filled = 0.4  # of Fourier space at the least: that many numbers of a hundred are independent
    bound = 4 / np.sqrt(filled * noise.size)
    assert abs(np.corrcoef(even.ravel(), odd.ravel())[0, 1]) < bound
    assert abs(np.corrcoef(even.ravel(), noise.ravel())[0, 1] - np.sqrt(0.5)) < bound
    for half in (even, odd):
        assert half.var() / noise.var() == pytest.approx(2, rel=2 * bound)
    assert not made.tilt_series.even_noise.any()


def test_noise_does_not_go_on_at_the_opposite_face():
    k = torch.fft.fftfreq(32)
    low = (-0.5 * ((k[:, None, None] ** 2 + k[:, None] ** 2 + k**2) / 0.1**2)).exp()
    drawn = MeasuredNoise(low, 1.0).drawn((40, 64, 64), seed=3).even
    periodic = NoiseGenerator(low, (40, 64, 64)).draw(step_generator(3, 0))[0].numpy()
    assert alike(drawn[0], drawn[1]) > 0.7
    assert abs(alike(drawn[0], drawn[-1])) < 0.3  # 4 / √(64² / 20): a blob takes 20 pixels
    assert alike(periodic[0], periodic[-1]) > 0.7


def alike(first, second):
    return np.corrcoef(first.ravel(), second.ravel())[0, 1]


def test_draws_follow_seed_and_index(liked, made):
    again, other = simulate_tomogram(liked), simulate_tomogram(liked, 1)
    assert np.array_equal(again.tomogram.data, made.tomogram.data)
    assert abs(alike(noise_of(other), noise_of(made))) < 0.02
    reseeded = simulate_tomogram(liked.model_copy(update={"seed": 9}))
    assert abs(alike(noise_of(reseeded), noise_of(made))) < 0.02


def test_a_tilt_axis_along_x_is_turned(given, liked, tmp_path):
    file = saved(tmp_path / "x.mrc", about_axis(given[0].tomogram.data, 2))
    turned = spec_like(PLAIN, file)
    for key in ("lowest_deg", "highest_deg"):
        assert getattr(turned.tilts, key) == pytest.approx(getattr(liked.tilts, key), abs=1.5)
    made = simulate_tomogram(turned)
    assert [text for text in made.warnings if "tilt axis of x.mrc is x" in text]
    assert_like(powers(noise_of(made)), powers(noise_of(given[0])))


def test_what_a_tomogram_does_not_show_is_the_specifications(tmp_path):
    white = np.random.default_rng(0).normal(size=BOX)
    heard = Heard()
    inverted = SimulationSpec(
        box=PLAIN.box, tilts={"lowest_deg": -50}, reconstruction={"invert": True}, gold={"count": 1}
    )
    liked = spec_like(inverted, saved(tmp_path / "white.mrc", white), progress=heard)
    assert liked.tilts == inverted.tilts
    assert liked.reconstruction.invert
    told = "\n".join(heard.warnings)
    assert (
        "No missing wedge is seen in white.mrc; tilts of -50° to 60° are those of the specification." in told
    )
    assert "the specification has it bright" in told
    assert "hardly any signal" in told


def test_a_start_that_lies_outside_is_moved(given):
    aside = SimulationSpec(tilts={"lowest_deg": 62, "highest_deg": 80, "start_deg": 70})
    tilts = spec_like(aside, given[1]).tilts
    assert tilts.start_deg == tilts.highest_deg
    forward = SimulationSpec(tilts={"lowest_deg": 10, "order": "continuous"})
    tilts = spec_like(forward, given[1]).tilts
    assert tilts.start_deg is None
    assert min(tilts.acquisition_order()) == tilts.lowest_deg


def test_a_specification_as_text_simulates_the_same(liked, made, tmp_path):
    file = tmp_path / "like.toml"
    file.write_text(spec_text(liked), encoding="utf-8")
    assert load_spec(file) == liked
    again = simulate_tomogram(file)
    for name in ("tomogram", "even", "odd"):
        assert np.array_equal(getattr(again, name).data, getattr(made, name).data)


def test_a_relative_file_lies_beside_the_specification(tmp_path):
    file = tmp_path / "like.toml"
    file.write_text('[imaging]\nnoise_like = "given.mrc"\n', encoding="utf-8")
    assert load_spec(file).imaging.noise_like == str(tmp_path / "given.mrc")


def test_other_voxels_than_the_boxs_are_warned_of(given, liked):
    heard = Heard()
    other = liked.model_copy(update={"box": liked.box.model_copy(update={"voxel_spacing_angstrom": 15.0})})
    made = simulate_tomogram(other, progress=heard)
    (text,) = [text for text in heard.warnings if "voxel by voxel" in text]
    assert "given.mrc are of 13.7 × 13.7 × 13.7 Å" in text
    assert text in made.warnings


@pytest.mark.parametrize(("said", "doubted"), [(None, True), (15.0, False), (13.7, True)])
def test_voxels_that_the_user_told_are_not_doubted(given, liked, tmp_path, said, doubted):
    box = liked.box.model_copy(update={"voxel_spacing_angstrom": 15.0})
    like = Likeness(given[1], said)
    request = SimulateRequest(liked.model_copy(update={"box": box}), tmp_path / "run", like=like)
    heard = Heard()
    outcome = simulate_files(request, heard)
    for texts in (heard.warnings, outcome.tomograms[0]["warnings"], outcome.facts["warnings"]):
        assert any("voxel by voxel" in text for text in texts) is doubted


def test_a_folder_has_no_noisy_tilt_series_and_knows_its_tomogram(given, liked, tmp_path):
    file = saved(tmp_path / "mine.mrc", given[0].tomogram.data)
    imaging = liked.imaging.model_copy(update={"noise_like": str(file)})
    request = SimulateRequest(liked.model_copy(update={"imaging": imaging}), tmp_path / "run")
    outcome = simulate_files(request, SilentProgress())
    folder = outcome.folders[0]
    assert sorted(path.name for path in folder.glob("tilt_series*.mrc")) == ["tilt_series.mrc"]
    series = np.asarray(vitreous.io.open_tilt_series(folder / "tilt_series.mrc").data)
    assert np.array_equal(series, simulate_tomogram(request.spec).tilt_series.noise_free)
    assert str(file) in json.loads((outcome.output / "run.json").read_text())["inputs_sha256"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "noise like that of mine.mrc" in page
    assert "Above with noise" not in page
    (outcome.output / "run.json").write_text(
        (outcome.output / "run.json").read_text().replace('"status": "done"', '"status": "interrupted"')
    )
    saved_again = given[0].tomogram.data.copy()
    saved_again[0, 0, 0] += 1
    file.unlink()
    saved(file, saved_again)
    with pytest.raises(InputError, match=r"mine\.mrc: changed since the run"):
        resume_simulation(outcome.output, SilentProgress())


def test_a_folder_in_the_layout_of_shrec_has_no_projections_with_noise(liked, tmp_path):
    outcome = simulate_files(SimulateRequest(liked, tmp_path / "run", layout="shrec21"), SilentProgress())
    (folder,) = outcome.folders
    assert sorted(path.name for path in folder.glob("*projections*")) == [
        f"noisefree_projections.{suffix}" for suffix in ("mrc", "rawtlt", "tlt")
    ]
    lines = (folder / "alignment_simulated.txt").read_text().splitlines()
    assert {line.split()[-1] for line in lines if not line.startswith("#")} == {"noisefree_projections.mrc"}
    assert read_shrec21(folder).more.keys() == {"reconstruction_noisefree", "noisefree_projections"}
    angles = outcome.tomograms[0]["tilts"]["angles_deg"]
    assert read_tilt_angles(folder / "noisefree_projections.tlt") == pytest.approx(angles, abs=0.01)


def test_a_long_label_still_says_that_the_tilt_series_has_no_noise(liked, tmp_path):
    long = replace_imaging(liked, dose_e_per_angstrom2=2.92683, defocus_um=(11.25, 11.25))
    outcome = simulate_files(SimulateRequest(long, tmp_path / "run"), SilentProgress())
    series = vitreous.io.open_tilt_series(outcome.folders[0] / "tilt_series.mrc")
    assert len(series.header.labels[-1]) == 80
    assert series.header.labels[-1].startswith("no noise, vitreous ")
    assert "no noise" not in vitreous.open_volume(outcome.folders[0] / "tomogram.mrc").header.labels[-1]


def test_memory_and_time_know_of_the_noise(liked):
    large = liked.model_copy(update={"box": liked.box.model_copy(update={"shape": (256, 64, 64)})})
    counted = replace_imaging(large, noise_like=None, halves="frames")
    assert estimate(large, 1).memory_bytes >= estimate(counted, 1).memory_bytes
    assert estimate(large, 1).memory_bytes > 24 * 288 * 96 * 96


def replace_imaging(spec, **keys):
    return spec.model_copy(update={"imaging": spec.imaging.model_copy(update=keys)})


def bad_files(folder):
    noise = np.random.default_rng(1).normal(size=(16, 24, 24)).astype(np.float32)
    text = folder / "text.mrc"
    text.write_text("no tomogram\n")
    yield folder / "missing.mrc", "missing.mrc: "
    yield text, "text.mrc: "
    yield saved(folder / "unset.mrc", noise, 1.0), "give --voxel-size"
    yield saved(folder / "unknown.mrc", noise, None), "--voxel-size"
    yield saved(folder / "unequal.mrc", noise, (10.0, 10.0, 12.0)), "differs between axes"
    yield saved(folder / "small.mrc", noise[:6]), "is too small: 6 × 24 × 24 voxels; every side needs 8"
    yield saved(folder / "flat.mrc", np.ones_like(noise)), "all its voxels are equal"
    yield saved(folder / "nan.mrc", np.full_like(noise, np.nan)), "no finite voxel"


def test_unusable_tomograms_are_told_in_a_line(tmp_path):
    for file, told in bad_files(tmp_path):
        with pytest.raises(InputError) as fault:
            spec_like(PLAIN, file)
        assert str(fault.value).startswith(f"{file}: ")
        assert told in str(fault.value)
        assert "\n" not in str(fault.value)
        assert ";" in str(fault.value)  # what to do


def test_specifications_that_do_not_go_with_a_tomogram(given):
    by_tilts = replace_imaging(PLAIN, halves="tilts")
    with pytest.raises(InputError, match=r"given\.mrc: .*no noise of single tilts") as fault:
        spec_like(by_tilts, given[1])
    assert str(fault.value).endswith("; change the specification")
    coarse = SimulationSpec(tilts={"lowest_deg": -80, "highest_deg": 80, "step_deg": 150})
    with pytest.raises(InputError, match="makes no tilt series of that range"):
        spec_like(coarse, given[1])


def test_a_tomogram_with_some_bad_voxels_is_used_and_said_to_have_them(given, tmp_path):
    data = given[0].tomogram.data.copy()
    data[10, 10, :5] = np.nan
    made = simulate_tomogram(spec_like(PLAIN, saved(tmp_path / "holes.mrc", data)))
    assert np.isfinite(made.tomogram.data).all()
    assert [text for text in made.warnings if text.startswith("holes.mrc: 5 voxels are NaN")]


def test_real_microtubules():
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "real" / "microtubule"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not here")
    file = folder / "microtubule_13pf.mrc"
    plain = SimulationSpec(box={"shape": (36, 96, 94)}, filaments=[{"kind": "microtubule", "count": 1}])
    liked = spec_like(plain, file)
    assert liked.reconstruction.invert
    assert liked.box.voxel_spacing_angstrom == 10.52
    assert liked.tilts.highest_deg - liked.tilts.lowest_deg == pytest.approx(120, abs=8)
    made, real = simulate_tomogram(liked), vitreous.open_volume(file)
    seen, wanted = (vitreous.inspect_tomogram(replace(v)).noise_share for v in (made.tomogram, real))
    assert seen == pytest.approx(wanted, abs=0.1)
