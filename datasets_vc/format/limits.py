"""How long the paths of a dataset and the names of its folders may be (docs/format.md, section 4).

A tool that knows no such limits takes gigabytes and minutes for a few kilobytes: a path of `n`
components has `n` folders above it, whose names are `n * n` letters long together.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.errors import InvalidInputError
from datasets_vc.paths import MAX_PATH, SHORTER, check_path_length

_FOLDERS_A_PATH = 16
_FEW_FOLDERS = 64 << 20
_SLASH = ord("/")


def check_paths(paths: pa.StringArray) -> None:
    """Check that paths are no longer than may be recorded, written to disk, or compared.

    Takes time and memory in proportion to the paths, whatever they are.

    Args:
        paths: in byte order.

    Raises:
        InvalidInputError: one is longer than MAX_PATH; or the names of the folders that they lie
            in are together far longer than the paths, as no tree of real files is.
    """
    if not len(paths):
        return
    ends, text = _buffers(paths)
    lengths = np.diff(ends)
    longest = int(lengths.max())
    if longest > MAX_PATH:
        check_path_length(paths[int(lengths.argmax())].as_py())
    most = _FEW_FOLDERS + _FOLDERS_A_PATH * len(text)
    if longest * len(text) <= _FEW_FOLDERS or _at_most(ends, text) <= most:
        return
    if _folder_text(paths) > most:
        raise InvalidInputError(
            "The folders of this version are nested so deeply that their names are far longer than "
            "all of its paths together.",
            SHORTER,
        )


def _buffers(paths: pa.StringArray) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Where each path begins and ends in the text of all."""
    _, offsets, data = paths.buffers()
    ends = np.frombuffer(offsets, np.int32, len(paths) + 1, offset=4 * paths.offset)
    text = np.frombuffer(data if data is not None else b"", np.uint8)
    return ends - ends[0], text[int(ends[0]) : int(ends[-1])]


def _at_most(ends: NDArray[np.int32], text: NDArray[np.uint8]) -> int:
    """How long the names of the folders are, if no two paths have one in common."""
    slashes = np.flatnonzero(text == _SLASH)
    each = np.diff(np.searchsorted(slashes, ends))
    return int(slashes.sum(dtype=np.int64)) - int((each * ends[:-1].astype(np.int64)).sum())


def _folder_text(paths: pa.StringArray) -> int:
    """How long the names of the folders are, each counted once."""
    total = 0
    before = ""
    for start in range(0, len(paths), 1 << 16):
        for path in paths.slice(start, 1 << 16).to_pylist():
            # In byte order, a folder that was seen before is one of the path before.
            common = _common(before, path)
            place = path.find("/", common)
            while place >= 0:
                total += place
                place = path.find("/", place + 1)
            before = path
    return total


def _common(one: str, other: str) -> int:
    """How many letters two texts begin with alike; a few comparisons of slices."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
