"""NMSG: learn the noise of a volume adversarially, add it, and train a network to take it off."""

from vitreous.methods.nmsg.config import NmsgConfig
from vitreous.methods.nmsg.method import Nmsg

__all__ = ["Nmsg", "NmsgConfig"]
