"""Fixtures of the tests that run the whole command line."""

import multiprocessing
import os
import sys
import time
from multiprocessing import forkserver

import numpy as np
import pytest
import small_vitreous

import vitreous
from vitreous.cli import main as command


def wait_for(condition, process, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and process.is_alive() and time.monotonic() < end:
        time.sleep(0.005)


@pytest.fixture(scope="session")
def blobs():
    """A thin noisy volume of 12 × 20 × 17 voxels with some large structure."""
    z, y, x = np.ogrid[:12, :20, :17]
    signal = 2.0 * ((z - 6) ** 2 + (y - 9) ** 2 + (x - 8) ** 2 < 30)
    return (5 + signal + np.random.default_rng(7).normal(size=(12, 20, 17))).astype(np.float32)


@pytest.fixture
def tomogram(tmp_path, blobs):
    return vitreous.write_volume(tmp_path / "tomogram.mrc", vitreous.Volume(blobs, (10.0, 10.0, 10.0)))


@pytest.fixture
def small(monkeypatch):
    small_vitreous.shrink(lambda d, k, v: monkeypatch.setitem(d, k, v), monkeypatch.setattr)


@pytest.fixture
def run(small, monkeypatch, capsys):
    """Run a command line here; gives exit code, stdout and stderr."""

    def go(*words):
        monkeypatch.setattr(sys, "argv", ["vitreous", *map(str, words)])
        capsys.readouterr()
        try:
            command.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return go


@pytest.fixture(scope="session")
def server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["small_vitreous"])
    with pytest.MonkeyPatch.context() as patch:
        # Python 3.11 does not hand its search path to the server, and says nothing when a preload fails.
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("OMP_NUM_THREADS", "1")
        forkserver.ensure_running()
    return context


@pytest.fixture
def spawn(server, tmp_path):
    """Start a command line in a process of its own, which can be killed."""
    started = []

    def go(*words, deadly=None):
        log = tmp_path / f"log{len(started)}"
        log.mkdir()
        process = server.Process(target=small_vitreous.call, args=(words, log, deadly))
        process.log = log
        process.start()
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.join()
