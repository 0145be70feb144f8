"""Where symbolic links of a dataset may lead: to somewhere in the dataset's own folder."""

from __future__ import annotations

import os

from datasets_vc.errors import InvalidInputError


def check_link(path: str, target: bytes, root: str | None = None) -> str:
    """The target of the link at `path` as text, if the link stays in its workspace.

    Args:
        path: where the link is.
        target: what it says.
        root: the workspace, if the link lies there already and can be followed.

    Raises:
        InvalidInputError: the target is absolute, not UTF-8, or outside.
    """
    try:
        text = target.decode()
    except UnicodeDecodeError as error:
        shown = target.decode(errors="backslashreplace")
        raise InvalidInputError(
            f"The target '{shown}' of the link '{path}' is not valid UTF-8.",
            "Rename the target, or ignore the link in .dsvcignore.",
        ) from error
    problem = _problem(path, text) or (_escape(path, root) if root is not None else "")
    if problem:
        raise InvalidInputError(
            f"The symbolic link '{path}' leads {problem}: '{text}'.",
            "Let it lead to a place in the workspace, by a relative path, or ignore it.",
        )
    return text


def _problem(path: str, target: str) -> str:
    if not target or "\0" in target:
        return "nowhere"
    if target.startswith("/"):
        return "to an absolute path"
    depth = path.count("/")
    for part in target.split("/"):
        if part == "..":
            depth -= 1
        elif part not in ("", "."):
            depth += 1
        if depth < 0:
            return "out of the workspace"
    return ""


def _escape(path: str, root: str) -> str:
    # "a/.." is not "." if `a` is a link itself, so what is written is not enough.
    top = os.path.realpath(root)
    place = os.path.realpath(f"{root}/{path}")
    return "" if place == top or place.startswith(top + "/") else "out of the workspace"
