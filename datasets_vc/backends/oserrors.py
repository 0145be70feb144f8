"""What the operating system says about files, turned into our errors."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from datasets_vc.errors import DatasetError, NotFoundError, UnreadableFileError, hint_about
from datasets_vc.permissions import owner_of

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def our_errors(act: str, path: Path) -> Iterator[None]:
    """Turn what the operating system says into our errors."""
    try:
        yield
    except OSError as error:
        raise translated(error, act, path) from error


def translated(error: OSError, act: str, path: Path) -> DatasetError:
    """The error of ours that says that a file cannot be read, written, deleted or locked."""
    if act == "make" and error.errno in _ABSENT:
        return NotFoundError(
            f"Cannot make the folder '{path}': {error.strerror}.",
            "No folder can be made there: name another place.",
        )
    if error.errno in _ABSENT:
        return NotFoundError(f"There is no '{path}'.")
    reason = f"Cannot {act} '{path}'"
    if error.errno in _FULL:
        return DatasetError(
            f"{reason}: no space left on device.", "Free space there and run again."
        )
    if error.errno == errno.EROFS:
        return DatasetError(f"{reason}: the file system is read-only.", "Write somewhere else.")
    kind = UnreadableFileError if act == "read" else DatasetError
    if error.errno == errno.ESTALE:
        return kind(f"{reason}: the network share has lost it.", "Mount it again, then try again.")
    if error.errno == errno.ENOLCK:
        hint = "Mount it with locks: on NFS without 'nolock', on SMB without 'nobrl'."
        return kind(f"{reason}: the network share has no locks.", hint)
    if error.errno in (errno.EACCES, errno.EPERM):
        return kind(f"{reason}: permission denied.", _permission_hint(act, path))
    return kind(f"{reason}: {error.strerror or error}.", hint_about(error, ""))


def _permission_hint(act: str, path: Path) -> str:
    """Who can help; a folder that was made for one user is where two want to write."""
    place = next((each for each in (path, *path.parents) if os.path.lexists(each)), path)
    owner = owner_of(place)
    if act == "read" or not owner:
        return "Check who owns it and its permissions."
    return (
        f"'{place}' belongs to {owner}. A store that several users write to is made so by its "
        "owner: dsvc init --store FOLDER --shared group, or dsvc remote add NAME FOLDER --shared "
        "group."
    )


def opened(path: Path) -> BinaryIO:
    """A file to read. What a stranger's folder may have in its place is none: a pipe never ends.

    Raises:
        OSError: as `open`.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise IsADirectoryError(errno.EISDIR, "it is no file", str(path))
