"""The command line with tiny networks, for tests that run it whole, and kill it.

`call` is what a child process of a fork server runs: torch is imported once, so that a child starts at once.
"""

import itertools
import os
import signal
import sys
from functools import partial
from pathlib import Path

import torch

import vitreous.cli.main
import vitreous.training.loop
import vitreous.workflows.annotate.alignment
import vitreous.workflows.annotate.confirm
import vitreous.workflows.annotate.decoys
import vitreous.workflows.annotate.network
import vitreous.workflows.demo
import vitreous.workflows.denoise_files
from vitreous.methods import (
    LEARNED,
    WEDGE,
    BlindSpot,
    BlindSpotConfig,
    Dual,
    DualConfig,
    Noise2Noise,
    NoiseModel,
    NoiseModelConfig,
    PairConfig,
)
from vitreous.methods.n2v import Noise2Void, Noise2VoidConfig
from vitreous.methods.nmsg import Nmsg, NmsgConfig
from vitreous.methods.sc_net import ScNet, ScNetConfig
from vitreous.methods.supervised import DnCnn, DnCnnConfig, FfdNet, FfdNetConfig, VNet, VNetConfig
from vitreous.methods.wedge import (
    FillingConfig,
    IsoNet,
    IsoNetConfig,
    TransposedConfig,
    TransposedDomains,
    WedgeFilling,
)
from vitreous.workflows.annotate.boxes import QUICK

SIMULATED = {"patch_side": 16, "width": 4, "batch": 1, "steps": 6, "boxes": 1, "box_side": 24}
TINY = {"patch_side": 16, "width": 4, "batch": 1, "levels": 1, "steps": 6}
TINY_DUAL = TINY | {
    "width": 2,
    "judge_width": 2,
    "box_side": 32,
    "boxes": 1,
    "student_ratio": 1,
    "student_width": 4,
    "student_side": 16,
}
SMALL = {
    "noise-model": (
        NoiseModel,
        partial(NoiseModelConfig, patch_side=16, width=4, batch=1, draws=2, levels=1, steps=6),
    ),
    "blindspot": (BlindSpot, partial(BlindSpotConfig, patch_side=24, width=4, levels=0, steps=6)),
    "n2n": (Noise2Noise, partial(PairConfig, patch_side=16, width=4, batch=1, levels=1, steps=6)),
    "n2v": (Noise2Void, partial(Noise2VoidConfig, **TINY)),
    "sc-net": (ScNet, partial(ScNetConfig, **TINY)),
    "nmsg": (Nmsg, partial(NmsgConfig, noise_side=12, noise_batch=1, draws=2, **TINY)),
    "dncnn": (DnCnn, partial(DnCnnConfig, depth=3, **SIMULATED)),
    "ffdnet": (FfdNet, partial(FfdNetConfig, depth=3, **SIMULATED)),
    "dual": (Dual, partial(DualConfig, **TINY_DUAL)),
    "vnet": (VNet, partial(VNetConfig, levels=1, **SIMULATED)),
}

SMALL_WEDGE = {
    "noise-model": (WedgeFilling, partial(FillingConfig, draws=2, **TINY)),
    "isonet": (IsoNet, partial(IsoNetConfig, noise_levels=(0.0, 0.1), **TINY)),
    "dual": (TransposedDomains, partial(TransposedConfig, side=16, judge_width=2, draws=2, **TINY)),
}


def shrink(setitem, setattribute):
    """Make networks and the demonstration tiny and checkpoints frequent."""
    for name, entry in SMALL.items():
        setitem(LEARNED, name, entry)
    for name, entry in SMALL_WEDGE.items():
        setitem(WEDGE, name, entry)
    setattribute(vitreous.training.loop, "CHECKPOINT_SECONDS", 0.0)
    setattribute(vitreous.training.loop, "SNAPSHOT_STEPS", 2)
    setattribute(vitreous.workflows.demo, "STEPS", 6)
    setattribute(vitreous.workflows.demo, "STRUCTURES", ("phantom:rubisco", "phantom:tric"))
    for name, value in (("SPECIMENS", 1), ("ROOM", 1.25), ("WIDTH", 4)):
        setattribute(vitreous.workflows.annotate.network, name, value)
    setattribute(vitreous.workflows.annotate.confirm, "THOROUGH", QUICK)
    setattribute(vitreous.workflows.annotate.alignment, "ELSEWHERE", 8)
    setattribute(vitreous.workflows.annotate.confirm, "COMPARED", 8)
    setattribute(vitreous.workflows.annotate.decoys, "strangers", lambda *_: [])
    setattribute(vitreous.workflows.annotate.decoys, "OF_LIKE_MASS", 0)
    setattribute(vitreous.workflows.demo, "PRESET", str(Path(__file__).with_name("small_demo.toml")))


def call(words, log, deadly=None):
    """Run `vitreous WORDS` with stdout and stderr in files.

    `deadly`: end without a word at that event, where every rename is two: just before and just after.
    """
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(log / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    shrink(dict.__setitem__, setattr)
    if deadly is not None:
        events = itertools.count()
        os.rename, os.replace = (partial(_deadly, f, events, deadly) for f in (os.rename, os.replace))
    sys.argv = ["vitreous", *map(str, words)]
    vitreous.cli.main.main()


def _deadly(rename, events, deadly, *arguments, **options):
    if next(events) == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(*arguments, **options)
    if next(events) == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
