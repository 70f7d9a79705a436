"""Free space is found exactly, packing keeps its promises and says when it cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.core import InputError, Interrupted, SilentProgress, Template
from vitreous.simulate import (
    Contents,
    Filaments,
    Gold,
    IceLayer,
    Particles,
    Sheets,
    Vesicles,
    make_gold,
    pack,
)
from vitreous.simulate.free_space import find_free, overlap_counts
from vitreous.simulate.helices import ACTIN, FilamentKind


def ball(name="ball", radius=3.0, spacing=10.0):
    half = int(radius) + 3
    z, y, x = np.ogrid[-half : half + 1, -half : half + 1, -half : half + 1]
    away = np.sqrt(z**2 + y**2 + x**2)
    return Template(name, (3 * np.clip(radius + 0.5 - away, 0, 1)).astype(np.float32), spacing)


def counts_by_loop(region, footprint):
    sides = [r - f + 1 for r, f in zip(region.shape, footprint.shape, strict=True)]
    counts = np.zeros(sides, int)
    for corner in np.ndindex(*sides):
        block = tuple(slice(c, c + f) for c, f in zip(corner, footprint.shape, strict=True))
        counts[corner] = (region[block] & footprint).sum()
    return counts


@settings(max_examples=25, deadline=None)
@given(
    region=st.tuples(*[st.integers(5, 11)] * 3),
    footprint=st.tuples(*[st.integers(1, 5)] * 3),
    seed=st.integers(0, 2**16),
)
def test_the_free_map_equals_a_loop_over_all_positions(region, footprint, seed):
    rng = np.random.default_rng(seed)
    occupied, shape = rng.random(region) < 0.3, rng.random(footprint) < 0.6
    np.testing.assert_array_equal(overlap_counts(occupied, shape), counts_by_loop(occupied, shape))


def test_counts_stay_exact_where_float32_has_the_most_to_add_up():
    rng = np.random.default_rng(0)
    occupied = rng.random((120, 120, 120)) < 0.5
    footprint = np.ones((60, 60, 60), bool)
    sums = np.pad(occupied, ((1, 0),) * 3).astype(np.int64).cumsum(0).cumsum(1).cumsum(2)
    ends = [
        sums[a][:, b][:, :, c]
        for a, b, c in np.ndindex(2, 2, 2)
        for a, b, c in [[(slice(0, 61), slice(60, 121))[i] for i in (a, b, c)]]
    ]
    signs = [(-1) ** (3 - a - b - c) for a, b, c in np.ndindex(2, 2, 2)]
    boxes = sum(sign * end for sign, end in zip(signs, ends, strict=True))
    np.testing.assert_array_equal(overlap_counts(occupied, footprint), boxes)


@pytest.mark.parametrize("overhang", [0, 2])
@pytest.mark.parametrize("tolerance", [0, 3])
def test_free_positions_are_all_drawn_and_no_others(overhang, tolerance):
    rng = np.random.default_rng(3)
    occupied, footprint = rng.random((5, 6, 56)) < 0.3, np.ones((3, 4, 3), bool)  # several regions along x
    padded = np.pad(occupied, overhang)
    expected = {
        tuple(int(i) - overhang for i in corner)
        for corner in np.argwhere(counts_by_loop(padded, footprint) <= tolerance)
    }
    drawn = {
        find_free(occupied, footprint, rng, overhang=(overhang,) * 3, tolerance_voxels=tolerance)
        for _ in range(15 * len(expected) + 50)
    }
    assert drawn == (expected or {None})


def test_the_last_free_place_is_found_and_none_means_none():
    rng = np.random.default_rng(0)
    occupied = np.ones((20, 130, 140), bool)
    footprint = np.ones((3, 3, 3), bool)
    assert find_free(occupied, footprint, rng) is None
    occupied[11:14, 120:123, 77:80] = False
    assert find_free(occupied, footprint, rng) == (11, 120, 77)
    assert find_free(occupied, np.ones((21, 3, 3), bool), rng) is None


def test_draws_are_uniform_within_a_region():
    rng = np.random.default_rng(0)
    occupied, footprint = np.zeros((4, 4, 4), bool), np.ones((2, 2, 2), bool)
    corners = np.array([find_free(occupied, footprint, rng) for _ in range(2700)])
    counts = np.bincount(np.ravel_multi_index(corners.T, (3, 3, 3)), minlength=27)
    assert np.abs(counts - 100).max() < 4 * 10  # 4 standard errors


def test_what_cannot_fit_is_reported_and_warned_of():
    heard = []

    class Listener(SilentProgress):
        def warn(self, text):
            heard.append(text)

    wanted = Contents(particles=(Particles(ball(radius=5), 100),), gold=Gold(1, 500.0))
    model = pack((24, 24, 24), 10.0, wanted, np.random.default_rng(0), Listener())
    balls, gold = model.shortfalls
    assert (balls.name, balls.requested, gold.name, gold.placed) == ("ball", 100, "gold", 0)
    assert 4 <= balls.placed <= 8  # 8 of 11 voxels in a box of 24 if they were placed by hand
    assert len(model.poses) == balls.placed
    assert heard == [f"no room for {100 - balls.placed} of 100 ball", "no room for 1 of 1 gold"]
    # Nothing more fits: no position is free for the same ball.
    solid = ball(radius=5).density > 0.15
    solid = solid[2:-2, 2:-2, 2:-2]
    assert (
        overlap_counts(model.occupancy, solid[solid.any(axis=(1, 2))][:, solid.any(axis=(0, 2))]) > 0
    ).all()


def test_everything_too_large_for_the_box_is_a_shortfall_and_not_an_error():
    huge = FilamentKind("actin", 27.5, -166.6, ACTIN.beads)
    wanted = Contents(
        particles=(Particles(ball(radius=20), 2),),
        vesicles=Vesicles(2, (200.0, 250.0)),
        filaments=(Filaments(huge, 1),),
        gold=Gold(1, 300.0),
    )
    model = pack((16, 20, 24), 10.0, wanted, np.random.default_rng(0))
    assert {t.name for t in model.shortfalls} == {"ball", "vesicle", "gold"}


def test_the_occupancy_asked_for_is_reached():
    wanted = Contents((Particles(ball("a", 4), 2), Particles(ball("b", 2), 1)), particle_occupancy=0.2)
    model = pack((40, 60, 60), 10.0, wanted, np.random.default_rng(0))
    assert not model.shortfalls
    assert model.occupancy.mean() == pytest.approx(0.2, rel=0.06)
    assert model.tallies[0].placed == pytest.approx(2 * model.tallies[1].placed, rel=0.02)


def test_a_gap_is_kept_and_a_tolerance_allows_more_to_fit():
    def packed(**changes):
        wanted = Contents((Particles(ball(radius=3), 400),), **changes)
        return pack((24, 40, 40), 10.0, wanted, np.random.default_rng(0))

    touching, apart, overlapping = packed(), packed(gap_voxels=3), packed(overlap_tolerance_voxels=40)
    for model, least in ((touching, 6.0), (apart, 9.0)):
        places = model.poses.positions_angstrom / 10
        distances = np.linalg.norm(places[:, None] - places, axis=-1)[~np.eye(len(places), dtype=bool)]
        assert distances.min() > least
    assert len(apart.poses) < len(touching.poses) < len(overlapping.poses)


def test_interruption_and_progress():
    class Impatient(SilentProgress):
        steps = total = 0

        def start(self, stage, total, done=0):
            self.total = total

        def advance(self, steps=1, **values):
            self.steps += steps

        def should_stop(self):
            return self.steps >= 3

    progress = Impatient()
    with pytest.raises(Interrupted):
        pack((40, 40, 40), 10.0, Contents((Particles(ball(), 10),)), np.random.default_rng(0), progress)
    assert (progress.steps, progress.total) == (3, 10)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (Contents((Particles(ball(), -1),)), "negative"),
        (Contents((Particles(ball(), 1), Particles(ball(), 1))), "same name"),
        (Contents((Particles(ball("gold"), 1),)), "same name"),
        (Contents((Particles(ball(spacing=8.0), 1),)), "voxels of 8.0 Å"),
        (Contents((Particles(ball(), 1),), particle_occupancy=1.5), "between 0 and 1"),
        (Contents(particle_occupancy=0.2), "needs particles"),
        (Contents(slab_voxels=(10, 60)), "within the 40 planes"),
        (Contents(vesicles=Vesicles(1, (300.0, 200.0))), "smallest first"),
        (Contents(filaments=(Filaments(ACTIN, 1), Filaments(ACTIN, 2))), "each once"),
        (Contents(vesicles=Vesicles(1, deformation=0.5)), "deform by 0 to 0.2"),
        (Contents(sheets=Sheets(1, slope=3.0)), "slope of 0 to 1"),
    ],
)
def test_contradictions_are_refused(contents, message):
    with pytest.raises(InputError, match=message):
        pack((40, 40, 40), 10.0, contents, np.random.default_rng(0))


def test_an_empty_box_and_a_missing_spacing():
    model = pack((8, 9, 10), 10.0, Contents(), np.random.default_rng(0))
    assert not model.density.any()
    assert not model.class_mask.any()
    assert (len(model.poses), model.tallies, model.shortfalls) == (0, (), ())
    with pytest.raises(InputError, match="cannot be packed"):
        pack((8, 8, 8), 0.0, Contents(), np.random.default_rng(0))


def test_sheets_do_not_cross_each_other():
    model = pack((48, 64, 64), 12.0, Contents(sheets=Sheets(4, 0.2)), np.random.default_rng(3))
    alone = [(model.instance_mask == i + 1) for i in range(model.tallies[0].placed)]
    assert len(alone) >= 2
    assert all(mask.sum() > 300 for mask in alone)
    # Labels never meet, as each sheet's solid part reaches further than its label.
    for first in range(len(alone)):
        for second in range(first):
            grown = alone[first].copy()
            for axis in range(3):
                grown |= np.roll(alone[first], 1, axis) | np.roll(alone[first], -1, axis)
            assert not (grown[1:-1, 1:-1, 1:-1] & alone[second][1:-1, 1:-1, 1:-1]).any()


def test_gold_has_its_diameter_and_its_potential():
    bead = make_gold(120.0, 8.0)
    assert bead.density.max() == pytest.approx(25.4, rel=1e-3)
    volume = bead.density.sum() / 25.4 * 8.0**3
    assert (6 * volume / np.pi) ** (1 / 3) == pytest.approx(120.0, rel=0.01)


def test_ice_is_as_thick_as_it_is_described():
    layer = IceLayer(1500.0, gradient=(0.1, -0.05), meniscus_angstrom=200.0, hole_radius_angstrom=1000.0)
    thickness = layer.thickness_map((101, 201), 10.0)
    assert thickness[50, 100] == 1500.0
    assert thickness[100, 100] == pytest.approx(1500 + 500 * 0.1 + 200 * 0.25)
    assert thickness[50, 200] == pytest.approx(1500 - 1000 * 0.05 + 200)
    assert (IceLayer(10.0, (5.0, 5.0)).thickness_map((64, 64), 10.0) >= 0).all()
