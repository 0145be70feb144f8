"""The verb that shows what differs: diff."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.failure import FAILED
from datasets_vc.cli.render import shown, size
from datasets_vc.cli.session import Session, new_app, verb

if TYPE_CHECKING:
    from datasets_vc.format.entries import Entry
    from datasets_vc.history.diff import Diff

app = new_app()


@verb(app, "diff", "dsvc diff\ndsvc diff v1.0 v1.1 --stat\ndsvc diff main~1 --name-only")
def diff(
    session: Session,
    a: Annotated[str | None, typer.Argument(metavar="A", help="The old version; HEAD.")] = None,
    b: Annotated[
        str | None, typer.Argument(metavar="B", help="The new version; the workspace.")
    ] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Only how much.")] = False,
    name_only: Annotated[bool, typer.Option("--name-only", help="Only paths, one a line.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 if they differ.")] = False,
) -> int:
    """Show what differs between two versions or a version and the files.

    From A to B; with A alone from A to the workspace; with neither from HEAD to the workspace.
    """
    found = session.repository.diff(a, b)
    lines = _stat_lines if stat else _name_lines if name_only else _change_lines
    session.answer(found, _diff_json, lambda changes: lines(session, changes))
    differs = found.added or found.modified or found.deleted or found.renamed
    return FAILED if exit_code and differs else 0


def _entry_json(entry: Entry) -> dict[str, Any]:
    return {"path": entry.path, "size": entry.size, "digest": entry.digest.hex()}


def _diff_json(diff: Diff) -> dict[str, Any]:
    return {
        "added": [_entry_json(entry) for entry in diff.added],
        "modified": [
            {"path": new.path, "old": _entry_json(old), "new": _entry_json(new)}
            for old, new in diff.modified
        ],
        "deleted": [_entry_json(entry) for entry in diff.deleted],
        "renamed": [
            {"from": old.path, "to": new.path, "size": new.size, "digest": new.digest.hex()}
            for old, new in diff.renamed
        ],
        "stats": _stats(diff),
    }


def _stats(diff: Diff) -> dict[str, int]:
    return {
        "added": len(diff.added),
        "modified": len(diff.modified),
        "deleted": len(diff.deleted),
        "renamed": len(diff.renamed),
        "bytes_added": sum(entry.size for entry in diff.added),
        "bytes_deleted": sum(entry.size for entry in diff.deleted),
        "bytes_modified": sum(new.size for _, new in diff.modified),
    }


def _change_lines(session: Session, diff: Diff) -> Iterator[str]:
    for entry in diff.added:
        yield session.paint(f"added     {shown(entry.path)}  {size(entry.size)}", "green")
    for old, new in diff.modified:
        sizes = f"{size(old.size)} -> {size(new.size)}" if old.size != new.size else size(new.size)
        yield session.paint(f"modified  {shown(new.path)}  {sizes}", "yellow")
    for entry in diff.deleted:
        yield session.paint(f"deleted   {shown(entry.path)}  {size(entry.size)}", "red")
    for old, new in diff.renamed:
        yield f"renamed   {shown(old.path)} -> {shown(new.path)}"
    yield from _stat_lines(session, diff)


def _name_lines(_: Session, diff: Diff) -> Iterator[str]:
    names = [entry.path for entry in (*diff.added, *diff.deleted)]
    names += [new.path for _, new in (*diff.modified, *diff.renamed)]
    yield from map(shown, sorted(names))


def _stat_lines(_: Session, diff: Diff) -> Iterator[str]:
    stats = _stats(diff)
    words = [f"{stats[key]:,} {key}" for key in ("added", "modified", "deleted", "renamed")]
    added, deleted = stats["bytes_added"], stats["bytes_deleted"]
    changed = f"{size(stats['bytes_modified'])} modified"
    yield f"{', '.join(words)}; {size(added)} added, {changed}, {size(deleted)} deleted."
