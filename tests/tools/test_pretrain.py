"""The tool that makes the shipped weights: it runs from one command, and what it writes fits."""

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from vitreous.methods.warm_start import shipped_weights

TOOL = Path(__file__).parents[2] / "tools" / "pretrain.py"


@pytest.mark.slow
def test_two_steps_write_weights_of_the_shipped_shapes(tmp_path):
    """Three minutes, nearly all of which goes into simulating what is trained on."""
    subprocess.run([sys.executable, TOOL, tmp_path, "--steps", "2"], check=True, capture_output=True)
    made = load_file(tmp_path / "unet.safetensors")
    assert {k: v.shape for k, v in made.items()} == {k: v.shape for k, v in shipped_weights().items()}
    assert (tmp_path / "unet.safetensors").stat().st_size < 1_000_000
