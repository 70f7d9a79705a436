"""Phantoms: the same for the same seed, packed, and without overlap."""

import numpy as np
import pytest

from vitreous.simulate import make_phantom
from vitreous.simulate.phantom import _place

SHAPE = (48, 56, 64)


def test_same_seed_same_bytes_other_seed_other_phantom():
    first, again, other = (make_phantom(SHAPE, particles=40, seed=s) for s in (3, 3, 4))
    assert first.density.tobytes() == again.density.tobytes()
    np.testing.assert_array_equal(first.particles, again.particles)
    assert np.abs(first.density - other.density).max() > 0.1


def test_masks_say_where_the_density_is():
    phantom = make_phantom(SHAPE, particles=40, seed=0)
    assert phantom.density.dtype == np.float32
    assert phantom.density.shape == SHAPE
    assert phantom.density.min() >= 0
    assert phantom.density.max() == 1
    assert not (phantom.particles & phantom.membrane).any()
    outside = ~(phantom.particles | phantom.membrane)
    for inside in (phantom.particles, phantom.membrane):
        assert inside.any()
        assert phantom.density[inside].mean() > 10 * phantom.density[outside].mean()
    assert phantom.occupancy == pytest.approx(1 - outside.mean())


def test_a_crowded_phantom_fills_at_least_thirty_percent():
    assert make_phantom((120, 120, 120), particles=5000, seed=0).occupancy >= 0.30


def test_more_particles_fill_more_room_and_the_membrane_can_be_left_out():
    shares = [make_phantom(SHAPE, particles=n, seed=0, membrane=False).occupancy for n in (8, 40, 200)]
    assert 0 < shares[0] < shares[1] < shares[2]
    assert not make_phantom(SHAPE, particles=8, seed=0, membrane=False).membrane.any()


def test_placed_copies_do_not_overlap():
    cube = np.zeros((11, 11, 11), np.float32)
    cube[2:9, 2:9, 2:9] = 1
    density, occupied = np.zeros((40, 40, 40), np.float32), np.zeros((40, 40, 40), bool)
    occupied[:, :, :8] = True  # a membrane, say
    _place([cube], 60, density, occupied, np.random.default_rng(0))
    copies = density.sum() / 7**3
    assert copies == round(copies)
    assert 10 <= copies <= 60
    assert density.max() == 1  # an overlap would add up to 2
    assert density[:, :, :8].max() == 0
    np.testing.assert_array_equal(occupied, (density > 0) | (np.arange(40) < 8))


def test_nothing_asked_for_gives_nothing():
    phantom = make_phantom((40, 40, 40), particles=0, seed=0, membrane=False)
    assert (phantom.density == 0).all()
    assert phantom.occupancy == 0


def test_a_volume_too_small_is_refused():
    with pytest.raises(ValueError, match="at least 40"):
        make_phantom((40, 39, 40), particles=1, seed=0)
