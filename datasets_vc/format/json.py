"""JSON objects: canonical bytes, and members that all have (docs/format.md, section 3)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from datasets_vc.decoding import MAX_LEVELS, load_json
from datasets_vc.digest import ALGORITHM, Buffer, Digest, checksum_of, is_hex
from datasets_vc.errors import FormatError, IntegrityError, InvalidInputError
from datasets_vc.format.header import VERSION

COMMIT = "dsvc-commit"
ROOT = "dsvc-root"
RUN = "dsvc-run"
RUN_INPUT = "dsvc-run-input"
RUN_PACKS = "dsvc-run-packs"
TAG = "dsvc-tag"

CHECK = "check"
"""The member that says whether an object is whole, and the write flag that says it is there."""

_ALWAYS_CANONICAL = frozenset({COMMIT, RUN, RUN_INPUT, RUN_PACKS, TAG})

MOST_VALUES = 1 << 16
"""Values in one object, a run's input or an event of its log: as many as honest ones never have."""

_MOST_LISTED = 1 << 20
"""As many refs and packs as 64 MiB can name by their digests."""

_LISTING = frozenset({ROOT, RUN_PACKS})
_LONGEST_CHUNK = 16 << 20
_STRING = re.compile(rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)', re.DOTALL)

_COMMON = ("algorithm", "format", "read_flags", "version", "write_flags", CHECK)


def canonical(value: object) -> bytes:
    """The one byte string that stands for `value`.

    Raises:
        TypeError: it holds a float or something else that has no canonical form.
        InvalidInputError: it holds text that is not Unicode, such as a name in Latin-1, or is
            nested more deeply than may be read again.
    """
    _check_values(value, MAX_LEVELS)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        bad = text[max(0, error.start - 20) : error.end]
        raise InvalidInputError(
            f"{bad!a} cannot be recorded: it is not valid UTF-8.", "Write it in UTF-8."
        ) from error


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


def encode_checked(form: str, members: Mapping[str, object]) -> bytes:
    """The same for an object that no digest names: it has a checksum of its own."""
    data = encode_object(form, dict(members) | {"write_flags": [CHECK]})
    return canonical(json.loads(data) | {CHECK: check_of(data)})


def check_of(data: Buffer) -> str:
    """What the member `check` says of bytes."""
    return f"{checksum_of(data):016x}"


def form_of(data: Buffer) -> str | None:
    """The name of the format that `data` says to be of; None if it is no JSON object with one."""
    if bytes(data[:1]) != b"{" or len(data) > _LONGEST_CHUNK:
        return None
    try:
        form = parse(data, "").get("format")
    except IntegrityError:
        return None
    return form if isinstance(form, str) else None


def decode_object(data: Buffer, form: str, what: str) -> dict[str, Any]:
    """The members of an object of the format named `form`, without the common ones.

    Raises:
        IntegrityError: the bytes are not such an object, or one that has a digest and is not
            canonical.
        FormatError: it needs a newer version.
    """
    value = parse(data, what, _MOST_LISTED if form in _LISTING else MOST_VALUES)
    if not isinstance(value, dict) or value.get("format") != form:
        raise IntegrityError(f"{what} is not a {form} object.")
    if value.get("version") != VERSION or value.get("algorithm") != ALGORITHM:
        raise _too_new(what)
    if value.get("read_flags") != []:
        raise _too_new(what)
    _verify(value, what)
    if form in _ALWAYS_CANONICAL and not _is_canonical(value, data):
        raise IntegrityError(
            f"{what} is not written canonically, so its digest is not the only one."
        )
    return {name: member for name, member in value.items() if name not in _COMMON}


def write_flags_of(data: Buffer, what: str) -> list[str]:
    """The required-to-write flags of an encoded object.

    Raises:
        IntegrityError: it does not say them.
    """
    value = parse(data, what, _MOST_LISTED)
    flags = value.get("write_flags") if isinstance(value, dict) else None
    if not isinstance(flags, list):
        raise IntegrityError(f"{what} is malformed: it lacks its write flags.")
    return [text(flag, what) for flag in flags]


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
    if not isinstance(value, str) or not _is_unicode(value):
        raise IntegrityError(f"{what} is malformed: {value!r} is not text.")
    return value


def _is_unicode(value: str) -> bool:
    # JSON can escape halves of surrogate pairs, which no UTF-8 can say.
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def _verify(value: Mapping[str, Any], what: str) -> None:
    flags = value.get("write_flags")
    flagged = isinstance(flags, list) and CHECK in flags
    if not flagged and CHECK not in value:
        return
    rest = {name: member for name, member in value.items() if name != CHECK}
    if not flagged or not _matches(rest, value.get(CHECK)):
        raise IntegrityError(f"{what} is damaged: it does not match its checksum.")


def _matches(rest: Mapping[str, Any], check: object) -> bool:
    try:
        return check_of(canonical(rest)) == check
    except InvalidInputError:  # halves of surrogate pairs, which nobody has written
        return False


def values_in(data: Buffer) -> int:
    """How many values JSON has at most, found in time and memory in proportion to its bytes."""
    source = bytes(data)
    # Marks in texts count only where they could matter: few texts have thousands of them.
    most = _marks(source)
    return most if most <= MOST_VALUES else _marks(_STRING.sub(b"", source))


def check_values(data: Buffer, what: str, most: int = MOST_VALUES) -> None:
    """Check that JSON has no more values than an honest object: parsed each takes 60 bytes or more.

    Raises:
        IntegrityError: it has more.
    """
    if values_in(data) > most:
        raise IntegrityError(f"{what} is malformed: it has more than {most:,} values.")


def _marks(source: bytes) -> int:
    return source.count(b",") + source.count(b"[") + source.count(b"{")


def parse(data: Buffer, what: str, most: int = MOST_VALUES) -> Any:
    """The value that `data` says, canonically or not; integers are its only numbers.

    Args:
        most: how many values it may have.

    Raises:
        IntegrityError: the bytes are no JSON, have other numbers or too many values, or are nested
            too deeply.
    """
    check_values(data, what, most)
    try:
        return load_json(
            bytes(data).decode(),
            parse_float=_no_number,
            parse_constant=_no_number,
            object_pairs_hook=_each_once,
        )
    except ValueError as error:
        raise IntegrityError(f"{what} is not valid JSON.") from error


def optional_text(members: Mapping[str, Any], name: str, what: str) -> str | None:
    """A member that is text if it is there.

    Raises:
        IntegrityError: it is something else.
    """
    return text(members[name], what) if name in members else None


def _is_canonical(value: object, data: Buffer) -> bool:
    try:
        return canonical(value) == data
    except InvalidInputError:
        return False


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; readers differ on which of two members of one name counts."""
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member comes twice")
    return found


def _no_number(literal: str) -> None:
    raise ValueError(f"{literal} is not an integer")


def _too_new(what: str) -> FormatError:
    return FormatError(
        f"{what} needs a newer version of datasets-vc.",
        "Upgrade with: pip install --upgrade datasets-vc",
    )


def _check_values(value: object, levels: int) -> None:
    if isinstance(value, float):
        raise TypeError(f"{value!r} has no canonical form: write it as text.")
    if not isinstance(value, Mapping | list | tuple):
        return
    if not levels:
        raise InvalidInputError(
            f"What is nested more than {MAX_LEVELS} levels deep cannot be recorded.",
            "Write it flatter.",
        )
    for member in value.values() if isinstance(value, Mapping) else value:
        _check_values(member, levels - 1)
