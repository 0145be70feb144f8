"""What lies in a workspace, as columns: a million files cost 80 MB, not a million objects."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.errors import InvalidInputError
from datasets_vc.format.limits import check_paths

FIELDS = ("kind", "size", "mtime_ns", "ctime_ns", "inode")
"""The columns of numbers, in the order that rows of stat data have."""

INODE_MASK = 2**63 - 1
"""Inodes are compared only; some file systems set the bit that a signed number cannot hold."""

_INT64 = 2**63

_MAX_TEXT = 2**31 - 1


def as_int64(time: int) -> int:
    """A time in ns as a column holds it: one after 2262 goes round, and still is another one."""
    return time if -_INT64 <= time < _INT64 else (time + _INT64) % (2 * _INT64) - _INT64


def stat_row(kind: int, found: os.stat_result) -> tuple[int, int, int, int, int]:
    """What a file looks like: a row of the columns FIELDS."""
    times = as_int64(found.st_mtime_ns), as_int64(found.st_ctime_ns)
    return kind, found.st_size, *times, found.st_ino & INODE_MASK


class Skipped(NamedTuple):
    """What lies in the tree but cannot be part of a dataset, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """How much of what a walk has seen is no part of any dataset: no fault, but worth a word.

    Attributes:
        executables: files that may be executed.
        empty_folders: folders in which nothing is.
    """

    executables: int = 0
    empty_folders: int = 0

    def __add__(self, other: Unrecorded) -> Unrecorded:
        return Unrecorded(
            self.executables + other.executables, self.empty_folders + other.empty_folders
        )


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """The files and symbolic links of a tree: columns of equal length, in byte order of the paths.

    Times are in nanoseconds since the epoch, sizes in bytes. `folders` are those walked through,
    without the topmost. `unread_rules` are places of ignore rules that hold none, being links.
    """

    path: pa.StringArray
    kind: NDArray[np.int64]
    size: NDArray[np.int64]
    mtime_ns: NDArray[np.int64]
    ctime_ns: NDArray[np.int64]
    inode: NDArray[np.int64]
    folders: frozenset[str] = field(default=frozenset(), kw_only=True)
    skipped: tuple[Skipped, ...] = field(default=(), kw_only=True)
    unrecorded: Unrecorded = field(default_factory=Unrecorded, kw_only=True)
    unread_rules: tuple[str, ...] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return len(self.path)


class Run(NamedTuple):
    """Some files of one folder: their paths end to end, the lengths of these, and stat data."""

    text: bytes
    lengths: NDArray[np.int64]
    rows: NDArray[np.int64]


def make_run(prefix: str, names: Sequence[str], rows: NDArray[np.int64]) -> Run:
    """The run of the files `prefix + name`; `rows` has the columns FIELDS.

    Raises:
        UnicodeEncodeError: a name is not UTF-8.
    """
    if not names:
        return Run(b"", np.zeros(0, np.int64), rows)
    joined = prefix + prefix.join(names)
    text = joined.encode()
    parts = [prefix, *names]
    # Where a letter is a byte, and mostly it is, nothing needs to be encoded one by one.
    sizes = map(len, parts if len(text) == len(joined) else [part.encode() for part in parts])
    lengths = np.fromiter(sizes, np.int64, len(parts))
    return Run(text, lengths[1:] + lengths[0], rows)


def check_encoding() -> None:
    """Refuse to take the names of files for what they are not.

    Raises:
        InvalidInputError: this process reads names in another encoding than UTF-8.
    """
    encoding = sys.getfilesystemencoding()
    if encoding.lower() not in ("utf-8", "utf8"):
        raise InvalidInputError(
            f"This process reads the names of files as '{encoding}', so that the same files would "
            "be another dataset here.",
            "Start it with PYTHONUTF8=1 in its environment, or as 'python -X utf8'.",
        )


def problem_with_name(name: str) -> str:
    """Why a name that came from the file system can be none of a dataset's, or an empty string."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8: rename it, or ignore it in .dsvcignore"
    return ""


def escaped(name: str) -> str:
    """A name that came from the file system as text; bytes that are not UTF-8 as `\\xff`."""
    return os.fsencode(name).decode(errors="backslashreplace")


def make_listing(
    runs: Iterable[Run],
    folders: frozenset[str],
    skipped: tuple[Skipped, ...],
    unrecorded: Unrecorded,
) -> Listing:
    """The listing of runs that come in order of path.

    Raises:
        InvalidInputError: a path is too long; see `check_paths`.
    """
    texts: list[bytes] = []
    lengths = [np.zeros(1, np.int64)]
    rows = [np.zeros((0, len(FIELDS)), np.int64)]
    for run in runs:
        texts.append(run.text)
        lengths.append(run.lengths)
        rows.append(run.rows)
    paths = _string_array(texts, lengths)
    # Column by column: memory for all of them twice would be much of what a command may use.
    columns = [np.concatenate([run[:, column] for run in rows]) for column in range(len(FIELDS))]
    return Listing(paths, *columns, folders=folders, skipped=skipped, unrecorded=unrecorded)


def _string_array(texts: list[bytes], lengths: list[NDArray[np.int64]]) -> pa.StringArray:
    offsets = np.cumsum(np.concatenate(lengths))
    if offsets[-1] > _MAX_TEXT:
        raise InvalidInputError("The paths of this workspace are longer than 2 GiB together.")
    ends = pa.py_buffer(offsets.astype(np.int32))
    text = b"".join(texts)
    texts.clear()
    paths = pa.StringArray.from_buffers(len(offsets) - 1, ends, pa.py_buffer(text))
    check_paths(paths)
    return paths
