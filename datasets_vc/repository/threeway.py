"""What a merge of datasets comes to: tables merged by row, preferred sides taken, the rest open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.digest import Digest
from datasets_vc.format.entries import FILE, Entry
from datasets_vc.history.manifest import Manifest, write_manifest
from datasets_vc.history.merge import Conflict, Merge
from datasets_vc.memory import give_back
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.bringing import ensure_files
from datasets_vc.repository.context import Context
from datasets_vc.store import Written
from datasets_vc.tables.keyed import KEYS_FILE, check_keys_size, key_of
from datasets_vc.tables.merge import MergedTable, merge_tables
from datasets_vc.workspace.mergestate import OpenConflict, Side

SAME_FIELDS = "same fields"
"""The reason of a conflict in a table of which all else is merged."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A merged dataset; what is new of it lies in packs that are not published yet.

    At conflicts it has what is ours, and in tables with conflicts of fields our values.
    """

    dataset: Digest
    entries: pa.Table
    conflicts: tuple[OpenConflict, ...]
    written: Written


def carry_out(
    context: Context,
    merge: Merge,
    ours: Digest,
    prefer: Side | None,
    progress: Progress = SILENT,
) -> Outcome:
    """Make the dataset of a merge.

    Args:
        ours: the dataset that is merged into.
        prefer: the side that is right wherever both changed the same.

    Raises:
        MissingDataError: a table that both sides changed is neither here nor at a remote.
    """
    tables = _merged_tables(context, merge.conflicts, ours, prefer or "ours", progress)
    resolved: dict[str, Entry | None] = {}
    conflicts: list[OpenConflict] = []
    with context.store.writer() as writer:
        for conflict in merge.conflicts:
            here = conflict.ours
            table = tables.get(conflict.path)
            if table is not None:
                digest = writer.add_file(table.data)
                here = Entry(conflict.path, FILE, len(table.data), digest)
            elif prefer == "theirs":
                here = conflict.theirs
            resolved[conflict.path] = here
            if prefer is None and (table is None or table.conflicts):
                conflicts.append(_open(conflict, here, table))
        everything = Manifest(context.store, ours).entries()
        context.store.let_go()
        entries = merge.entries(everything, resolved)
        del everything
        give_back()
        dataset = write_manifest(writer, entries)
        written = writer.finish()
    return Outcome(dataset, entries, tuple(conflicts), written)


def table_of_side(context: Context, conflict: OpenConflict, ours: Digest, side: Side) -> bytes:
    """A table with conflicts of fields, merged, with one side's values at these."""
    asked = Conflict(conflict.path, conflict.base, conflict.ours, conflict.theirs, conflict.reason)
    return _merged_tables(context, [asked], ours, side, SILENT)[conflict.path].data


def _open(conflict: Conflict, here: Entry | None, table: MergedTable | None) -> OpenConflict:
    return OpenConflict(
        path=conflict.path,
        reason=SAME_FIELDS if table else conflict.reason,
        base=conflict.base,
        ours=conflict.ours,
        theirs=conflict.theirs,
        here=here,
        fields=table.conflicts if table else (),
    )


def _merged_tables(
    context: Context,
    conflicts: Sequence[Conflict],
    ours: Digest,
    prefer: Side,
    progress: Progress,
) -> dict[str, MergedTable]:
    """Those of the conflicts that are tables with a key, merged by row."""
    candidates = [conflict for conflict in conflicts if _are_files(conflict)]
    declared = _declared(context, ours) if candidates else {}
    keys = {each.path: key_of(each.path, declared) for each in candidates}
    tables = [each for each in candidates if keys[each.path] is not None]
    versions = [entry.digest for each in tables for entry in _versions(each) if entry]
    ensure_files(context, versions, "the tables that both sides changed", progress)
    merged = {}
    for each in tables:
        base, mine, other = (_bytes(context, entry) for entry in _versions(each))
        key = keys[each.path]
        assert key is not None
        assert mine is not None
        assert other is not None
        table = merge_tables(each.path, key, base, mine, other, prefer)
        if table is not None:
            merged[each.path] = table
    return merged


def _versions(conflict: Conflict) -> tuple[Entry | None, Entry | None, Entry | None]:
    return conflict.base, conflict.ours, conflict.theirs


def _are_files(conflict: Conflict) -> bool:
    """Whether both sides have a file there, and the base too if it has anything."""
    sides: Iterable[Entry | None] = (conflict.ours, conflict.theirs)
    base = conflict.base
    return all(side is not None and side.kind == FILE for side in sides) and (
        base is None or base.kind == FILE
    )


def _bytes(context: Context, entry: Entry | None) -> bytes | None:
    return None if entry is None else bytes(context.store.read_file(entry.digest))


def _declared(context: Context, dataset: Digest) -> Mapping[str, str]:
    entry = Manifest(context.store, dataset).get(KEYS_FILE)
    if entry is None:
        return context.table_keys(None)
    check_keys_size(entry.size)
    ensure_files(context, [entry.digest], f"'{KEYS_FILE}'")
    (data,) = context.store.read_files([entry.digest], [entry.size])
    return context.table_keys(data)
