"""Settings of a model that several volumes share follow what its network sees of them."""

import numpy as np
import torch

from vitreous.core import measure_voxels
from vitreous.inference import choose_device
from vitreous.methods import NoiseModel, NoiseModelConfig
from vitreous.methods.method import PreparedVolume, TrainingVolume, binned
from vitreous.workflows.denoise.model import TrainedModel, prepared_model


def volume(name, seed):
    data = np.random.default_rng(seed).normal(size=(32, 48, 48)).astype(np.float32)
    return TrainingVolume(data, measure_voxels(data).normalization, name=name)


def prepare(self, one):
    """As the noise model does, with a binning that the volume's name tells."""
    power = torch.ones((32, 32, 32))
    binning = self.config.binning or int(one.name)
    if binning == 1:
        return PreparedVolume(one, power, 0.5)
    return PreparedVolume(one, power, 0.5, binning, binned(one, binning), power)


def test_steps_follow_the_weakest_binning_of_all(monkeypatch):
    monkeypatch.setattr(NoiseModel, "prepare", prepare)
    method = NoiseModel(NoiseModelConfig())
    model = TrainedModel(method, torch.nn.Identity(), choose_device("cpu"))
    alone, _ = prepared_model(model, [volume("1", 0), volume("1", 1)], 0)
    shared, prepared = prepared_model(model, [volume("1", 0), volume("2", 1)], 0)
    assert [one.binning for one in prepared] == [1, 1]
    assert shared.method.config.steps == alone.method.config.steps
