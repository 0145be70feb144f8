"""The one object of a store that changes: read, made, and replaced by compare-and-swap."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from datasets_vc.backends.base import MAX_ROOT, Backend
from datasets_vc.backends.wrappers import RetryPolicy
from datasets_vc.errors import (
    AlreadyExistsError,
    ConflictError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    RemoteError,
)
from datasets_vc.format.root import Root, check_writable, decode_root, encode_root
from datasets_vc.store.indexes import MissingIndexError
from datasets_vc.store.names import FOLDERS, ROOT

PACE = RetryPolicy(attempts=64, base_delay=0.01, max_delay=0.2)
"""Who lost a race waits for a moment, drawn at random, so that the same do not meet again."""


class RootObject:
    """The root of the store that lies at `backend`.

    Args:
        pace: how often a swap is tried, and how long one waits in between.
    """

    def __init__(self, backend: Backend, pace: RetryPolicy = PACE) -> None:
        self._backend = backend
        self._pace = pace

    def read(self) -> Root:
        """The root as it is now.

        Raises:
            NotFoundError: there is no store here.
        """
        return self._read()[0]

    def create(self) -> None:
        """Make an empty root.

        Raises:
            AlreadyExistsError: there is one already.
        """
        self._backend.check_places(FOLDERS)
        root = Root(write_id=_new_write_id(), id=new_store_id())
        if not self._swap(root, None):
            raise AlreadyExistsError(f"There already is a store at {self._backend.url}.")

    def swap(self, change: Callable[[Root], Root]) -> Root:
        """Replace the root by `change(root)`, trying again when another writer was first.

        `change` is called once a try, with the current root; what it raises is passed on, but for
        the lack of an index object, which another writer may just have replaced. A store that has
        no id yet gets one with the first change.

        Raises:
            ConflictError: others were first too many times.
            UnsafeFolderError: a folder of the store is a link, behind which nothing is written.
        """
        # What follows a change deletes, in folders that nothing was written to.
        self._backend.check_places(FOLDERS)
        missing: MissingIndexError | None = None
        for lost in range(1, self._pace.attempts + 1):
            old, token = self._read(to_write=True)
            try:
                changed = change(old)
            except MissingIndexError as error:
                missing = error
                continue
            if changed == old:
                return old
            new = replace(changed, write_id=_new_write_id(), id=changed.id or new_store_id())
            if self._swap(new, token):
                return new
            self._pace.sleep(self._pace.delay(lost))
        if missing:
            raise IntegrityError(missing.message)
        raise ConflictError(f"Other writers keep changing {self._backend.url}.", "Try again later.")

    def _read(self, *, to_write: bool = False) -> tuple[Root, object]:
        found = self._backend.read_root(ROOT)
        if found is None:
            url = self._backend.url
            raise NotFoundError(f"There is no store at {url}.", "Check the address.")
        what = f"The root of {self._backend.url}"
        if to_write:
            check_writable(found.data, what)
        return decode_root(found.data, what), found.token

    def _swap(self, root: Root, token: object | None) -> bool:
        """Try once; whether the root now is this one."""
        data = encode_root(root)
        if len(data) > MAX_ROOT:
            raise InvalidInputError(
                f"The names of branches and tags take more than {MAX_ROOT:,} bytes together.",
                "Delete some: dsvc branch -d, dsvc tag -d.",
            )
        try:
            self._backend.swap(ROOT, data, token)
            return True
        except ConflictError:
            # A swap can succeed and lose its answer; a retry below us then conflicts with itself.
            return self._is(root.write_id)
        except RemoteError as error:
            if not error.transient:
                raise
            if self._is(root.write_id):
                return True
            if token is None:
                raise
            return False

    def _is(self, write_id: str) -> bool:
        found = self._backend.read_root(ROOT)
        return found is not None and decode_root(found.data, "The root").write_id == write_id


def with_id(root: Root) -> Root:
    """The root of a store that has an id."""
    return root if root.id else replace(root, id=new_store_id())


def new_store_id() -> str:
    """An id for a store that has none, or is to have another one."""
    return os.urandom(16).hex()


def _new_write_id() -> str:
    return os.urandom(16).hex()
