"""Paths that cannot be in one tree: a file, and another one below it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.format.columns import Rows
from datasets_vc.paths import folders_of, inherited
from datasets_vc.workspace.columns import paths_at

_AT_ONCE = 1 << 16


def colliding(paths: pa.StringArray, rows: Rows, others: pa.StringArray, beside: Rows) -> Rows:
    """Those of some rows of `paths` that cannot be where some rows of `others` are.

    One is a folder of the other. Holds the folders of both sides in memory, not the files.
    """
    if not len(rows) or not len(beside):
        return rows[:0]
    taken = _folders(others, beside)
    folders = _folders(paths, rows)
    files = {path for some in _pieces(others, beside) for path in some if path in folders}
    known = {"": False}
    below = {
        each
        for each in folders
        if inherited(each, known, lambda path, above: above or path in files)
    }
    hit = [
        path in taken or path.rpartition("/")[0] in below
        for some in _pieces(paths, rows)
        for path in some
    ]
    return rows[np.array(hit, np.bool_)]


def check_apart(paths: pa.StringArray, rows: Rows) -> None:
    """Check that some rows of one version can be in one tree.

    Raises:
        InvalidInputError: one is a folder of another; names it.
    """
    folders = _folders(paths, rows)
    for some in _pieces(paths, rows):
        both = folders.intersection(some) if folders else ()
        if both:
            raise InvalidInputError(
                f"{min(both)!a} is a file of this version and a folder of it, too.",
                "This version was not made by dsvc; do not trust it.",
            )


def _folders(paths: pa.StringArray, rows: Rows) -> set[str]:
    """The folders that some files lie in, at any depth."""
    return folders_of(path for some in _pieces(paths, rows) for path in some)


def _pieces(paths: pa.StringArray, rows: Rows) -> Iterator[list[str]]:
    for start in range(0, len(rows), _AT_ONCE):
        yield paths_at(paths, rows[start : start + _AT_ONCE])
