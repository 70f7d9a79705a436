"""Transposed domains: regions, losses in closed form, and what is left of the measured region."""

import numpy as np
import pytest
import torch

from vitreous.core import Normalization, SilentProgress
from vitreous.fourier import measured_region
from vitreous.methods import PreparedVolume
from vitreous.methods.wedge import TransposedConfig, TransposedDomains
from vitreous.methods.wedge.transposed import TranslationObjective, TransposedNetworks
from vitreous.simulate import wedge_filtered, white_noise
from vitreous.training import TrainingSettings, TrainingVolume, train

CPU = torch.device("cpu")
AS_IS = Normalization(0.0, 1.0, -np.inf, np.inf)
TINY = {"width": 4, "levels": 1, "judge_width": 2, "side": 16, "patch_side": 16, "batch": 1, "steps": 4}


def settings(axis="y", **more):
    return TransposedConfig(tilt_range_deg=(-60, 60), tilt_axis=axis, **{**TINY, **more})


def noise(axis=1, side=32):
    data = wedge_filtered(white_noise((side,) * 3, np.random.default_rng(0)), (-60, 60))
    return data if axis == 1 else np.ascontiguousarray(data.transpose(0, 2, 1))


def prepared(data):
    spectrum = measured_region((16, 16, 16), (-60, 60)).float()
    return PreparedVolume(TrainingVolume(np.asarray(data, np.float32), AS_IS), spectrum)


def idle(config, data):
    """An objective whose translator changes nothing."""
    network = TransposedNetworks(config, 0)
    with torch.no_grad():
        network.translator.head.weight.zero_()
        network.translator.head.bias.zero_()
    return TranslationObjective(network, [prepared(data)], config, CPU)


@pytest.mark.parametrize("axis", ["y", "x"])
def test_the_other_domain_measures_what_the_first_one_misses(axis):
    """Transposing volumes and transposing regions agree; together they miss nothing but corners."""
    objective = idle(settings(axis), noise())
    own = objective.wedge.region((16, 16, 16)).bool()
    data = torch.fft.irfftn(torch.fft.rfftn(torch.randn(16, 16, 16)) * own, s=(16,) * 3)
    power = torch.fft.rfftn(objective.swapped(data[None, None])[0, 0]).abs()
    assert power[~objective.other.bool()].max() < 1e-3 * power.max()
    assert power[~own].max() > 0.1 * power.max()  # the wrong variant: not swapped
    assert bool((own | objective.other.bool()).all())
    assert torch.equal(objective.both.bool(), own & objective.other.bool())


def test_a_translator_that_changes_nothing_costs_what_it_should():
    """Coming back and the shared region cost nothing; the known case costs twice what it left out."""
    objective = idle(settings(adversarial=0.0, cycle=1.0, shared=1.0, restored=1.0), noise())
    real = objective._batch([objective.sampler.draw(torch.Generator().manual_seed(0))], torch.Generator())
    losses = objective.translator_losses(real, objective.network(real))
    assert float(losses["cycle"].detach()) == 0
    assert float(losses["shared"].detach()) == 0
    power = torch.fft.fftn(objective.swapped(real)[0, 0]).abs().square() / 16**3
    own = measured_region((16, 16, 16), (-60, 60))
    other = own.transpose(0, 2)
    left_out = float(power[other & ~own].sum()) / 16**3
    assert float(losses["restored"].detach()) == pytest.approx(2 * left_out, rel=1e-3)
    assert left_out > 0.1


def test_what_is_translated_fills_the_missing_region_alone():
    method = TransposedDomains(settings(round=1))
    data, translated = noise(), white_noise((32, 32, 32), np.random.default_rng(1))
    result = method.completed(prepared(data), translated.copy())
    region = measured_region((32, 32, 32), (-60, 60)).numpy()
    r, m = np.fft.fftn(result), np.fft.fftn(data)
    assert np.abs(r - m)[region].max() < 1e-4 * np.abs(m).max()
    assert np.abs(r)[~region].mean() > 10 * np.abs(m)[~region].mean()
    earlier = method.at_round(0).completed(prepared(data), translated)
    assert earlier is translated  # a denoised volume is not merged


def test_the_denoiser_is_trained_before_the_translator_and_only_then():
    volume = prepared(noise())
    method = TransposedDomains(settings())
    assert method.rounds == 2
    network = method.build_network(0)
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def changed():
        return {n.split(".")[0] for n, v in network.state_dict().items() if not torch.equal(v, before[n])}

    run = TrainingSettings(4, 1e-3, 0, CPU)
    train(method.at_round(0).objective(network, [volume], CPU), run, SilentProgress())
    assert changed() == {"denoiser"}
    record = train(method.at_round(1).objective(network, [volume], CPU), run, SilentProgress())
    assert changed() == {"denoiser", "translator", "judge"}
    assert {"restored", "translated_variance_ratio", "discriminator"} <= set(record.monitored[-1][1])


def test_the_published_form_translates_the_tomogram_itself():
    paper = TransposedConfig.paper()
    assert (paper.denoise_first, paper.shared, paper.restored) == (False, 0.0, 0.0)
    method = TransposedDomains(settings(denoise_first=False, shared=0.0, restored=0.0))
    assert method.rounds == 1
    assert method.translates
    objective = method.objective(method.build_network(0), [prepared(noise())], CPU)
    losses = objective.translator_losses(real := torch.randn(1, 1, 16, 16, 16), objective.network(real))
    assert set(losses) == {"adversarial", "cycle"}
