"""What differs between two versions, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from datasets_vc.cli.render import count, shown, size, table
from datasets_vc.cli.session import Session
from datasets_vc.paths import parents_of

if TYPE_CHECKING:
    from datasets_vc.format.entries import Entry
    from datasets_vc.history.diff import Diff
    from datasets_vc.repository import Difference, TableDiff
    from datasets_vc.samples.changes import Tally
    from datasets_vc.tables import RowDiff

_ROWS = 10
_LONGEST = 60


def change_lines(session: Session, found: Difference) -> Iterator[str]:
    """A line a file, and under a table with a key what differs in its rows."""
    files = found.files
    tables = {each.path: each for each in found.tables}
    for entry in files.added:
        yield session.paint(f"added     {shown(entry.path)}  {size(entry.size)}", "green")
    for old, new in files.modified:
        sizes = f"{size(old.size)} -> {size(new.size)}" if old.size != new.size else size(new.size)
        yield session.paint(f"modified  {shown(new.path)}  {sizes}", "yellow")
        if new.path in tables:
            yield from _table_lines(session, tables[new.path])
    for entry in files.deleted:
        yield session.paint(f"deleted   {shown(entry.path)}  {size(entry.size)}", "red")
    yield from _move_lines(session, files)
    yield _summary(files)
    yield from _problem_lines(found)


def name_lines(_: Session, found: Difference) -> Iterator[str]:
    """The paths that differ."""
    files = found.files
    names = [entry.path for entry in (*files.added, *files.deleted)]
    names += [new.path for _, new in (*files.modified, *files.renamed)]
    yield from map(shown, sorted(names))


def stat_lines(_: Session, found: Difference) -> Iterator[str]:
    """How much differs: files, rows of tables, samples by split and label."""
    yield _summary(found.files)
    for each in found.tables:
        yield f"{shown(each.path)}: {_counts(each)}"
    yield from _tally_lines(found.tally)
    yield from _problem_lines(found)


def patch_lines(session: Session, found: Difference) -> Iterator[str]:
    """Every file as a unified diff."""
    files = found.files
    for patch in found.patches():
        old, new = (
            f"{side}/{shown(path)}" if path is not None else "/dev/null"
            for side, path in (("a", patch.old), ("b", patch.new))
        )
        if patch.problem == "binary":
            yield f"Binary files {old} and {new} differ"
        elif patch.lines is None:
            yield f"Files {old} and {new} differ ({patch.problem})"
        else:
            yield session.paint(f"--- {old}", "bold")
            yield session.paint(f"+++ {new}", "bold")
            for line in patch.lines:
                colour = {"+": "green", "-": "red", "@": "yellow"}.get(line[0])
                text = "\t".join(map(shown, line.split("\t")))
                yield session.paint(text, colour) if colour else text
    yield from _move_lines(session, files)


def _move_lines(session: Session, files: Diff) -> Iterator[str]:
    """Folders that moved as a whole, and single files that were renamed."""
    for move in files.moved:
        yield (
            f"moved     {shown(_folder(move.old))} -> {shown(_folder(move.new))}  "
            f"({count(move.files, 'file')})"
        )
    folders = {} if session.options.verbose else {move.old: move.new for move in files.moved}
    for old, new in files.renamed:
        if not _went_along(old, new, folders):
            yield f"renamed   {shown(old.path)} -> {shown(new.path)}"


def _folder(path: str) -> str:
    return f"{path}/" if path else "./"


def _went_along(old: Entry, new: Entry, folders: dict[str, str]) -> bool:
    """Whether a renamed file lies in a folder that moved, and moved as that did."""
    if not folders:
        return False
    for folder in ("", *parents_of(old.path)):
        if folder in folders:
            rest = old.path[len(folder) :].lstrip("/")
            if new.path == f"{folders[folder]}/{rest}".lstrip("/"):
                return True
    return False


def _summary(files: Diff) -> str:
    words = [
        f"{len(found):,} {what}"
        for what, found in (
            ("added", files.added),
            ("modified", files.modified),
            ("deleted", files.deleted),
            ("renamed", files.renamed),
        )
    ]
    added = size(sum(entry.size for entry in files.added))
    changed = size(sum(new.size for _, new in files.modified))
    deleted = size(sum(entry.size for entry in files.deleted))
    return f"{', '.join(words)}; {added} added, {changed} modified, {deleted} deleted."


def _table_lines(session: Session, found: TableDiff) -> Iterator[str]:
    yield f"          {_counts(found)}"
    if not found.rows:
        return
    most = None if session.options.verbose else _ROWS
    for line in islice(_row_lines(found.rows, found.key), most):
        yield f"            {line}"
    rows = len(found.rows.changed) + len(found.rows.added) + len(found.rows.removed)
    if most and rows > most:
        yield f"            … and {rows - most:,} more (-v lists them)"


def _counts(found: TableDiff) -> str:
    """How many rows of a table differ."""
    rows = found.rows
    if rows is None:
        return f"(rows not shown: {shown(found.problem)})"
    if not rows:
        return "no row differs"
    parts = [
        (rows.changed, f"{count(len(rows.changed), 'row')} changed"),
        (rows.added, f"{count(len(rows.added), 'row')} added"),
        (rows.removed, f"{count(len(rows.removed), 'row')} removed"),
    ]
    return ", ".join(text for some, text in parts if some)


def _row_lines(rows: RowDiff, key: str) -> Iterator[str]:
    for change in rows.changed:
        fields = (
            f"{shown(field.column)}: {_value(field.old)} -> {_value(field.new)}"
            for field in change.fields
        )
        yield f"{shown(change.key)}  {', '.join(fields)}"
    for sign, some in (("+", rows.added), ("-", rows.removed)):
        for row in some:
            cells = (
                f"{shown(column)}: {_value(cell)}"
                for column, cell in row.fields.items()
                if column != key
            )
            yield f"{sign} {shown(row.key)}  {', '.join(cells)}".rstrip()


def _value(text: str | None) -> str:
    if text is None:
        return "(none)"
    return shown(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _tally_lines(tally: Tally) -> Iterator[str]:
    places: Sequence[Sequence[str]] = [
        [
            shown(count.place.split) or "(no split)",
            shown(count.place.label) or "(no label)",
            f"{count.added:,}",
            f"{count.removed:,}",
            f"{count.changed:,}",
        ]
        for count in tally.places
    ]
    if places:
        yield ""
        yield from table(["split", "label", "added", "removed", "changed"], places)
    if tally.relabelled:
        yield ""
    for move in tally.relabelled:
        old, new = (shown(text) or "(none)" for text in (move.old, move.new))
        yield f"{move.column} {old} -> {new}: {count(move.samples, 'sample')}"


def _problem_lines(found: Difference) -> Iterator[str]:
    if found.problem:
        yield f"Only tables named metadata.* were looked at by row: {shown(found.problem)}"
