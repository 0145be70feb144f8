"""New folders are filled out of sight and come into place whole, by one renaming each.

That saves a renaming for every file in them, and no half-filled folder is ever in view.
"""

# A Path object for every folder would cost more than the work itself.
# ruff: noqa: PTH102, PTH104, PTH116

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Iterable

from datasets_vc.paths import folders_of
from datasets_vc.workspace.removing import cannot

_PATH_MAX = 4095
_OWN_NAME = 32


class Staging:
    """Where the files of each folder are to be made.

    Args:
        root: the workspace.
        temporary: an empty folder outside of what is versioned, which may not be made yet.
        longest: the length of the longest path in bytes. Out of sight it is longer: where the
            system would not take that, folders are made in their places.
    """

    def __init__(self, root: str, temporary: str, longest: int = 0) -> None:
        self._in_place = len(os.fsencode(temporary)) + _OWN_NAME + longest > _PATH_MAX
        self._root = root
        self._temporary = temporary
        self._places: dict[str, str | None] = {}
        self._outermost: list[tuple[str, str]] = []
        self._numbers = itertools.count()

    def prepare(self, folders: Iterable[str]) -> None:
        """Make folders: those that are not there yet, out of sight.

        Raises:
            DatasetError: one cannot be made.
        """
        device = os.stat(self._temporary).st_dev
        self._places = {"": None}
        # Sorted: a folder comes before those in it.
        for folder in sorted(folders_of(f"{folder}/" for folder in folders)):
            try:
                self._places[folder] = self._make(folder, device)
            except OSError as error:
                raise cannot(folder, "made", error) from error

    def place(self, folder: str) -> str | None:
        """Where a prepared folder is filled out of sight; None if it is in its place."""
        return self._places[folder]

    def settle(self) -> None:
        """Bring all folders that are out of sight into place.

        Raises:
            DatasetError: one cannot be brought.
        """
        self._places = {}
        while self._outermost:
            filled, folder = self._outermost.pop()
            try:
                os.rename(filled, f"{self._root}/{folder}")
            except OSError as error:
                raise cannot(folder, "made", error) from error

    def _make(self, folder: str, device: int) -> str | None:
        above, _, name = folder.rpartition("/")
        staged = self._places[above]
        if staged is not None:
            os.mkdir(f"{staged}/{name}")
            return f"{staged}/{name}"
        place = f"{self._root}/{folder}"
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return self._begin(folder, place, device)
        if not stat.S_ISDIR(found.st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        return None

    def _begin(self, folder: str, place: str, device: int) -> str | None:
        # Nothing can be renamed from one file system into another.
        if self._in_place or os.stat(place.rpartition("/")[0]).st_dev != device:
            os.mkdir(place)
            return None
        filled = f"{self._temporary}/folder-{next(self._numbers)}"
        os.mkdir(filled)
        self._outermost.append((filled, folder))
        return filled
