"""Verbs that look at versions: log, show, diff, ls, cat."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.graph import draw
from datasets_vc.cli.render import count, moment, short, shown, size
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.signatures import verdict_json, verdict_word, verdict_words
from datasets_vc.cli.words import version_and_paths
from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.commit import encode_time

if TYPE_CHECKING:
    import pyarrow as pa

    from datasets_vc.format.tag import Tag
    from datasets_vc.repository import CommitInfo, Version
    from datasets_vc.samples import MediaSummary
    from datasets_vc.signing import Verdict

    CommitLines = Callable[[CommitInfo], Iterator[str]]
    Look = Callable[[CommitInfo], Verdict | None]

app = new_app()

Revision = Annotated[
    str,
    typer.Argument(
        metavar="REV", help="A branch, tag, HEAD, main~2, or the first digits of a digest."
    ),
]


@verb(
    app,
    "log",
    "dsvc log\ndsvc log v1.0 --limit 5\ndsvc log train/labels.csv --follow\n"
    "dsvc log --graph --oneline --all --show-signature",
)
def log(
    session: Session,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="REV|PATH", help="A version; then files and folders."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, help="At most so many versions.")
    ] = None,
    oneline: Annotated[bool, typer.Option("--oneline", help="A line a version.")] = False,
    graph: Annotated[bool, typer.Option("--graph", help="Draw how versions follow.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Beyond renames of the one file PATH.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="From all branches and tags, not from REV.")
    ] = False,
    show_signature: Annotated[
        bool, typer.Option("--show-signature", help="Check and tell who signed each.")
    ] = False,
) -> None:
    """Show the history of a version, newest first.

    With paths, only versions that changed something there. 'dsvc log -- PATH' is for a path that is
    gone, or is called like a version.
    """
    revision, paths = version_and_paths(session, words or [])
    if follow and len(paths) != 1:
        raise typer.BadParameter("it needs one file.", param_hint="--follow")
    if everything and revision:
        raise typer.BadParameter("a version, or all of them.", param_hint="--all")
    commits = session.repository.log(
        None if everything else revision or "HEAD", paths, limit=limit, follow=follow, graph=graph
    )
    look = partial(_look, session) if show_signature else _no_look
    lines = partial(_oneline if oneline else _commit_lines, session, look=look)
    session.answer(
        commits,
        lambda found: {"commits": [_commit_json(info, look=look) for info in found]},
        lambda found: (_graph_lines if graph else _log_lines)(found, lines, spaced=not oneline),
    )


def _look(session: Session, info: CommitInfo) -> Verdict:
    return session.repository.signing.look(info.digest.hex())


def _no_look(_: CommitInfo) -> None:
    """Nobody asked about signatures."""


def _commit_json(info: CommitInfo, look: Look) -> dict[str, Any]:
    verdict = look(info)
    return {
        "commit": info.digest.hex(),
        "dataset": info.dataset.hex(),
        "parents": [parent.hex() for parent in info.parents],
        "author": info.author,
        "time": encode_time(info.time),
        "message": info.message,
        "files": info.files,
        "bytes": info.bytes,
        "refs": [name.name for name in info.names],
        "signed": info.signed,
        **({"signature": verdict_json(verdict)} if verdict else {}),
        "cut": info.cut,
    }


def _log_lines(commits: Iterable[CommitInfo], lines: CommitLines, *, spaced: bool) -> Iterator[str]:
    for place, info in enumerate(commits):
        if place and spaced:
            yield ""
        yield from lines(info)


def _graph_lines(
    commits: Iterable[CommitInfo], lines: CommitLines, *, spaced: bool
) -> Iterator[str]:
    infos = list(commits)
    beside = draw((info.digest, info.before) for info in infos)
    for info, drawn in zip(infos, beside, strict=True):
        text = [*lines(info), *([""] if spaced and info is not infos[-1] else ())]
        for left, right in zip_longest(drawn.lines, text):
            yield ((left or drawn.rest) + (right or "")).rstrip()


def _oneline(session: Session, info: CommitInfo, look: Look) -> Iterator[str]:
    subject = shown(info.message.partition("\n")[0])
    verdict = look(info)
    signature = f" [{verdict_word(session, verdict)}]" if verdict else ""
    cut = " (cut)" if info.cut else ""
    digest = session.paint(short(info.digest), "yellow")
    yield f"{digest}{_names(session, info)}{cut} {subject}{signature}"


def _commit_lines(session: Session, info: CommitInfo, look: Look) -> Iterator[str]:
    yield session.paint(f"commit  {info.digest.hex()}", "yellow") + _names(session, info)
    yield f"dataset {info.dataset.hex()}"
    if len(info.parents) > 1:
        yield f"merge   {' '.join(map(short, info.parents))}"
    yield f"author  {shown(info.author)}"
    yield f"time    {moment(info.time)}"
    yield from _signature_lines(session, look(info))
    if info.cut:
        yield "cut     what lies before is not here: dsvc fetch --unshallow"
    yield ""
    yield from _message_lines(info.message)


def _signature_lines(session: Session, verdict: Verdict | None) -> Iterator[str]:
    if verdict:
        yield f"signed  {verdict_words(session, verdict)}"


def _message_lines(message: str) -> Iterator[str]:
    for line in message.splitlines():
        yield f"    {shown(line)}".rstrip()


def _names(session: Session, info: CommitInfo) -> str:
    """What a commit is called, as git says it: ` (HEAD -> main, tag: v1.0)`."""
    words = [f"tag: {name.name}" if name.kind == "tag" else name.name for name in info.names]
    if len(info.names) > 1 and info.names[1].current:
        words[:2] = [f"{words[0]} -> {words[1]}"]
    return session.paint(f" ({', '.join(map(shown, words))})", "green") if words else ""


@verb(app, "show", "dsvc show\ndsvc show v1.0 --json")
def show(session: Session, revision: Revision = "HEAD") -> None:
    """Show one version: what it is and what lies in it."""
    session.answer(
        session.repository.show(revision),
        _version_json,
        lambda version: _version_lines(session, version),
    )


def _version_json(version: Version) -> dict[str, Any]:
    commit = _commit_json(version.info, _no_look) if version.info else {"commit": None}
    return {
        **commit,
        "dataset": version.dataset.hex(),
        "tag": _tag_json(version.tag, version.tag_signature) if version.tag else None,
        "signature": verdict_json(version.signature) if version.signature else None,
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


def _tag_json(tag: Tag, signature: Verdict | None) -> dict[str, Any]:
    return {
        "name": tag.name,
        "tagger": tag.tagger,
        "time": encode_time(tag.time),
        "message": tag.message,
        "signature": verdict_json(signature) if signature else None,
    }


def _version_lines(session: Session, version: Version) -> Iterator[str]:
    if version.tag:
        yield session.paint(f"tag     {version.tag.name}", "yellow")
        yield f"tagger  {shown(version.tag.tagger)}"
        yield f"time    {moment(version.tag.time)}"
        yield from _signature_lines(session, version.tag_signature)
        yield ""
        yield from _message_lines(version.tag.message)
        yield ""
    if version.info:
        yield from _commit_lines(session, version.info, lambda _: version.signature)
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
        session.give_up_unheard()
