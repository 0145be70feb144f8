"""What git tracks, as the index of a work tree says.

Nothing here calls git, which would follow the settings of the work tree. The format is that of
gitformat-index(5), versions 2 to 4; other files are taken for an empty index.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

_SIGNATURE = b"DIRC"
_HEAD = struct.Struct(">4sLL")
_NUMBER = struct.Struct(">H")
_DIGESTS = (20, 32)
_STAT = 40
_EXTENDED = 0x4000
_LENGTH = 0xFFF
# Where names differ in case only, git may have written what is found by another one.
_CASE = re.IGNORECASE if sys.platform in ("darwin", "win32") else re.NOFLAG
_MAX_LINK = 4096


def tracks(git: Path, path: str) -> bool:
    """Whether a git work tree tracks a path, or anything below it.

    What cannot be read was not checked out by who asks, and tracks nothing.

    Args:
        git: the `.git` of the work tree: a folder, or a file that names one.
        path: from the top of the work tree, with slashes.
    """
    sought = re.compile(re.escape(os.fsencode(path)) + b"[/\0]", _CASE)
    try:
        place = _folder_of(git)
        data = _read(place / "index")
        # Most entries of a split index lie in another file, which the index names by its digest.
        shared = [
            _read(each)
            for each in place.glob("sharedindex.*")
            if re.fullmatch("([0-9a-f]{2})+", each.name[12:])
            and bytes.fromhex(each.name[12:]) in data
        ]
    except OSError:
        return False
    return any(_names(each, sought) for each in (data, *shared))


def _folder_of(git: Path) -> Path:
    """The folder that a `.git` is or, in a submodule or another work tree, names."""
    if git.is_dir():
        return git
    said = _read(git, _MAX_LINK).removeprefix(b"gitdir:").strip()
    return git.parent / os.fsdecode(said)


def _read(file: Path, most: int = -1) -> bytes:
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as opened:
        return opened.read(most) if stat.S_ISREG(os.fstat(handle).st_mode) else b""


def _names(data: bytes, sought: re.Pattern[bytes]) -> bool:
    if len(data) < _HEAD.size:
        return False
    signature, version, count = _HEAD.unpack_from(data)
    if signature != _SIGNATURE:
        return False
    if version < 4:
        return any(_is_name(data, found.start()) for found in sought.finditer(data, _HEAD.size))
    # Which digests they are stands elsewhere; read by the wrong ones it ends soon.
    return any(
        sought.match(name) for digest in _DIGESTS for name in _compressed(data, count, digest)
    )


def _is_name(data: bytes, start: int) -> bool:
    """Whether the name of an entry begins there: its length stands before it, in the flags."""
    length = min(data.find(b"\0", start) - start, _LENGTH)
    flags, extended = (_NUMBER.unpack_from(data, start - back)[0] for back in (2, 4))
    return flags & _LENGTH == length or (
        bool(extended & _EXTENDED) and extended & _LENGTH == length
    )


def _compressed(data: bytes, count: int, digest: int) -> Iterator[bytes]:
    """The names of version 4: of each, what the one before it does not say already."""
    at, name = _HEAD.size, b""
    for _ in range(count):
        at += _STAT + digest
        if at + 2 * _NUMBER.size >= len(data):
            return
        extended = _NUMBER.unpack_from(data, at)[0] & _EXTENDED
        at += 2 * _NUMBER.size if extended else _NUMBER.size
        cut, at = _varint(data, at)
        end = data.find(b"\0", at)
        if end < 0 or cut > len(name):
            return
        name = name[: len(name) - cut] + data[at:end]
        yield name + b"\0"
        at = end + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, most significant bits first, and where it ends."""
    value = data[at] & 0x7F
    while data[at] & 0x80 and at + 1 < len(data):
        at += 1
        value = (value + 1 << 7) + (data[at] & 0x7F)
    return value, at + 1
