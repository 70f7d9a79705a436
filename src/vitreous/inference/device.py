"""Where to compute, and in which precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vitreous.core import InputError


@dataclass(frozen=True)
class ComputeDevice:
    """A torch device, the precision that serves it, and both in words."""

    device: torch.device
    precision: str
    description: str


def choose_device(name: str = "auto") -> ComputeDevice:
    """The device called `name`, or the fastest one for "auto".

    bfloat16 autocast is chosen where the hardware multiplies it natively (CUDA from Ampere on, CPUs
    with AVX-512 BF16 or AMX): there a step takes a fraction of the time and the scores stay the same.

    Raises
    ------
    InputError
        If the device is unknown or not there.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(n for n in ("cuda", "mps", "cpu") if available[n])
    if name not in available:
        raise InputError(f"--device {name} is unknown", remedy="use auto, cpu, cuda or mps")
    if not available[name]:
        raise InputError(f"--device {name} is not available here", remedy="use --device auto or cpu")
    if name == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        label = torch.cuda.get_device_name()
    else:
        fast = name == "cpu" and cpu_multiplies_bfloat16()
        label = f"{torch.get_num_threads()} CPU threads" if name == "cpu" else "Apple GPU"
    precision = "bfloat16" if fast else "float32"
    return ComputeDevice(torch.device(name), precision, f"{label}, {precision}")


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has AVX-512 BF16 or AMX instructions."""
    probes = (getattr(torch.cpu, n, None) for n in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(bool(probe()) for probe in probes if probe is not None)
