"""The denoiser that DUAL's simulation teaches after the game."""

import numpy as np
import pytest
import torch

from vitreous.core import Interrupted, Normalization, SilentProgress
from vitreous.inference import Tile
from vitreous.methods import Dual, DualConfig, PreparedVolume
from vitreous.methods.dual.networks import DualNetworks
from vitreous.methods.dual.student import StudentObjective
from vitreous.training import CheckpointStore, TrainingVolume, step_generator

AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
TINY = {"width": 2, "judge_width": 2, "levels": 1, "patch_side": 16, "steps": 6}
STUDENT = {"student_ratio": 1.0, "student_width": 4, "student_side": 16}
CPU = torch.device("cpu")


def blobs(side=40):
    """A standardized density of balls."""
    grid = np.indices((side,) * 3)
    density = np.zeros((side,) * 3, np.float32)
    for centre in np.random.default_rng(0).uniform(0, side, (25, 3)):
        density[((grid - centre[:, None, None, None]) ** 2).sum(0) < 16] = 1
    density = (density - density.mean()) / density.std()
    return TrainingVolume(density.astype(np.float32), AS_IS, name="blobs", voxel_spacing_angstrom=10.0)


def taught(seed=0, store=None, progress=None, **changes):
    """Networks whose simulation is right from the start: the density, and white noise as strong."""
    config = DualConfig(**{**TINY, **STUDENT, **changes}, voxel_spacing_angstrom=10.0)
    method = Dual(config, clean=[blobs()])
    network = method.build_network(seed)
    with torch.no_grad():
        network.structural.head.weight.zero_()
        network.structural.head.bias.zero_()
    network.noise_power.fill_(0.5)
    network.signal_transfer.fill_(0.5**0.5)
    volume = PreparedVolume(blobs(), torch.full((16, 16, 16), 0.5), 0.5)
    record = method.finish(network, [volume], CPU, 3, progress or SilentProgress(), store)
    return method, network, record


def test_masks_of_any_shape_are_white_and_keep_their_histogram():
    """Correlation of neighbours within 4 standard errors of 0; mean and variance as the masks have."""
    network = DualNetworks(DualConfig(**TINY))
    first, second = (
        network.masks_for(2, (24, 20, 16), torch.Generator().manual_seed(seed)) for seed in (0, 1)
    )
    again = network.masks_for(2, (24, 20, 16), torch.Generator().manual_seed(0))
    assert first.shape == (2, 1, 24, 20, 16)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    for axis in (2, 3, 4):
        pairs = first.detach()[:, 0].double().movedim(axis - 1, 0)
        shifted = (pairs[1:] * pairs[:-1]).mean()
        assert abs(float(shifted)) < 4 / (first.numel() / 2) ** 0.5
    assert float(first.detach().mean()) == pytest.approx(0, abs=0.05)
    assert float(first.detach().var()) == pytest.approx(1, abs=0.05)


def test_a_student_of_a_right_simulation_beats_every_scaling_of_its_input():
    """On a new draw of the noise: less than 0.8 of the error of the best multiple of the tomogram."""
    _, network, record = taught(student_ratio=40.0)
    assert len(record.losses) == 240
    density = torch.from_numpy(blobs().data)[None, None, :32, :32, :32]
    with torch.no_grad():
        noisy = network.tomogram(density, network.masks_for(1, (32,) * 3, torch.Generator().manual_seed(9)))
        found = network(noisy)
    scaled = noisy * (density * noisy).sum() / noisy.square().sum()
    assert float((found - density).square().mean()) < 0.8 * float((scaled - density).square().mean())


def test_the_networks_of_the_game_stay_as_they_are():
    before = taught(student_ratio=0.2)[1].state_dict()
    after = taught(student_ratio=1.0)[1].state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("student.") for name in changed)


@pytest.mark.parametrize("stop", [1, 4])
def test_a_stopped_student_ends_with_the_same_bytes(tmp_path, stop):
    class Stopping(SilentProgress):
        left = stop

        def should_stop(self):
            self.left -= 1
            return self.left < 0

    whole = taught()[1].state_dict()
    with pytest.raises(Interrupted):
        taught(store=CheckpointStore(tmp_path), progress=Stopping())
    resumed = taught(store=CheckpointStore(tmp_path))[1].state_dict()
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_the_student_predicts_and_the_papers_recipe_has_none():
    method, network, _ = taught()
    block = torch.from_numpy(blobs().data[:16, :16, :16].copy())
    tile = Tile((0, 8, 8), (16, 16, 16), (slice(16),) * 3, (slice(16),) * 3)
    found = method.predictor(network, PreparedVolume(blobs()), CPU, 0)(block, tile)
    with torch.no_grad():
        turned = network.student(block.flip((1, 2))[None, None])[0, 0].flip((1, 2))
    torch.testing.assert_close(found, turned)
    method, network, record = taught(student_ratio=0.0)
    assert (network.student, record.losses) == (None, ())
    assert DualConfig.paper().student_ratio == 0
    found = method.predictor(network, PreparedVolume(blobs()), CPU, 0)(block, tile)
    with torch.no_grad():
        torch.testing.assert_close(found, network.denoiser(block[None, None])[0, 0])


def test_the_student_learns_from_mirror_images_of_what_is_simulated():
    """Over the draws its patches are mirrored along every axis, density and tomogram alike."""
    config = DualConfig(**{**TINY, **STUDENT}, voxel_spacing_angstrom=10.0)
    network = Dual(config).build_network(0)
    network.noise_power.fill_(0.0)
    network.signal_transfer.fill_(1.0)
    slope = np.arange(16, dtype=np.float32)
    ramps = (slope[:, None, None] + 20 * slope[:, None] + 400 * slope).reshape(16, 16, 16)
    volume = TrainingVolume(ramps, AS_IS, name="ramps", voxel_spacing_angstrom=10.0)
    objective = StudentObjective(network, [volume], config, CPU)
    objective.simulated = lambda patch, _: patch.values[None, None]  # the density itself
    objective.mean, objective.deviation, seen = 0.0, 1.0, []
    objective.network = lambda shown: seen.append(shown[0, 0]) or shown
    for step in range(40):
        loss, _ = objective.loss(step_generator(0, step))
        assert float(loss) == 0  # what is shown is mirrored with what is asked for
    steps = {tuple(float(s.diff(dim=axis).median().sign()) for axis in range(3)) for s in seen}
    assert len(steps) == 8
