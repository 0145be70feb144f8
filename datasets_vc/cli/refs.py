"""Verbs for the names of versions: branch, tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.render import short, shown
from datasets_vc.cli.session import Session, new_app, verb

if TYPE_CHECKING:
    from datasets_vc.digest import Digest
    from datasets_vc.history.refs import RefSpace

app = new_app()

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The name to create.")]
Target = Annotated[str, typer.Argument(metavar="REV", help="The version that it names.")]
Delete = Annotated[str | None, typer.Option("-d", "--delete", metavar="NAME", help="Delete it.")]


@verb(app, "branch", "dsvc branch\ndsvc branch relabel v1.0\ndsvc branch -d relabel")
def branch(
    session: Session, name: Name = None, revision: Target = "HEAD", delete: Delete = None
) -> None:
    """List, create or delete branches.

    'dsvc checkout -b NAME' creates one and goes there.
    """
    current = session.repository.head.branch
    _work("branch", session, session.repository.branches, name, revision, delete, current)


@verb(app, "tag", "dsvc tag\ndsvc tag v1.0\ndsvc tag v0.9 main~3\ndsvc tag -d v0.9")
def tag(
    session: Session, name: Name = None, revision: Target = "HEAD", delete: Delete = None
) -> None:
    """List, create or delete tags."""
    _work("tag", session, session.repository.tags, name, revision, delete, None)


def _work(
    kind: str,
    session: Session,
    refs: RefSpace,
    name: str | None,
    revision: str,
    delete: str | None,
    current: str | None,
) -> None:
    if name is not None and delete is not None:
        raise typer.BadParameter("create or delete, not both.", param_hint="--delete")
    if delete is not None:
        refs.delete(delete)
        session.done(
            delete,
            lambda gone: {kind: gone, "deleted": True},
            lambda gone: [f"Deleted {kind} {gone}."],
        )
        return
    if name is not None:
        commit = refs.create(name, revision)
        session.done(
            name,
            lambda made: {kind: made, "commit": commit.hex()},
            lambda made: [f"Created {kind} {made} at {short(commit)}."],
        )
        return
    session.answer(
        refs.list(),
        lambda found: _list_json(kind, found, current),
        lambda found: _list_lines(session, found, current),
    )


def _list_json(kind: str, refs: dict[str, Digest], current: str | None) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"name": name, "commit": commit.hex()} for name, commit in sorted(refs.items())
    ]
    if kind == "tag":
        return {"tags": rows}
    return {"branches": rows, "current": current}


def _list_lines(session: Session, refs: dict[str, Digest], current: str | None) -> Iterator[str]:
    width = max(map(len, refs), default=0)
    for name, commit in sorted(refs.items()):
        mark = "* " if name == current else "  "
        line = f"{mark}{shown(name):<{width}}  {short(commit)}"
        yield session.paint(line, "green") if name == current else line
