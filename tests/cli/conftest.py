import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflows"))

from small_fixtures import blobs, run, server, small, spawn, tomogram  # noqa: F401


@pytest.fixture(autouse=True)
def one_thread():
    """As many threads as the child processes use: sums over threads round differently."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
