"""Specifications by name, from a TOML file and as one; what is wrong is told with its line."""

from __future__ import annotations

import difflib
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vitreous.core import InputError
from vitreous.workflows.simulate.spec import Contradiction, SimulationSpec
from vitreous.workflows.simulate.toml_lines import line_numbers, line_of

KEYS = "vitreous simulate --print-spec demo shows all keys"


def preset_names() -> tuple[str, ...]:
    """Names of the specifications that come with vitreous.

    Examples
    --------
    >>> "demo" in preset_names()
    True
    """
    return tuple(sorted(Path(file.name).stem for file in _presets().iterdir() if file.name.endswith(".toml")))


def preset_text(name: str) -> str:
    """A preset as the commented TOML file that it is.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in preset_names():
        close = difflib.get_close_matches(name, preset_names(), 1)
        remedy = f"did you mean {close[0]}?" if close else f"choose {', '.join(preset_names())}"
        raise InputError(f"there is no preset {name!r}", remedy=f"{remedy}; the name of a file ends in .toml")
    return str((_presets() / f"{name}.toml").read_text(encoding="utf-8"))


def _presets() -> Any:
    return resources.files("vitreous.workflows.simulate") / "presets"


def load_spec(source: str | Path) -> SimulationSpec:
    """A specification by the name of a preset, or from a TOML file.

    Structures that are files are looked for beside that file.

    Raises
    ------
    InputError
        If there is none, or it is not TOML, has an unknown key or one that contradicts another: with
        the line.

    Examples
    --------
    >>> load_spec("demo").box.voxel_spacing_angstrom
    10.0
    """
    if not is_file(source):
        return parse_spec(preset_text(str(source)), f"preset {source}", Path())
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path, remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError("is no TOML: it is not UTF-8", path=path, remedy="save it as UTF-8") from error
    return parse_spec(text, str(path), path.absolute().parent)


def is_file(source: str | Path) -> bool:
    """Whether a specification is a file; otherwise it is the name of a preset."""
    return isinstance(source, Path) or source.endswith(".toml") or "/" in source


def parse_spec(text: str, name: str, folder: Path) -> SimulationSpec:
    """A specification from TOML; files that it names without a full path lie in `folder`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is no TOML: {_with_line_first(str(error))}", path=name) from error
    try:
        spec = SimulationSpec(**table)
    except ValidationError as error:
        problem, remedy = _first_fault(error, text)
        raise InputError(problem, path=name, remedy=remedy) from error
    particles = [
        p.model_copy(update={"structure": str(folder / p.structure)}) if p.source in ("model", "map") else p
        for p in spec.particles
    ]
    imaging = spec.imaging
    if imaging.noise_like is not None:
        imaging = imaging.model_copy(update={"noise_like": str(folder / imaging.noise_like)})
    return spec.model_copy(update={"particles": tuple(particles), "imaging": imaging})


def spec_text(spec: SimulationSpec) -> str:
    """A specification as TOML that `load_spec` reads."""
    plain = spec.to_json()
    simple = {k: v for k, v in plain.items() if not isinstance(v, (dict, list))}
    # Numbers, strings, booleans and lists of them are written alike in JSON and TOML.
    lines = [f"{key} = {json.dumps(value)}" for key, value in simple.items()]
    for name, value in plain.items():
        tables = value if isinstance(value, list) else [value] if name not in simple else []
        header = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
        for table in tables:
            lines += ["", header, *(f"{key} = {json.dumps(v)}" for key, v in table.items())]
    return "\n".join(lines) + "\n"


def _first_fault(error: ValidationError, text: str) -> tuple[str, str]:
    """What is wrong with its line, and what to do, for the fault that stands first in the file."""
    lines = line_numbers(text)
    faults = []
    for fault in error.errors():
        cause = fault.get("ctx", {}).get("error")
        place = (*fault["loc"], *(cause.place if isinstance(cause, Contradiction) else ()))
        faults.append((line_of(place, lines) or 1, place, fault))
    # A misspelt key first: what else is wrong may follow from it.
    line, place, fault = min(faults, key=lambda f: (f[2]["type"] != "extra_forbidden", f[0]))
    key = ".".join(str(step) for step in place if isinstance(step, str))
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(place[-1]), _known_keys(place[:-1]), 1)
        remedy = f"did you mean {close[0]}?" if close else KEYS
        return f"line {line}: unknown key {key}", remedy
    message = fault["msg"].removeprefix("Value error, ")
    remedy = "change one of them" if isinstance(fault.get("ctx", {}).get("error"), Contradiction) else KEYS
    return f"line {line}: {key}: {message[:1].lower()}{message[1:]}", remedy


def _known_keys(place: tuple[str | int, ...]) -> list[str]:
    """Keys of the table at `place`."""
    model: Any = SimulationSpec
    for step in place:
        if isinstance(step, str):
            annotation = model.model_fields[step].annotation
            model = getattr(annotation, "__args__", (annotation,))[0]
    return list(model.model_fields)


def _with_line_first(message: str) -> str:
    text, _, place = message.partition(" (at ")
    return f"{place.rstrip(')')}: {text}" if place else message
