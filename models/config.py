"""Settings: defaults.toml, replaced by a file, replaced by single values; all known, all typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from datasets_vc.decoding import load_json, load_toml
from datasets_vc.errors import InvalidInputError, NotFoundError

MODELS = ("cnn", "rnn", "crnn")

Value: TypeAlias = bool | int | float | str | list[int]
Config: TypeAlias = dict[str, Value]

_DEFAULTS = Path(__file__).with_name("defaults.toml")
_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def resolve(model: str, file: Path | None = None, settings: Sequence[str] = ()) -> Config:
    """All settings for a model, flat: name -> value.

    Args:
        model: one of `MODELS`.
        file: TOML or JSON; settings at the top, or in tables `train` and those named after models.
        settings: `key=value` texts, values as in TOML; quotes around text may be left out.

    Raises:
        InvalidInputError: a key is unknown, or a value has the wrong type.
    """
    defaults = load_toml(_DEFAULTS.read_text(encoding="utf-8"))
    config: Config = defaults["train"] | defaults[model]
    given = _read(file) if file else {}
    for table, values in (
        ("", given),
        ("train", given.get("train", {})),
        (model, given.get(model, {})),
    ):
        where = f"{file}, [{table}]" if table else str(file)
        _apply(config, _plain(values) if not table else values, where)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InvalidInputError(f"'{setting}' is not KEY=VALUE.", "For example: --set epochs=5")
        _apply(config, {key.strip(): _parsed(text.strip())}, "--set")
    return config


def _apply(config: Config, values: Mapping[str, Any], where: str) -> None:
    for key, value in values.items():
        if key not in config:
            known = ", ".join(sorted(config))
            raise InvalidInputError(
                f"There is no setting '{key}' ({where}).", f"Settings: {known}."
            )
        config[key] = _typed(key, value, config[key], where)


def _typed(key: str, value: Any, default: Value, where: str) -> Value:
    """`value` if it is of the default's type; a number may stand for a fraction, or text for both.

    Records of runs write fractions as text.
    """
    if isinstance(default, list):
        items = value if isinstance(value, list) else _parsed(f"[{value}]")
        if isinstance(items, list) and items and all(type(item) is int for item in items):
            return items
        raise InvalidInputError(
            f"'{key}' must be a list of whole numbers, not {value!r} ({where})."
        )
    if isinstance(default, float) and isinstance(value, str | int) and type(value) is not bool:
        try:
            return float(value)
        except ValueError:
            pass
    elif type(value) is type(default):
        return value
    kind = _KINDS[type(default)]
    raise InvalidInputError(f"'{key}' must be {kind}, not {value!r} ({where}).")


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        values = load_json(text) if file.suffix == ".json" else load_toml(text)
    except OSError as error:
        raise NotFoundError(f"The configuration '{file}' cannot be read.") from error
    except ValueError as error:
        kind = "JSON" if file.suffix == ".json" else "TOML"
        raise InvalidInputError(
            f"The configuration '{file}' is not valid {kind}: {error}."
        ) from error
    if not isinstance(values, dict):
        raise InvalidInputError(f"The configuration '{file}' is not a table of settings.")
    return values


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in no table; an unknown table stays, to be refused."""
    return {
        key: value
        for key, value in values.items()
        if not (isinstance(value, dict) and key in ("train", *MODELS))
    }


def _parsed(text: str) -> Any:
    try:
        return load_toml(f"value = {text}")["value"]
    except ValueError:
        return text
