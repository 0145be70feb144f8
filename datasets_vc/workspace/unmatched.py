"""Why a path that was given selects nothing: it is not there, or it is what no version records."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from datasets_vc.errors import NotFoundError
from datasets_vc.paths import GIT_DIR, META_DIR, parents_of
from datasets_vc.workspace.ignore import rule_for
from datasets_vc.workspace.listing import Skipped

_NOT_THERE = (
    "This is the path from the top of the workspace; on the command line paths count from the "
    "current folder. 'dsvc ls' shows what a version has."
)
_IN_NO_VERSION = "Leave it out of the paths; 'dsvc ls' shows what a version has."
_IGNORED = "To record it, change that rule, or add one after it that begins with '!'."


def unmatched_path(folder: Path, path: str, skipped: Sequence[Skipped]) -> NotFoundError:
    """The error for a path that neither the listing of a workspace nor the version beside it has.

    Args:
        folder: the workspace.
        path: the path, from there.
        skipped: what the listing left out, and why.
    """
    if not os.path.lexists(folder / path):
        return NotFoundError(
            f"There is no '{path}' in the workspace, neither now nor in that version.", _NOT_THERE
        )
    above = [*parents_of(path), path]
    for left_out, reason in skipped:
        if left_out in above:
            return _unrecorded(path, _about(left_out, path, reason))
    for link in parents_of(path):
        if (folder / link).is_symlink():
            reason = "it is a link, and what lies behind a link is not recorded"
            return _unrecorded(path, _about(link, path, reason))
    if {GIT_DIR, META_DIR} & set(path.split("/")):
        return _unrecorded(path, "it belongs to git or to dsvc itself")
    rule = rule_for(folder, path, folder=_is_folder(folder / path))
    if rule is not None:
        source = rule.source.relative_to(folder).as_posix()
        reason = f"it is ignored ('{source}', line {rule.line}: '{rule.text}')"
        return _unrecorded(path, reason, _IGNORED)
    if _is_folder(folder / path):
        empty = not any(_files_below(folder / path))
        what = "no file lies in it" if empty else "all that lies in it is ignored or left out"
        return _unrecorded(path, f"{what}, and a version has files only")
    return _unrecorded(path, "it cannot be part of a dataset")


def _about(place: str, path: str, reason: str) -> str:
    return reason if place == path else f"it lies in '{place}', of which is said: {reason}"


def _unrecorded(path: str, reason: str, hint: str = _IN_NO_VERSION) -> NotFoundError:
    return NotFoundError(
        f"'{path}' is here, but not recorded, nor in that version: {reason}.", hint
    )


def _is_folder(place: Path) -> bool:
    return stat.S_ISDIR(place.lstat().st_mode)


def _files_below(place: Path) -> Iterator[str]:
    for _, _, files in os.walk(place):
        yield from files
