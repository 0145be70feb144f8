"""Stores and workspaces on one disk: which folder is a store, and what must not lie in what.

A store that lay among the files of a workspace would be committed as data, and the next checkout
would put its root back to what it was then: commits would be gone. So such a place is refused where
it is named, and a store that lies there all the same is known by what it holds.
"""

from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path
from typing import Final

from datasets_vc.backends.base import LOCK_SUFFIX
from datasets_vc.config import DEFAULT_STORE
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.header import PACK as PACK_MAGIC
from datasets_vc.locations import Url, parse_address
from datasets_vc.paths import META_DIR
from datasets_vc.store.names import FOLDERS, INDEX, PACKS, ROOT, digest_in

STORE_FOLDERS: Final = (PACKS.rstrip("/"), INDEX.rstrip("/"))
"""The folders that every store has into which something was committed."""

STORE_NAMES: Final = frozenset(
    {ROOT, f"{ROOT}{LOCK_SUFFIX}"} | {each.rstrip("/") for each in FOLDERS}
)
"""What lies in the folder of a store."""

A_STORE: Final = "it is a store, whose files are no data"

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_ENOUGH = 1 << 16
_ROOT = re.compile(rb'^\{"algorithm":"blake3","branches":\{|"format"\s*:\s*"dsvc-root"')
_PACKS_TRIED = 3


def is_store(folder: str | Path) -> bool:
    """Whether a folder is a store, or what is left of one: by its root, or by a pack."""
    if _ROOT.search(_beginning(f"{folder}/{ROOT}")):
        return True
    return _has_its_folders(folder) and any(
        _beginning(pack).startswith(PACK_MAGIC) for pack in _packs(folder)
    )


def holds_versions(folder: str | Path) -> bool:
    """Whether a folder is a store into which something was committed; told at once of most."""
    return _has_its_folders(folder) and is_store(folder)


def check_new_place(address: str, workspace: Path) -> None:
    """Check that a store of `workspace`, or a remote, may be at an address, be it there or not.

    Args:
        address: a path in it is absolute.
        workspace: which need not be there yet.

    Raises:
        InvalidInputError: it lies in a workspace, in a store, or around this workspace; or in a
            folder that is not there.
    """
    place, home = local_folder(address), _real(workspace)
    if place is None:
        return
    _check_outside(place, home)
    if any(_same(above, place) for above in (home, *home.parents)):
        raise InvalidInputError(
            f"The workspace '{home}' lies in '{place}', which cannot be a store then.",
            f"Take a folder beside it: {free_place_beside(home, 'store')}",
        )
    if not place.exists() and not place.parent.is_dir():
        raise InvalidInputError(
            f"There is no folder '{place.parent}' in which '{place.name}' could be made.",
            "Check the path, and that the disk is mounted; or make that folder first.",
        )


def check_new_workspace(folder: Path, source: str | None = None) -> None:
    """Check that a folder may become a workspace.

    Args:
        source: the address of the store that it is a clone of.

    Raises:
        InvalidInputError: it is a store, or lies in one; or the store lies in it.
    """
    home = _real(folder)
    for above in (home, *home.parents):
        if is_store(above):
            word = "is" if above == home else f"lies in '{above}', which is"
            raise InvalidInputError(
                f"'{home}' {word} a store: no workspace can be there.",
                f"Take a folder beside it: {free_place_beside(above, 'work')}",
            )
    place = local_folder(source) if source else None
    if place and any(_same(above, home) for above in (place, *place.parents)):
        raise InvalidInputError(
            f"The store '{place}' lies in '{home}': it would be taken for data there.",
            f"Clone to a folder beside it: {free_place_beside(home, 'work')}",
        )


def enclosing_workspace(address: str) -> Path | None:
    """The workspace among whose files a store or remote lies; None if in none, or in its `.dsvc`.

    Raises:
        InvalidInputError: it is no address.
    """
    place = local_folder(address)
    for above in (place, *place.parents) if place else ():
        if (above / META_DIR).is_dir():
            return None if place and _is_inner(place, above) else above
    return None


def local_folder(address: str) -> Path | None:
    """The folder that an address names, without links; None of a remote.

    Raises:
        InvalidInputError: it is no address.
    """
    found = parse_address(address)
    return None if isinstance(found, Url) else _real(Path(found.path))


def free_place_beside(folder: Path, name: str) -> Path:
    """A place beside a folder at which nothing is."""
    first = folder.parent / f"{folder.name or 'data'}-{name}"
    places = (first if not n else first.with_name(f"{first.name}-{n + 1}") for n in count())
    return next(place for place in places if not os.path.lexists(place))


def is_same_place(one: str, other: str) -> bool:
    """Whether two addresses lead to one folder, by whatever way, or are one URL."""
    first, second = local_folder(one), local_folder(other)
    if first is None or second is None:
        return one.rstrip("/") == other.rstrip("/")
    return _same(first, second)


def _check_outside(place: Path, home: Path) -> None:
    for above in (place, *place.parents):
        own = _same(above, home)
        if own and _is_inner(place, above):
            raise InvalidInputError(
                f"'{place}' lies in the workspace's own folder '{META_DIR}'.",
                f"Take a folder beside the workspace: {free_place_beside(home, 'store')}",
            )
        if own or (above / META_DIR).is_dir():
            if not own and _is_inner(place, above) and is_store(place):
                return  # the store of another workspace
            which = "the workspace" if own else "another workspace,"
            verb = "is" if above == place else "lies in"
            hint = f"Take a folder beside it: {free_place_beside(above, place.name)}"
            inner = above / META_DIR / DEFAULT_STORE
            if above == place and not own and is_store(inner):
                hint = f"Name its store: {inner}; or a folder beside it."
            raise InvalidInputError(
                f"'{place}' {verb} {which} '{above}': it would be taken for data there.", hint
            )
        if above != place and is_store(above):
            raise InvalidInputError(
                f"'{place}' lies in the store '{above}'.",
                f"Take a folder beside it: {free_place_beside(above, place.name)}",
            )


def _has_its_folders(folder: str | Path) -> bool:
    return all(os.path.isdir(f"{folder}/{each}") for each in STORE_FOLDERS)  # noqa: PTH112


def _is_inner(place: Path, workspace: Path) -> bool:
    """Whether a folder below a workspace lies in its `.dsvc`, however the system writes that."""
    inner = place.relative_to(workspace).parts
    return bool(inner) and inner[0].lower() == META_DIR


def _real(folder: Path) -> Path:
    try:
        return folder.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise InvalidInputError(f"'{folder}' leads nowhere: its links go in a circle.") from error


def _same(one: Path, other: Path) -> bool:
    """Whether both are one folder: also by another mount, or letters of another case."""
    if one == other:
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False


def _beginning(file: str) -> bytes:
    """The first bytes of a regular file; none of what is none."""
    try:
        handle = os.open(file, _FLAGS)
    except OSError:
        return b""
    try:
        return os.read(handle, _ENOUGH)
    except OSError:
        return b""
    finally:
        os.close(handle)


def _packs(folder: str | Path) -> list[str]:
    """Some files that are called as packs are."""
    found: list[str] = []
    try:
        with os.scandir(f"{folder}/{STORE_FOLDERS[0]}") as entries:
            for entry in entries:
                if digest_in(entry.name, ""):
                    found.append(entry.path)
                if len(found) == _PACKS_TRIED:
                    break
    except OSError:
        pass
    return found
