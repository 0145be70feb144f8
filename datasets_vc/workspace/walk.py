"""List a workspace with stat data: folder by folder into columns, in threads where that helps."""

from __future__ import annotations

import os
import stat
import threading
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets_vc.errors import UnreadableFileError, hint_about
from datasets_vc.paths import GIT_DIR, META_DIR
from datasets_vc.store.nesting import A_STORE, STORE_FOLDERS, STORE_NAMES, holds_versions
from datasets_vc.workspace.ignore import IGNORE_FILE, MAX_RULES, IgnoreRules
from datasets_vc.workspace.listing import (
    FIELDS,
    INODE_MASK,
    Listing,
    Run,
    Skipped,
    Unrecorded,
    escaped,
    make_listing,
    make_run,
    problem_with_name,
    stat_row,
)
from datasets_vc.workspace.reading import KINDS
from datasets_vc.workspace.selection import Selection
from datasets_vc.workspace.tracked import NOTHING_TRACKED, Tracked
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
_MODE_BITS = _TYPE_BITS | stat.S_IXUSR
_EXECUTABLE = stat.S_IFREG | stat.S_IXUSR
_name_of = attrgetter("name")
_OTHER_KINDS = {
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFBLK: "it is a device",
    stat.S_IFCHR: "it is a device",
}


def walk(
    root: Path,
    selection: Selection | None = None,
    threads: int = THREADS,
    tracked: Tracked = NOTHING_TRACKED,
) -> Listing:
    """List what is selected in the workspace `root`, leaving out what its rules ignore.

    Left out are also the workspace's own `.dsvc`, everything called `.git`, and (told in `skipped`)
    what is neither file, folder nor link, names that are not UTF-8, and folders that are workspaces
    or stores of their own: like a git repository inside another, they have a history of their own.

    Args:
        tracked: which files are listed whatever the rules say.

    Raises:
        InvalidInputError: a line of `.dsvcignore` is no pattern.
        UnreadableFileError: a folder or a file of rules cannot be read.
    """
    return _Walk(root, selection or Selection(), tracked).run(threads)


class _Folder(NamedTuple):
    """A folder to be listed; of one that is `ignored` only tracked files count."""

    path: str
    rules: IgnoreRules | None
    selected: bool
    ignored: bool = False

    @property
    def prefix(self) -> str:
        return self.path + "/" if self.path else ""


class _Found(NamedTuple):
    """What a folder holds: runs of files, and between these the folders, in order of path."""

    runs: list[Run]
    folders: list[str]


class _Walk:
    def __init__(self, root: Path, selection: Selection, tracked: Tracked) -> None:
        self._root = str(root)
        self._selection = selection
        self._tracked = tracked
        self._found: dict[str, _Found] = {}
        self._skipped: list[Skipped] = []
        self._unrecorded: list[Unrecorded] = []
        self._unread_rules: list[str] = []
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
        skipped = tuple(sorted(self._skipped))
        unrecorded = sum(self._unrecorded, Unrecorded())
        listing = make_listing(self._runs_in_order(), folders, skipped, unrecorded)
        return replace(listing, unread_rules=tuple(sorted(self._unread_rules)))

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
        rules = folder.rules if folder.ignored else self._rules_of(folder, handle, where)
        files: list[os.DirEntry[str]] = []
        below: list[_Folder] = []
        empty = True
        of_store = 0
        with os.scandir(handle) as entries:
            for entry in entries:
                empty = False
                name = entry.name
                if not entry.is_dir(follow_symlinks=False):
                    if name != GIT_DIR:
                        files.append(entry)
                    continue
                if name == META_DIR and prefix:
                    self._skipped.append(Skipped(folder.path, "it is a workspace of its own"))
                    return []
                of_store += name in STORE_FOLDERS
                child = self._enter(prefix + name, folder, rules)
                if child and name != GIT_DIR and self._is_text(prefix, name):
                    below.append(child)
        if of_store == len(STORE_FOLDERS) and holds_versions(where):
            self._skipped.append(Skipped(folder.path or ".", A_STORE))
            if prefix:
                return []
            files = [file for file in files if file.name not in STORE_NAMES]
            below = [child for child in below if child.path not in STORE_NAMES]
        if folder.ignored or not (folder.selected and rules is None and prefix):
            files = self._chosen(files, folder, rules)
        files.sort(key=_name_of)
        below.sort(key=lambda child: child.prefix)
        self._found[folder.path] = self._stat_all(files, prefix, below)
        if empty and prefix:
            self._unrecorded.append(Unrecorded(empty_folders=1))
        return below

    def _rules_of(self, folder: _Folder, handle: int, where: str) -> IgnoreRules | None:
        source = Path(where) / IGNORE_FILE
        try:
            mode = os.stat(IGNORE_FILE, dir_fd=handle, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                # A link is no file of rules: it may lead anywhere.
                if stat.S_ISLNK(mode):
                    self._unread_rules.append(folder.prefix + IGNORE_FILE)
                return folder.rules
            rules = os.open(IGNORE_FILE, _RULES_FLAGS, dir_fd=handle)
            with os.fdopen(rules, "rb") as file:
                return IgnoreRules(folder.prefix, file.read(MAX_RULES + 1), source, folder.rules)
        except FileNotFoundError:
            return folder.rules
        except OSError as error:
            raise _unreadable(str(source), error) from error

    def _chosen(
        self, files: list[os.DirEntry[str]], folder: _Folder, rules: IgnoreRules | None
    ) -> list[os.DirEntry[str]]:
        """The files of a folder that are selected, and not ignored or tracked all the same."""
        prefix = folder.prefix
        chosen: list[os.DirEntry[str]] = []
        ignored: list[os.DirEntry[str]] = []
        for file in files:
            path = prefix + file.name
            if not folder.selected and not self._selection.takes(path):
                continue
            if folder.ignored or (rules is not None and rules.ignores(path, folder=False)):
                ignored.append(file)
            elif not self._is_reserved(path):
                chosen.append(file)
        tracked = self._tracked.among(prefix, [file.name for file in ignored]) if ignored else ()
        return chosen + [file for file in ignored if file.name in tracked]

    def _enter(self, path: str, above: _Folder, rules: IgnoreRules | None) -> _Folder | None:
        selected = above.selected or self._selection.holds(path)
        if path == META_DIR or not (selected or self._selection.enters(path)):
            return None
        ignored = above.ignored or (rules is not None and rules.ignores(path, folder=True))
        if ignored and not self._tracked.any_below(path):
            return None
        return None if self._is_reserved(path) else _Folder(path, rules, selected, ignored)

    def _is_text(self, prefix: str, name: str) -> bool:
        """Whether a name is UTF-8; notes what is left out because it is not."""
        problem = problem_with_name(name)
        if problem:
            self._skipped.append(Skipped(prefix + escaped(name), problem))
        return not problem

    def _stat_all(self, files: list[os.DirEntry[str]], prefix: str, below: list[_Folder]) -> _Found:
        """What of some files may be part of a dataset, in the order given, and the folders."""
        names: list[str] = []
        stats = array("q")
        executable = 0
        # Most of a status is spent in this loop: it calls nothing of ours for an ordinary file.
        for file in files:
            try:
                found = file.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # it was removed while we looked
            mode = found.st_mode
            kind = KINDS.get(mode & _TYPE_BITS)
            if kind is None:
                reason = _OTHER_KINDS.get(stat.S_IFMT(mode), "its kind is unknown")
                self._skipped.append(Skipped(prefix + escaped(file.name), reason))
                continue
            inode = found.st_ino & INODE_MASK
            try:
                stats.extend((kind, found.st_size, found.st_mtime_ns, found.st_ctime_ns, inode))
            except OverflowError:  # a time that the column does not hold as it is
                del stats[len(names) * len(FIELDS) :]
                stats.extend(stat_row(kind, found))
            names.append(file.name)
            if mode & _MODE_BITS == _EXECUTABLE:
                executable += 1
        self._listed += len(names)
        if executable:
            self._unrecorded.append(Unrecorded(executables=executable))
        rows = np.frombuffer(stats, np.int64).reshape(-1, len(FIELDS))
        try:
            return _found(prefix, names, rows, below)
        except UnicodeEncodeError:
            kept = [self._is_text(prefix, name) for name in names]
            names = [name for name, keep in zip(names, kept, strict=True) if keep]
            return _found(prefix, names, rows[np.array(kept, np.bool_)], below)

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
        hint_about(error, "Mend its permissions, or ignore it in .dsvcignore."),
    )
