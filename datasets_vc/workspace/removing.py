"""Remove files of a workspace: only those that are what they were when they were listed."""

# A Path object for every file would cost more than the work itself.
# ruff: noqa: PTH106, PTH108, PTH112, PTH114

from __future__ import annotations

import os
import shutil

from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError, UnsavedChangesError, hint_about
from datasets_vc.format.columns import Rows
from datasets_vc.workspace.columns import Digests, digest_at
from datasets_vc.workspace.listing import Listing
from datasets_vc.workspace.reading import (
    FileChangedError,
    Listed,
    check_same,
    has_digest,
    listed_at,
)

_AT_ONCE = 1 << 14


class Remover:
    """Removes files below a folder.

    Args:
        root: the workspace.
        force: remove what was changed since it was listed, too.
    """

    def __init__(self, root: str, *, force: bool) -> None:
        self._root = root
        self._force = force
        self._emptied: set[str] = set()

    def remove(self, listing: Listing, rows: Rows, digests: Digests) -> None:
        """Remove listed files, and the folders that this leaves empty.

        Args:
            digests: of all files of the listing, as far as they are known.

        Raises:
            UnsavedChangesError: one was changed since it was listed.
            DatasetError: one cannot be removed.
        """
        try:
            for start in range(0, len(rows), _AT_ONCE):
                for file in listed_at(listing, rows[start : start + _AT_ONCE]):
                    self.unlink(file, digest_at(digests, file.row))
        finally:
            self.remove_emptied()

    def unlink(self, file: Listed, digest: Digest) -> None:
        """Remove one listed file; its folder stays until `remove_emptied`. Raises as `remove`."""
        self.check_unchanged(file, digest)
        self._unlink(file.path)
        self._emptied.add(file.path.rpartition("/")[0])

    def remove_emptied(self) -> None:
        """Remove the folders that lost files and are empty, and those above that become so."""
        emptied, self._emptied = self._emptied, set()
        # The deepest first: a folder before those above it.
        for depth in range(max((folder.count("/") for folder in emptied), default=-1), -1, -1):
            level = [folder for folder in emptied if folder and folder.count("/") == depth]
            emptied.difference_update(level)
            emptied.update(
                folder.rpartition("/")[0] for folder in level if self._remove_folder(folder)
            )

    def clear(self, path: str) -> None:
        """Remove what is at `path`, with all below."""
        place = f"{self._root}/{path}"
        if not os.path.isdir(place) or os.path.islink(place):
            self._unlink(path)  # if it has not gone with what it held
            return
        try:
            if self._force:
                shutil.rmtree(place)
            else:
                # What it held has been removed: only empty folders are left.
                for folder, _, _ in os.walk(place, topdown=False):
                    os.rmdir(folder)
        except OSError as error:
            raise cannot(path, "removed", error) from error

    def check_unchanged(self, file: Listed, digest: Digest) -> None:
        """Check that nobody loses what was written since a file was listed.

        The removal of another name of the same file changes its stat data, too: of a file that
        looks changed the bytes decide.

        Raises:
            UnsavedChangesError: it is another one now.
        """
        if self._force:
            return
        try:
            check_same(file, os.lstat(f"{self._root}/{file.path}"))
        except FileNotFoundError:
            return
        except FileChangedError as error:
            if has_digest(self._root, file, digest):
                return
            raise UnsavedChangesError(
                error.message, "Save your changes, then try again."
            ) from error

    def _unlink(self, path: str) -> None:
        try:
            os.unlink(f"{self._root}/{path}")
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot(path, "removed", error) from error

    def _remove_folder(self, path: str) -> bool:
        try:
            os.rmdir(f"{self._root}/{path}")
        except OSError:
            return False  # something else is in it
        return True


def cannot(path: str, verb: str, error: OSError) -> DatasetError:
    """What the operating system says about what lies at `path`, as an error of ours."""
    return DatasetError(
        f"'{path}' cannot be {verb}: {error.strerror or error}.",
        hint_about(
            error, "Free space or mend permissions, then run it again: what is done stays done."
        ),
    )
