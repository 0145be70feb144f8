"""Which files are tables with a key, and which column that is.

`metadata.csv`, `metadata.jsonl` and `metadata.parquet` are, by `file_name`. Others are declared, in
`dsvc.toml` at the top of the dataset, which travels with it, or in a workspace's `config.toml`:

    [tables]
    "labels/*.csv" = "image_id"      # pattern, as in .dsvcignore = column
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from datasets_vc.decoding import load_toml
from datasets_vc.errors import InvalidInputError
from datasets_vc.paths import without_retries

KEYS_FILE = "dsvc.toml"

MAX_KEYS = 1 << 20
"""Bytes of it."""

SUFFIXES = ("csv", "jsonl", "parquet")
DEFAULT_KEY = "file_name"


def key_of(path: str, declared: Mapping[str, str]) -> str | None:
    """The key column of the table at `path`, or None if it is no table with a key.

    Args:
        declared: pattern -> column; of several patterns that fit, the last one counts.
    """
    if not is_table(path):
        return None
    for pattern, column in reversed(list(declared.items())):
        if any(regex.match(path) for regex in _compiled(pattern)):
            return column
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return DEFAULT_KEY if stem.lower() == "metadata" else None


def is_table(path: str) -> bool:
    """Whether a file could be a table with a key, by its suffix."""
    return path.lower().rpartition(".")[2] in SUFFIXES


def check_keys_size(size: int) -> None:
    """Check that a `dsvc.toml` is no longer than is read.

    Raises:
        InvalidInputError: it is.
    """
    if size > MAX_KEYS:
        raise InvalidInputError(
            f"'{KEYS_FILE}' has {size:,} bytes; {MAX_KEYS:,} are the most.", "Shorten it."
        )


def declared_keys(data: bytes) -> Mapping[str, str]:
    """What a `dsvc.toml` declares: pattern -> column. Other tables of it are left alone.

    Raises:
        InvalidInputError: it is not TOML, or its `[tables]` are not patterns and columns.
    """
    check_keys_size(len(data))
    try:
        tables = load_toml(data.decode()).get("tables", {})
    except ValueError as error:  # of TOML, of UTF-8, or of a number
        raise InvalidInputError(f"'{KEYS_FILE}' is not valid TOML: {error}.") from error
    try:
        return check_keys(tables)
    except InvalidInputError as error:
        raise InvalidInputError(f"'{KEYS_FILE}': {error.message}", error.hint) from error


def check_keys(tables: Any) -> Mapping[str, str]:
    """Return `tables` if it says for patterns of paths which column is the key.

    Raises:
        InvalidInputError: it is anything else.
    """
    hint = 'For example: [tables] and below it "labels/*.csv" = "image_id"'
    if not isinstance(tables, dict):
        raise InvalidInputError(f"'tables' must be a table, not {_shown(tables)}.", hint)
    for pattern, column in tables.items():
        if not isinstance(column, str) or not column:
            raise InvalidInputError(
                f"The key of the tables '{pattern}' must be the name of a column, not "
                f"{_shown(column)}.",
                hint,
            )
        if not _is_pattern(pattern):
            raise InvalidInputError(f"{pattern!a} is no pattern that a path can fit.", hint)
    return tables


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:
        return "a number"  # of more digits than Python writes


def _is_pattern(text: str) -> bool:
    if text.startswith("!"):
        return False
    try:
        return bool(_compiled(text))
    except (ValueError, re.error):
        return False


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Sequence[re.Pattern[str]]:
    # Takes 60 ms to import, and few datasets declare tables.
    from pathspec import GitIgnoreSpec

    with warnings.catch_warnings():
        # Of what sets such as `[a--b]` may mean to a later Python.
        warnings.simplefilter("ignore", FutureWarning)
        found = GitIgnoreSpec.from_lines([pattern]).patterns
        return [
            re.compile(without_retries(each.regex.pattern))
            for each in found
            if each.include and each.regex
        ]
