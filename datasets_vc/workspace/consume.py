"""Take files out of a workspace once a store has been seen to give their bytes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datasets_vc.digest import Digest
from datasets_vc.errors import MissingDataError, UnsavedChangesError
from datasets_vc.format.columns import Mask, Rows
from datasets_vc.progress import SILENT, Progress
from datasets_vc.workspace.ahead import LARGE, spans
from datasets_vc.workspace.checkout import LET_GO_BYTES, ROW_BYTES, FileSource
from datasets_vc.workspace.columns import digest_at, gather
from datasets_vc.workspace.part import NOTHING
from datasets_vc.workspace.reading import Listed, listed_at
from datasets_vc.workspace.removing import Remover
from datasets_vc.workspace.status import Comparison


@dataclass(frozen=True, slots=True)
class Consumed:
    """How many files, of how many bytes, were removed from a workspace; `kept` could not be."""

    files: int = 0
    bytes: int = 0
    kept: int = 0


def consumable(comparison: Comparison) -> Rows:
    """The files of a listing that are known to be as in the version; not those of ignore rules."""
    rows = np.flatnonzero(comparison.equal)
    paths = gather(comparison.listing.path, rows)
    return rows[~NOTHING.mask(paths)]


def consume(
    root: str,
    comparison: Comparison,
    rows: Rows,
    source: FileSource,
    progress: Progress = SILENT,
) -> Mask:
    """Remove listed files, each after its bytes have been read from the store and verified.

    Args:
        root: the workspace.
        comparison: knows their digests, by stat data that are compared once more.
        rows: which files.
        source: the store.

    Returns:
        Which of them are gone. The store lacks the others, or somebody has written to them.

    Raises:
        IntegrityError: the store has damaged bytes; what is not removed by then stays.
        DatasetError: a file cannot be removed.
    """
    listing, digests = comparison.listing, comparison.digest
    order = source.reading_order(digests[rows])
    sizes = listing.size[rows[order]]
    gone = np.zeros(len(rows), np.bool_)
    remover = Remover(root, force=False)
    progress.begin("Removing files", int(sizes.sum()), "B")
    read = 0
    try:
        for start, stop in spans(sizes):
            numbers = order[start:stop]
            stored = numbers[_stored(comparison, rows[numbers], source)]
            files = listed_at(listing, rows[stored])
            gone[stored] = [_remove(remover, file, digest_at(digests, file.row)) for file in files]
            size = int(sizes[start:stop].sum())
            progress.advance(size)
            read += size + len(numbers) * ROW_BYTES
            if read >= LET_GO_BYTES:
                source.let_go()
                read = 0
    finally:
        remover.remove_emptied()
        progress.end()
    return gone


def _stored(comparison: Comparison, rows: Rows, source: FileSource) -> Mask:
    """Which of some files the store has, whole and undamaged."""
    digests = [digest_at(comparison.digest, row) for row in rows.tolist()]
    large = bool(comparison.listing.size[rows[0]] >= LARGE)
    try:
        _read(source, digests, large=large)
        return np.ones(len(rows), np.bool_)
    except MissingDataError:
        return np.array([_has(source, digest, large=large) for digest in digests], np.bool_)


def _has(source: FileSource, digest: Digest, *, large: bool) -> bool:
    try:
        _read(source, [digest], large=large)
    except MissingDataError:
        return False
    return True


def _read(source: FileSource, digests: Sequence[Digest], *, large: bool) -> None:
    if not large:
        source.read_files(digests)
        return
    for digest in digests:
        for _ in source.iter_extents(digest):
            pass


def _remove(remover: Remover, file: Listed, digest: Digest) -> bool:
    """Remove a file; whether that was possible: what somebody has written since stays."""
    try:
        remover.unlink(file, digest)
    except UnsavedChangesError:
        return False
    return True
