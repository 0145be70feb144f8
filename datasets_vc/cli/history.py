"""Verbs that look at versions: log, show, diff, ls, cat."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.render import count, moment, short, shown, size
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa

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
