"""The verb that shows what differs: diff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.changes import change_lines, name_lines, patch_lines, stat_lines
from datasets_vc.cli.failure import FAILED
from datasets_vc.cli.session import Session, new_app, verb

if TYPE_CHECKING:
    from datasets_vc.format.entries import Entry
    from datasets_vc.repository import Difference, TableDiff
    from datasets_vc.repository.patches import Patch
    from datasets_vc.samples.changes import Tally
    from datasets_vc.tables import RowDiff

app = new_app()


@verb(
    app,
    "diff",
    "dsvc diff\ndsvc diff v1.0 v1.1 --stat\ndsvc diff main~1 --name-only\ndsvc diff --patch",
)
def diff(
    session: Session,
    a: Annotated[str | None, typer.Argument(metavar="A", help="The old version; HEAD.")] = None,
    b: Annotated[
        str | None, typer.Argument(metavar="B", help="The new version; the workspace.")
    ] = None,
    stat: Annotated[
        bool, typer.Option("--stat", help="Only how much: files, and samples by label and split.")
    ] = False,
    name_only: Annotated[bool, typer.Option("--name-only", help="Only paths, one a line.")] = False,
    patch: Annotated[
        bool, typer.Option("--patch", "-p", help="Text files line by line, as a unified diff.")
    ] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 if they differ.")] = False,
) -> int:
    """Show what differs between two versions or a version and the files.

    From A to B; with A alone from A to the workspace; with neither from HEAD to the workspace.
    Tables with a key (metadata.csv, .jsonl and .parquet by file_name; others as dsvc.toml says)
    are compared by row and by field.
    """
    found = session.repository.diff(a, b)
    lines = (
        stat_lines if stat else name_lines if name_only else patch_lines if patch else change_lines
    )
    session.answer(
        found,
        lambda changes: _diff_json(changes, patch=patch),
        lambda changes: lines(session, changes),
    )
    return FAILED if exit_code and found.files else 0


def _diff_json(found: Difference, *, patch: bool) -> dict[str, Any]:
    files = found.files
    data = {
        "added": [_entry_json(entry) for entry in files.added],
        "modified": [
            {"path": new.path, "old": _entry_json(old), "new": _entry_json(new)}
            for old, new in files.modified
        ],
        "deleted": [_entry_json(entry) for entry in files.deleted],
        "renamed": [
            {"from": old.path, "to": new.path, "size": new.size, "digest": new.digest.hex()}
            for old, new in files.renamed
        ],
        "moved": [{"from": move.old, "to": move.new, "files": move.files} for move in files.moved],
        "tables": [_table_json(table) for table in found.tables],
        "stats": _stats_json(found),
        "problem": found.problem,
    }
    return data | {"patches": [_patch_json(each) for each in found.patches()]} if patch else data


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {"path": entry.path, "size": entry.size, "digest": entry.digest.hex()}


def _stats_json(found: Difference) -> dict[str, Any]:
    files = found.files
    return {
        "added": len(files.added),
        "modified": len(files.modified),
        "deleted": len(files.deleted),
        "renamed": len(files.renamed),
        "bytes_added": sum(entry.size for entry in files.added),
        "bytes_deleted": sum(entry.size for entry in files.deleted),
        "bytes_modified": sum(new.size for _, new in files.modified),
        **_tally_json(found.tally),
    }


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {
        "labels": [
            {
                "split": count.place.split,
                "label": count.place.label,
                "added": count.added,
                "removed": count.removed,
                "changed": count.changed,
            }
            for count in tally.places
        ],
        "relabelled": [
            {"column": move.column, "from": move.old, "to": move.new, "samples": move.samples}
            for move in tally.relabelled
        ],
    }


def _table_json(table: TableDiff) -> dict[str, Any]:
    rows = _rows_json(table.rows) if table.rows is not None else None
    return {"path": table.path, "key": table.key, "rows": rows, "problem": table.problem}


def _rows_json(rows: RowDiff) -> dict[str, Any]:
    return {
        "added": [{"key": row.key, "fields": dict(row.fields)} for row in rows.added],
        "removed": [{"key": row.key, "fields": dict(row.fields)} for row in rows.removed],
        "changed": [
            {
                "key": row.key,
                "fields": [
                    {"column": field.column, "old": field.old, "new": field.new}
                    for field in row.fields
                ],
            }
            for row in rows.changed
        ],
    }


def _patch_json(patch: Patch) -> dict[str, Any]:
    lines = None if patch.lines is None else list(patch.lines)
    return {"old": patch.old, "new": patch.new, "lines": lines, "problem": patch.problem}
