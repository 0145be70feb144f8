"""Commits (docs/format.md, section 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import IntegrityError, InvalidInputError
from datasets_vc.format.json import (
    COMMIT,
    decode_object,
    encode_object,
    hex_digest,
    optional_text,
    text,
)
from datasets_vc.format.signed import SIGNATURE, signature_member

MAX_PARENTS = 64
"""Two are a merge; more are taken from writers that know such merges, within reason."""

MAX_MESSAGE = 1 << 20
"""Letters of a message that are written, and read; of longer ones only the beginning is read."""

MAX_NAME = 1024
"""The same of an author or tagger."""

MAX_SIZE = 16 << 20
"""Bytes of a commit or tag object that is read at all."""

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Commit:
    """One version: which dataset, after which commits, by whom, when (UTC, whole seconds), why.

    `signature` is that of the commit without it, if it is signed; see `format.signed`.
    """

    dataset: Digest
    parents: tuple[Digest, ...]
    author: str
    time: datetime
    message: str
    signature: str | None = None


def encode_commit(commit: Commit) -> bytes:
    members: dict[str, object] = {
        "dataset": commit.dataset.hex(),
        "parents": [parent.hex() for parent in commit.parents],
        "author": commit.author,
        "time": encode_time(commit.time),
        "message": commit.message,
    }
    return encode_object(COMMIT, members | signature_member(commit.signature))


def decode_commit(data: Buffer, what: str) -> Commit:
    """The commit that `data` encodes.

    Raises:
        IntegrityError: the bytes are not a well-formed commit.
        FormatError: they need a newer version.
    """
    check_size(data, what)
    members = decode_object(data, COMMIT, what)
    parents = members.get("parents")
    if not isinstance(parents, list) or len(parents) > MAX_PARENTS:
        raise IntegrityError(
            f"{what} is malformed: it has no list of at most {MAX_PARENTS} parents."
        )
    return Commit(
        dataset=hex_digest(members.get("dataset"), what),
        parents=tuple(hex_digest(parent, what) for parent in parents),
        author=beginning(text(members.get("author"), what), MAX_NAME),
        time=decode_time(members.get("time"), what),
        message=beginning(text(members.get("message"), what), MAX_MESSAGE),
        signature=optional_text(members, SIGNATURE, what),
    )


def check_texts(author: str, message: str) -> None:
    """Check that an author and a message may be recorded.

    Raises:
        InvalidInputError: one is too long.
    """
    for what, said, most in (("name", author, MAX_NAME), ("message", message, MAX_MESSAGE)):
        if len(said) > most:
            raise InvalidInputError(
                f"The {what} has {len(said):,} letters; {most:,} are the most.",
                "Put what is longer into a file of the dataset.",
            )


def check_size(data: Buffer, what: str) -> None:
    """Check that a commit or tag object is one that can be read.

    Raises:
        IntegrityError: it is too long.
    """
    if len(data) > MAX_SIZE:
        raise IntegrityError(f"{what} has {len(data):,} bytes; {MAX_SIZE:,} are the most.")


def beginning(said: str, most: int) -> str:
    """A text of a commit as far as it is read."""
    if len(said) <= most:
        return said
    note = f" … ({len(said):,} letters)"
    return said[: most - len(note)] + note


def encode_time(time: datetime) -> str:
    # Not strftime, which does not pad the year everywhere.
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def decode_time(value: object, what: str) -> datetime:
    """A member that must be a time.

    Raises:
        IntegrityError: it is not.
    """
    problem = IntegrityError(f"{what} is malformed: {value!r} is not a time.")
    try:
        time = datetime.strptime(text(value, what), TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise problem from error
    if encode_time(time) != value:
        raise problem
    return time
