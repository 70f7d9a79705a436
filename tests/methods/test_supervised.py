"""Supervised methods: pairs in the style of a tomogram, checked against what they are to imitate."""

import numpy as np
import pytest
import torch

from vitreous.benchmark.specimens import TRAINING_SEEDS
from vitreous.core import InputError, Normalization, measure_voxels
from vitreous.fourier import frequency_radius, measured_region, patch_spectra, shell_means
from vitreous.inference import tiles_of
from vitreous.methods import LEARNED, PreparedVolume, Supervised
from vitreous.methods.supervised import DnCnn, DnCnnConfig, FfdNet, FfdNetConfig, SimulatedObjective, VNet
from vitreous.methods.supervised.pairs import (
    FIRST_SEED,
    MOST_NOISE,
    Style,
    about_axis,
    clean_boxes,
    described,
    specimen,
    style_of,
)
from vitreous.simulate import crowd, wedge_filtered, white_noise
from vitreous.training import TrainingVolume

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
EDGES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
SMALL = {"patch_side": 32, "boxes": 1, "box_side": 32, "width": 4, "binning": 1}
TILTS = (-40.0, 60.0)


class Identity(torch.nn.Module):
    """Returns its input, so that the objective is known in closed form."""

    stride, receptive_radius = 1, 0

    def forward(self, x):
        return x[:, :1]


class Level(torch.nn.Module):
    """Returns the noise level it is told."""

    def forward(self, x):
        return x[:, 1:]


def wedge_spectrum(variance=0.7, shape=(32, 32, 32)):
    """Noise in the measured region of an asymmetric series, stronger at low frequency."""
    power = measured_region(shape, TILTS).float() * (0.3 + torch.exp(-frequency_radius(shape) / 0.2))
    return variance * power / power.mean()


def prepared(spectrum=None, share=0.7, spacing=10.0, tilt_axis=1):
    data = np.random.default_rng(0).normal(size=(24, 24, 24)).astype(np.float32)
    volume = TrainingVolume(data, AS_IS, voxel_spacing_angstrom=spacing)
    spectrum = wedge_spectrum(share) if spectrum is None else spectrum
    return PreparedVolume(volume, spectrum, share, tilt_axis=tilt_axis)


def pairs(volume, count, config=None, seed=0):
    """Patches with their clean and noisy values and noise levels."""
    config = config or DnCnnConfig(**SMALL)
    objective = DnCnn(config).objective(Identity(), [volume], torch.device("cpu"))
    for step in range(count):
        generator = torch.Generator().manual_seed(1000 * seed + step)
        patch = objective.sampler.draw(generator)
        yield patch, *objective._pair(patch, generator)


def test_the_drawn_noise_has_the_estimated_spectrum():
    """Within 10 % in every shell, and next to nothing in the missing wedge."""
    spectrum = wedge_spectrum()
    drawn = [(noisy - clean).flip(p.flips) for p, noisy, clean, _ in pairs(prepared(spectrum), 40)]
    found = patch_spectra(drawn).mean(0)
    ratio = shell_means(found, EDGES) / shell_means(spectrum, EDGES)
    assert (ratio - 1).abs().max() < 0.1
    flat = shell_means(found, EDGES) / spectrum.mean()
    assert (flat - 1).abs().max() > 0.3  # white noise of the same variance would not do
    assert shares_outside(found, TILTS, margin=12) < 0.02 < 0.2 < shares_outside(found, (-60, 40), margin=0)


def shares_outside(power, tilts, margin):
    """Share of the power beyond 0.2 cycles/voxel that lies outside a tilt range widened by a margin."""
    far = frequency_radius(power.shape) > 0.2
    outside = ~measured_region(power.shape, (tilts[0] - margin, tilts[1] + margin))
    return float(power[far & outside].sum() / power[far].sum())


def test_noise_and_specimen_lie_in_the_same_wedge_whichever_way_the_patch_is_flipped():
    """Flipping z or x, not both, mirrors the wedge: -40° … 60° becomes -60° … 40°."""
    mirrors = set()
    for patch, noisy, clean, _ in pairs(prepared(), 24):
        mirrored = (0 in patch.flips) != (2 in patch.flips)
        right, wrong = ((-60, 40), TILTS) if mirrored else (TILTS, (-60, 40))
        drawn, whole = (torch.fft.fftn(p).abs().square() for p in (noisy - clean, clean))
        assert shares_outside(drawn, right, 0) < 0.6 * shares_outside(drawn, wrong, 0)
        # The patch is the whole box, so that next to nothing leaks (2.5e-6 seen); the range is an estimate.
        assert shares_outside(whole, right, 4) < 1e-5
        assert shares_outside(whole, wrong, 4) > 0.01
        mirrors.add(mirrored)
    assert mirrors == {False, True}


def test_patches_are_flipped_but_never_inverted():
    (box,) = clean_boxes(style_of(prepared()), 1, 32)
    assert box[box > 0].std() > 1.5 * box[box < 0].std()  # protein is bright
    flips = set()
    for patch, _, clean, _ in pairs(prepared(), 40):
        assert torch.equal(clean, torch.from_numpy(box).flip(patch.flips))  # the patch is the whole box
        flips.add(patch.flips)
    assert len(flips) == 8


def test_the_level_is_the_deviation_of_the_noise_that_was_drawn():
    config = FfdNetConfig(**SMALL, noise_levels=(0.5, 2.0))
    objective = FfdNet(config).objective(Level(), [prepared()], torch.device("cpu"))
    assert objective.sees_level
    factors = []
    for step in range(30):
        generator = torch.Generator().manual_seed(step)
        noisy, clean, level = objective._pair(objective.sampler.draw(generator), generator)
        assert level.unique().numel() == 1
        factors.append(float((noisy - clean).std() / level[0, 0, 0]))
    assert np.mean(factors) == pytest.approx(1, abs=0.05)
    levels = [float(objective._pair(p, g)[2][0, 0, 0]) for p, g in drawn_again(objective, 60)]
    assert 0.5 * 0.7**0.5 <= min(levels) < 0.7 * 0.7**0.5
    assert 1.7 * 0.7**0.5 < max(levels) <= 2.0 * 0.7**0.5


def drawn_again(objective, count):
    for step in range(count):
        generator = torch.Generator().manual_seed(step)
        yield objective.sampler.draw(generator), generator


def test_objective_of_the_identity_is_the_power_of_the_noise():
    objective = DnCnn(DnCnnConfig(**SMALL)).objective(Identity(), [prepared()], torch.device("cpu"))
    losses = np.array([float(objective.loss(torch.Generator().manual_seed(s))[0]) for s in range(30)])
    error = losses.std(ddof=1) / np.sqrt(len(losses))
    assert abs(losses.mean() - 0.7) < 4 * error
    assert error < 0.05 * 0.7


def test_objective_repeats_itself_from_the_same_generator():
    objectives = [
        DnCnn(DnCnnConfig(**SMALL)).objective(Identity(), [prepared()], torch.device("cpu")) for _ in (0, 1)
    ]
    first, again, other = (
        objectives[index].loss(torch.Generator().manual_seed(seed))
        for index, seed in ((0, 1), (1, 1), (0, 2))
    )
    assert float(first[0]) == float(again[0]) != float(other[0])
    assert first[1] == again[1]
    assert "32³" in first[1]
    assert "simulated box 1" in first[1]


def test_every_tomogram_lends_its_style_to_boxes_of_its_own():
    quiet, loud = prepared(wedge_spectrum(0.2), 0.2), prepared(torch.full((32, 32, 32), 0.9), 0.9)
    objective = SimulatedObjective(
        Identity(), [quiet, loud], DnCnnConfig(**SMALL), torch.device("cpu"), sees_level=False
    )
    for patch, generator in drawn_again(objective, 12):
        noisy, clean, _ = objective._pair(patch, generator)
        assert float((noisy - clean).var()) == pytest.approx((0.2, 0.9)[patch.volume], rel=0.3)
        power = float(patch_spectra([clean]).mean())
        assert power == pytest.approx((0.8, 0.1)[patch.volume], rel=0.01)


def test_what_these_networks_do_not_do_is_not_reported():
    noise = np.random.default_rng(0).normal(size=(48, 48, 96)).astype(np.float32)
    noise[..., 48:] *= 2
    found = DnCnn(DnCnnConfig(**SMALL)).prepare(
        TrainingVolume(noise, measure_voxels(noise).normalization, voxel_spacing_angstrom=10.0)
    )
    assert found.gain is None
    assert found.stabilizer is None
    assert not any("levelled" in text or "weights" in text for text in found.summary.values())


# --- what is simulated ----------------------------------------------------------------------------


def box_power(boxes):
    side = boxes[0].shape[0]
    cuts = (0, side - 32)
    return np.mean(
        [
            float(patch_spectra([torch.from_numpy(b[z : z + 32, y : y + 32, x : x + 32])]).mean())
            for b in boxes
            for z in cuts
            for y in cuts
            for x in cuts
        ]
    )


def test_boxes_have_the_signal_power_and_the_wedge_of_their_style():
    style = Style(10.0, 0.6, 1, TILTS)
    boxes = clean_boxes(style, 2, 48)
    assert box_power(boxes) == pytest.approx(0.36, rel=0.1)
    for box in boxes:
        assert abs(box.mean()) < 1e-5
        power = torch.fft.fftn(torch.from_numpy(box)).abs().square()
        assert power[~measured_region(box.shape, TILTS)].sum() < 1e-6 * power.sum()
        assert power[~measured_region(box.shape, (-60, 40))].sum() > 1e-3 * power.sum()
    turned = clean_boxes(Style(10.0, 0.6, 2, TILTS), 2, 48)
    np.testing.assert_allclose(turned[0], about_axis(boxes[0], 2), rtol=1e-6)  # sums in another order
    whole = clean_boxes(Style(10.0, 0.6, 1, None), 2, 48)
    assert not np.allclose(whole[0], boxes[0], atol=0.1)
    assert clean_boxes(style, 2, 48) is boxes  # simulated once
    assert np.corrcoef(boxes[0].ravel(), boxes[1].ravel())[0, 1] < 0.2


def test_no_box_is_one_that_benchmarks_score_or_train_on():
    ours = range(FIRST_SEED, FIRST_SEED + 1000)
    assert not set(ours) & {*range(1, 1000), *TRAINING_SEEDS}
    scored = crowd((32,) * 3, occupancy=0.1, seed=1, structures=("hsp70", "ssb1", "esterase"), sheets=1)
    assert np.corrcoef(specimen(10.0, 32, 0).ravel(), scored.density.ravel())[0, 1] < 0.2


def test_turning_the_wedge_to_another_axis_keeps_the_hand_and_the_wedge():
    """A chiral set of points stays what it is, and asymmetric tilts about x are those that are read off."""
    points = np.zeros((9, 9, 9), np.float32)
    places = np.array([[4, 4, 4], [7, 4, 4], [4, 6, 4], [4, 4, 5]])  # from the first: z, y and x apart
    for weight, place in enumerate(places, 1):
        points[tuple(place)] = weight
    turned = about_axis(points, 2)
    ways = [np.argwhere(turned == weight)[0] for weight in range(1, 5)]
    hand = np.linalg.det(np.array([way - ways[0] for way in ways[1:]]))
    assert hand == pytest.approx(np.linalg.det(places[1:] - places[0]))
    assert about_axis(points, 1) is points
    noise = np.random.default_rng(0).normal(size=(48, 48, 48)).astype(np.float32)
    left = about_axis(wedge_filtered(noise, (-40.0, 60.0)), 2)
    region = measured_region(left.shape, (-40.0, 60.0), half=True, tilt_axis=2).numpy()
    power = np.abs(np.fft.rfftn(left)) ** 2
    assert power[~region].sum() < 1e-3 * power.sum()


@pytest.mark.parametrize(("tilts", "tilt_axis"), [((-60.0, 60.0), 1), ((-40.0, 60.0), 1), ((-60.0, 60.0), 2)])
def test_the_style_of_a_tomogram(tilts, tilt_axis):
    """Tilt range within 3°, signal deviation within 15 %, from the noisy volume alone."""
    shape = (64, 96, 96)
    signal = wedge_filtered(crowd(shape, occupancy=0.13, seed=5, sheets=1).density, tilts)
    noise = wedge_filtered(white_noise(shape, np.random.default_rng(1)), tilts)
    data = signal / signal.std() + 1.2 * noise / noise.std()
    if tilt_axis == 2:
        data = np.ascontiguousarray(data.transpose(0, 2, 1))
    normalization = measure_voxels(data).normalization
    volume = TrainingVolume(data, normalization, voxel_spacing_angstrom=10.0)
    style = style_of(DnCnn(DnCnnConfig(binning=1)).prepare(volume))
    assert style.tilt_axis == tilt_axis
    assert style.tilt_range_deg == pytest.approx(tilts, abs=3)
    assert style.signal_deviation == pytest.approx(1 / normalization.deviation, rel=0.15)
    assert style.voxel_spacing_angstrom == 10.0


def test_the_style_of_white_noise_and_of_binned_volumes():
    data = white_noise((64, 64, 64), np.random.default_rng(1))
    volume = TrainingVolume(data, measure_voxels(data).normalization, voxel_spacing_angstrom=8.0)
    found = VNet().prepare(volume)
    assert found.binning > 1  # there is no signal at all
    style = style_of(found)
    assert style.tilt_range_deg is None
    assert style.voxel_spacing_angstrom == 8.0 * found.binning
    assert 0 < style.signal_deviation < 3 * (1 - MOST_NOISE) ** 0.5 * found.binning**1.5
    assert "no missing wedge" in found.summary["trained on"]


@pytest.mark.parametrize(("spacing", "simulated"), [(0.7, 2.0), (3.0, 3.0), (55.0, 30.0)])
def test_spacings_for_which_nothing_sensible_can_be_simulated_are_clamped_and_told(spacing, simulated):
    style = Style(spacing, 1.0, 1, None)
    assert style.simulated_spacing_angstrom == simulated
    assert ("nothing sensible" in described(style, 1, 96)) == (spacing != simulated)
    side = 36 if spacing > 30 else 72
    (box,) = clean_boxes(style, 1, side)
    assert box.shape == (side,) * 3
    assert box_power([box]) == pytest.approx(1, rel=0.2)


# --- contrast -------------------------------------------------------------------------------------


def blobs(sign, ramp=0.0):
    """Balls in noise five times as strong as they are (root mean square), and a background that rises."""
    shape = (48, 64, 64)
    signal = crowd(shape, occupancy=0.13, seed=6).density
    data = sign * signal / signal.std() + 5 * white_noise(shape, np.random.default_rng(2))
    data = (data + ramp * np.linspace(0, 1, 64, dtype=np.float32)).astype(np.float32)
    return TrainingVolume(data, measure_voxels(data).normalization, voxel_spacing_angstrom=10.0)


@pytest.mark.parametrize("ramp", [0.0, 4.0])
@pytest.mark.parametrize(("sign", "word"), [(1, "bright"), (-1, "dark")])
def test_whether_protein_is_dark_or_bright_is_read_off_the_volume(sign, word, ramp):
    method = DnCnn(DnCnnConfig(binning=1))
    found = method.prepare(blobs(sign, ramp))
    assert found.summary["protein"] == word
    assert found.warnings == ()
    assert method.contrast(found) == (sign, True)


def test_where_it_cannot_be_read_dark_is_assumed_unless_the_configuration_says():
    data = white_noise((48, 48, 48), np.random.default_rng(1))
    volume = TrainingVolume(data, measure_voxels(data).normalization)
    found = DnCnn(DnCnnConfig(binning=1)).prepare(volume)
    assert found.summary["protein"] == "dark"
    assert "protein" in found.warnings[0]
    said = DnCnn(DnCnnConfig(binning=1, protein="bright"))
    assert said.prepare(volume).warnings == ()
    assert said.contrast(found) == (1, True)


class BrightOnly(torch.nn.Module):
    """Passes positive values, as a network may that has seen bright protein alone."""

    def forward(self, x):
        return x.clamp_min(0)


@pytest.mark.parametrize("protein", ["dark", "bright"])
def test_the_network_always_sees_bright_protein(protein):
    (tile,) = tiles_of((8, 8, 8), tile=8, margin=0, stride=1)
    block = torch.randn(8, 8, 8)
    predict = DnCnn(DnCnnConfig(protein=protein)).predictor(BrightOnly(), prepared(), torch.device("cpu"), 0)
    expected = block.clamp_min(0) if protein == "bright" else block.clamp_max(0)
    assert (predict(block, tile) - expected).abs().max() < 1e-6


# --- as methods -----------------------------------------------------------------------------------


def test_without_voxel_spacing_nothing_is_trained():
    with pytest.raises(InputError, match="--voxel-size"):
        DnCnn().objective(Identity(), [prepared(spacing=None)], torch.device("cpu"))
    with pytest.raises(ValueError, match="prepared"):
        DnCnn().objective(Identity(), [PreparedVolume(prepared().volume)], torch.device("cpu"))


def test_one_binning_for_all_volumes():
    class Binned:
        def __init__(self, binning):
            self.binning = binning

    method = FfdNet(precision="bfloat16").adapted([Binned(3), Binned(2)])
    assert (method.config.binning, method.precision, type(method)) == (2, "bfloat16", FfdNet)
    assert FfdNet().config.binning is None


@pytest.mark.parametrize("name", ["dncnn", "ffdnet", "vnet"])
def test_prediction_is_the_mean_over_mirror_images_of_one_network(name):
    kind = LEARNED[name][0]
    assert issubclass(kind, Supervised)
    method = kind()
    network = method.build_network(3)
    again = method.build_network(3)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    predict = method.predictor(network, prepared(), torch.device("cpu"), 0)
    block = torch.randn(16, 16, 24, generator=torch.Generator().manual_seed(0))
    (tile,) = tiles_of(block.shape, tile=24, margin=0, stride=4)
    turned = predict(block.flip(0, 2), tile).flip(0, 2)
    assert (predict(block, tile) - turned).abs().max() < 1e-5
    assert method.config.patch_side % network.stride == 0


def test_ffdnet_is_told_the_level_of_the_volume():
    (tile,) = tiles_of((8, 8, 8), tile=8, margin=0, stride=2)
    method = FfdNet(FfdNetConfig(protein="bright"))
    predict = method.predictor(Level(), prepared(), torch.device("cpu"), 0)
    assert (predict(torch.randn(8, 8, 8), tile) - 0.7**0.5).abs().max() < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("case", "least_gain_db"), [("white", 7.0), ("wedge", 7.0)])
def test_a_short_training_beats_the_noisy_volume(case, least_gain_db):
    """On the development seed; see CONTRIBUTING: nothing is tuned on the volumes that are scored."""
