"""Where symbolic links of a dataset may lead: to somewhere in the dataset's own folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Sequence

from datasets_vc.errors import InvalidInputError
from datasets_vc.paths import reserved_in

MAX_TARGET = 4096
"""Bytes; no system follows a longer one."""

_SHOWN = 10
_MOST_FOLLOWED = 40  # as Linux does

LinkAt = Callable[[str], str | None]
"""What the link at a path says; None if there is no link."""


def check_link(
    path: str,
    target: bytes,
    root: str | None = None,
    *,
    link_at: LinkAt = lambda _: None,
) -> str:
    """The target of the link at `path` as text, if the link stays in its workspace.

    Args:
        path: where the link is.
        target: what it says.
        root: the workspace, if the link lies there already and can be followed.
        link_at: knows the other links of a version that is not there yet.

    Raises:
        InvalidInputError: the target is absolute, not UTF-8, too long, outside, or in a folder of
            dsvc's or git's own.
    """
    problem = problem_with_link(path, target, root, link_at=link_at)
    if problem:
        refuse_links([(path, problem)])
    return target.decode()


def problem_with_link(
    path: str,
    target: bytes,
    root: str | None = None,
    folders: Container[str] = (),
    *,
    link_at: LinkAt = lambda _: None,
) -> str:
    """What is wrong with the link at `path`, to be read after its name; or an empty string.

    Args:
        folders: some that are known to be folders of the workspace, reached through no link.
    """
    try:
        text = target.decode()
    except UnicodeDecodeError:
        shown = target.decode(errors="backslashreplace")
        return f"has a target that is not valid UTF-8: '{shown}'"
    problem = _problem(path, text, link_at)
    if not problem and root is not None and not _stays(path, text, root, folders):
        problem = _escape(path, root)
    return f"leads {problem}: '{text}'" if problem else ""


def refuse_links(problems: Sequence[tuple[str, str]]) -> None:
    """Refuse links, all at once, if there are any; of each its path and what is wrong with it.

    Raises:
        InvalidInputError: there are some.
    """
    if not problems:
        return
    hint = "Let it lead to a place in the workspace, by a relative path, or ignore it."
    if len(problems) == 1:
        ((path, problem),) = problems
        raise InvalidInputError(f"The symbolic link '{path}' {problem}.", hint)
    listed = "; ".join(f"'{path}' {problem}" for path, problem in problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
    raise InvalidInputError(
        f"{len(problems):,} symbolic links cannot be part of a dataset: {listed}{more}.",
        "Let them lead to places in the workspace, by relative paths, or ignore them in "
        ".dsvcignore; 'dsvc status -v' lists all.",
    )


def _problem(path: str, target: str, link_at: LinkAt) -> str:
    if not target or "\0" in target or len(target.encode()) > MAX_TARGET:
        return "nowhere"
    if target.startswith("/"):
        return "to an absolute path"
    where = path.split("/")[:-1]
    todo = target.split("/")[::-1]
    followed = 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not where:
                return "out of the workspace"
            where.pop()
            continue
        where.append(part)
        # "a/.." is not "." if `a` is a link itself.
        further = link_at("/".join(where))
        if further is not None:
            followed += 1
            if followed > _MOST_FOLLOWED:
                return ""  # in a circle: nowhere, and not outside
            if further.startswith("/"):
                return "to an absolute path"
            where.pop()
            todo += further.split("/")[::-1]
    folder = reserved_in("/".join(where))
    return f"into '{folder}'" if folder else ""


def _stays(path: str, target: str, root: str, folders: Container[str]) -> bool:
    """Whether a link can be seen to stay in the workspace without following it, as most can be."""
    parts = target.split("/")
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    above = path.split("/")[:-1]
    rest = parts[up:]
    if not rest or up > len(above) or any(part in ("", ".", "..") for part in rest):
        return False
    folder = "/".join(above[: len(above) - up] + rest[:-1])
    if folder and folder not in folders:
        return False
    try:
        found = os.lstat(f"{root}/{folder}/{rest[-1]}")
    except OSError:
        return False
    return not stat.S_ISLNK(found.st_mode)


def _escape(path: str, root: str) -> str:
    # Links that are no part of the dataset lead on, too, so what is written is not enough.
    top = os.path.realpath(root)
    place = os.path.realpath(f"{root}/{path}")
    return "" if place == top or place.startswith(top + "/") else "out of the workspace"
