"""Commands and groups that start fast.

Typer converts every value but flags with pydantic, which takes 0.1 s to load: a fifth of what
`dsvc status` takes. A text needs no conversion, and nothing given needs none either.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """One verb."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        _take_texts_as_typed(self.params)


class Group(TyperGroup):
    """A group of verbs."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        _take_texts_as_typed(self.params)


def _take_texts_as_typed(parameters: list[Any]) -> None:
    for parameter in parameters:
        if parameter.callback is None:
            parameter.process_value = _Conversion(parameter)


class _Conversion:
    """`process_value` of a parameter, loading what it needs only if it needs it."""

    def __init__(self, parameter: Any) -> None:
        self._parameter = parameter
        self._convert = parameter.process_value
        self._is_text = parameter.type_descriptor.annotation in (str, list[str])

    def __call__(self, ctx: Any, value: Any) -> Any:
        optional = not self._parameter.required
        if value is None and optional:
            several = self._parameter.multiple or self._parameter.nargs == -1
            return () if several else None
        if self._is_text and (value or optional):
            return value
        return self._convert(ctx, value)
