"""Adaptation: samples, moving averages, and each objective on a tiny case."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vitreous.core import Interrupted
from vitreous.core.progress import SilentProgress
from vitreous.losses import discriminator_loss
from vitreous.methods.adaptation import (
    OBJECTIVES,
    AdaptationConfig,
    AdaptationNetworks,
    SubtomogramSamples,
    UnlabelledSubtomograms,
    objective_for,
    pseudo_label_warnings,
)
from vitreous.methods.adaptation.asc import cut_out
from vitreous.methods.adaptation.domains import directions, reversal_strength, reversed_domain_loss
from vitreous.methods.adaptation.noise import missing_variance, noise_variance
from vitreous.methods.adaptation.pdam import Translator
from vitreous.methods.adaptation.vox_uda import PseudoLabels
from vitreous.networks import UNet3d, VoxResNet
from vitreous.segmentation import ZoomedLabelled
from vitreous.training import CheckpointStore, train
from vitreous.training.samples import standardized

CPU = torch.device("cpu")
SIDE, CLASSES = 16, 3


def balls(seed, count=6, noise=0.5, side=SIDE):
    """Dark balls and shells (classes 1 and 2) in noise, with their labels."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices((side,) * 3) - (side - 1) / 2
    radius = np.sqrt(z**2 + y**2 + x**2)
    labels = np.zeros((count, side, side, side), np.uint8)
    for i in range(count):
        labels[i][(radius < 0.3 * side) & ((radius > 2) | (i % 2 == 0))] = 1 + i % 2
    densities = -1.0 * (labels > 0) + noise * rng.standard_normal(labels.shape)
    return densities.astype(np.float32), labels


def tiny(method="source-only", steps=24, side=SIDE, **changes):
    torch.manual_seed(0)
    rate = {"learning_rate": 1e-2, "schedule": "constant", "judge_width": 4}
    config = AdaptationConfig(steps=steps, batch=2, width=4, patch_side=side, **{**rate, **changes})
    source = SubtomogramSamples(*balls(0, side=side))
    target = UnlabelledSubtomograms(balls(1, noise=1.0, side=side)[0])
    network = VoxResNet(CLASSES, width=4, norm=config.norm)
    return objective_for(method, network, source, target, config, CPU), config


def test_samples_are_standardized_and_follow_the_generator():
    densities, labels = balls(0, count=3)
    samples = SubtomogramSamples(7 + 3 * densities, labels)
    values, drawn = samples.draw(8, torch.Generator().manual_seed(3))  # more than there are
    again, _ = samples.draw(8, torch.Generator().manual_seed(3))
    assert torch.equal(values, again)
    assert torch.allclose(values.mean((1, 2, 3, 4)), torch.zeros(8), atol=1e-5)
    assert torch.allclose(values.std((1, 2, 3, 4), correction=0), torch.ones(8), atol=1e-4)
    dark = torch.stack([v[0][mine > 0].mean() for v, mine in zip(values, drawn, strict=True)])
    assert (dark < -1).all()  # labels are mirrored with their volumes


def test_mirrors_leave_a_wedge_about_y_as_it_is():
    """Power where kx is positive and kz negative stays there or at the opposite frequency."""
    side = 8
    k = np.fft.fftfreq(side) * side
    wedge = (k[:, None, None] * k[None, None, :] > 0).astype(float) * np.ones((side,) * 3)
    phases = np.fft.fftn(np.random.default_rng(0).standard_normal((side,) * 3))
    volume = np.fft.ifftn(phases * wedge).real
    values = UnlabelledSubtomograms(volume[None]).draw(20, torch.Generator().manual_seed(0))
    power = torch.fft.fftn(values[:, 0], dim=(-3, -2, -1)).abs()
    odd = torch.from_numpy(np.abs(k) == side / 2)  # the Nyquist frequency is its own opposite
    outside = torch.from_numpy(wedge == 0) & ~(odd[:, None, None] | odd[None, None, :])
    assert float(power[:, outside].max()) < 1e-3
    assert len({v.numpy().tobytes() for v in values}) == 4
    assert float(torch.fft.fftn(values[0, 0].flip(0)).abs()[outside].max()) > 1  # a mirror that is not taken


@pytest.mark.parametrize(
    ("densities", "labels"),
    [
        (np.ones((0, 8, 8, 8)), np.ones((0, 8, 8, 8))),
        (np.ones((2, 8, 8, 8)), np.ones((3, 8, 8, 8))),
        (np.full((2, 8, 8, 8), np.nan), np.ones((2, 8, 8, 8))),
        (np.ones((2, 8, 8, 8)), np.full((2, 8, 8, 8), 0.5)),
        (np.ones((2, 8, 8, 8)), np.full((2, 8, 8, 8), -1)),
    ],
)
def test_samples_refuse_what_they_are_not(densities, labels):
    with pytest.raises(ValueError, match=r"needed|differ|finite|integers"):
        SubtomogramSamples(densities, labels)


def test_a_constant_subtomogram_is_no_nan():
    assert torch.isfinite(UnlabelledSubtomograms(np.ones((1, 8, 8, 8))).values).all()


@pytest.mark.parametrize(("momentum", "behind"), [(0.99, 9.0), (0.5, 90 * 0.5**0.5)])
def test_teachers_follow_with_warm_up(momentum, behind):
    """At step n the teacher keeps min(momentum, (1 + n) / (1 + n + w)) of itself: 0.5 from n = 63 on."""
    student = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(student.weight, 0.0)
    networks = AdaptationNetworks(student, teachers=1)
    expected = 0.0
    for step in range(80):
        torch.nn.init.constant_(student.weight, 1.0 + step % 3)
        networks.begin_step([momentum])
        keep = min(momentum, (1 + step) / (1 + step + behind))
        expected = keep * expected + (1 - keep) * (1.0 + step % 3)
        assert float(networks.teachers[0].weight.detach()) == pytest.approx(expected, rel=1e-4)
    assert int(networks.done) == 80
    assert not any(p.requires_grad for p in networks.teachers.parameters())


def test_the_slower_of_two_teachers_is_slower_from_the_first_step():
    """The student moves on evenly; after 100 steps the faster one is ten steps behind, the other 25."""
    student = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(student.weight, 0.0)
    networks = AdaptationNetworks(student, teachers=2)
    for step in range(100):
        torch.nn.init.constant_(student.weight, float(step))
        networks.begin_step([0.99, 0.999])
        fast, slow = (step - float(teacher.weight.detach()) for teacher in networks.teachers)
        assert 0 <= fast < slow or step == 0
    assert (fast, slow) == (pytest.approx(9.9, abs=0.5), pytest.approx(25.7, abs=1.5))


def test_a_teacher_is_a_teacher_whatever_the_students_norm():
    """The statistics of batch normalization are copied, and training mode never reaches a teacher."""
    networks = AdaptationNetworks(VoxResNet(2, width=4, norm="batch"), teachers=1)
    networks.train()
    networks.student(torch.randn(2, 1, 16, 16, 16))
    networks.begin_step([0.99])
    for held, new in zip(networks.teachers[0].buffers(), networks.student.buffers(), strict=True):
        assert torch.equal(held, new)
    assert not networks.teachers[0].training


def test_reversal_grows_as_published():
    """2 / (1 + e^(-10 p)) - 1: 0 at the beginning, 0.987 at half of the steps."""
    found = [reversal_strength(p) for p in (0.0, 0.5, 1.0)]
    assert found == pytest.approx([0.0, 0.98661, 0.99991], abs=1e-5)


def test_directions_and_their_gradient_are_those_of_normalized_features():
    torch.manual_seed(0)
    features = torch.randn(2, 6, 3, 4, 5, dtype=torch.float64)
    slope, found = torch.randn_like(features), []
    for function in (directions, lambda x: 6**0.5 * F.normalize(x, dim=1)):
        x = features.clone().requires_grad_()
        out = function(x)
        found.append((out, *torch.autograd.grad((out * slope).sum(), x)))
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_features_learn_to_look_alike_and_the_judge_to_tell():
    """One backward pass gives the judge the gradient of its loss and the features minus that, scaled."""
    judge = torch.nn.Conv3d(2, 1, 1)
    source, target = (torch.randn(1, 2, 4, 4, 4, requires_grad=True) for _ in range(2))
    loss = reversed_domain_loss(judge, source, target, 0.5)
    loss.backward()
    features, weights = source.grad.clone(), judge.weight.grad.clone()
    judge.zero_grad()
    source.grad = None
    plain = discriminator_loss(judge(directions(source)), judge(directions(target)))
    plain.backward()
    assert torch.allclose(weights, judge.weight.grad, atol=1e-6)
    assert torch.allclose(features, -reversal_strength(0.5) * source.grad, atol=1e-6)
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), abs=1e-6)
    scaled = reversed_domain_loss(judge, 1000 * source, target, 0.5)
    assert float(scaled.detach()) == pytest.approx(float(loss.detach()), rel=1e-4)  # only directions count


def test_pseudo_labels_are_kept_where_the_teacher_is_sure():
    """η = 0.85 is a difference of logits of 1.7346 between two classes."""
    logits = torch.zeros(1, 2, 1, 1, 4)
    logits[0, 1, 0, 0] = torch.tensor([1.73, 1.74, -1.74, -1.73])
    found = PseudoLabels.of(logits, 0.85)
    assert found.labels.flatten().tolist() == [1, 1, 0, 0]
    assert found.kept.flatten().tolist() == [False, True, True, False]
    assert (found.kept_share, found.object_share) == (0.5, 0.5)
    assert PseudoLabels.of(logits, 0.99).object_share == 0  # none is kept, and nothing is divided by zero


def test_pseudo_labels_begin_after_a_third_and_are_counted():
    objective, config = tiny("vox-uda", steps=9)
    record = train(objective, config.training_settings(1, CPU, "float32"), SilentProgress())
    begun = [step for step, figures in record.monitored if "pseudo_labels" in figures]
    assert begun == [3, 4, 5, 6, 7, 8, 9]
    assert all(0 <= figures["kept_share"] <= 1 for _, figures in record.monitored)


@pytest.mark.parametrize(
    ("method", "weight", "used"), [("vox-uda", None, 0.0), ("vox-uda", 0.5, 0.5), ("dann", None, 0.03)]
)
def test_a_judge_weighs_as_the_configuration_or_the_method_says(method, weight, used):
    objective, _ = tiny(method, adversarial=weight, noise="none", pseudo_labels=0.0)
    assert ("judge" in objective.network.others) == (used > 0)
    terms = objective.terms(torch.Generator().manual_seed(0))
    assert ("domains" in terms) == (used > 0)
    if used:
        log_two = 2 * np.log(2)  # of each domain, from a judge that has learned nothing
        assert terms["domains"].item() == pytest.approx(used * log_two, rel=0.5)
        figures, _ = objective.monitored(torch.Generator().manual_seed(0))
        assert ("told_apart" in figures) == (method == "vox-uda")


def test_without_a_judge_the_target_is_not_looked_at_before_pseudo_labels_begin():
    objective, config = tiny("vox-uda", adversarial=0.0, noise="none", pseudo_from=0.5)
    objective.target = None
    assert list(objective.network.others) == []
    before = objective.terms(torch.Generator().manual_seed(0))
    assert list(before) == ["segmentation"]
    objective.network.done.fill_(config.steps)
    with pytest.raises(ValueError, match="needs volumes of the target"):
        objective.terms(torch.Generator().manual_seed(0))


def test_classes_weigh_in_pseudo_labels_as_in_labels():
    weights = (1.0, 3.0, 0.0)
    changes = {"adversarial": 0.0, "noise": "none", "threshold": 0.0, "pseudo_from": 0.0}
    objective, _ = tiny("vox-uda", class_weights=weights, **changes)
    generator = torch.Generator().manual_seed(4)
    term = objective.terms(generator)["pseudo_labels"]
    generator.manual_seed(4)
    objective.labelled(generator)
    target = objective.unlabelled(generator)
    teacher = objective.network.segmenter(0)(standardized(target))
    labels = teacher.argmax(1)
    each = torch.tensor(weights)[labels]
    lost = -objective.student(target).log_softmax(1).gather(1, labels[:, None])[:, 0]
    assert term.item() == pytest.approx((each * lost).sum().item() / each.sum().item(), rel=1e-4)


def test_a_unet_is_adapted_like_a_voxresnet():
    objective, config = tiny("vox-uda", noise="none")  # without noisier copies no tap has to be like another
    network = UNet3d(1, CLASSES, width=4, norm=True)
    unet = objective_for("vox-uda", network, objective.source, objective.target, config, CPU)
    record = train(unet, config.training_settings(0, CPU, "float32"), SilentProgress())
    assert np.mean(record.losses[-5:]) < np.mean(record.losses[:5])


@pytest.mark.parametrize(
    ("kept", "objects", "text"),
    [
        (0.0, 0.0, "no pseudo-label"),
        (0.9, 0.0, "background"),
        (1.0, 0.2, "all pseudo-labels"),
        (0.9, 0.1, ""),
    ],
)
def test_all_or_nothing_is_told(kept, objects, text):
    last = {"pseudo_labels": 1.0, "kept_share": kept, "kept_objects": objects}
    told = pseudo_label_warnings([(1, {"kept_share": 0.0}), (2, last)])
    assert text in told[0] if text else not told
    assert not pseudo_label_warnings([(1, {"segmentation": 1.0})])


@pytest.mark.parametrize("denoiser", ["ibf", "bf", "ngm", "noise-model"])
def test_denoisers_take_noise_off(denoiser):
    """Each leaves less of a noisy target than there was, and the noise model trains its network apart."""
    objective, config = tiny("vox-uda", steps=3, denoiser=denoiser, pseudo_from=0.0)
    record = train(objective, config.training_settings(1, CPU, "float32"), SilentProgress())
    assert 0.1 < record.monitored[-1][1]["variance_removed"] < 1
    assert ("denoiser" in objective.network.others) == (denoiser == "noise-model")


@pytest.mark.parametrize("noise", ["none", "poisson", "speckle", "spectrum"])
def test_kinds_of_noise_train(noise):
    objective, config = tiny("vox-uda", steps=2, noise=noise, noise_amount="target", pseudo_labels=0.0)
    record = train(objective, config.training_settings(1, CPU, "float32"), SilentProgress())
    figures = record.monitored[-1][1]
    assert np.isfinite(record.losses).all()
    assert ("consistency" in figures) == (noise != "none")
    assert "kept_share" not in figures


def test_what_a_scaled_source_lacks_is_read_before_it_is_scaled():
    """Source and target have the same share of noise: nothing is missing, however the source is zoomed."""
    objective, _ = tiny("vox-uda", side=32, noise_samples=8)
    plain = SubtomogramSamples(*balls(3, noise=1.0, side=32))
    objective.source = ZoomedLabelled(plain, (2.0, 2.5))
    objective.target = UnlabelledSubtomograms(balls(4, noise=1.0, side=32)[0])
    generator = torch.Generator().manual_seed(0)
    values, _ = objective.labelled(generator)
    assert objective.noised(values, generator) == []
    # Twice the deviation in the target: then all are as noisy, and standardized.
    objective.target = UnlabelledSubtomograms(balls(4, noise=2.0, side=32)[0])
    (noised,) = objective.noised(values, generator)
    assert noised.std((1, 2, 3, 4), correction=0).numpy() == pytest.approx(1.0, abs=1e-3)


def test_noise_is_added_to_what_lacks_it():
    """White noise is all that the target has; a source of the same has enough, a smooth one has not."""
    objective, _ = tiny("vox-uda")
    objective.target = UnlabelledSubtomograms(balls(1, noise=1.0)[0])
    objective.source = SubtomogramSamples(*balls(2, noise=0.1))
    generator = torch.Generator().manual_seed(0)
    clean, _ = objective.labelled(generator)
    (more,) = objective.noised(clean, generator)
    common = float(np.corrcoef(more.flatten(), clean.flatten())[0, 1])
    target, source = (
        noise_variance(v, 0.244) for v in (objective.target.values, objective.source.unlabelled.values)
    )
    assert 1 / common**2 - 1 == pytest.approx(missing_variance(source, target), rel=0.15)
    noisy, _ = tiny("vox-uda")
    noisy.target, noisy.source = objective.target, SubtomogramSamples(*balls(2, noise=4.0))
    assert not noisy.noised(noisy.labelled(generator)[0], generator)


def test_updates_of_a_step_share_no_parameter():
    """Student with its judges, translators, and their judges; all but teachers are in one of them."""
    objective, _ = tiny("pdam", side=8)
    groups = [[id(p) for p in phase.parameters] for phase in objective.phases(torch.Generator())]
    assert len(groups) == 3
    everything = [one for group in groups for one in group]
    assert len(everything) == len(set(everything))
    assert set(everything) == {id(p) for p in objective.network.parameters()}


def test_boxes_are_cut_at_random_and_mixed_as_their_labels_are():
    """A quarter to three quarters of each side, every start that fits; in and out are both there."""
    boxes = cut_out(torch.Size((200, 1, 8, 8, 8)), torch.Generator().manual_seed(0))
    sides = boxes.any(-1).any(-1).sum(-1).flatten()
    assert sides.min() >= 2
    assert sides.max() <= 6
    covered = boxes.any(-1).any(-1).float().mean((0, 1))  # how often each plane is reached
    assert covered.min() > 0
    assert covered.max() < 1
    full = boxes.flatten(1).sum(1)
    assert torch.equal(
        full, sides * boxes.any(2).any(-1).sum(-1).flatten() * boxes.any(2).any(-2).sum(-1).flatten()
    )


def test_translators_begin_near_the_identity():
    volumes = torch.randn(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    change = Translator(4)(volumes) - volumes
    assert 0 < float(change.detach().std()) < 0.2


def test_published_settings_are_those_of_the_paper():
    paper = AdaptationConfig.paper()
    assert (paper.width, paper.batch, paper.learning_rate, paper.schedule) == (32, 16, 1e-3, "steps")
    assert (paper.threshold, paper.noise_samples, paper.passed_share) == (0.85, 10, 0.244)
    assert (paper.spatial_sigma, paper.range_sigma, paper.relative_range) == (120, 1.2, False)
    assert paper.consistency == (0.2, 0.2, 0.3, 0.3)
    assert paper.adversarial == paper.pseudo_labels == 1


METHODS = [name for name in OBJECTIVES if name != "supervised"]  # that is "source-only" on other volumes


@pytest.mark.parametrize("method", METHODS)
def test_each_objective_learns_a_tiny_case(method):
    objective, config = tiny(method)
    record = train(objective, config.training_settings(1, CPU, "float32"), SilentProgress())
    assert np.isfinite(record.losses).all()
    assert not record.rollbacks
    first, last = dict(record.monitored[0][1]), dict(record.monitored[-1][1])
    assert last["segmentation"] < 0.8 * first["segmentation"]
    assert objective.trained(torch.zeros(1, 1, SIDE, SIDE, SIDE)).shape[1] == CLASSES


@pytest.mark.parametrize("method", METHODS)
def test_resuming_gives_the_same_bytes(method, tmp_path):
    class Stop(SilentProgress):
        steps = 0

        def advance(self, steps=1, **values):
            self.steps += steps

        def should_stop(self):
            return self.steps >= 4

    short = {"steps": 7, "side": 8}
    objective, config = tiny(method, **short)
    settings = config.training_settings(1, CPU, "float32")
    train(objective, settings, SilentProgress())
    stopped, _ = tiny(method, **short)
    store = CheckpointStore(tmp_path)
    with pytest.raises(Interrupted):
        train(stopped, settings, Stop(), store)
    resumed, _ = tiny(method, **short)
    train(resumed, settings, SilentProgress(), store)
    for name, tensor in objective.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
