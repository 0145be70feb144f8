"""Data beside code: what git, if it looks after the code, is told of a workspace.

Nothing here calls git: a work tree is a folder with `.git` in it, as git itself finds one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from datasets_vc.durable import replace_file
from datasets_vc.paths import GIT_DIR

GITIGNORE = ".gitignore"

_MAX_RULES = 1 << 20


@dataclass(frozen=True, slots=True)
class GitPlace:
    """How a workspace lies in a git work tree.

    Attributes:
        top: of the work tree; if it is the workspace itself, code and data lie together.
        ignored: whether the ignore files of the work tree leave the workspace out.
        gitignore: the one that says so, or where it belongs.
    """

    top: Path
    ignored: bool
    gitignore: Path


def git_top(folder: Path) -> Path | None:
    """The git work tree that `folder` lies in, if any: its nearest folder with `.git`, upwards."""
    folder = folder.absolute()
    for candidate in (folder, *folder.parents):
        if (candidate / GIT_DIR).exists():
            return candidate
    return None


def git_place(folder: Path) -> GitPlace | None:
    """How the workspace `folder` lies in a git work tree, if it does."""
    folder = folder.absolute()
    top = git_top(folder)
    if top is None:
        return None
    if top == folder:
        return GitPlace(top, False, folder / GITIGNORE)
    ignored, source = _verdict(top, folder)
    return GitPlace(top, ignored is True, source)


def hide_from_git(folder: Path) -> None:
    """Have git ignore a workspace below the top of its work tree, unless some rule names it.

    A line in the `.gitignore` beside it. Where that cannot be written nothing happens: `git_place`
    tells.
    """
    folder = folder.absolute()
    top = git_top(folder)
    if top is None or top == folder or _verdict(top, folder)[0] is not None:
        return
    gitignore = folder.parent / GITIGNORE
    if os.path.lexists(gitignore) and not _is_plain(gitignore):
        return
    try:
        # Not written to in place: it may have another name in another tree (`cp -al`).
        before = gitignore.read_bytes() if gitignore.exists() else b""
        newline = b"\r\n" if b"\r\n" in before else b"\n"
        gap = newline if before and not before.endswith(b"\n") else b""
        mode = gitignore.stat().st_mode if gitignore.exists() else None
        replace_file(gitignore, before + gap + _line(folder.name) + newline)
        if mode is not None:
            gitignore.chmod(mode & 0o777)
    except OSError:
        return


def _is_plain(gitignore: Path) -> bool:
    """Whether it is a file that git reads: no link, which a stranger's code may have for a trap."""
    return not gitignore.is_symlink() and gitignore.is_file()


def _read(gitignore: Path) -> bytes:
    if not _is_plain(gitignore):
        return b""
    with gitignore.open("rb") as file:
        return file.read(_MAX_RULES)


def _line(name: str) -> bytes:
    """The rule for a folder of that name here, and nothing else."""
    # A rule is one line: for a newline stands what matches any character.
    escaped = re.sub(r"[\\*?\[]", r"\\\g<0>", name).replace("\n", "?")
    return b"/" + os.fsencode(escaped) + b"/"


def _verdict(top: Path, folder: Path) -> tuple[bool | None, Path]:
    """Whether a work tree ignores `folder`, None if no rule matches it; and the file that decides.

    As for git, the file nearest to it does, of one file's rules the last.
    """
    from pathspec import GitIgnoreSpec

    for place in folder.parents:
        source = place / GITIGNORE
        with suppress(OSError):
            spec = GitIgnoreSpec.from_lines(_rules(_read(source)))
            below = os.fsencode(folder.relative_to(place)).decode("latin-1")
            found = spec.check_file(below + "/").include
            if found is not None:
                return found, source
        if place == top:
            break
    return None, folder.parent / GITIGNORE


def _rules(data: bytes) -> Iterator[str]:
    """The lines of a `.gitignore` that mean something; git skips the others too."""
    # Takes 60 ms to import, and few workspaces lie in a git work tree.
    from pathspec import GitIgnoreSpec

    for line in data.decode("latin-1").split("\n"):
        rule = line.removesuffix("\r")
        with suppress(ValueError, re.error):
            GitIgnoreSpec.from_lines([rule])
            yield rule
