"""Verbs that look at versions: log, show, diff, ls, cat."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.failure import FAILED
from datasets_vc.cli.render import count, moment, short, shown, size
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

    from datasets_vc.format.entries import Entry
    from datasets_vc.history.diff import Diff
    from datasets_vc.repository import CommitInfo, Version
    from datasets_vc.samples import MediaSummary

app = new_app()

Revision = Annotated[
    str,
    typer.Argument(
        metavar="REV", help="A branch, tag, HEAD, main~2, or the first digits of a digest."
    ),
]


@verb(app, "log", "dsvc log\ndsvc log v1.0 --limit 5")
def log(
    session: Session,
    revision: Revision = "HEAD",
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, help="At most so many versions.")
    ] = None,
) -> None:
    """Show the history of a version, newest first."""
    commits = session.repository.log(revision, limit)
    session.answer(
        commits,
        lambda found: {"commits": [_commit_json(info) for info in found]},
        lambda found: _log_lines(session, found),
    )


def _commit_json(info: CommitInfo) -> dict[str, Any]:
    return {
        "commit": info.digest.hex(),
        "dataset": info.dataset.hex(),
        "parents": [parent.hex() for parent in info.parents],
        "author": info.author,
        "time": info.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": info.message,
        "files": info.files,
        "bytes": info.bytes,
    }


def _log_lines(session: Session, commits: Iterator[CommitInfo]) -> Iterator[str]:
    for place, info in enumerate(commits):
        if place:
            yield ""
        yield from _commit_lines(session, info)


def _commit_lines(session: Session, info: CommitInfo) -> Iterator[str]:
    yield session.paint(f"commit  {info.digest.hex()}", "yellow")
    yield f"dataset {info.dataset.hex()}"
    if len(info.parents) > 1:
        yield f"merge   {' '.join(map(short, info.parents))}"
    yield f"author  {shown(info.author)}"
    yield f"time    {moment(info.time)}"
    yield ""
    for line in info.message.splitlines():
        yield f"    {shown(line)}".rstrip()


@verb(app, "show", "dsvc show\ndsvc show v1.0 --json")
def show(session: Session, revision: Revision = "HEAD") -> None:
    """Show one version: what it is and what lies in it."""
    session.answer(
        session.repository.show(revision),
        _version_json,
        lambda version: _version_lines(session, version),
    )


def _version_json(version: Version) -> dict[str, Any]:
    commit = _commit_json(version.info) if version.info else {"commit": None}
    return {
        **commit,
        "dataset": version.dataset.hex(),
        "files": version.files,
        "bytes": version.bytes,
        "samples": [
            {
                "media": part.media,
                "samples": part.samples,
                "convention": part.convention,
                "counts": part.counts,
                "problem": part.problem,
            }
            for part in version.samples.media
        ],
    }


def _version_lines(session: Session, version: Version) -> Iterator[str]:
    if version.info:
        yield from _commit_lines(session, version.info)
    else:
        yield f"dataset {version.dataset.hex()}"
    yield ""
    yield f"{count(version.files, 'file')}, {size(version.bytes)}"
    for part in version.samples.media:
        yield ""
        yield from _media_lines(part)


def _media_lines(part: MediaSummary) -> Iterator[str]:
    if part.problem:
        yield f"{part.media}: {shown(part.problem)}"
        return
    yield f"{part.media}: {count(part.samples, 'sample')}, by {part.convention}"
    for split, labels in part.counts.items():
        parts = [f"{shown(label or '(no label)')} {amount:,}" for label, amount in labels.items()]
        yield f"  {split or '(no split)'}: {sum(labels.values()):,} ({', '.join(parts)})"


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


@verb(app, "ls", "dsvc ls v1.0\ndsvc ls main train/cats --json")
def ls(
    session: Session,
    revision: Revision = "HEAD",
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder or file in it.")] = "",
) -> None:
    """List the files of a version."""
    session.answer(
        session.repository.ls(revision, path.strip("/")),
        lambda table: {"entries": list(_rows(table))},
        lambda table: (
            f"{short(row['digest'])}  {row['size']:>12,}  {shown(row['path'])}"
            for row in _rows(table)
        ),
    )


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    kinds = ("file", "symlink")
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            yield {**row, "kind": kinds[row["kind"]], "digest": Digest(row["digest"]).hex()}


@verb(app, "cat", "dsvc cat v1.0:train/labels.csv\ndsvc cat main~1:cats/1.jpg > old.jpg")
def cat(
    session: Session,
    place: Annotated[str, typer.Argument(metavar="REV:PATH", help="A version and a file in it.")],
) -> None:
    """Write a file of a version to stdout, as it is.

    With --json too: the bytes are the data.
    """
    revision, colon, path = place.partition(":")
    if not colon or not path:
        raise InvalidInputError(f"'{place}' is not REV:PATH.", "For example: HEAD:train/labels.csv")
    for part in session.repository.cat(revision or "HEAD", path):
        sys.stdout.buffer.write(part)
