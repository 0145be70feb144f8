"""Whether a remote is the store here, reached by another way, or only has its id, as a copy has.

An id in the root says which store one is. The same id is no more than a suspicion: copied folders
and mirrored buckets have it, and are real backups. What makes it certain is an object that is
written by one way and seen by the other. It lies among the packs, since the question is always
whether the packs there are others than those here.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Literal

from datasets_vc.backends import Backend, LocalBackend
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.config import DEFAULT_STORE
from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError, InvalidInputError, NotFoundError
from datasets_vc.format.root import Root
from datasets_vc.paths import META_DIR
from datasets_vc.store import Store
from datasets_vc.store.names import PACKS, pack_name, probe_name
from datasets_vc.store.nesting import local_folder
from datasets_vc.store.rootobject import with_id

Relation = Literal["itself", "copy", "other", "unknown"]
"""What a remote is to the store here; "unknown": it may be it, and that cannot be tried."""


def relation_to(local: Store, remote: Backend, there: Root, *, thorough: bool = False) -> Relation:
    """What a remote is to the store here.

    Args:
        there: the remote's root.
        thorough: try even where the ids differ, and where one has none: something is to be deleted
            because the remote has it, and a cache on the way may show an old root.

    Raises:
        NotFoundError: the store here is gone.
    """
    if _is_same_place(local.backend, remote):
        return "itself"
    here = local.root().id
    same = bool(here) and here == there.id
    if not (same or thorough):
        return "other"
    suspicious = same or not (here and there.id)
    tried = [_shows(local.backend, remote)]
    if suspicious and tried != [True]:
        tried.append(_shows(remote, local.backend))
    if True in tried:
        return "itself"
    if suspicious and False not in tried:
        return "unknown"
    return "copy" if same else "other"


def identify(local: Store) -> None:
    """Give a store of before an id now, as far as it can be written."""
    with suppress(DatasetError):
        local.swap_root(with_id)


def itself_error(name: str, url: str, *, known: bool = True) -> InvalidInputError:
    """What is said of a remote that is the store here; `known` if the workspace has it already."""
    first = f"dsvc remote remove {name}, then " if known else ""
    return InvalidInputError(
        f"The remote '{name}' ({url}) is this workspace's own store: what it holds is nowhere "
        "else.",
        f"Name a store elsewhere: {first}dsvc remote add {name} URL",
    )


def check_no_workspace(name: str, url: str) -> None:
    """Check that a remote is not the own store of a workspace, before something is dropped there.

    Raises:
        InvalidInputError: it is. Its HEAD and an unfinished merge hold what no ref of the store
            does, and nobody elsewhere knows them.
    """
    folder = local_folder(url)
    parts = folder.parts if folder else tuple(url.rstrip("/").split("/"))
    if parts[-2:] == (META_DIR, DEFAULT_STORE):
        where = (
            f"dsvc -C {quote(str(folder.parents[1]))}"
            if folder
            else "dsvc there, in that workspace,"
        )
        raise InvalidInputError(
            f"The remote '{name}' ({url}) is the own store of a workspace, which alone knows what "
            "its HEAD and an unfinished merge need.",
            f"Let it do that itself: {where} gc or fsck --repair",
        )


def shared_packs(local: Store, remote: Backend, packs: Collection[Digest]) -> set[Digest]:
    """Those packs of a remote folder that are the very files that the store here has.

    A link to a file is gone with the file, and a second name of it frees nothing.
    """
    here, there = _folder_of(local.backend), _folder_of(remote)
    if here is None or there is None:
        return set()
    return {pack for pack in packs if _is_same(here / pack_name(pack), there / pack_name(pack))}


def _shows(writer: Backend, reader: Backend) -> bool | None:
    """Whether what one backend writes is seen by another; None if that cannot be tried."""
    if not writer.writable:
        return None
    name, said = probe_name(os.urandom(16).hex()), os.urandom(16)
    try:
        writer.put(name, said)
        if _read(reader, name) == said:
            return True
        # A collection, or a writer that loses what it is given, must not look like another store.
        return False if _read(writer, name) == said else None
    except DatasetError:
        return None
    finally:
        with suppress(DatasetError):
            writer.delete(name)


def _read(backend: Backend, name: str) -> bytes | None:
    try:
        return backend.get(name)
    except NotFoundError:
        return None


def _is_same_place(one: Backend, other: Backend) -> bool:
    """Whether two folders, or those of their packs, are one; a folder has no second hard link."""
    here, there = _folder_of(one), _folder_of(other)
    if here is None or there is None:
        return False
    return _is_same(here, there) or _is_same(here / PACKS, there / PACKS)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _folder_of(backend: Backend) -> Path | None:
    while isinstance(backend, Wrapper):
        backend = backend.inner
    return backend.folder if isinstance(backend, LocalBackend) else None
