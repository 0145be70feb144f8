"""What is said of a new workspace in a git work tree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from datasets_vc.cli.render import shown
from datasets_vc.cli.session import Session

if TYPE_CHECKING:
    from datasets_vc.repository import Repository


def git_lines(session: Session, repository: Repository) -> Iterator[str]:
    """Whether git will see the data of a workspace; nothing if git does not look after it."""
    git, folder = repository.git, repository.folder
    if git is None:
        return
    name = shown(folder.name) + "/"
    gitignore = shown(os.path.relpath(git.gitignore, session.folder))
    if git.top == folder:
        yield "Code and data lie together here: git sees both, but for .dsvc/."
        yield "Name the code in .dsvcignore to leave it out of the dataset."
    elif git.ignored:
        yield f"Git ignores {name}, as {gitignore} says."
    else:
        yield f"Git does not ignore {name}: the line '/{name}' belongs into {gitignore}."
