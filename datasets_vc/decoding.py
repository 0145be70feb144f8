"""JSON and TOML that somebody else may have written: values of bounded depth, or a ValueError.

Python's parsers give up where its stack ends, which depends on who calls, and some values that they
take are too deep for whoever walks through them afterwards. So there is one bound for all.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any, Final

MAX_LEVELS: Final = 100
"""Arrays and objects in each other, of what is decoded (docs/format.md, section 3)."""

_TOO_DEEP: Final = f"it is nested more than {MAX_LEVELS} levels deep"


def load_json(source: str | bytes, **hooks: Any) -> Any:
    """The value that a JSON text says.

    Args:
        hooks: as `json.loads` takes them.

    Raises:
        ValueError: it is no JSON or no UTF-8, a number is too long, or it is nested too deeply.
    """
    try:
        return checked_depth(json.loads(source, **hooks))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def load_toml(source: str) -> dict[str, Any]:
    """The tables that a TOML text says; some editors put a byte order mark before it.

    Raises:
        ValueError: as `load_json`.
    """
    try:
        document = tomllib.loads(source.removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    checked_depth(document)
    return document


def checked_depth(value: Any) -> Any:
    """Return a value of arrays and objects that is not nested too deeply; takes no stack.

    Raises:
        ValueError: it is.
    """
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_LEVELS):
        if not level:
            return value
        level = [
            member
            for each in level
            for member in (each.values() if isinstance(each, dict) else each)
            if isinstance(member, dict | list)
        ]
    if level:
        raise ValueError(_TOO_DEEP)
    return value
