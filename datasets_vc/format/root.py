"""The root of a store (docs/format.md, section 9)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import FormatError, IntegrityError, InvalidInputError
from datasets_vc.format.json import (
    CHECK,
    ROOT,
    decode_object,
    encode_checked,
    hex_digest,
    text,
    write_flags_of,
)

DEFAULT_BRANCH = "main"

MAX_NAME = 1024
"""Characters of the name of a branch or tag."""

Refs = Mapping[str, Digest]

_REF_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_ID = re.compile(r"[0-9a-f]{32}")
_ALL_HEX = re.compile(r"[0-9a-f]{8,}")


@dataclass(frozen=True)
class Root:
    """Refs, live chunk indexes and gc generation; `extra` keeps members of later versions.

    `id` says which store it is; it is empty in one that was not written since there are such ids.
    `shallow` are the commits before others that are deliberately not here: history is cut there.
    `garbage` is the note of the last collection, `doomed` what one is deleting.
    """

    write_id: str = ""
    gc_generation: int = 0
    default_branch: str = DEFAULT_BRANCH
    branches: Refs = field(default_factory=dict)
    tags: Refs = field(default_factory=dict)
    tracking: Refs = field(default_factory=dict)
    indexes: tuple[Digest, ...] = ()
    shallow: frozenset[Digest] = frozenset()
    garbage: Digest | None = None
    doomed: tuple[Digest, ...] = ()
    id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def encode_root(root: Root) -> bytes:
    cut = {"shallow": [digest.hex() for digest in sorted(root.shallow)]} if root.shallow else {}
    return encode_checked(
        ROOT,
        dict(root.extra)
        | cut
        | {
            "write_id": root.write_id,
            "gc_generation": root.gc_generation,
            "default_branch": root.default_branch,
            "branches": _encode_refs(root.branches),
            "tags": _encode_refs(root.tags),
            "tracking": _encode_refs(root.tracking),
            "indexes": [digest.hex() for digest in root.indexes],
        }
        | ({"garbage": root.garbage.hex()} if root.garbage else {})
        | ({"doomed": [digest.hex() for digest in root.doomed]} if root.doomed else {})
        | ({"id": root.id} if root.id else {}),
    )


def decode_root(data: Buffer, what: str) -> Root:
    """The root that `data` encodes.

    Raises:
        IntegrityError: the bytes are not a well-formed root.
        FormatError: they need a newer version.
    """
    members = decode_object(data, ROOT, what)
    generation = members.pop("gc_generation", None)
    indexes = members.pop("indexes", None)
    shallow = members.pop("shallow", [])
    store_id = members.pop("id", "")
    garbage, doomed = members.pop("garbage", None), members.pop("doomed", [])
    if type(generation) is not int or generation < 0 or not isinstance(indexes, list):
        raise IntegrityError(f"{what} is malformed: it lacks its generation or its indexes.")
    if not (isinstance(shallow, list) and isinstance(doomed, list)):
        raise IntegrityError(f"{what} is malformed: 'shallow' or 'doomed' is no list.")
    if store_id != "" and not (isinstance(store_id, str) and _ID.fullmatch(store_id)):
        raise IntegrityError(f"{what} is malformed: {store_id!r} is not the id of a store.")
    default_branch = text(members.pop("default_branch", None), what)
    _check_name(default_branch, what)
    return Root(
        write_id=text(members.pop("write_id", None), what),
        gc_generation=generation,
        default_branch=default_branch,
        branches=_decode_refs(members.pop("branches", None), what),
        tags=_decode_refs(members.pop("tags", None), what),
        tracking=_decode_refs(members.pop("tracking", None), what),
        indexes=tuple(hex_digest(digest, what) for digest in indexes),
        shallow=frozenset(hex_digest(digest, what) for digest in shallow),
        garbage=None if garbage is None else hex_digest(garbage, what),
        doomed=tuple(hex_digest(digest, what) for digest in doomed),
        id=store_id,
        extra=members,
    )


def check_writable(data: Buffer, what: str) -> None:
    """Make sure that this version may change a store with this root.

    Raises:
        FormatError: it may not.
        IntegrityError: the root does not say.
    """
    flags = [flag for flag in write_flags_of(data, what) if flag != CHECK]
    if flags:
        raise FormatError(
            f"{what} can be read but not changed by this version: it uses {', '.join(flags)}.",
            "Upgrade with: pip install --upgrade datasets-vc",
        )


def check_ref_name(name: str) -> str:
    """Return `name` if it can name a branch or a tag.

    Raises:
        InvalidInputError: it cannot.
    """
    if len(name) > MAX_NAME:
        raise InvalidInputError(f"'{name[:40]}…' is too long for the name of a branch or tag.")
    if name == "HEAD" or _ALL_HEX.fullmatch(name):
        raise InvalidInputError(f"'{name}' cannot name a branch or tag: it means something else.")
    if name.endswith(".lock") or not all(_REF_PART.fullmatch(part) for part in name.split("/")):
        raise InvalidInputError(
            f"{name!a} cannot name a branch or tag.",
            "Use ASCII letters, digits, '.', '_', '-' and '/', as in 'v1.2' or 'team/labels'.",
        )
    return name


def _encode_refs(refs: Refs) -> dict[str, str]:
    return {name: digest.hex() for name, digest in refs.items()}


def _decode_refs(value: object, what: str) -> dict[str, Digest]:
    if not isinstance(value, dict):
        raise IntegrityError(f"{what} is malformed: it lacks its refs.")
    for name in value:
        _check_name(name, what)
    return {name: hex_digest(digest, what) for name, digest in value.items()}


def _check_name(name: str, what: str) -> None:
    """Names that come from elsewhere end up in files and on terminals."""
    try:
        check_ref_name(name)
    except InvalidInputError as error:
        raise IntegrityError(f"{what} is malformed: {error.message}") from error
