"""Make the workspace's files those of a version, wherever its bytes are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datasets_vc.digest import DIGEST_SIZE, Buffer, Digest
from datasets_vc.errors import MissingDataError
from datasets_vc.format.columns import path_order, whole_column
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.history.diff import differing_rows
from datasets_vc.history.manifest import Manifest
from datasets_vc.memory import give_back
from datasets_vc.paths import is_under
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.bringing import ensure_files, ensure_nodes
from datasets_vc.repository.context import Context
from datasets_vc.store import Store
from datasets_vc.sync.closure import lacking_files
from datasets_vc.workspace import CheckedOut
from datasets_vc.workspace.part import Part

_FEW = 64
_AT_ONCE = 1 << 16
_NODES_AT_ONCE = 512

Result = TypeVar("Result")


def write_files(
    context: Context,
    old: Digest | None,
    new: Digest,
    paths: Sequence[str] = (),
    *,
    part: Part | None = None,
    force: bool = False,
    progress: Progress = SILENT,
    ready: Callable[[], None] = lambda: None,
    begin: Callable[[], None] = lambda: None,
) -> CheckedOut:
    """Make the workspace's files those of a dataset; see `Workspace.checkout`.

    Of a switch only what differs is read and compared, and only files that are to be written are
    brought from remotes.

    Args:
        old: the commit whose files they are now.
        new: the dataset.
        ready: called when nothing is in the way, and nothing has been changed yet.
        begin: called then, if anything is to be changed.

    Raises:
        MissingDataError: neither this store nor a remote has what is needed.
        UnsavedChangesError, NotFoundError, InvalidInputError, IntegrityError, DatasetError: see
            `Workspace.checkout`.
    """
    before = context.dataset_of(old)
    workspace, store = context.workspace, context.store

    def bring(digests: NDArray[np.uint8]) -> None:
        missing = [each for some in _lists(digests) for each in lacking_files(store, some)]
        store.let_go()
        if missing:
            ensure_files(context, missing, "files of that version", progress, dataset=new)
        ready()

    def names() -> pa.StringArray:
        return whole_column(_entries(context, new), "path")

    def sides() -> tuple[pa.Table, pa.Table]:
        if part is not None and not (part.whole and force):
            # Of the current version all that is to go counts, also what the target has.
            target = _entries(context, new, paths)
            return target if before == new else _entries(context, before, paths), target
        left, right = _differing(context, before, new)
        # What is chosen of the target is to be there whatever is now: all that counts of the
        # current version is what the target lacks.
        return left, _entries(context, new, paths) if paths or force else right

    def versions() -> tuple[pa.Table, pa.Table]:
        tables = _with_nodes(context, [each for each in (before, new) if each], sides)
        give_back()
        return tables

    if paths or part is not None or force:
        return workspace.checkout(
            versions,
            store,
            names,
            paths,
            part=part,
            force=force,
            progress=progress,
            ready=bring,
            begin=begin,
        )
    return workspace.switch(versions, store, names, progress=progress, ready=bring, begin=begin)


def _with_nodes(context: Context, datasets: Sequence[Digest], read: Callable[[], Result]) -> Result:
    """Read lists of files; those that are not here are brought from remotes."""
    try:
        return read()
    except MissingDataError:
        ensure_nodes(context, datasets)
        return read()


def _differing(context: Context, old: Digest | None, new: Digest) -> tuple[pa.Table, pa.Table]:
    if old is None:
        return ENTRY_SCHEMA.empty_table(), _entries(context, new)
    return differing_rows(_Sparing(context.store), old, new)


class _Sparing:
    """Reads nodes of a store a few at a time, and gives back the memory of mapped packs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        read: list[Buffer] = []
        for start in range(0, len(digests), _NODES_AT_ONCE):
            read += self._store.read_many(digests[start : start + _NODES_AT_ONCE])
            self._store.let_go()
        return read


def _entries(context: Context, dataset: Digest | None, paths: Sequence[str] = ()) -> pa.Table:
    """The entries of a dataset; if there are a few paths, those at or below these."""
    if dataset is None:
        return ENTRY_SCHEMA.empty_table()
    manifest = Manifest(context.store, dataset)
    if not paths or len(paths) > _FEW or "." in paths:
        table = manifest.entries()
        context.store.let_go()
        return table
    tops = [path for path in paths if not any(path != top and is_under(path, top) for top in paths)]
    table = pa.concat_tables([manifest.entries(path) for path in dict.fromkeys(tops)])
    context.store.let_go()
    table = table.combine_chunks()
    if len(tops) == 1:
        return table
    return table.take(pa.array(path_order(whole_column(table, "path")))).combine_chunks()


def _lists(digests: NDArray[np.uint8]) -> Iterator[list[Digest]]:
    """The digests in shape (files, 32), some at a time."""
    for start in range(0, len(digests), _AT_ONCE):
        data = digests[start : start + _AT_ONCE].tobytes()
        yield [Digest(data[at : at + DIGEST_SIZE]) for at in range(0, len(data), DIGEST_SIZE)]
