"""Where symbolic links of a dataset may lead: to somewhere in the dataset's own folder."""

from __future__ import annotations

import os
from collections.abc import Callable

from datasets_vc.errors import InvalidInputError
from datasets_vc.paths import reserved_in

MAX_TARGET = 4096
"""Bytes; no system follows a longer one."""

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
    try:
        text = target.decode()
    except UnicodeDecodeError as error:
        shown = target.decode(errors="backslashreplace")
        raise InvalidInputError(
            f"The target '{shown}' of the link '{path}' is not valid UTF-8.",
            "Rename the target, or ignore the link in .dsvcignore.",
        ) from error
    problem = _problem(path, text, link_at) or (_escape(path, root) if root is not None else "")
    if problem:
        raise InvalidInputError(
            f"The symbolic link '{path}' leads {problem}: '{text}'.",
            "Let it lead to a place in the workspace, by a relative path, or ignore it.",
        )
    return text


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


def _escape(path: str, root: str) -> str:
    # Links that are no part of the dataset lead on, too, so what is written is not enough.
    top = os.path.realpath(root)
    place = os.path.realpath(f"{root}/{path}")
    return "" if place == top or place.startswith(top + "/") else "out of the workspace"
