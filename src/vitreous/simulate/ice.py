"""The layer of ice around everything: how thick it is where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class IceLayer:
    """Ice in a hole: a wedge, thinner in the middle of the hole than at its rim.

    Parameters
    ----------
    thickness_angstrom
        At the middle of the field of view.
    gradient
        (y, x) change of thickness per distance, Å per Å; 0.02 is 20 nm over a micrometre.
    meniscus_angstrom
        How much thicker than in its middle the ice is at the rim of the hole.
    hole_radius_angstrom
        Radius of the hole; its middle is the middle of the field of view.
    """

    thickness_angstrom: float
    gradient: tuple[float, float] = (0.0, 0.0)
    meniscus_angstrom: float = 0.0
    hole_radius_angstrom: float = 6000.0

    def thickness_map(self, shape: Sequence[int], pixel_spacing_angstrom: float) -> NDArray[np.float32]:
        """Thickness in Å over the field of view.

        Parameters
        ----------
        shape
            (y, x) in pixels.
        pixel_spacing_angstrom
            Edge of a pixel in Å.

        Returns
        -------
        (y, x) float32; never negative.

        Examples
        --------
        >>> IceLayer(1000.0, gradient=(0.0, 0.1)).thickness_map((1, 3), 100.0).tolist()
        [[990.0, 1000.0, 1010.0]]
        """
        rows, columns = ((np.arange(side) - (side - 1) / 2) * pixel_spacing_angstrom for side in shape)
        y, x = rows[:, None], columns[None]
        wedge = self.gradient[0] * y + self.gradient[1] * x
        meniscus = self.meniscus_angstrom * (y**2 + x**2) / self.hole_radius_angstrom**2
        thickness: NDArray[np.float32] = np.maximum(self.thickness_angstrom + wedge + meniscus, 0).astype(
            np.float32
        )
        return thickness
