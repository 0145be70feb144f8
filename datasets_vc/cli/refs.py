"""Verbs for the names of versions: branch, tag, describe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.author import author_of
from datasets_vc.cli.render import short, shown
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.signatures import Key, Sign, signer_of
from datasets_vc.errors import NotFoundError
from datasets_vc.format.commit import encode_time

if TYPE_CHECKING:
    from datasets_vc.digest import Digest
    from datasets_vc.format.tag import Tag
    from datasets_vc.history.describe import Description

app = new_app()

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The name to create.")]
Target = Annotated[
    str | None, typer.Argument(metavar="REV", help="The version that it names; HEAD.")
]
Delete = Annotated[str | None, typer.Option("-d", "--delete", metavar="NAME", help="Delete it.")]


@verb(
    app,
    "branch",
    "dsvc branch\ndsvc branch relabel v1.0\ndsvc branch -m relabel labels\ndsvc branch -d labels",
)
def branch(
    session: Session,
    name: Name = None,
    revision: Target = None,
    rename: Annotated[
        bool, typer.Option("-m", "--move", help="Rename: [OLD] NEW; OLD is the current one.")
    ] = False,
    delete: Delete = None,
    drop: Annotated[
        str | None,
        typer.Option("-D", metavar="NAME", help="Delete it even if nothing else has its commits."),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="With -d: as -D.")] = False,
) -> None:
    """List, create, rename or delete branches.

    'dsvc checkout -b NAME' creates one and goes there.
    """
    gone = drop or delete
    if rename + bool(drop) + bool(delete) + bool(name and not rename) > 1:
        raise typer.BadParameter("create, rename or delete: one at a time.", param_hint="NAME")
    if rename:
        _rename(session, name, revision)
    elif gone:
        was = session.repository.branches.delete(gone, force=force or bool(drop))
        _tell_deleted(session, "branch", gone, was)
    elif name:
        _tell_created(
            session, "branch", name, session.repository.branches.create(*_of(name, revision))
        )
    else:
        _list_branches(session)


@verb(
    app,
    "tag",
    "dsvc tag\ndsvc tag v1.0\ndsvc tag v1.1 -m 'Labels checked twice' --sign\n"
    "dsvc tag v0.9 main~3\ndsvc tag -d v0.9",
)
def tag(
    session: Session,
    name: Name = None,
    revision: Target = None,
    message: Annotated[
        str | None, typer.Option("-m", "--message", metavar="TEXT", help="Say what it marks.")
    ] = None,
    delete: Delete = None,
    sign: Sign = None,
    key: Key = None,
) -> None:
    """List, create or delete tags.

    With a message, who made the tag and when is recorded, too; such a tag can be signed.
    """
    if delete and (name or message is not None):
        raise typer.BadParameter("create or delete, not both.", param_hint="--delete")
    if message is not None and not name:
        raise typer.BadParameter("a message needs a tag to go with.", param_hint="NAME")
    if (sign or key) and message is None:
        raise typer.BadParameter("only a tag with a message is signed: -m.", param_hint="--sign")
    tags = session.repository.tags
    if delete:
        _tell_deleted(session, "tag", delete, tags.delete(delete))
    elif name and message is not None:
        tagger = author_of(None, session.repository.folder)
        signer = signer_of(session, "tag", sign, key)
        made = tags.annotate(*_of(name, revision), message=message, tagger=tagger, sign=signer)
        _tell_created(session, "tag", name, made)
    elif name:
        _tell_created(session, "tag", name, tags.create(*_of(name, revision)))
    else:
        found = tags.annotations()
        session.answer(
            tags.list(),
            lambda refs: {"tags": [_tag_json(*ref, found) for ref in refs.items()]},
            lambda refs: _ref_lines(session, refs, {name: found[name].message for name in found}),
        )


@verb(app, "describe", "dsvc describe\ndsvc describe main~2 --always")
def describe(
    session: Session,
    revision: Annotated[str, typer.Argument(metavar="REV", help="The version; HEAD.")] = "HEAD",
    always: Annotated[
        bool, typer.Option("--always", help="Where there is no tag, print the commit.")
    ] = False,
) -> None:
    """Call a version by the nearest tag before it.

    'v1.0-3-g1a2b3c4d' is commit 1a2b3c4d, 3 commits after v1.0; every verb understands it.
    """
    found = session.repository.tags.describe(revision)
    if not (found.tag or always):
        raise NotFoundError(
            f"No tag names '{revision}' or a version before it.",
            "Make one: dsvc tag NAME; or print the commit: dsvc describe --always",
        )
    session.answer(found, _description_json, lambda description: [str(description)])


def _of(name: str, revision: str | None) -> tuple[str, str]:
    return name, revision or "HEAD"


def _rename(session: Session, first: str | None, second: str | None) -> None:
    if first is None:
        raise typer.BadParameter("say the new name.", param_hint="NEW")
    old, new = (first, second) if second else (None, first)
    session.done(
        session.repository.branches.rename(new, old),
        lambda was: {"branch": new, "was": was},
        lambda was: [f"Renamed branch {was} to {new}."],
    )


def _tell_created(session: Session, kind: str, name: str, commit: Digest) -> None:
    session.done(
        name,
        lambda made: {kind: made, "commit": commit.hex()},
        lambda made: [f"Created {kind} {made} at {short(commit)}."],
    )


def _tell_deleted(session: Session, kind: str, name: str, was: Digest) -> None:
    session.done(
        name,
        lambda gone: {kind: gone, "deleted": True, "was": was.hex()},
        lambda gone: [f"Deleted {kind} {gone} (was {short(was)})."],
    )


def _list_branches(session: Session) -> None:
    repository = session.repository
    current = repository.head.branch
    refs = repository.branches.list()
    messages = {name: commit.message for name, commit in repository.branches.commits().items()}
    session.answer(
        refs,
        lambda refs: {
            "branches": [
                {"name": name, "commit": commit.hex(), "message": messages[name]}
                for name, commit in refs.items()
            ],
            "current": current,
        },
        lambda refs: _ref_lines(session, refs, messages, current),
    )


def _tag_json(name: str, commit: Digest, annotations: dict[str, Tag]) -> dict[str, Any]:
    found = annotations.get(name)
    return {
        "name": name,
        "commit": commit.hex(),
        "tagger": found.tagger if found else None,
        "time": encode_time(found.time) if found else None,
        "message": found.message if found else None,
    }


def _ref_lines(
    session: Session, refs: dict[str, Digest], messages: dict[str, str], current: str | None = None
) -> Iterator[str]:
    width = max(map(len, refs), default=0)
    for name, commit in refs.items():
        mark = "* " if name == current else "  "
        first = messages.get(name, "").partition("\n")[0]
        line = f"{mark}{shown(name):<{width}}  {short(commit)}  {shown(first)}".rstrip()
        yield session.paint(line, "green") if name == current else line


def _description_json(found: Description) -> dict[str, Any]:
    return {
        "tag": found.tag or None,
        "distance": found.distance if found.tag else None,
        "commit": found.commit.hex(),
        "description": str(found),
    }
