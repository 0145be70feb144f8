"""Whether the system takes the paths of a version: names and whole paths have a longest length."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.format.columns import Rows
from datasets_vc.workspace.columns import paths_at

_PATH_MAX = 4095
_NAME_MAX = 255


def check_fits(root: str, paths: pa.StringArray, rows: Rows) -> None:
    """Check that files can be written at some paths of a version, before anything is.

    Raises:
        InvalidInputError: a path, or a name in it, is longer than the system takes.
    """
    names, whole = _limit(root, "PC_NAME_MAX", _NAME_MAX), _PATH_MAX - len(os.fsencode(root)) - 1
    long = rows[_lengths(paths)[rows] > min(names, whole)]
    for path in paths_at(paths, long):
        if len(path.encode()) > whole:
            raise _refused(path, f"below '{root}' its path has more than {_PATH_MAX:,}")
        longest = max(len(name.encode()) for name in path.split("/"))
        if longest > names:
            raise _refused(
                path, f"a name of it is {longest:,} bytes long, which is more than {names}"
            )


def longest(paths: pa.StringArray, rows: Rows) -> int:
    """The length in bytes of the longest of some paths."""
    return int(_lengths(paths)[rows].max(initial=0))


def _lengths(paths: pa.StringArray) -> Rows:
    _, offsets, _ = paths.buffers()
    if not len(paths):
        return np.zeros(0, np.int64)
    ends = np.frombuffer(offsets, np.int32)[paths.offset : paths.offset + len(paths) + 1]
    return np.diff(ends).astype(np.int64)


def _limit(root: str, name: str, otherwise: int) -> int:
    try:
        found = os.pathconf(root, name)
    except (OSError, ValueError, AttributeError):
        return otherwise
    return found if found > 0 else otherwise


def _refused(path: str, why: str) -> InvalidInputError:
    shown = path if len(path) < 2 * _NAME_MAX else f"{path[:_NAME_MAX]}…"
    return InvalidInputError(
        f"'{shown}' cannot be written here: {why} bytes.",
        "Go nearer to the root, or leave it out: dsvc checkout REV --only '*' --only '!NAME'.",
    )
