"""Following a `dataset.lock` to the version that it pins."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import numpy as np

from datasets_vc.addresses import PLAIN, Access
from datasets_vc.backends import is_remote, open_backend
from datasets_vc.config import store_location
from datasets_vc.digest import Digest
from datasets_vc.errors import (
    DatasetError,
    IntegrityError,
    InvalidInputError,
    MissingDataError,
    NotFoundError,
    UnreadableFileError,
)
from datasets_vc.format.location import RECIPE
from datasets_vc.format.lock import Lock, decode_lock
from datasets_vc.history.commits import read_commit
from datasets_vc.history.confined import address_of, place_of
from datasets_vc.history.manifest import Manifest
from datasets_vc.ownership import OURS
from datasets_vc.paths import META_DIR
from datasets_vc.store import Store

_MAX_BYTES = 1 << 16
"""No lock file is longer; what is given instead of one may be a video."""


def read_lock(file: Path) -> Lock:
    """What a lock file says.

    Raises:
        NotFoundError: there is no such file.
        UnreadableFileError: it cannot be read.
        InvalidInputError, FormatError: see `decode_lock`.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(
            f"There is no lock file '{file}'.",
            f"Name another, or write this one: dsvc pin -o {quote(str(file))}",
        ) from error
    except OSError as error:
        raise UnreadableFileError(f"'{file}' cannot be read: {error.strerror}.") from error
    if len(data) > _MAX_BYTES:
        raise InvalidInputError(f"'{file}' is not a lock file: it is too long.")
    return decode_lock(data, f"'{file}'")


def pinned_workspace(file: Path, lock: Lock) -> Path | None:
    """The workspace that a lock names, if there is one.

    Raises:
        InvalidInputError: see `place_of`.
    """
    if lock.path is None:
        return None
    folder = place_of(file, lock.path)
    return folder if (folder / META_DIR).is_dir() else None


def check_pinned(store: Store, file: Path, lock: Lock) -> None:
    """Check that the pinned commit, which the store has, names the pinned dataset.

    Raises:
        IntegrityError: it names another.
    """
    dataset = read_commit(store, lock.commit).dataset
    if dataset != lock.dataset:
        raise IntegrityError(
            f"'{file}' pins dataset {lock.dataset.hex()[:12]}, but its commit "
            f"{lock.commit.hex()[:12]} has dataset {dataset.hex()[:12]}: somebody changed it.",
            "Take it back to what it was, or pin again: dsvc pin",
        )


def open_pinned(file: Path, access: Access = PLAIN) -> tuple[Store, Lock]:
    """The nearest store that has all of what a lock pins: its workspace's, else the one it names.

    Args:
        file: the lock file.
        access: how to get to the store that it names.

    Raises:
        NotFoundError: there is no such file, or no store there has the pinned commit.
        IntegrityError: see `check_pinned`.
        UnreadableFileError, InvalidInputError, FormatError: see `read_lock`.
    """
    lock = read_lock(file)
    store = _local_store(file, lock)
    if store is None:
        store = Store.open(open_backend(address_of(file, lock), access=access))
        if store.find(lock.commit) is None:
            raise NotFoundError(
                f"There is no commit {lock.commit.hex()[:12]}, which '{file}' pins, in "
                f"{store.url}.",
                "Push it from the workspace that has it: dsvc push",
            )
    if store.find(lock.commit) is not None:
        check_pinned(store, file, lock)
    return store, lock


def _local_store(file: Path, lock: Lock) -> Store | None:
    folder = pinned_workspace(file, lock)
    if folder is None:
        return None
    try:
        location = store_location(folder)
        if is_remote(location) and not OURS.has(folder):
            return None
        store = Store.open(open_backend(location))
        return store if _holds(store, lock.dataset) else None
    except DatasetError:  # what is wrong with it is no concern of who reads elsewhere
        return None


def _holds(store: Store, dataset: Digest) -> bool:
    """Whether a store, which may be partial, has every byte of a dataset."""
    if store.find(dataset) is None:
        return False
    try:
        files: list[Digest] = Manifest(store, dataset).entries().column("digest").to_pylist()
    except MissingDataError:
        return False
    places = store.index.locate(files)
    if not places.found.all():
        return False
    recipes = [files[row] for row in np.flatnonzero(places.rows["codec"] == RECIPE).tolist()]
    pieces = [piece for recipe in store.read_recipes(recipes) for piece in recipe.digests]
    return bool(store.index.contains(pieces).all())
