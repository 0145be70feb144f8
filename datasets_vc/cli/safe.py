"""The verb safe: whose workspaces are worked in, beside one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from datasets_vc.cli.render import shown
from datasets_vc.cli.session import Session, new_app, new_listing_app, verb
from datasets_vc.cli.superuser import warning_to_root
from datasets_vc.cli.user_settings import change_folders, listed_folders
from datasets_vc.config import find_workspace
from datasets_vc.errors import AlreadyExistsError, NotARepositoryError, NotFoundError
from datasets_vc.ownership import EVERYWHERE

app = new_app()
safe = new_listing_app("List whose workspaces are worked in, beside your own.")
app.add_typer(safe, name="safe")

Folder = Annotated[
    str, typer.Argument(metavar="DIR", help="A workspace; DIR/* is all below, * is all.")
]


@verb(safe, "add", "dsvc safe add /srv/team/photos\ndsvc safe add '/srv/team/*'")
def add(session: Session, directory: Folder = ".") -> None:
    """Trust a workspace of somebody else as your own.

    It can be looked at anyway. Listed, verbs that write, fetch or push work in it, too: they follow
    its .dsvc/config.toml, which says where its remotes are and whose signatures count. The list is
    in ~/.config/dsvc/config.toml. What root writes in the workspace of another user belongs to
    root, as with git.
    """
    folder = _named(session, directory)

    def change(folders: list[str]) -> None:
        if folder in folders:
            raise AlreadyExistsError(f"'{folder}' is listed already.")
        folders.append(folder)

    file = change_folders(change)
    session.done(
        folder,
        lambda added: {"added": added, "file": str(file)},
        lambda added: [
            f"Listed {shown(added)} in {shown(str(file))}.",
            *filter(None, [warning_to_root(Path(added))]),
        ],
    )


@verb(safe, "list", "dsvc safe list")
def list_(session: Session) -> None:
    """List them."""
    session.answer(listed_folders(), lambda found: {"directories": list(found)}, _lines)


def _lines(found: Sequence[str]) -> Iterator[str]:
    return (shown(folder) for folder in found or ["Only your own."])


@verb(safe, "remove", "dsvc safe remove /srv/team/photos")
def remove(session: Session, directory: Folder = ".") -> None:
    """Trust a workspace no more."""
    folder = _named(session, directory)

    def change(folders: list[str]) -> None:
        if folder not in folders:
            raise NotFoundError(f"'{folder}' is not listed.", "'dsvc safe list' says what is.")
        folders.remove(folder)

    change_folders(change)
    session.done(
        folder, lambda gone: {"removed": gone}, lambda gone: [f"{shown(gone)} is not listed now."]
    )


def _named(session: Session, directory: str) -> str:
    if directory == EVERYWHERE:
        return directory
    if directory.endswith("/*"):
        return f"{session.located(directory[:-2]).resolve()}/*"
    folder = session.located(directory)
    try:
        return str(find_workspace(folder).resolve())
    except NotARepositoryError:
        return str(folder.resolve())  # one that is to come
