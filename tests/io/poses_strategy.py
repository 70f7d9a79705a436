"""Poses for property tests, and comparison of them."""

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vitreous.core import Poses

SHAPE, SPACING = (40, 61, 80), 7.5
NAMES = ("pdb:1bxn", "phantom:ribosome", "5mrc")


@st.composite
def poses(draw, names=NAMES, max_size=6):
    """A few poses, some of them where Euler angles are degenerate."""
    count = draw(st.integers(0, max_size))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    matrices = []
    for _ in range(count):
        if draw(st.booleans()):
            matrices.append(Rotation.random(random_state=rng).as_matrix())
        else:
            angles = [draw(st.sampled_from([0.0, 90.0, 180.0, -90.0, 1e-7, 33.3])) for _ in range(3)]
            matrices.append(Rotation.from_euler("ZYZ", angles, degrees=True).as_matrix())
    positions = rng.uniform(0, 1, (count, 3)) * (np.array(SHAPE) - 1) * SPACING
    chosen = tuple(draw(st.sampled_from(names)) for _ in range(count))
    labels = rng.permutation(np.arange(1, 3 * count + 1))[:count]
    return Poses(np.array(matrices).reshape(-1, 3, 3), positions, chosen, labels)


def assert_same(first, second, *, rotation=0.0, position_angstrom=0.0):
    assert first.names == second.names
    np.testing.assert_array_equal(first.instances, second.instances)
    np.testing.assert_allclose(first.rotations, second.rotations, rtol=0, atol=rotation)
    np.testing.assert_allclose(
        first.positions_angstrom, second.positions_angstrom, rtol=0, atol=position_angstrom
    )
