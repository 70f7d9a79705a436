"""Phantoms, projection and reconstruction: data with known ground truth."""

from vitreous.simulate.noise import reconstructed_noise, wedge_filtered, white_noise
from vitreous.simulate.phantom import Phantom, make_phantom
from vitreous.simulate.projection import TiltGeometry

__all__ = ["Phantom", "TiltGeometry", "make_phantom", "reconstructed_noise", "wedge_filtered", "white_noise"]
