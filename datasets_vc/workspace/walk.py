"""List a workspace with stat data: folder by folder into columns, in threads where that helps."""

from __future__ import annotations

import os
import stat
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets_vc.errors import UnreadableFileError
from datasets_vc.paths import GIT_DIR, META_DIR
from datasets_vc.workspace.ignore import IGNORE_FILE, IgnoreRules
from datasets_vc.workspace.listing import (
    FIELDS,
    INODE_MASK,
    Listing,
    Run,
    Skipped,
    check_name,
    make_listing,
    make_run,
    stat_row,
)
from datasets_vc.workspace.reading import KINDS
from datasets_vc.workspace.selection import Selection
from datasets_vc.workspace.waiting import waits

THREADS = min(8, 2 * (os.cpu_count() or 1))
"""More than cores, as they are only called when it is the disk that one waits for."""

# From a cold cache a thread waits about once in 90 files, from a warm one once in 3,500. In the
# first case several threads are twice as fast; in the second they quarrel about Python's lock.
_FEW_WAITS = 10
_FILES_A_WAIT = 500
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_RULES_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TYPE_BITS = 0o170000
_name_of = attrgetter("name")
_OTHER_KINDS = {
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFBLK: "it is a device",
    stat.S_IFCHR: "it is a device",
}


def walk(root: Path, selection: Selection | None = None, threads: int = THREADS) -> Listing:
    """List what is selected in the workspace `root`, leaving out what its rules ignore.

    Left out are also the workspace's own `.dsvc`, everything called `.git`, and (told in `skipped`)
    what is neither file, folder nor link, and folders that are workspaces of their own: like a git
    repository inside another, they have a history of their own.

    Raises:
        InvalidInputError: a name is not UTF-8, or a line of `.dsvcignore` is no pattern.
        UnreadableFileError: a folder or a file of rules cannot be read.
    """
    return _Walk(root, selection or Selection()).run(threads)


class _Folder(NamedTuple):
    path: str
    rules: IgnoreRules | None
    selected: bool

    @property
    def prefix(self) -> str:
        return self.path + "/" if self.path else ""


class _Found(NamedTuple):
    """What a folder holds: runs of files, and between these the folders, in order of path."""

    runs: list[Run]
    folders: list[str]


class _Walk:
    def __init__(self, root: Path, selection: Selection) -> None:
        self._root = str(root)
        self._selection = selection
        self._found: dict[str, _Found] = {}
        self._skipped: list[Skipped] = []
        self._todo = [_Folder("", None, selection.everything)]
        self._busy = 0
        self._listed = 0
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._helpers: list[threading.Thread] = []

    def run(self, threads: int) -> Listing:
        self._work(helpers=threads - 1, waits_before=waits())
        for helper in self._helpers:
            helper.join()
        if self._failure is not None:
            raise self._failure
        folders = frozenset(self._found) - {""}
        return make_listing(self._runs_in_order(), folders, tuple(sorted(self._skipped)))

    def _work(self, helpers: int = 0, waits_before: int = 0) -> None:
        """What each thread does: take folders from the stack until there are none to come."""
        while folder := self._next():
            more: list[_Folder] = []
            failure: BaseException | None = None
            try:
                more = self._list(folder)
            except BaseException as error:  # told by the thread that waits for all
                failure = error
            with self._changed:
                self._busy -= 1
                self._todo += more
                self._failure = self._failure or failure
                if more or failure or not self._busy:
                    self._changed.notify_all()
            if helpers and waits() - waits_before > _FEW_WAITS + self._listed // _FILES_A_WAIT:
                self._call(helpers)
                helpers = 0

    def _next(self) -> _Folder | None:
        with self._changed:
            while not self._todo and self._busy and self._failure is None:
                self._changed.wait()
            if not self._todo or self._failure is not None:
                return None
            self._busy += 1
            return self._todo.pop()

    def _call(self, helpers: int) -> None:
        self._helpers = [threading.Thread(target=self._work, daemon=True) for _ in range(helpers)]
        for helper in self._helpers:
            helper.start()

    def _list(self, folder: _Folder) -> list[_Folder]:
        where = f"{self._root}/{folder.path}"
        try:
            # Only the topmost may be reached through a link.
            handle = os.open(where, _FOLDER_FLAGS | (os.O_NOFOLLOW if folder.path else 0))
        except FileNotFoundError as error:
            if folder.path:
                return []  # it was removed while we looked
            raise _unreadable(where, error) from error
        except OSError as error:
            raise _unreadable(where, error) from error
        try:
            return self._list_open(folder, handle, where)
        except OSError as error:
            raise _unreadable(where, error) from error
        finally:
            os.close(handle)

    def _list_open(self, folder: _Folder, handle: int, where: str) -> list[_Folder]:
        prefix = folder.prefix
        rules = _rules_of(folder, handle, where)
        files: list[os.DirEntry[str]] = []
        below: list[_Folder] = []
        with os.scandir(handle) as entries:
            for entry in entries:
                name = entry.name
                if not entry.is_dir(follow_symlinks=False):
                    if name != GIT_DIR:
                        files.append(entry)
                    continue
                if name == META_DIR and prefix:
                    self._skipped.append(Skipped(folder.path, "it is a workspace of its own"))
                    return []
                child = self._enter(prefix + name, folder.selected, rules)
                if child and name != GIT_DIR:
                    check_name(prefix, name)
                    below.append(child)
        if not (folder.selected and rules is None and prefix):
            selected = folder.selected
            files = [file for file in files if self._wants(prefix + file.name, selected, rules)]
        files.sort(key=_name_of)
        below.sort(key=lambda child: child.prefix)
        names, rows = self._stat_all(files, prefix)
        self._found[folder.path] = _found(prefix, names, rows, below)
        self._listed += len(names)
        return below

    def _wants(self, path: str, selected: bool, rules: IgnoreRules | None) -> bool:
        if not selected and not self._selection.takes(path):
            return False
        if rules is not None and rules.ignores(path, folder=False):
            return False
        return not self._is_reserved(path)

    def _enter(self, path: str, selected: bool, rules: IgnoreRules | None) -> _Folder | None:
        selected = selected or self._selection.holds(path)
        if not selected and not self._selection.enters(path):
            return None
        if path == META_DIR or (rules and rules.ignores(path, folder=True)):
            return None
        return None if self._is_reserved(path) else _Folder(path, rules, selected)

    def _stat_all(
        self, files: list[os.DirEntry[str]], prefix: str
    ) -> tuple[list[str], NDArray[np.int64]]:
        """Names and stat data of what may be part of a dataset, in the order given."""
        names: list[str] = []
        stats = array("q")
        # Most of a status is spent in this loop: it calls nothing of ours for an ordinary file.
        for file in files:
            try:
                found = file.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # it was removed while we looked
            kind = KINDS.get(found.st_mode & _TYPE_BITS)
            if kind is None:
                reason = _OTHER_KINDS.get(stat.S_IFMT(found.st_mode), "its kind is unknown")
                self._skipped.append(Skipped(prefix + file.name, reason))
                continue
            inode = found.st_ino & INODE_MASK
            try:
                stats.extend((kind, found.st_size, found.st_mtime_ns, found.st_ctime_ns, inode))
            except OverflowError:  # a time that the column does not hold as it is
                del stats[len(names) * len(FIELDS) :]
                stats.extend(stat_row(kind, found))
            names.append(file.name)
        return names, np.frombuffer(stats, np.int64).reshape(-1, len(FIELDS))

    def _is_reserved(self, path: str) -> bool:
        if path.lower() != META_DIR:
            return False
        self._skipped.append(Skipped(path, "its name is reserved"))
        return True

    def _runs_in_order(self) -> Iterator[Run]:
        # Depth first, with a stack of our own: a path may be deeper than Python's.
        stack: list[str | Run] = [""]
        while stack:
            item = stack.pop()
            if isinstance(item, Run):
                yield item
                continue
            found = self._found.pop(item, None)
            if found is None:
                continue
            stack.append(found.runs[-1])
            for folder, run in zip(found.folders[::-1], found.runs[-2::-1], strict=True):
                stack += (folder, run)


def _rules_of(folder: _Folder, handle: int, where: str) -> IgnoreRules | None:
    source = Path(where) / IGNORE_FILE
    try:
        # A link is no file of rules: it may lead anywhere.
        if not stat.S_ISREG(os.stat(IGNORE_FILE, dir_fd=handle, follow_symlinks=False).st_mode):
            return folder.rules
        rules = os.open(IGNORE_FILE, _RULES_FLAGS, dir_fd=handle)
        with os.fdopen(rules, "rb") as file:
            return IgnoreRules(folder.prefix, file.read(), source, folder.rules)
    except FileNotFoundError:
        return folder.rules
    except OSError as error:
        raise _unreadable(str(source), error) from error


def _found(prefix: str, names: list[str], rows: NDArray[np.int64], below: list[_Folder]) -> _Found:
    # A folder sorts where its contents do: as if its name ended with "/".
    cuts = [bisect_left(names, child.prefix[len(prefix) :]) for child in below]
    runs = [
        make_run(prefix, names[start:stop], rows[start:stop])
        for start, stop in zip([0, *cuts], [*cuts, len(names)], strict=True)
    ]
    return _Found(runs, [child.path for child in below])


def _unreadable(where: str, error: OSError) -> UnreadableFileError:
    return UnreadableFileError(
        f"'{where.rstrip('/')}' cannot be read: {error.strerror or error}.",
        "Mend its permissions, or ignore it in .dsvcignore.",
    )
