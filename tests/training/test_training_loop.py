"""The loop and its checkpoints, on a network of eight numbers."""

import json
import os

import pytest
import torch
from torch import nn

from vitreous.core import InputError, Interrupted, SilentProgress, TrainingDiverged
from vitreous.training import CheckpointStore, Phase, TrainingSettings, load_model, loop, save_model, train

SETTINGS = TrainingSettings(steps=40, learning_rate=0.05, seed=3, device=torch.device("cpu"))


class Line:
    """Fit a line; the loss is NaN the `bad[n]`-th time it is asked."""

    def __init__(self, bad=()):
        torch.manual_seed(0)
        self.network, self.bad, self.calls = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)), set(bad), 0

    def loss(self, generator):
        x = torch.rand((4, 3), generator=generator)
        loss = (self.network(x) - x.sum(1, keepdim=True)).square().mean()
        self.calls += 1
        return loss * (float("nan") if self.calls in self.bad else 1), f"patch {self.calls}"


class Measured(Line):
    """The same with its own loss on fixed inputs as validation."""

    def validation_loss(self):
        assert not self.network.training
        assert not torch.is_grad_enabled()
        x = torch.linspace(0, 1, 12).reshape(4, 3)
        return float((self.network(x) - x.sum(1, keepdim=True)).square().mean())


class Listener(SilentProgress):
    def __init__(self, stop_after=10**9):
        self.warnings, self.left = [], stop_after

    def warn(self, text):
        self.warnings.append(text)

    def should_stop(self):
        self.left -= 1
        return self.left < 0


def weights(objective):
    return torch.cat([p.detach().flatten() for p in objective.network.parameters()])


def test_a_loss_that_is_not_finite_once_goes_back_and_on_at_a_lower_rate(tmp_path):
    listener, objective = Listener(), Line(bad={26})
    record = train(objective, SETTINGS, listener, CheckpointStore(tmp_path))
    assert record.rollbacks == 1
    assert len(record.losses) == 40
    assert all(torch.isfinite(weights(objective)))
    (warning,) = listener.warnings
    assert "step 26" in warning
    assert "patch 26" in warning
    assert "back to step 20 at 0.25 times" in warning
    assert record.losses[-1] < record.losses[0]


def test_twice_not_finite_stops_and_keeps_the_last_good_state(tmp_path):
    store, objective = CheckpointStore(tmp_path), Line(bad={26, 30})
    with pytest.raises(TrainingDiverged, match=r"step 24, on patch 30"):
        train(objective, SETTINGS, Listener(), store)
    reference = Line()
    with pytest.raises(Interrupted):
        train(reference, SETTINGS, Listener(stop_after=20), CheckpointStore(tmp_path / "reference"))
    kept = Line()
    optimizer = torch.optim.Adam(kept.network.parameters(), 0.05)
    state = store.restore(kept.network, optimizer)
    assert (state.step, len(state.losses)) == (20, 20)
    assert torch.equal(weights(kept), weights(reference))
    expected = torch.optim.Adam(reference.network.parameters(), 0.05)
    CheckpointStore(tmp_path / "reference").restore(reference.network, expected)
    moments = [o.state_dict()["state"] for o in (optimizer, expected)]
    assert all(torch.equal(moments[0][i][n], moments[1][i][n]) for i in moments[0] for n in moments[0][i])


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_an_infinite_gradient_counts_too(where):
    class Steep(Line):
        def loss(self, generator):
            loss, text = super().loss(generator)
            return (
                loss * float("inf") if where == "loss" else loss + (weights_of(self) * 0).sqrt().sum()
            ), text

    def weights_of(objective):
        return torch.cat([p.flatten() for p in objective.network.parameters()])

    objective = Steep()
    before = weights(objective)
    with pytest.raises(TrainingDiverged):
        train(objective, SETTINGS, Listener())
    assert torch.equal(weights(objective), before)


def test_validation_is_measured_twenty_times_and_changes_nothing(tmp_path):
    plain, measured = Line(), Measured()
    train(plain, SETTINGS, SilentProgress())
    record = train(measured, SETTINGS, SilentProgress())
    assert torch.equal(weights(plain), weights(measured))
    assert [step for step, _ in record.validation] == list(range(2, 41, 2))
    with torch.no_grad():
        assert record.validation[-1][1] == measured.validation_loss()
    assert record.validation[-1][1] < record.validation[0][1]
    assert train(Line(), SETTINGS, SilentProgress()).validation == ()


def test_validation_survives_interruption_and_rollback(tmp_path):
    for bad in ((), {26}):
        whole = train(Measured(bad), SETTINGS, SilentProgress()).validation
        objective, store = Measured(bad), CheckpointStore(tmp_path / str(len(bad)))
        with pytest.raises(Interrupted):
            train(objective, SETTINGS, Listener(24), store)
        objective = Measured({call - 20 for call in bad})
        assert train(objective, SETTINGS, SilentProgress(), store).validation == whole


@pytest.mark.parametrize("stop", [0, 1, 9, 10, 11, 25, 39])
def test_interrupted_at_any_step_gives_the_same_weights(tmp_path, stop):
    whole = Line()
    record = train(whole, SETTINGS, Listener())
    with pytest.raises(Interrupted):
        train(Line(), SETTINGS, Listener(stop_after=stop), CheckpointStore(tmp_path))
    resumed = Line()
    again = train(resumed, SETTINGS, Listener(), CheckpointStore(tmp_path))
    assert torch.equal(weights(resumed), weights(whole))
    assert again.losses == record.losses


class Spoiled(Line):
    """The loss of one step's patch is NaN until weights learned at a lower rate see it."""

    bad_seed = loop.step_generator(SETTINGS.seed, 27).initial_seed()
    cured = False

    def loss(self, generator):
        loss, text = super().loss(generator)
        hit = generator.initial_seed() == self.bad_seed and not self.cured
        self.cured = self.cured or hit
        return loss * (float("nan") if hit else 1), text


@pytest.mark.parametrize("stop", [5, 22, 26, 29, 33, 45])
def test_interruption_before_and_after_a_rollback_changes_nothing(tmp_path, stop):
    whole, first, resumed = Spoiled(), Spoiled(), Spoiled()
    assert train(whole, SETTINGS, Listener()).rollbacks == 1
    with pytest.raises(Interrupted):
        train(first, SETTINGS, Listener(stop_after=stop), CheckpointStore(tmp_path))
    state = json.loads((CheckpointStore(tmp_path).newest() / "state.json").read_text())
    resumed.cured = state["rate_factor"] < 1  # a state from before the roll-back will see it again
    assert resumed.cured == (stop >= 29)
    train(resumed, SETTINGS, Listener(), CheckpointStore(tmp_path))
    assert torch.equal(weights(resumed), weights(whole))


def test_checkpoints_come_back_bit_for_bit_and_only_the_newest_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    objective = Line()
    train(objective, SETTINGS, Listener(), CheckpointStore(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000040"]
    other = Line()
    state = CheckpointStore(tmp_path).restore(other.network, torch.optim.Adam(other.network.parameters()))
    assert state.step == 40
    assert torch.equal(weights(other), weights(objective))


@pytest.mark.parametrize("event", range(4))
def test_a_save_that_fails_halfway_leaves_the_older_state(tmp_path, monkeypatch, event):
    objective, store = Line(), CheckpointStore(tmp_path)
    with pytest.raises(Interrupted):
        train(objective, SETTINGS, Listener(stop_after=10), store)
    calls = iter(range(100))

    def failing(function):
        def wrapped(*arguments, **options):
            if next(calls) == event:
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing(os.rename))
        patch.setattr(os, "replace", failing(os.replace))
        with pytest.raises(KeyboardInterrupt):
            train(Line(), SETTINGS, Listener(stop_after=20), store)
    assert store.newest().name == "step_00000010"
    resumed, whole = Line(), Line()
    train(resumed, SETTINGS, Listener(), store)
    train(whole, SETTINGS, Listener())
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.parametrize("name", ["state.json", "network.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b"null"])
def test_a_damaged_checkpoint_is_one_line(tmp_path, name, content):
    with pytest.raises(Interrupted):
        train(Line(), SETTINGS, Listener(stop_after=10), CheckpointStore(tmp_path))
    (tmp_path / "step_00000010" / name).write_bytes(content)
    with pytest.raises(InputError, match="checkpoint is damaged") as caught:
        train(Line(), SETTINGS, Listener(), CheckpointStore(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        train(Line(), SETTINGS, Listener(stop_after=10), CheckpointStore(tmp_path))
    other = Line()
    other.network = nn.Linear(3, 1)
    with pytest.raises(InputError, match="damaged"):
        train(other, SETTINGS, Listener(), CheckpointStore(tmp_path))


def test_a_model_comes_back_bit_for_bit(tmp_path):
    network = Line().network
    save_model(tmp_path, network, {"method": "line"})
    description, tensors = load_model(tmp_path)
    assert description["method"] == "line"
    assert all(torch.equal(tensors[name], value) for name, value in network.state_dict().items())


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "weights missing": lambda p: (p / "model.safetensors").unlink(),
    "description missing": lambda p: (p / "model.json").unlink(),
    "weights cut": lambda p: (p / "model.safetensors").write_bytes(
        (p / "model.safetensors").read_bytes()[:-3]
    ),
    "weights empty": lambda p: (p / "model.safetensors").write_bytes(b""),
    "one bit flipped": lambda p: _flip(p / "model.safetensors"),
    "no json": lambda p: (p / "model.json").write_text("{"),
    "another json": lambda p: (p / "model.json").write_text("[1]"),
    "binary": lambda p: (p / "model.json").write_bytes(b"\xff\x00"),
    "newer schema": lambda p: (p / "model.json").write_text('{"schema": 99}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_one_line(tmp_path, damage):
    save_model(tmp_path, Line().network, {"method": "line"})
    DAMAGE[damage](tmp_path)
    with pytest.raises(InputError) as caught:
        load_model(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


class Rivals:
    """Two numbers in turn: the first runs from the second, which follows it."""

    def __init__(self):
        self.network = nn.ParameterList([nn.Parameter(torch.tensor(v)) for v in (0.5, -0.3)])

    def phases(self, generator):
        first, second = self.network
        yield Phase(-((first - second) ** 2) + first**4, [first], "here")
        yield Phase((first - second) ** 2, [second], "there")


def test_phases_are_separate_optimizers_that_see_each_others_steps():
    rivals, settings = Rivals(), TrainingSettings(12, 0.05, 0, torch.device("cpu"), schedule="constant")
    record = train(rivals, settings, Listener())
    a, b = (nn.Parameter(torch.tensor(v)) for v in (0.5, -0.3))
    optimizers = [torch.optim.Adam([p], 0.05) for p in (a, b)]
    losses = []
    for step in range(12):
        for turn, (p, optimizer) in enumerate(zip((a, b), optimizers, strict=True)):
            optimizer.param_groups[0]["lr"] = 0.05 * min(1, (step + 1) / 20)
            loss = (a - b) ** 2 if turn else -((a - b) ** 2) + a**4
            (p.grad,) = torch.autograd.grad(loss, p)
            nn.utils.clip_grad_norm_([p], 1.0)
            optimizer.step()
            losses += [] if turn else [float(loss.detach())]
    assert torch.equal(torch.stack(list(rivals.network)), torch.stack([a, b]))
    assert record.losses == tuple(losses)


@pytest.mark.parametrize("stop", [1, 7, 12, 33])
def test_phases_are_resumed_bit_for_bit(tmp_path, stop):
    whole, first, resumed = Rivals(), Rivals(), Rivals()
    train(whole, SETTINGS, Listener())
    with pytest.raises(Interrupted):
        train(first, SETTINGS, Listener(stop_after=stop), CheckpointStore(tmp_path))
    train(resumed, SETTINGS, Listener(), CheckpointStore(tmp_path))
    assert torch.equal(torch.stack(list(resumed.network)), torch.stack(list(whole.network)))


class Watched(Line):
    """Something is wrong at the looks named; the first two looks are at steps 2 and 4."""

    def __init__(self, wrong):
        super().__init__()
        self.wrong, self.looks = set(wrong), 0

    def monitored(self, generator):
        self.looks += 1
        return {"looks": 1.0}, "a leak" if self.looks in self.wrong else ""


def test_what_goes_wrong_is_rolled_back_to_the_last_look_that_was_right():
    listener = Listener()
    record = train(Watched({5}), SETTINGS, listener)
    assert record.rollbacks == 1
    assert listener.warnings == ["a leak at step 10: back to step 8 at 0.25 times the rate"]
    assert [step for step, _ in record.monitored] == list(range(2, 41, 2))
    assert all(figures["healthy"] == 1 for _, figures in record.monitored)
    with pytest.raises(TrainingDiverged, match="a leak at step 12, again"):
        train(Watched({5, 7}), SETTINGS, Listener())


def test_what_was_never_right_is_told_at_the_end_and_not_rolled_back():
    listener = Listener()
    assert train(Watched(range(100)), SETTINGS, listener).rollbacks == 0
    assert "ended with something wrong" in listener.warnings[0]


def test_a_weight_decay_is_adamw():
    for decay, kind in ((0.0, torch.optim.Adam), (1e-6, torch.optim.AdamW)):
        settings = TrainingSettings(1, 0.1, 0, torch.device("cpu"), weight_decay=decay)
        optimizer = loop.new_optimizer(Line().network, settings)
        assert type(optimizer) is kind
        assert optimizer.param_groups[0]["weight_decay"] == decay


def test_rate_falls_in_three_steps():
    """A tenth after each third; the warm-up is a line to the first step after it."""
    settings = TrainingSettings(90, 0.5, 0, torch.device("cpu"), schedule="steps", warmup_steps=5)
    rates = [loop.learning_rate(settings, step) for step in (0, 4, 29, 30, 59, 60, 89)]
    assert rates == pytest.approx([0.1, 0.5, 0.5, 0.05, 0.05, 0.005, 0.005])
