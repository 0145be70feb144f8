"""Which part of the tree a command was asked about."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.format.columns import position, rows_below
from datasets_vc.paths import check_path, check_path_length, folders_of, is_under

_FEW = 4096
"""Paths that are looked for one by one; for more all files are listed."""


class Selection:
    """The given paths and everything below them; no paths, or ".", is everything.

    A folder above a given path belongs to the selection only where it is a file instead: to record
    `a/b` where `a` was a file is to record that `a` is gone.

    Raises:
        InvalidInputError: one of the paths cannot be a dataset path.
    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        names = {path.rstrip("/") or path for path in paths}
        self.everything = not names or "." in names
        self.paths = [] if self.everything else sorted(map(_checked, names))
        self._chosen = frozenset(self.paths)
        self._above = frozenset(folders_of(self.paths))

    def takes(self, path: str) -> bool:
        """Whether a file at `path` is selected, given that its folder is not."""
        return path in self._chosen or path in self._above

    def holds(self, folder: str) -> bool:
        """Whether all below `folder` is selected, given that its own folder is not."""
        return folder in self._chosen

    def enters(self, folder: str) -> bool:
        """Whether something selected may lie below `folder`, which is not selected itself."""
        return folder in self._above

    def mask(self, paths: pa.StringArray, *, above: bool = True) -> NDArray[np.bool_]:
        """Which of `paths`, in byte order, are selected; `above` counts the folders above, too."""
        if self.everything:
            return np.ones(len(paths), np.bool_)
        chosen = np.zeros(len(paths), np.bool_)
        for path in self.paths:
            chosen[slice(*rows_below(paths, path))] = True
        for path in (*self.paths, *(self._above if above else ())):
            chosen[position(paths, path) : position(paths, path + "\0")] = True
        return chosen

    def unmatched(self, *columns: pa.StringArray) -> list[str]:
        """The given paths that select nothing in any of these sorted columns."""
        return [path for path in self.paths if not any(_occurs(path, each) for each in columns)]


EVERYTHING = Selection()


def _checked(path: str) -> str:
    check_path_length(path)
    return check_path(path)


def few_paths(*tables: pa.Table) -> list[str]:
    """The paths of some entries, unless they are so many that one rather looks at all files."""
    if sum(table.num_rows for table in tables) > _FEW:
        return []
    return [path for table in tables for path in table.column("path").to_pylist()]


def _occurs(path: str, column: pa.StringArray) -> bool:
    # The path itself, or else the first below it; "path-x" may sort between the two.
    for wanted in (path, path + "/"):
        row = position(column, wanted)
        if row < len(column) and is_under(column[row].as_py(), path):
            return True
    return False
