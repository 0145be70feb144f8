"""`dataset.lock`: which version of which dataset some code uses (docs/format.md, section 14)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from datasets_vc.addresses import check_url
from datasets_vc.decoding import load_toml
from datasets_vc.digest import ALGORITHM, Buffer, Digest, parse_digest
from datasets_vc.errors import FormatError, InvalidInputError

VERSION = 1

LOCK_SUFFIX = ".lock"
"""No branch or tag has a name that ends so."""

_HEADER = """\
# The dataset that the code here uses, written by 'dsvc pin'.
# 'dsvc clone --from' this file gets it, 'dsvc pull --lock' follows a new one.
"""
_NEEDED = ("url", "commit", "dataset")
_KEYS = ("format", "algorithm", *_NEEDED, "revision", "path")


@dataclass(frozen=True, slots=True)
class Lock:
    """What a `dataset.lock` says.

    Attributes:
        url: of the store; a path that is not absolute counts from the folder of the file.
        commit: the version.
        dataset: the dataset digest that this commit names.
        revision: what the version was called when it was pinned, for people.
        path: the workspace, from the folder of the file.
    """

    url: str
    commit: Digest
    dataset: Digest
    revision: str | None = None
    path: str | None = None


def encode_lock(lock: Lock) -> bytes:
    """The text of a lock file, one key a line.

    Raises:
        InvalidInputError: it cannot be written: the URL carries a password, a name is not UTF-8.
    """
    _check(lock)
    values = {
        "format": VERSION,
        "algorithm": ALGORITHM,
        "url": lock.url,
        "commit": lock.commit.hex(),
        "dataset": lock.dataset.hex(),
        "revision": lock.revision,
        "path": lock.path,
    }
    lines = [f"{key} = {_literal(value)}\n" for key, value in values.items() if value is not None]
    try:
        return (_HEADER + "".join(lines)).encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{error.object[error.start : error.end]!a} cannot be written to a lock file: it is "
            "not valid UTF-8.",
            "Rename the folder.",
        ) from error


def decode_lock(data: Buffer, what: str) -> Lock:
    """What a lock file says.

    Args:
        what: how to call the file in messages.

    Raises:
        InvalidInputError: it is none, or a key is missing, unknown or wrong.
        FormatError: it is of a newer format.
    """
    values = _parse(data, what)
    _check_format(values, what)
    for key in values:
        if key not in _KEYS:
            raise InvalidInputError(
                f"{what}: there is no key '{key}'.", f"The keys are {', '.join(_KEYS)}."
            )
    for key in _NEEDED:
        if key not in values:
            raise InvalidInputError(f"{what}: the key '{key}' is missing.", "Pin again: dsvc pin")
    for key, value in values.items():
        if key != "format" and not isinstance(value, str):
            raise InvalidInputError(f"{what}: the key '{key}' must be text.")
    lock = Lock(
        url=values["url"],
        commit=_digest(values, "commit", what),
        dataset=_digest(values, "dataset", what),
        revision=values.get("revision"),
        path=values.get("path"),
    )
    try:
        _check(lock)
    except InvalidInputError as error:
        raise InvalidInputError(f"{what}: {error.message}", error.hint) from error
    return lock


def _parse(data: Buffer, what: str) -> dict[str, Any]:
    try:
        return load_toml(bytes(data).decode())
    except ValueError as error:  # of TOML, of UTF-8, or of a number
        hint = "A lock file is written by: dsvc pin"
        if b"<<<<<<<" in bytes(data):
            hint = "Two versions of it were merged: keep one of them, or pin again with 'dsvc pin'."
        raise InvalidInputError(
            f"{what} is not a lock file: it is not valid TOML.", hint
        ) from error


def _check_format(values: dict[str, Any], what: str) -> None:
    version, algorithm = values.get("format"), values.get("algorithm")
    if type(version) is not int or not isinstance(algorithm, str):
        raise InvalidInputError(
            f"{what} is not a lock file: it lacks 'format' and 'algorithm'.",
            "A lock file is written by: dsvc pin",
        )
    if (version, algorithm) != (VERSION, ALGORITHM):
        raise FormatError(
            f"{what} needs a newer version of datasets-vc: it is of format {version}.",
            "Upgrade with: pip install --upgrade datasets-vc",
        )


def _digest(values: dict[str, Any], key: str, what: str) -> Digest:
    try:
        return parse_digest(values[key])
    except InvalidInputError as error:
        raise InvalidInputError(f"{what}: the key '{key}' is wrong: {error.message}") from error


def _check(lock: Lock) -> None:
    check_url(lock.url)
    if lock.path is not None and (
        not lock.path or "\x00" in lock.path or PurePosixPath(lock.path).is_absolute()
    ):
        raise InvalidInputError(
            f"The key 'path' must be a path from the lock file's folder, not {lock.path!a}."
        )


def _literal(value: object) -> str:
    """A value as TOML writes it."""
    # JSON's text is TOML's, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
