"""JSON objects: canonical bytes, and members that all have (docs/format.md, section 3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from datasets_vc.digest import ALGORITHM, Buffer, Digest, is_hex
from datasets_vc.errors import FormatError, IntegrityError
from datasets_vc.format.header import VERSION

COMMIT = "dsvc-commit"
ROOT = "dsvc-root"
RUN = "dsvc-run"
RUN_INPUT = "dsvc-run-input"

_COMMON = ("algorithm", "format", "read_flags", "version", "write_flags")


def canonical(value: object) -> bytes:
    """The one byte string that stands for `value`.

    Raises:
        TypeError: it holds a float or something else that has no canonical form.
    """
    _refuse_floats(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def encode_object(form: str, members: Mapping[str, object]) -> bytes:
    """Canonical bytes of an object of the format named `form`."""
    common = {
        "algorithm": ALGORITHM,
        "format": form,
        "read_flags": [],
        "version": VERSION,
        "write_flags": [],
    }
    return canonical(common | dict(members))


def decode_object(data: Buffer, form: str, what: str) -> dict[str, Any]:
    """The members of an object of the format named `form`, without the common ones.

    Raises:
        IntegrityError: the bytes are not such an object.
        FormatError: it needs a newer version.
    """
    try:
        value = json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{what} is not valid JSON.") from error
    if not isinstance(value, dict) or value.get("format") != form:
        raise IntegrityError(f"{what} is not a {form} object.")
    if value.get("version") != VERSION or value.get("algorithm") != ALGORITHM:
        raise _too_new(what)
    if value.get("read_flags") != []:
        raise _too_new(what)
    return {name: member for name, member in value.items() if name not in _COMMON}


def write_flags_of(data: Buffer) -> list[str]:
    """The required-to-write flags of an encoded object."""
    flags = json.loads(bytes(data)).get("write_flags", [])
    return [str(flag) for flag in flags]


def hex_digest(value: object, what: str) -> Digest:
    """A member that must be a digest in hex.

    Raises:
        IntegrityError: it is not.
    """
    if not isinstance(value, str) or len(value) != 64 or not is_hex(value):
        raise IntegrityError(f"{what} is malformed: {value!r} is not a digest.")
    return Digest(bytes.fromhex(value))


def text(value: object, what: str) -> str:
    """A member that must be text.

    Raises:
        IntegrityError: it is not.
    """
    if not isinstance(value, str):
        raise IntegrityError(f"{what} is malformed: {value!r} is not text.")
    return value


def _too_new(what: str) -> FormatError:
    return FormatError(
        f"{what} needs a newer version of datasets-vc.",
        "Upgrade with: pip install --upgrade datasets-vc",
    )


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError(f"{value!r} has no canonical form: write it as text.")
    if isinstance(value, Mapping):
        for member in value.values():
            _refuse_floats(member)
    elif isinstance(value, list | tuple):
        for member in value:
            _refuse_floats(member)
