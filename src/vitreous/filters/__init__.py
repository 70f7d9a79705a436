"""Classical denoisers of arrays and tensors."""

from vitreous.filters.bilateral import bilateral
from vitreous.filters.linear import gaussian, lowpass, median

__all__ = ["bilateral", "gaussian", "lowpass", "median"]
