"""The configuration of a method: its defaults, one it knows by name, or a TOML file; and as such a file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vitreous.core import InputError
from vitreous.methods import CLASSICAL, LEARNED, ClassicalMethod, LearnedConfig
from vitreous.workflows.denoise.values import OPTICS_OPTIONS, DenoiseSettings

PRESETS = ("paper",)

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def is_preset(config: str) -> bool:
    """Whether a configuration is known by this name; all others are files."""
    return config in PRESETS


def check_config(settings: DenoiseSettings) -> None:
    """Raise InputError if there is nothing that a configuration could be of."""
    if settings.config is not None and settings.model is not None:
        raise InputError("--config and --model exclude each other", remedy="a saved model has its own")


def method_of_file(settings: DenoiseSettings) -> str | None:
    """The method that a configuration file names, if any; "auto" is none."""
    if settings.config is None or is_preset(settings.config):
        return None
    method = read_table(Path(settings.config)).get("method", "auto")
    return None if method == "auto" else str(method)


def chosen_config(method: str, settings: DenoiseSettings) -> LearnedConfig:
    """The configuration of a learned method; a number of steps in the settings goes before its own.

    Raises
    ------
    InputError
        If there is none of that name, or the file does not describe one of this method.
    """
    config = configured(method, LEARNED[method][1], settings)
    return config if settings.steps is None else config.model_copy(update={"steps": settings.steps})


def chosen_filter(method: str, settings: DenoiseSettings) -> ClassicalMethod:
    """A filter with its configuration; optics in the settings go before those of a file.

    Raises
    ------
    InputError
        If the file does not describe a configuration of this filter, or the optics are impossible.
    """
    kind = CLASSICAL[method]
    config = configured(method, kind, settings)
    try:
        return kind.model_validate({**config.model_dump(), **settings.optics})
    except ValidationError as error:
        name, fault = first_fault(error)
        raise InputError(f"{OPTICS_OPTIONS.get(name, name)}: {fault}") from error


def check_optics(method: str, settings: DenoiseSettings) -> None:
    """Raise InputError if the settings name optics that the method has no use for."""
    known = CLASSICAL[method].model_fields if method in CLASSICAL else {}
    for name in settings.optics:
        if name not in known:
            text = f"{OPTICS_OPTIONS[name]} means nothing to {method}"
            raise InputError(text, remedy="leave it out, or choose --method deconv")


def configured(
    method: str,
    kind: type[ConfigT],
    settings: DenoiseSettings,
    methods: Mapping[str, tuple[type[Any], type[BaseModel]]] = LEARNED,
) -> ConfigT:
    """The configuration that the settings name: the defaults, one known by name, or a file.

    `methods` are those that a user could have meant.
    """
    if settings.config is None:
        return kind()
    if not is_preset(settings.config):
        return config_of_file(method, kind, Path(settings.config))
    preset = getattr(kind, settings.config, None)
    if preset is None:
        able = ", ".join(name for name, (_, known) in methods.items() if hasattr(known, settings.config))
        text = f"{method} has no configuration {settings.config}"
        raise InputError(text, remedy=f"--method {able} has one")
    config: ConfigT = preset()
    return config


def config_of_file(method: str, kind: type[ConfigT], path: Path) -> ConfigT:
    """What a TOML file says about the configuration of `method`."""
    table = read_table(path)
    named = table.pop("method", "auto")
    if named not in ("auto", method):
        known = named in (*LEARNED, *CLASSICAL)
        remedy = f"give --method {named}" if known else "correct the line that names it"
        raise InputError(f"is a configuration of {named}, not of {method}", path=path, remedy=remedy)
    try:
        return kind(**table)
    except ValidationError as error:
        text = ": ".join(first_fault(error))
        printed = method in CLASSICAL or kind is LEARNED.get(method, (None, None))[1]
        remedy = f"see vitreous denoise --method {method} --print-config" if printed else "correct that line"
        raise InputError(text, path=path, remedy=remedy) from error


def first_fault(error: ValidationError) -> tuple[str, str]:
    """The first setting that is wrong, and what is wrong with it."""
    first = error.errors()[0]
    return ".".join(map(str, first["loc"])), first["msg"].lower()


def read_table(path: Path) -> dict[str, Any]:
    """The contents of a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        text = f"cannot be read ({error.strerror})"
        raise InputError(text, path=path, remedy=f"name a TOML file or {', '.join(PRESETS)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is no TOML ({error})", path=path, remedy="correct it") from error


def as_toml(method: str, config: BaseModel) -> str:
    """A configuration as a file that `--config` reads; what is left to the volume (None) is left out.

    Examples
    --------
    >>> from vitreous.methods import LearnedConfig
    >>> print(as_toml("n2n", LearnedConfig()).splitlines()[0])
    method = "n2n"
    """
    plain = {"method": method, **config.model_dump(mode="json", exclude_none=True)}
    tables = {key: value for key, value in plain.items() if isinstance(value, dict)}
    # Numbers, strings, booleans and lists of them are written alike in JSON and TOML.
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items() if key not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def config_text(settings: DenoiseSettings, *, halves: bool = False) -> str:
    """The configuration that these settings lead to, as TOML; `halves`: even and odd tomograms are given."""
    default = "n2n" if halves else "noise-model"
    asked = settings.method if settings.method != "auto" else method_of_file(settings) or default
    check_optics(asked, settings)
    if asked in CLASSICAL:
        return as_toml(asked, chosen_filter(asked, settings))
    if asked not in LEARNED:
        known = ", ".join((*LEARNED, *CLASSICAL))
        raise InputError(f"--method {asked} has no configuration", remedy=f"use one of {known}")
    return as_toml(asked, chosen_config(asked, settings))
