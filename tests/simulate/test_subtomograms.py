"""Single subtomograms: their physics against the full simulation, SNR, masks, poses, seeds."""

import numpy as np
import pytest

from vitreous.benchmark.averaging import (
    average,
    highest_fine_fsc,
    lowest_fsc,
    unrotated_average,
    wrong_templates,
)
from vitreous.core import InputError, Poses
from vitreous.simulate import (
    Detector,
    ImagingSettings,
    SubtomogramSet,
    SubtomogramSettings,
    SubtomogramSimulator,
    TiltScheme,
    Which,
    bead_model,
    image,
    template_from_beads,
    weighted_back_projection,
)
from vitreous.simulate.canvas import LABEL_SHARE, Piece
from vitreous.simulate.rotation import make_turnable, random_rotation, turn
from vitreous.simulate.surroundings import reach_of, surround

SPACING = 10.0
NAMES = ("phantom:rubisco", "phantom:ldh")


@pytest.fixture(scope="module")
def templates():
    return [template_from_beads(bead_model(name), SPACING) for name in NAMES]


@pytest.fixture(scope="module")
def simulator(templates):
    return SubtomogramSimulator(templates, SubtomogramSettings(count=8))


@pytest.fixture(scope="module")
def made(simulator):
    return SubtomogramSet.of(simulator, simulator.all, simulator.make_many(simulator.all, workers=2))


def test_defaults_are_those_of_vox_uda():
    settings = SubtomogramSettings()
    assert (settings.side, settings.voxel_spacing_angstrom, settings.count) == (32, 10.0, 500)
    assert (settings.snrs, settings.neighbours, settings.defocus_um) == ((0.03, 0.05), 4, 5.0)
    assert (settings.optics.voltage_kv, settings.optics.spherical_aberration_mm) == (300.0, 2.0)
    tilts = settings.tilts.acquisition_order()
    assert (min(tilts), max(tilts)) == (-60, 60)


@pytest.mark.parametrize("defocus", [5.0, None])
def test_it_is_what_the_full_simulation_makes(templates, defocus):
    """Against `image`, which gives every voxel its own defocus: within 0.5 %."""
    settings = SubtomogramSettings(defocus_um=defocus, tilts=TiltScheme(step_deg=6))
    simulator = SubtomogramSimulator(templates, settings)
    rng = np.random.default_rng(3)
    turnables = [make_turnable(t) for t in templates]
    target = Piece.of_density(turn(turnables[0], random_rotation(rng), np.zeros(3)))
    scene = surround(target, 32, turnables, 4, rng).density
    own = simulator._reconstructed(simulator._images(scene))
    margin = 20
    series = image(
        np.pad(scene, margin),
        SPACING,
        ImagingSettings(
            defocus_um=defocus,
            tilts=settings.tilts,
            optics=settings.optics,
            radiation_damage=False,
            detector=Detector(mtf_at_nyquist=1),
        ),
    )
    whole = weighted_back_projection(series.noise_free, series.tilt_angles_deg, len(scene) + 2 * margin)
    first = (len(whole) - 32) // 2
    full = whole[(slice(first, first + 32),) * 3]
    assert np.linalg.norm(own - full) < 5e-3 * np.linalg.norm(full)
    assert np.corrcoef(own.ravel(), full[::-1].ravel())[0, 1] < 0.9


def test_snr_is_the_one_asked_for(made):
    """Exactly but for rounding; in decibels it would be 1.007 and 1.012."""
    noise = made.densities.astype(np.float64) - made.noise_free
    snr = made.noise_free.var(axis=(1, 2, 3), dtype=np.float64) / noise.var(axis=(1, 2, 3))
    np.testing.assert_allclose(snr, made.requested_snrs, rtol=1e-3)
    np.testing.assert_allclose(made.snrs, snr, rtol=1e-3)
    assert made.requested_snrs.tolist() == ([0.03] * 8 + [0.05] * 8) * 2


def test_noise_went_through_the_reconstruction(made):
    """Little of it in the missing wedge, and elsewhere it grows with the frequency across the tilt axis."""
    noise = made.densities - made.noise_free
    power = (np.abs(np.fft.rfftn(noise * np.hanning(32)[:, None, None], axes=(1, 2, 3))) ** 2).mean(axis=0)
    k = np.fft.fftfreq(32)
    kz, _, kx = np.meshgrid(k, k, np.fft.rfftfreq(32), indexing="ij")
    ring = (np.hypot(kz, kx) > 0.15) & (np.hypot(kz, kx) < 0.45)
    angle = np.rad2deg(np.arctan2(np.abs(kz), kx))
    measured, missing = power[ring & (angle < 50)].mean(), power[ring & (angle > 75)].mean()
    assert missing < 0.05 * measured
    shells = [
        power[(np.hypot(kz, kx) > a) & (np.hypot(kz, kx) < a + 0.08) & (angle < 45)].mean()
        for a in (0.05, 0.15, 0.3)
    ]
    np.testing.assert_allclose(np.array(shells) / shells[1], np.array([0.09, 0.19, 0.34]) / 0.19, rtol=0.2)


def test_noise_is_independent_between_subtomograms(made):
    noise = (made.densities - made.noise_free).reshape(len(made), -1)
    correlations = np.corrcoef(noise)[np.triu_indices(len(made), 1)]
    assert abs(correlations.mean()) < 4 * correlations.std() / np.sqrt(len(correlations))
    assert np.abs(correlations).max() < 0.1


def test_protein_is_dark_unless_inverted(templates, made):
    # The CTF lets hardly anything through at the lowest frequencies: inside against just outside.
    inside = made.masks.astype(bool)
    assert made.noise_free[inside].mean() < made.noise_free[~inside].mean()
    inverted = SubtomogramSimulator(templates, SubtomogramSettings(invert=True))
    np.testing.assert_allclose(inverted.make(Which(1, 0, 3)).noise_free, -made.noise_free[19], atol=1e-9)


def test_masks_are_of_the_target_alone(templates, made):
    """Rebuilt from the poses: exactly a quarter of the turned density's maximum."""
    turnables = [make_turnable(t) for t in templates]
    middle = 16
    for n in range(len(made)):
        position = made.poses.positions_angstrom[n] / SPACING
        assert np.abs(position - middle).max() <= 0.5
        turnable = turnables[made.classes[n] - 1]
        density = turn(turnable, made.poses.rotations[n], position - middle)
        mask = np.zeros((32,) * 3, bool)
        first = middle - turnable.side // 2
        mask[(slice(first, first + turnable.side),) * 3] = density >= LABEL_SHARE * density.max()
        np.testing.assert_array_equal(made.masks[n], mask)


def test_neighbours_are_there_and_overlap_nothing(templates):
    turnables = [make_turnable(t) for t in templates]
    rng = np.random.default_rng(0)
    chosen = []
    for _ in range(20):
        target = Piece.of_density(turn(turnables[0], random_rotation(rng), np.zeros(3)))
        scene = surround(target, 32, turnables, 4, rng)
        assert len(scene.neighbours) == 4
        assert len(scene.density) == 32 + 2 * reach_of(turnables)
        # What overlapped would be lost: all the mass is there but for the faint rims that touch.
        expected = target.density.sum() + sum(templates[n].density.sum() for n in scene.neighbours)
        assert scene.density.sum() == pytest.approx(expected, rel=0.02)
        chosen += scene.neighbours
    assert 20 < sum(chosen) < 60  # of 80: both kinds


def test_poses_and_neighbours_are_random(made):
    directions = made.poses.rotations[:, :, 0]
    assert np.abs(directions.mean(axis=0)).max() < 4 / np.sqrt(3 * len(made))
    assert len({tuple(p) for p in made.poses.positions_angstrom}) == len(made)
    assert {len(names) for names in made.neighbours} == {4}
    assert {name for names in made.neighbours for name in names} == set(NAMES)


def test_no_room_for_neighbours(templates):
    turnables = [make_turnable(t) for t in templates]
    target = Piece.of_density(np.ones((2 * reach_of(turnables) + 32,) * 3, np.float32))
    scene = surround(target, 32, turnables, 4, np.random.default_rng(0))
    assert scene.neighbours == ()
    assert scene.mask.all()


def test_the_same_one_whatever_the_order(simulator, made, templates):
    alone = simulator.make(Which(1, 1, 5))
    n = simulator.all.index(Which(1, 1, 5))
    assert alone.density.tobytes() == made.densities[n].tobytes()
    # A larger set begins with the smaller one, and another seed gives another set.
    larger = SubtomogramSimulator(templates, SubtomogramSettings(count=50))
    assert larger.make(Which(1, 1, 5)).density.tobytes() == alone.density.tobytes()
    other = SubtomogramSimulator(templates, SubtomogramSettings(seed=1)).make(Which(1, 1, 5))
    assert np.abs(other.rotation - alone.rotation).max() > 0.1


def test_average_of_subtomograms_is_the_structure():
    """Without a CTF, FSC at least 0.9 to half Nyquist, below 0.5 for mirrored and exchanged axes."""
    template = template_from_beads(bead_model("phantom:ribosome"), SPACING)
    settings = SubtomogramSettings(side=46, count=40, snrs=(5.0,), neighbours=1, defocus_um=None, invert=True)
    simulator = SubtomogramSimulator([template], settings)
    made = SubtomogramSet.of(simulator, simulator.all, simulator.make_many(simulator.all))
    cut = average(
        unrotated_average(one, made.poses.select(np.array([n])), SPACING, template.side)
        for n, one in enumerate(made.densities)
    )
    assert lowest_fsc(cut, template.density) >= 0.9
    for name, wrong in wrong_templates(template.density).items():
        assert highest_fine_fsc(cut, wrong) < 0.5, name


def test_a_set_survives_the_way_through_arrays(made):
    again = SubtomogramSet.from_arrays(made.to_arrays())
    assert again.densities.tobytes() == made.densities.tobytes()
    assert (again.neighbours, again.poses.names) == (made.neighbours, made.poses.names)
    assert isinstance(again.poses, Poses)


@pytest.mark.parametrize("side", [19, 33])
def test_odd_sides_and_asymmetric_tilts(templates, side):
    settings = SubtomogramSettings(
        side=side, tilts=TiltScheme(lowest_deg=-40, highest_deg=55, step_deg=5), snrs=(1.0,)
    )
    one = SubtomogramSimulator(templates[1:], settings).make(Which(0, 0, 0))
    assert one.density.shape == one.mask.shape == (side,) * 3
    assert np.abs(one.position_voxel - side // 2).max() <= 0.5
    centre = np.argwhere(one.mask).mean(axis=0)
    assert np.abs(centre - one.position_voxel).max() < 1


def test_what_makes_no_sense_is_refused(templates):
    for settings, words in (
        (SubtomogramSettings(side=8), "does not fit"),
        (SubtomogramSettings(voxel_spacing_angstrom=5.0), "has voxels of"),
        (SubtomogramSettings(snrs=(0.1, 0.1)), "SNR"),
        (SubtomogramSettings(snrs=(0.0,)), "SNR"),
        (SubtomogramSettings(snrs=(float("nan"),)), "SNR"),
    ):
        with pytest.raises(InputError, match=words):
            SubtomogramSimulator(templates, settings)
    for few in ([], [templates[0], templates[0]]):
        with pytest.raises(InputError, match="different names"):
            SubtomogramSimulator(few)
