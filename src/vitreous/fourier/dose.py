"""Radiation damage: how much of each frequency survives an exposure."""

from __future__ import annotations

import torch
from torch import Tensor

LOWER_VOLTAGE_FACTOR = 0.8  # of the critical exposure at 200 kV


def critical_exposure(frequency_per_angstrom: Tensor, voltage_kv: float = 300.0) -> Tensor:
    """N_e(k) = 0.245·k^(-1.665) + 2.81 electrons/Å², after which the amplitude is 1/√e [grant].

    Parameters
    ----------
    frequency_per_angstrom
        |k| in 1/Å, any shape. At k = 0 the critical exposure is infinite.
    voltage_kv
        The curve is that of 300 kV; from 250 kV down it is multiplied by 0.8, the value for 200 kV.

    Examples
    --------
    >>> critical_exposure(torch.tensor([0.0, 0.05, 0.1]))
    tensor([    inf, 38.7337, 14.1383])
    """
    factor = 1.0 if voltage_kv > 250 else LOWER_VOLTAGE_FACTOR
    return factor * (0.245 * frequency_per_angstrom ** (-1.665) + 2.81)


def exposure_damping(
    frequency_per_angstrom: Tensor, dose_e_per_angstrom2: float, voltage_kv: float = 300.0
) -> Tensor:
    """Share of the amplitude left after a dose N: exp(-N / (2·N_e(k))) [grant].

    Parameters
    ----------
    frequency_per_angstrom
        |k| in 1/Å, any shape.
    dose_e_per_angstrom2
        Accumulated dose N in electrons/Å².
    voltage_kv
        See `critical_exposure`.

    Examples
    --------
    >>> exposure_damping(torch.tensor([0.0, 0.1]), 30.0)
    tensor([1.0000, 0.3461])
    """
    return torch.exp(-dose_e_per_angstrom2 / (2 * critical_exposure(frequency_per_angstrom, voltage_kv)))
