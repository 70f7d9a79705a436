"""`blindspot-speed`: training throughput of the three forms of the blind-spot network, in one run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median

import torch

from vitreous.benchmark.runner import Record, Row
from vitreous.inference import choose_device
from vitreous.methods.blindspot import BlindSpotConfig, build_network
from vitreous.methods.method import placed
from vitreous.report import TableSection

SIDE = 54
WIDTH = 24
REPEATS = 3
FORMS = {
    "paper, dilated": BlindSpotConfig(backbone="volume-shuffle-dilated"),
    "paper, lattice": BlindSpotConfig(backbone="volume-shuffle"),
    "default U-Net": BlindSpotConfig(width=WIDTH),
}


def speed_rows() -> Iterator[Row]:
    """Every precision of this machine; forms are timed in turns, so that other load hits all alike."""
    compute = choose_device("auto")
    for precision in dict.fromkeys(("float32", compute.precision)):
        yield Row({"precision": precision}, partial(time_forms, compute.device, precision))


def time_forms(device: torch.device, precision: str) -> Record:
    """Median training seconds per step of each form on one patch, and thousands of voxels per second."""
    torch.manual_seed(0)
    patch = torch.randn(1, 1, SIDE, SIDE, SIDE, device=device)
    networks = {name: placed(build_network(config), device).train() for name, config in FORMS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for repeat in range(REPEATS + 1):
        for name, network in networks.items():
            begun = time.monotonic()
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = (network(patch).float() - patch).square().mean()
            loss.backward()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if repeat:  # the first one warms up
                seconds[name].append(time.monotonic() - begun)
    middle = {name: median(values) for name, values in seconds.items()}
    slowest = middle["paper, dilated"]
    return {
        "side": SIDE,
        "seconds": middle,
        "kilovoxels_per_second": {name: SIDE**3 / 1000 / s for name, s in middle.items()},
        "ratio": {name: slowest / s for name, s in middle.items()},
    }


def summarize(records: Sequence[Record]) -> list[TableSection]:
    """One table per precision."""
    tables = []
    for r in records:
        rows = [
            [
                name,
                f"{r['seconds'][name]:.2f}",
                f"{r['kilovoxels_per_second'][name]:.0f}",
                f"{r['ratio'][name]:.1f} ×",
            ]
            for name in FORMS
        ]
        title = f"One training step on {r['side']}³ voxels, width {WIDTH}, {r['precision']}"
        header = ("form", "seconds", "1000 voxels/s", "against dilated")
        tables.append(TableSection(title, header=header, rows=rows))
    return tables
