"""SC-Net: predict one part of a volume from the rest, with a sparsity constraint."""

from vitreous.methods.sc_net.method import ScNet, ScNetConfig

__all__ = ["ScNet", "ScNetConfig"]
