"""Wedge filling: geometry of rotated patches, merging, the objective in closed form."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from vitreous.core import InputError, Normalization, read_block
from vitreous.fourier import measured_region
from vitreous.inference import tiles_of
from vitreous.methods import NoiseModel, PreparedVolume
from vitreous.methods.wedge import (
    FillingConfig,
    IsoNet,
    IsoNetConfig,
    MissingWedge,
    WedgeFilling,
    check_tilt_range,
    merged,
    missing_wedge,
    region_of,
)
from vitreous.methods.wedge.patches import RotatedPatches, emptied, mirroring, right_angles
from vitreous.simulate import wedge_filtered, white_noise
from vitreous.training import TrainingVolume

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
CPU = torch.device("cpu")
LOPSIDED = (-40.0, 60.0)


class Identity(torch.nn.Module):
    """Returns its input, so that results are known in closed form."""

    stride, receptive_radius = 1, 0

    def forward(self, x):
        return x


def noise_in_wedge(shape=(72, 72, 72), tilts=LOPSIDED):
    return wedge_filtered(white_noise(shape, np.random.default_rng(0)), tilts)


def volume_of(data, **more):
    return TrainingVolume(np.asarray(data, np.float32), AS_IS, **more)


def share_outside(cube, region):
    """Power of a windowed cube outside a region of Fourier space, as a share of all."""
    window = np.hanning(cube.shape[0] + 2)[1:-1]
    windowed = cube * window[:, None, None] * window[:, None] * window
    power = np.abs(np.fft.fftn(windowed)) ** 2
    return power[~region.numpy()].sum() / power.sum()


def test_a_rotated_patch_has_the_rotated_wedge_and_no_other():
    """The wrong variants are the inverse rotation and the upright wedge."""
    patches = RotatedPatches([volume_of(noise_in_wedge())], 32)
    right, inverse, upright = [], [], []
    for seed in range(12):
        place = patches.draw(torch.Generator().manual_seed(seed))
        data = patches.volumes[0].data
        cube = place.cut(read_block(data, place.start, place.shape))
        rotation = torch.from_numpy(place.rotation)
        for found, turn in ((right, rotation), (inverse, rotation.T), (upright, None)):
            found.append(share_outside(cube, measured_region(cube.shape, LOPSIDED, rotation=turn)))
    missing = 1 - float(measured_region((32, 32, 32), LOPSIDED).float().mean())
    assert missing == pytest.approx(0.39, abs=0.03)
    assert np.max(right) < 0.12  # the window blurs the edge by a voxel to either side
    assert np.mean(inverse) > 0.25
    assert np.mean(upright) > 0.25


def test_an_upright_patch_holds_the_very_voxels():
    data = np.arange(20 * 24 * 28, dtype=np.float32).reshape(20, 24, 28)
    patches = RotatedPatches([volume_of(data)], 16)
    starts = set()
    for seed in range(40):
        place = patches.draw(torch.Generator().manual_seed(seed), mirroring)
        assert place.is_exact
        cube = place.cut(read_block(data, place.start, place.shape))
        start = tuple(int(c - 7.5) for c in place.centre)
        starts.add(start[0])
        expected = data[tuple(slice(s, s + 16) for s in start)]
        assert expected.shape == (16, 16, 16)
        flips = tuple(np.flatnonzero(np.diag(place.rotation) < 0))
        np.testing.assert_array_equal(cube, np.flip(expected, flips))
        assert place.inside(data.shape).min() == 1
    assert starts == {0, 1, 2, 3, 4}


def test_twenty_rotations_by_right_angles_take_the_wedge_elsewhere():
    drawn = {right_angles(torch.Generator().manual_seed(s)).tobytes() for s in range(400)}
    assert len(drawn) == 20
    wedge = measured_region((16, 16, 16), (-60, 60))
    for rotation in map(np.frombuffer, drawn):
        turned = measured_region((16, 16, 16), (-60, 60), rotation=torch.tensor(rotation.reshape(3, 3)))
        assert not torch.equal(turned, wedge)


@pytest.mark.parametrize("seed", range(6))
def test_a_patch_turned_by_right_angles_holds_the_very_voxels(seed):
    data = np.arange(20 * 24 * 28, dtype=np.float32).reshape(20, 24, 28)
    place = RotatedPatches([volume_of(data)], 16).draw(torch.Generator().manual_seed(seed), right_angles)
    cube = place.cut(read_block(data, place.start, place.shape))
    grid = np.stack(np.meshgrid(*[np.arange(16) - 7.5] * 3, indexing="ij"))
    at = place.centre[:, None] + place.rotation @ grid.reshape(3, -1)
    np.testing.assert_allclose(at, np.rint(at), atol=1e-9)
    np.testing.assert_array_equal(cube.ravel(), data[tuple(np.rint(at).astype(int))])


def test_rotated_patches_lie_in_the_volume_where_they_can_and_say_where_not():
    roomy, thin = volume_of(np.zeros((60, 60, 60))), volume_of(np.zeros((12, 60, 60)))
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        assert RotatedPatches([roomy], 24).draw(generator).inside((60, 60, 60)).min() == 1
        place = RotatedPatches([thin], 24).draw(generator)
        assert place.centre[0] == 5.5
        assert 0.3 < place.inside((12, 60, 60)).mean() < 0.8
        np.testing.assert_allclose(place.rotation @ place.rotation.T, np.eye(3), atol=1e-12)


def test_interpolation_leaves_noise_nearly_as_strong():
    """Cubic splines keep more than 0.6 of white noise, linear interpolation would keep (2/3)³ = 0.30."""
    noise = white_noise((64, 64, 64), np.random.default_rng(0))
    patches = RotatedPatches([volume_of(noise)], 24)
    left = []
    for seed in range(8):
        place = patches.draw(torch.Generator().manual_seed(seed))
        left.append(place.cut(read_block(noise, place.start, place.shape)).var())
    assert np.mean(left) > 0.6 > 2 * (2 / 3) ** 3


def test_both_regions_of_a_volume_add_up_to_it():
    volume = np.random.default_rng(0).normal(size=(24, 20, 27)).astype(np.float32)
    wedge = MissingWedge((-55.0, 60.0))
    missing, measured = (region_of(volume, wedge, missing=which) for which in (True, False))
    np.testing.assert_allclose(missing + measured, volume, atol=1e-5)
    region = measured_region(volume.shape, wedge.tilt_range_deg).numpy()
    assert np.abs(np.fft.fftn(missing)[region]).max() < 1e-3 * np.abs(np.fft.fftn(volume)).max()


def test_merging_keeps_what_was_measured_and_takes_the_rest():
    rng = np.random.default_rng(0)
    shape, wedge = (24, 20, 27), MissingWedge((-55.0, 60.0))
    measured, filled = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    result = merged(measured, filled.copy(), wedge)
    region = measured_region(shape, wedge.tilt_range_deg).numpy()
    r, m, f = (np.fft.fftn(v.astype(np.float64)) for v in (result, measured, filled))
    assert np.abs(r - m)[region].max() < 1e-5 * np.abs(m).max()
    deep = ~measured_region(shape, (-64, 69)).numpy()
    assert deep.any()
    assert np.abs(r - f)[deep].max() < 1e-5 * np.abs(f).max()
    assert np.abs(r - m)[deep].max() > 0.1 * np.abs(m).max()


def test_the_wedge_is_read_off_the_noise_or_refused():
    region = measured_region((32, 32, 32), (-50, 60)).float()
    found = missing_wedge(region, "t.mrc")
    assert found.tilt_axis == 1
    assert found.tilt_range_deg == pytest.approx((-50, 60), abs=3)
    along_x = missing_wedge(region.transpose(1, 2), "t.mrc")
    assert along_x.tilt_axis == 2
    assert along_x.tilt_range_deg == pytest.approx((-50, 60), abs=3)
    with pytest.raises(InputError, match=r"t.mrc.*cannot be told.*--tilt-range"):
        missing_wedge(torch.ones(32, 32, 32), "t.mrc")
    assert missing_wedge(torch.ones(32, 32, 32), "t.mrc", tilt_range_deg=(-60, 50)).tilt_range_deg == (
        -60,
        50,
    )


@pytest.mark.parametrize(
    "limits", [(60, -60), (10, 10), (-90, 90), (-89, 89), (-100, 60), (float("nan"), 60)]
)
def test_impossible_ranges_are_refused(limits):
    with pytest.raises(InputError, match="--tilt-range"):
        check_tilt_range(limits)


@pytest.mark.parametrize("axis", [1, 2])
def test_mirror_images_leave_the_wedge_in_place(axis):
    wedge = MissingWedge(LOPSIDED, axis)
    region = measured_region((16, 16, 16), LOPSIDED, tilt_axis=axis)
    alike = []
    for index in range(8):
        flips = tuple(a for a in range(3) if (index >> a) & 1)
        turned = region.flip(flips).roll((1,) * len(flips), flips) if flips else region
        if torch.equal(turned, region):
            alike.append(index)
    assert sorted(wedge.mirrors) == alike


def prepared(data, variance=0.25, target=None):
    spectrum = variance * measured_region((32, 32, 32), (-60, 60)).float()
    return PreparedVolume(volume_of(data, target=target), spectrum)


def config(**more):
    settings = {"tilt_range_deg": (-60, 60), "tilt_axis": "y", "alpha": 0.7, "round": 1}
    return FillingConfig(patch_side=24, batch=2, **{**settings, **more})


def test_the_objective_of_the_identity_on_upright_patches_is_the_power_of_the_difference():
    """|y + αn - (y - n/α)|² = (α + 1/α)² n², whatever y is."""
    data = np.random.default_rng(0).normal(size=(40, 40, 40))
    objective = WedgeFilling(config(upright_share=1)).objective(Identity(), [prepared(data)], CPU)
    losses = np.array([float(objective.loss(torch.Generator().manual_seed(s))[0]) for s in range(20)])
    variance = 0.25 * float(measured_region((32, 32, 32), (-60, 60)).float().mean())
    expected = (0.7 + 1 / 0.7) ** 2 * variance
    assert losses.mean() == pytest.approx(expected, rel=0.06)  # the cube's edges blur the wedge's
    assert (
        objective.loss(torch.Generator().manual_seed(1))[0]
        == objective.loss(torch.Generator().manual_seed(1))[0]
    )


def test_halves_take_the_places_of_the_recorrupted_pair():
    """Equal halves differ only in the second wedge: the loss is what was cut out, twice.

    That is a third of the power, the share of the missing angles, where no direction is preferred.
    """
    data = gaussian_filter(noise_in_wedge((48, 48, 48), (-60, 60)), 1.5)
    objective = WedgeFilling(config(upright_share=0)).objective(
        Identity(), [prepared(data, target=data)], CPU
    )
    upright = WedgeFilling(config(upright_share=1)).objective(Identity(), [prepared(data, target=data)], CPU)
    generators = [torch.Generator().manual_seed(s) for s in range(16)]
    assert max(float(upright.loss(g)[0]) for g in generators) == 0
    cut_out = np.mean([float(objective.loss(g)[0]) for g in generators])
    assert cut_out == pytest.approx(2 / 3 * data.var(), rel=0.25)


def test_the_first_round_denoises_and_its_result_stays_in_the_measured_region():
    data = noise_in_wedge((40, 40, 40), (-60, 60))
    method = WedgeFilling(config(upright_share=0, round=0))
    first, second = (method.at_round(0).at_round(n) for n in (0, 1))
    halves = prepared(data, target=data)
    losses = [
        float(m.objective(Identity(), [halves], CPU).loss(torch.Generator().manual_seed(0))[0])
        for m in (first, second)
    ]
    assert losses[0] == 0  # patches as they lie, nothing cut out
    assert losses[1] > 0.1 * data.var()
    plain = gaussian_filter(data, 1)
    filled = white_noise((40, 40, 40), np.random.default_rng(1))
    assert first.completed(halves, filled) is filled
    result = second.completed(first.refilled(halves, plain), filled.copy())
    region = measured_region((40, 40, 40), (-60, 60)).numpy()
    r, p, f = (np.fft.fftn(v) for v in (result, plain, filled))
    assert np.abs(r - p)[region].max() < 1e-4 * np.abs(p).max()
    deep = ~measured_region((40, 40, 40), (-66, 66)).numpy()
    assert np.abs(r - f)[deep].max() < 1e-4 * np.abs(f).max()


def test_the_first_round_is_plain_denoising():
    """The same losses, and the same prediction, as the noise model's: the measured region is as good."""
    volume = prepared(noise_in_wedge((32, 32, 32), (-60, 60)))
    first, plain = WedgeFilling(config(round=0, draws=4)), NoiseModel(config(round=0, draws=4))
    objectives = [m.objective(Identity(), [volume], CPU) for m in (first, plain)]
    for seed in range(3):
        losses = [float(o.loss(torch.Generator().manual_seed(seed))[0]) for o in objectives]
        assert losses[0] == losses[1] > 0
    (tile,) = tiles_of((32, 32, 32), tile=32, margin=0, stride=1)
    block = torch.from_numpy(volume.volume.data)
    parts = torch.stack([member(block, tile) for member in first.members(Identity(), volume, CPU, 5)])
    expected = plain.predictor(Identity(), volume, CPU, 5)(block, tile)
    torch.testing.assert_close(parts.mean(0), expected, atol=1e-5, rtol=1e-4)


def test_filling_takes_a_share_of_the_steps_of_denoising():
    first = WedgeFilling(config(round=0, steps=100, filling_share=0.3)).at_round(0)
    assert (first.config.steps, first.at_round(1).config.steps) == (100, 30)
    assert WedgeFilling(config(round=0, steps=1)).at_round(1).config.steps == 1


def test_members_differ_and_their_mean_is_the_prediction():
    method = WedgeFilling(config(draws=4))
    volume = prepared(np.zeros((24, 24, 24)))
    (tile,) = tiles_of((24, 24, 24), tile=24, margin=0, stride=1)
    parts = [member(torch.zeros(24, 24, 24), tile) for member in method.members(Identity(), volume, CPU, 0)]
    assert len(parts) == 4
    torch.testing.assert_close(parts[0], -parts[1])  # opposite draws
    assert not torch.allclose(parts[0], parts[2])
    mean = method.predictor(Identity(), volume, CPU, 0)(torch.zeros(24, 24, 24), tile)
    torch.testing.assert_close(mean, torch.stack(parts).mean(0))


def test_isonet_learns_to_undo_the_cut_and_fills_from_round_to_round():
    data = noise_in_wedge((40, 40, 40), (-60, 60))
    settings = IsoNetConfig(
        patch_side=24, tilt_range_deg=(-60, 60), tilt_axis="y", noise_levels=(0.0, 0.5), steps=1
    )
    first, second = (IsoNet(settings).at_round(n) for n in (0, 1))
    volume = prepared(data)
    losses = [
        np.mean(
            [
                float(m.objective(Identity(), [volume], CPU).loss(torch.Generator().manual_seed(s))[0])
                for s in range(6)
            ]
        )
        for m in (first, second)
    ]
    assert 0 < losses[0] < data.var()
    assert losses[1] - losses[0] == pytest.approx(0.25, rel=0.1)  # the noise that the input got
    filled = first.refilled(volume, 5 * white_noise((40, 40, 40), np.random.default_rng(1))).volume.target
    before, after = (np.fft.fftn(v) for v in (data, filled))
    region = measured_region((40, 40, 40), (-60, 60)).numpy()
    assert np.abs(after - before)[region].max() < 1e-4 * np.abs(before).max()
    assert np.abs(after)[~region].mean() > np.abs(before)[region].mean()


def test_an_emptied_cube_holds_nothing_there():
    cube = torch.randn(16, 16, 16, generator=torch.Generator().manual_seed(0))
    region = measured_region((16, 16, 16), (-60, 60), half=True).float()
    left = torch.fft.rfftn(emptied(cube, region))
    assert left[region == 0].abs().max() < 1e-4
    torch.testing.assert_close(left[region == 1], torch.fft.rfftn(cube)[region == 1], atol=1e-4, rtol=1e-4)
