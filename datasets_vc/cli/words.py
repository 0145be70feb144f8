"""Words that may be a version or paths: told apart as git does."""

from __future__ import annotations

import os
from collections.abc import Sequence

from datasets_vc.cli.session import Session
from datasets_vc.errors import InvalidInputError, NotFoundError


def version_and_paths(session: Session, words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The version that the first word names, if it does, and the paths that follow.

    What stands after `--` are paths, what stands before it is a version. Without `--`, the first
    word is a version if it can be one, and what is a path must be there: in the folder, or in the
    version.

    Raises:
        InvalidInputError: a word is both, or there are several versions.
        NotFoundError: a word is neither.
    """
    if session.after_dashes is not None:
        cut = len(words) - session.after_dashes
        if cut > 1:
            raise InvalidInputError(
                f"'{words[1]}' is one version too many before '--'.", "Put paths after '--'."
            )
        return (words[0] if cut else None), session.dataset_paths(words[cut:])
    revision, paths = None, list(words)
    if words and _is_version(session, words[0]):
        revision, *paths = words
        if os.path.lexists(session.located(revision)):
            raise InvalidInputError(
                f"'{revision}' is both a version and a path.",
                f"Say which: '{revision} --' is the version, '-- {revision}' the path.",
            )
    for path in paths:
        _check_path(session, path, revision or "HEAD")
    return revision, session.dataset_paths(paths)


def _is_version(session: Session, word: str) -> bool:
    try:
        session.repository.resolve(word)
    except NotFoundError:
        return False
    except InvalidInputError:
        if os.path.lexists(session.located(word)):
            return False
        raise
    return True


def _check_path(session: Session, word: str, revision: str) -> None:
    if os.path.lexists(session.located(word)):
        return
    (path,) = session.dataset_paths([word])
    try:
        session.repository.ls(revision, path)
    except NotFoundError as error:
        raise NotFoundError(
            f"'{word}' is neither a version nor a path here.",
            f"`dsvc branch` and `dsvc tag` list versions; a path of earlier versions only is given "
            f"after '--': -- {word}",
        ) from error
