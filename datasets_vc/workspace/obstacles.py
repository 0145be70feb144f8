"""What lies on disk where a checkout wants to write a file that the listing does not have."""

# A Path object for every file would cost more than the work itself.
# ruff: noqa: PTH114

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from datasets_vc.errors import InvalidInputError, UnreadableFileError, hint_about
from datasets_vc.format.columns import Mask, Rows, position
from datasets_vc.format.entries import Entry
from datasets_vc.paths import GIT_DIR, META_DIR, inherited
from datasets_vc.store.nesting import STORE_NAMES, holds_versions
from datasets_vc.workspace.columns import Entries, digest_at, paths_at
from datasets_vc.workspace.reading import KINDS, hash_file, listed_from
from datasets_vc.workspace.safety import check_safe

_ABSENT = 0
_FOLDER = 1
_OTHER = 2
_STORE = 3

_AT_ONCE = 1 << 16


class Obstacles:
    """Finds out which new files can be written, and what must go first.

    A listing leaves out ignored files, devices and folders that are workspaces or stores of their
    own. All of them can be in the way, and so can a link where a folder should be: it is never
    followed. A store is left as it is, whatever the version has in its place: `stores` are those
    that were met.

    Args:
        root: the workspace.
        listed: its files, in order of path.
        leaving: which of them are removed before anything is written.
        force: clear away whatever is in the way, but never a workspace or a git repository.
    """

    def __init__(self, root: str, listed: pa.StringArray, leaving: Mask, *, force: bool) -> None:
        self.clear: set[str] = set()
        self.blocking: set[str] = set()
        self.stores: set[str] = set()
        self._root = root
        self._listed = listed
        self._leaving = leaving
        self._force = force
        self._folders: dict[str, tuple[int, str]] = {"": (_FOLDER, "")}
        self._in_store = holds_versions(root)
        if self._in_store:
            self._folders |= dict.fromkeys(STORE_NAMES, (_STORE, "."))

    def permit(self, target: Entries, rows: Rows) -> Mask:
        """Which of some new files have to be written; notes what is in their way.

        Raises:
            InvalidInputError: a path must not be written in any workspace.
        """
        needed = np.ones(len(rows), np.bool_)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            paths = paths_at(target.path, some)
            check_safe(paths)
            for number, state in self._in_folders(paths):
                if state == _STORE:
                    needed[start + number] = False
                    continue
                row = int(some[number])
                kind, size = int(target.kind[row]), int(target.size[row])
                entry = Entry(paths[number], kind, size, digest_at(target.digest, row))
                needed[start + number] = self._permit(entry)
        return needed

    def _in_folders(self, paths: Sequence[str]) -> Iterator[tuple[int, int]]:
        """The numbers of those paths whose folder is there, and whether that is in a store."""
        folder, state = "", _FOLDER
        for number, path in enumerate(paths):
            above = path.rpartition("/")[0]
            if above != folder:
                folder = above
                state, where = self._folder(folder)
                if state == _OTHER:
                    self._note(where, [where])
                elif state == _STORE:
                    self.stores.add(where)
            if not folder and self._in_store and path in STORE_NAMES:
                self.stores.add(".")
                yield number, _STORE
            elif state in (_FOLDER, _STORE):
                yield number, state

    def _permit(self, entry: Entry) -> bool:
        path = entry.path
        found = self._look(path)
        if found is None:
            return True
        if stat.S_ISDIR(found.st_mode):
            self._note(path, list(self._below(path)))
            return True
        if self._is(entry, found):
            return False
        self._note(path, [path])
        return True

    def _folder(self, path: str) -> tuple[int, str]:
        """What a folder is on disk, and the outermost of it and those above that is so."""
        return inherited(path, self._folders, self._folder_in)

    def _folder_in(self, path: str, above: tuple[int, str]) -> tuple[int, str]:
        if above[0] != _FOLDER:
            return above
        found = self._look(path)
        if found is None:
            return _ABSENT, path
        if not stat.S_ISDIR(found.st_mode):
            return _OTHER, path
        return (_STORE if holds_versions(f"{self._root}/{path}") else _FOLDER), path

    def _note(self, path: str, lost: list[str]) -> None:
        """Something is at `path`; with it the paths `lost` would go."""
        staying = [each for each in lost if not self._leaves(each)]
        if not staying:
            if not self._leaves(path):
                self.clear.add(path)
        elif self._force:
            self.clear.add(path)
        else:
            self.blocking.update(staying)

    def _leaves(self, path: str) -> bool:
        row = position(self._listed, path)
        here = row < len(self._listed) and self._listed[row].as_py() == path
        return here and bool(self._leaving[row])

    def _look(self, path: str) -> os.stat_result | None:
        try:
            return os.lstat(f"{self._root}/{path}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnreadableFileError(
                f"'{path}' cannot be looked at: {error.strerror or error}.",
                hint_about(error, "Mend its permissions."),
            ) from error

    def _below(self, path: str) -> Iterator[str]:
        """All files below a folder, whatever they are."""
        start = len(self._root) + 1
        for folder, folders, files in os.walk(f"{self._root}/{path}"):
            if META_DIR in folders or GIT_DIR in folders or GIT_DIR in files:
                raise InvalidInputError(
                    f"The folder '{path}' is in the way, and it holds a repository of its own.",
                    "Move it away.",
                )
            if holds_versions(folder):
                raise InvalidInputError(
                    f"The folder '{path}' is in the way, and it holds a store.", "Move it away."
                )
            links = (name for name in folders if os.path.islink(f"{folder}/{name}"))
            for name in (*files, *links):
                yield f"{folder}/{name}"[start:]

    def _is(self, entry: Entry, found: os.stat_result) -> bool:
        kind = KINDS.get(stat.S_IFMT(found.st_mode))
        if kind != entry.kind or found.st_size != entry.size:
            return False
        return hash_file(self._root, listed_from(entry.path, kind, found)) == entry.digest
