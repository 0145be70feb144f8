"""Whose workspaces are worked in: those that are ours, and those that the user has listed.

A workspace is found by looking upwards, and what its `config.toml` says leads to servers and to
keys. So one that somebody else has put there (`/tmp/.dsvc`) is looked at, and its settings are not
followed; git's `safe.directory` (CVE-2022-24765) is the same for repositories. Nor is one of ours
ours if git tracks what is in it: whoever made the git repository wrote that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from datasets_vc.errors import UnreadableFileError, UnsafeFolderError
from datasets_vc.gitindex import tracks
from datasets_vc.paths import GIT_DIR, META_DIR
from datasets_vc.permissions import owner_of

EVERYWHERE = "*"

_STORE = "store"
_FOLDERS = frozenset({_STORE, "tmp", "runs"})
_FILES = frozenset(
    {"config.toml", "HEAD", "lock", "recorded-runs", "received-runs", ".gitignore", "cloning.json"}
)


@dataclass(frozen=True, slots=True)
class Trusted:
    """Users, and folders, whose workspaces are worked in.

    Attributes:
        users: their numbers; none: who runs this.
        folders: workspaces of others, by absolute path; "/path/*" is all below, "*" is all.
    """

    users: frozenset[int] = frozenset()
    folders: Sequence[str] = ()

    def has(self, workspace: Path) -> bool:
        """Whether a workspace is one of theirs that did not come with code, or listed."""
        if self._own(workspace / META_DIR) and not came_with_code(workspace):
            return True
        return any(_names(listed, workspace.resolve()) for listed in self.folders)

    def check(self, workspace: Path) -> None:
        """Refuse to do more than look at a workspace that is neither.

        Raises:
            UnsafeFolderError: it is neither.
        """
        if not self.has(workspace):
            raise refusal(workspace)

    def _own(self, meta: Path) -> bool:
        if os.name == "nt":
            return True
        # A link is as good as what it leads to only if it is of the same people.
        return {meta.lstat().st_uid, meta.stat().st_uid} <= (self.users or {os.geteuid()})


OURS = Trusted()
"""Who runs this, and nobody else."""


def came_with_code(workspace: Path) -> bool:
    """Whether git tracks anything in the `.dsvc` of a workspace.

    It never does by itself: what is in there is ignored, as its own `.gitignore` says.
    """
    folder = workspace.resolve()
    return any(
        tracks(top / GIT_DIR, (folder / META_DIR).relative_to(top).as_posix())
        for top in (folder, *folder.parents)
        if (top / GIT_DIR).exists()
    )


def refusal(workspace: Path) -> UnsafeFolderError:
    """What is said to whoever wants to do more than look at a workspace of somebody else."""
    if came_with_code(workspace):
        return UnsafeFolderError(
            f"Git tracks files in '{workspace / META_DIR}', which came with the code: the "
            "workspace can be looked at, but nothing is written, fetched or sent by its settings.",
            "If it is yours, let git forget it: git rm -rf --cached "
            f"{quote(str(workspace / META_DIR))}; if you trust who made it: "
            f"dsvc safe add {quote(str(workspace))}",
        )
    owner = owner_of(workspace / META_DIR) or "somebody else"
    return UnsafeFolderError(
        f"The workspace '{workspace}' belongs to {owner}: it can be looked at, but nothing is "
        "written, fetched or sent by its settings.",
        f"If you trust them, list it: dsvc safe add {quote(str(workspace))}",
    )


def check_plain(workspace: Path) -> None:
    """Refuse a workspace in whose `.dsvc` something leads elsewhere, or never ends when read.

    A checkout or an archive of a stranger can carry a `.dsvc`, which then is ours. What lies there
    is read and written by name, so nothing there may be a link, a pipe or a device; but for the
    store as a whole, which `store` in `config.toml` can put anywhere as well, and which looks after
    what is in it.

    Raises:
        UnsafeFolderError: something is.
        UnreadableFileError: the folder cannot be listed.
    """
    meta = workspace / META_DIR
    try:
        _check_entries(meta)
    except OSError as error:
        reason = error.strerror or error
        raise UnreadableFileError(f"'{meta}' cannot be read: {reason}.") from error


def _check_entries(folder: Path) -> None:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            wrong = _what_is_wrong(entry)
            if wrong and not (entry.name == _STORE and entry.is_dir()):
                raise UnsafeFolderError(
                    f"'{entry.path}' is {wrong}, and what dsvc keeps in '{META_DIR}' has to lie "
                    "there itself.",
                    "Unless you made it, who gave you this folder may have planted it. Look at "
                    f"it, then take it away: rm -r {quote(entry.path)}",
                )


def _what_is_wrong(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "a link"
    if entry.is_dir(follow_symlinks=False):
        return "a folder in place of a file" if entry.name in _FILES else ""
    if not entry.is_file(follow_symlinks=False):
        return "a pipe, a socket or a device"
    return "a file in place of a folder" if entry.name in _FOLDERS else ""


def _names(listed: str, workspace: Path) -> bool:
    if listed == EVERYWHERE:
        return True
    if listed.endswith("/*"):
        return workspace.is_relative_to(Path(listed[:-2]).resolve())
    return Path(listed).is_absolute() and Path(listed).resolve() == workspace
