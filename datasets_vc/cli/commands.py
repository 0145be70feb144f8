"""Commands and groups that start fast.

Typer converts every value but flags with pydantic, which takes 0.1 s to load: a fifth of what
`dsvc status` takes. Texts and paths do not need that, and nothing given needs none either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from datasets_vc.cli.streams import prose

_PROSE = frozenset({"message", "author"})
_LETTERS = {int: "N", float: "X", str: "TEXT"}


class _Quick:
    """What commands and groups share: their parameters, and `--help`, which comes later."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if not isinstance(parameter.process_value, _Conversion):
                parameter.process_value = _Conversion(parameter)
                _name_value(parameter)
        return parameters


AFTER_DASHES = "datasets_vc.after_dashes"


class Command(_Quick, TyperCommand):
    """One verb; it notes in `ctx.meta` how many words came after `--`, if that was given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            ctx.meta[AFTER_DASHES] = len(args) - args.index("--") - 1
        rest: list[str] = super().parse_args(ctx, args)
        return rest


class Group(_Quick, TyperGroup):
    """A group of verbs."""


def _name_value(parameter: Any) -> None:
    """Let the help call a value by what it is for, or by a letter, not by its type."""
    if parameter.param_type_name == "argument":
        parameter.display_type_rich = lambda ctx: ""  # noqa: ARG005
    elif parameter.metavar is None:
        parameter.metavar = _LETTERS.get(parameter.type_descriptor.annotation)


class _Conversion:
    """`process_value` of a parameter, loading what it needs only if it needs it."""

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter
        self._convert = parameter.process_value
        annotation = parameter.type_descriptor.annotation
        self._is_path = annotation is Path
        self._is_text = annotation in (str, list[str])
        self._is_prose = parameter.name in _PROSE

    def __call__(self, ctx: Any, value: Any) -> Any:
        parameter = self._parameter
        missing = value is None
        if parameter.required and not value:
            return self._convert(ctx, value)
        if not missing and not (self._is_text or self._is_path):
            return self._convert(ctx, value)
        if not missing and self._is_path:
            value = Path(value)
        if self._is_prose and isinstance(value, str):
            value = prose(value)
        if missing and (parameter.multiple or parameter.nargs == -1):
            value = ()
        return parameter.callback(ctx, parameter, value) if parameter.callback else value
