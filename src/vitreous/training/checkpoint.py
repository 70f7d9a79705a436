"""Models and optimizer states as safetensors with JSON beside them; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vitreous.core import InputError

MODEL_SCHEMA = 1


def model_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_model(folder: Path, network: nn.Module, description: Mapping[str, Any]) -> None:
    """Write `model.safetensors` and `model.json` into `folder`, each complete or not at all.

    `description` (method, config, normalization, voxel spacing, seeds …) must be plain JSON; the
    schema version and the weights' SHA-256 are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _save_tensors(folder / "model.safetensors", network.state_dict())
    facts = {"schema": MODEL_SCHEMA, **description, "sha256": model_sha256(folder / "model.safetensors")}
    _write_text(folder / "model.json", json.dumps(facts, indent=2))


def load_model(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Description and weights of a saved model.

    Raises
    ------
    InputError
        If a file is missing, damaged, of another schema, or the weights' checksum differs.
    """
    try:
        description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
    except FileNotFoundError as error:
        raise InputError(
            "is missing",
            path=error.filename or folder,
            remedy="name a run directory that holds a trained model",
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError, OSError) as error:
        raise InputError(
            f"the saved model is damaged ({error})", path=folder, remedy="train it again"
        ) from error
    if not isinstance(description, dict) or description.get("schema") != MODEL_SCHEMA:
        raise InputError(
            "the saved model has an unknown schema", path=folder / "model.json", remedy="train it again"
        )
    if description.get("sha256") != model_sha256(folder / "model.safetensors"):
        raise InputError(
            "the weights do not match the checksum in model.json", path=folder, remedy="train it again"
        )
    return description, tensors


@dataclass(frozen=True)
class TrainingState:
    """Everything a training needs to go on: step done, rate factor, and what was measured so far."""

    step: int
    rate_factor: float
    losses: tuple[float, ...]
    validation: tuple[tuple[int, float], ...] = ()
    monitored: tuple[tuple[int, Mapping[str, float]], ...] = ()

    def after(
        self, loss: float, validation: float | None, figures: Mapping[str, float] | None = None
    ) -> TrainingState:
        """The state one step on."""
        measured = () if validation is None else ((self.step + 1, validation),)
        seen = () if figures is None else ((self.step + 1, figures),)
        return replace(
            self,
            step=self.step + 1,
            losses=(*self.losses, loss),
            validation=(*self.validation, *measured),
            monitored=(*self.monitored, *seen),
        )

    def back_at(self, step: int) -> TrainingState:
        """The state at an earlier step."""
        validation = tuple(pair for pair in self.validation if pair[0] <= step)
        monitored = tuple(pair for pair in self.monitored if pair[0] <= step)
        return replace(self, step=step, losses=self.losses[:step], validation=validation, monitored=monitored)


class CheckpointStore:
    """Keeps the newest state of one training in `folder`; a kill at any moment leaves a whole one.

    A state is written to a hidden folder and renamed to `step_NNNNNNNN`; older ones go afterwards.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def newest(self) -> Path | None:
        """Folder of the newest complete state, or None."""
        return max(self.folder.glob("step_*"), default=None)

    def save(self, network: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
        """Write a new state, then remove the older ones."""
        final = self.folder / f"step_{state.step:08d}"
        if final.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".draft_{os.getpid()}"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        tensors, groups = _flatten_optimizer(optimizer)
        _save_tensors(draft / "network.safetensors", network.state_dict())
        _save_tensors(draft / "optimizer.safetensors", tensors)
        facts = {
            "step": state.step,
            "rate_factor": state.rate_factor,
            "losses": state.losses,
            "validation": state.validation,
            "monitored": [[step, dict(figures)] for step, figures in state.monitored],
            "groups": groups,
        }
        _write_text(draft / "state.json", json.dumps(facts))
        draft.rename(final)
        for other in (*self.folder.glob("step_*"), *self.folder.glob(".draft_*")):
            if other != final:
                shutil.rmtree(other, ignore_errors=True)

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState | None:
        """Load the newest state into `network` and `optimizer`; None if there is none."""
        newest = self.newest()
        if newest is None:
            return None
        try:
            facts = json.loads((newest / "state.json").read_text(encoding="utf-8"))
            network.load_state_dict(load_file(newest / "network.safetensors"))
            _unflatten_optimizer(optimizer, load_file(newest / "optimizer.safetensors"), facts["groups"])
            validation = tuple((int(step), float(value)) for step, value in facts["validation"])
            monitored = tuple((int(step), dict(figures)) for step, figures in facts.get("monitored", ()))
            step, factor, losses = int(facts["step"]), float(facts["rate_factor"]), tuple(facts["losses"])
            return TrainingState(step, factor, losses, validation, monitored)
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"the checkpoint is damaged ({error})", path=newest, remedy="remove it and start again"
            ) from error

    def keep_steps(self, steps: int) -> None:
        """Record for how many steps a time budget is enough, so that a resumed training keeps to it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_text(self.folder / "steps.json", json.dumps({"steps": steps}))

    def kept_steps(self) -> int | None:
        """What `keep_steps` recorded; None if nothing."""
        file = self.folder / "steps.json"
        try:
            return int(json.loads(file.read_text(encoding="utf-8"))["steps"])
        except FileNotFoundError:
            return None
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise InputError(f"is damaged ({error})", path=file, remedy="start the run again") from error

    def clear(self) -> None:
        """Remove all states: the training is done and its model saved."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _flatten_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": value for index, entry in state["state"].items() for name, value in entry.items()
    }
    return tensors, state["param_groups"]


def _unflatten_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        # In the parameter's memory layout: other layouts are computed by other code, which may round
        # differently, and a resumed training is to give the same bytes.
        parameter = parameters[int(index)]
        same = value.shape == parameter.shape
        state.setdefault(int(index), {})[name] = torch.empty_like(parameter).copy_(value) if same else value
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    draft = path.with_name(f".{path.name}.part")
    # Written by hand: safetensors hides from its caller why a write failed (disk full, quota, …).
    draft.write_bytes(save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}))
    _rename_durably(draft, path)


def _write_text(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8")
    _rename_durably(draft, path)


def _rename_durably(draft: Path, path: Path) -> None:
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(path)
