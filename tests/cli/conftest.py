import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflows"))

from small_fixtures import blobs, run, server, small, spawn, tomogram  # noqa: F401
