"""Train one model on several files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vitreous.core import InputError, Progress
from vitreous.io import faults_in_words, write_text_atomic
from vitreous.training import CheckpointStore, save_model
from vitreous.workflows.denoise import Plan, Source, fit, model_description, plan_denoising, prepared_model
from vitreous.workflows.denoise_files.inputs import input_digests, open_source
from vitreous.workflows.denoise_files.request import DenoiseRequest
from vitreous.workflows.run_directory import check_unchanged


def train_shared(requests: Sequence[DenoiseRequest], folder: Path, progress: Progress) -> Path:
    """Train one model on all usable files, unless `folder` holds it already; returns `folder`.

    Raises
    ------
    InputError
        If no file is usable, they call for different methods, or one changed since the training began.
    """
    settings = requests[0].settings
    wanted = {"inputs": [str(r.input) for r in requests], "settings": requests[0].to_json()["settings"]}
    digests = None if requests[0].overwrite else begun_on(folder, wanted)
    if digests is not None:
        check_unchanged(digests)
        if (folder / "model.json").exists():
            progress.note("the shared model is already trained")
            return folder
    usable = usable_plans(requests, progress)
    names = {plan.method for _, _, plan in usable}
    if len(names) > 1:
        raise InputError("the files call for different methods", remedy="name one with --method")
    _, source, plan = usable[0]
    if plan.model is None:
        raise InputError(f"{plan.method} has no model to share", remedy="leave out --shared-model")
    if digests is None:
        digests = {k: v for request, source, _ in usable for k, v in input_digests(request, source).items()}
        shutil.rmtree(folder, ignore_errors=True)  # what another request left
        write_text_atomic(folder / "trained-on.json", json.dumps({**wanted, "inputs_sha256": digests}))
    model, volumes = prepared_model(plan.model, [plan.volume for _, _, plan in usable], settings.seed)
    progress.note(f"training one {model.method.name} model on {len(volumes)} tomograms")
    store = CheckpointStore(folder / "checkpoints")
    with faults_in_words(folder / "model.json"):
        model = fit(model, volumes, settings, progress, store)
        save_model(folder, model.network, model_description(model, source, settings))
    store.clear()
    return folder


def begun_on(folder: Path, wanted: Mapping[str, Any]) -> dict[str, str] | None:
    """Digests of the files that the same training was begun on; None if there was none."""
    try:
        found = json.loads((folder / "trained-on.json").read_text(encoding="utf-8"))
        digests: dict[str, str] = found.pop("inputs_sha256")
    except (OSError, ValueError, LookupError, AttributeError):
        return None
    return digests if found == wanted else None


def usable_plans(
    requests: Sequence[DenoiseRequest], progress: Progress
) -> list[tuple[DenoiseRequest, Source, Plan]]:
    """Sources and plans of the files that can be used; the others are told when their turn comes."""
    usable, failures = [], []
    for request in requests:
        try:
            source = open_source(request, progress)[0]
            usable.append((request, source, plan_denoising(source, request.settings)))
        except InputError as error:
            failures.append(error)
    if not usable:
        raise failures[0]
    return usable
