"""The folders of a store on this machine: what lies in them, and that they are no links."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from datasets_vc.backends.base import ObjectInfo
from datasets_vc.backends.oserrors import our_errors
from datasets_vc.errors import UnsafeFolderError

NO_SUCH_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

_STALE_TRIES = 3

Result = TypeVar("Result")


def is_own(store: Path, folder: Path) -> bool:
    """Whether a folder of a store is there, so that something can be written in it.

    Args:
        store: the folder that the user named, which may be a link.
        folder: it, or one in it.

    Raises:
        UnsafeFolderError: it, or one between the two, is a link.
    """
    if folder == store:
        return folder.is_dir()
    inner = folder.relative_to(store)
    for above in reversed(inner.parents[:-1]):
        _refuse_link(store / above)
    return _refuse_link(folder)


def scan(folder: Path, prefix: str, *, linked: bool = False) -> Iterator[ObjectInfo]:
    """What lies in a folder; behind a link no further links to folders: they may go in circles."""
    try:
        entries = list(os.scandir(folder))
    except NO_SUCH_FILE:
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.is_dir():
            is_link = entry.is_symlink()
            if not (linked and is_link):
                yield from scan(folder / entry.name, name + "/", linked=linked or is_link)
            continue
        with suppress(FileNotFoundError):  # deleted since the folder was read
            status = entry.stat()
            yield ObjectInfo(name, status.st_size, status.st_mtime)


def fresh(read: Callable[[], Result]) -> Result:
    """Read, and again by name where a share has given the name to another file meanwhile."""
    for _ in range(_STALE_TRIES - 1):
        try:
            return read()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return read()


def _refuse_link(folder: Path) -> bool:
    """Whether a folder is there; a link in its place is refused, wherever it leads."""
    with our_errors("write", folder):
        try:
            mode = folder.lstat().st_mode
        except NO_SUCH_FILE:
            return False
    if stat.S_ISLNK(mode):
        raise UnsafeFolderError(
            f"'{folder}' is a link: nothing is written or deleted behind the links of a store.",
            "It may lead into somebody else's store. If you made it, put a folder in its place; a "
            "store that is to lie elsewhere is moved as a whole, and named: dsvc init --store DIR.",
        )
    return stat.S_ISDIR(mode)
