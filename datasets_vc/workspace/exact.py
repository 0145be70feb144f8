"""Single paths of a workspace, whatever else is there: what they are, and how to change them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from datasets_vc.format.entries import ENTRY_SCHEMA, Entry, entry_table, rows_of
from datasets_vc.progress import SILENT, Progress
from datasets_vc.workspace.change import CheckedOut
from datasets_vc.workspace.checkout import FileSource
from datasets_vc.workspace.columns import gather, table_of
from datasets_vc.workspace.status import compare, settle
from datasets_vc.workspace.tracked import Tracked
from datasets_vc.workspace.workspace import Workspace


def found_at(workspace: Workspace, paths: Iterable[str]) -> dict[str, Entry]:
    """The files that lie at exactly these paths, ignored or not.

    Raises:
        UnreadableFileError: one cannot be read, or changes while it is.
    """
    wanted = frozenset(paths)
    if not wanted:
        return {}
    scan = workspace.scan(sorted(wanted), Tracked(pa.array(sorted(wanted))))
    listing = scan.listing
    comparison = compare(listing, scan.cache, ENTRY_SCHEMA.empty_table(), scan.selection)
    here = np.array([path in wanted for path in listing.path.to_pylist()], np.bool_)
    settle(str(workspace.folder), comparison, here, strict=True)
    rows = np.flatnonzero(here)
    table = table_of(
        gather(listing.path, rows), listing.kind[rows], listing.size[rows], comparison.digest[rows]
    )
    return {entry.path: entry for entry in rows_of(table)}


def put_at(
    workspace: Workspace,
    wanted: Mapping[str, Entry | None],
    source: FileSource,
    *,
    progress: Progress = SILENT,
) -> CheckedOut:
    """Make exactly these paths so, whatever lies there now; None is nothing.

    Raises:
        UnsavedChangesError: files at other paths, of which nothing is known, are in the way.
        UnreadableFileError: see `found_at`.
        IntegrityError, MissingDataError, DatasetError: see `Workspace.checkout`.
    """
    found = found_at(workspace, wanted)
    target = {path: entry for path, entry in wanted.items() if entry is not None}
    paths = sorted(found.keys() | target.keys())
    if not paths:
        return CheckedOut(0, 0)
    tables = entry_table(found.values()), entry_table(target.values())
    return workspace.checkout(
        lambda: tables, source, lambda: pa.array(sorted(target)), paths, progress=progress
    )
