"""Stores that lie where they must not, and how to get out of that.

New ones are refused where they are named; what is here came another way, or from before.
"""

from __future__ import annotations

import os
import re
import shlex
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from datasets_vc.config import CONFIG_FILE, RemoteConfig, read_config, store_location
from datasets_vc.errors import DatasetError
from datasets_vc.locations import Folder, parse_address
from datasets_vc.paths import META_DIR
from datasets_vc.repository.context import Context
from datasets_vc.repository.results import Misplaced
from datasets_vc.store.nesting import (
    A_STORE,
    enclosing_workspace,
    free_place_beside,
    is_same_place,
    local_folder,
)
from datasets_vc.sync.seen import NO_STORE
from datasets_vc.workspace.ignore import is_ignored

_OBJECT = r"(?:^|/)(packs|index)/[0-9a-f]{64}$"


def misplaced_places(context: Context, *, thorough: bool = False) -> Iterator[Misplaced]:
    """The store and the remotes that lie in a workspace, and remotes that are the store itself.

    Args:
        thorough: look at all remotes that are folders. Without, those are let alone that are known
            to be other stores and elsewhere by their names: their disks may sleep, or be gone.
    """
    folder = context.folder
    config, own = read_config(folder), store_location(folder)
    if place := _among_files(folder, own):
        yield Misplaced(
            f"The store '{place}' lies in the workspace '{enclosing_workspace(own)}'.",
            _way_out_for_the_store(folder, place, linked=config.store is None),
        )
    for name, remote in config.remotes.items():
        if not (thorough or _may_be_misplaced(context, remote, own)):
            continue
        again = f"dsvc remote remove {name} && dsvc remote add {name}"
        if is_same_place(remote.url, own):
            yield Misplaced(
                f"The remote '{name}' is this workspace's own store: it keeps no second copy.",
                f"Take another place: {again} URL && dsvc push {name}",
            )
        elif place := _among_files(folder, remote.url):
            home = enclosing_workspace(remote.url)
            new = _quoted(free_place_beside(home or folder, place.name))
            yield Misplaced(
                f"The remote '{name}' lies in the workspace '{home}', in '{place}'.",
                f"Move it out: mv {_quoted(place)} {new} && {again} {new} && dsvc fetch {name}",
            )


def stores_among(context: Context, skipped: Sequence[tuple[str, str]]) -> Iterator[Misplaced]:
    """The stores among the files that are neither the workspace's own nor a remote of it.

    Args:
        skipped: what is left out of the workspace, and why.
    """
    found = [path for path, reason in skipped if reason == A_STORE and path != "."]
    if not found:
        return
    folder = context.folder
    config, own = read_config(folder), store_location(folder)
    near = (each.url for each in config.remotes.values() if _may_be_misplaced(context, each, own))
    told = {_among_files(folder, each) for each in (own, *near)}
    for path in found:
        place = (folder / path).resolve()
        if place not in told:
            new = _quoted(free_place_beside(folder.resolve(), place.name))
            yield Misplaced(
                f"There is a store among the files of the workspace, in '{path}'.",
                f"Move it out: mv {_quoted(place)} {new}; it is left out as long as it is here.",
            )


def recorded_in(skipped: Sequence[tuple[str, str]], deleted: Sequence[str]) -> Iterator[Misplaced]:
    """The stores among the files of which the version has some as data.

    Args:
        skipped: what is left out of the workspace, and why.
        deleted: what the workspace lacks of the version, in order.
    """
    for path, reason in skipped:
        if reason != A_STORE:
            continue
        below = "" if path == "." else f"{path}/"
        at = bisect_left(deleted, below)
        if at < len(deleted) and deleted[at].startswith(below):
            yield _recorded(path)


def recorded_at_head(context: Context) -> Iterator[Misplaced]:
    """The stores that the version at HEAD has as data."""
    import pyarrow.compute as pc  # slow, and `status` does without

    with suppress(DatasetError):  # what is missing or damaged is told elsewhere
        paths = context.entries_of(context.head.commit).column("path")
        found = paths.filter(pc.match_substring_regex(paths, _OBJECT)).to_pylist()
        kinds: dict[str, set[str]] = {}
        for path in found:
            kind = re.search(_OBJECT, path)
            assert kind
            kinds.setdefault(path[: kind.start()], set()).add(kind[1])
        for place in sorted(kinds):
            if len(kinds[place]) > 1:
                yield _recorded(place or ".")


def _may_be_misplaced(context: Context, remote: RemoteConfig, own: str) -> bool:
    if remote.id is None or remote.id == NO_STORE or remote.id == context.store.seen.id:
        return True
    address, folder = parse_address(remote.url), context.folder
    if not isinstance(address, Folder):
        return address.text.rstrip("/") == own.rstrip("/")
    place = Path(os.path.normpath(address.path))
    return place.is_relative_to(folder) or place.is_relative_to(folder.resolve())


def _way_out_for_the_store(folder: Path, place: Path, *, linked: bool) -> str:
    store = _quoted(folder / META_DIR / "store")
    move = f"mv {_quoted(place)} {store}"
    if linked:
        return f"Move it: rm {store} && {move}"
    setting = folder / META_DIR / CONFIG_FILE
    return f"Move it: {move}; then remove the line 'store = ...' from '{setting}'."


def _recorded(path: str) -> Misplaced:
    return Misplaced(
        f"The version has files of a store as data, in '{path}'.",
        'They are no part of the dataset any more: dsvc commit -m "A store is no data"',
    )


def _among_files(folder: Path, address: str) -> Path | None:
    """The place of a store, if a workspace would take it for data."""
    place, home = local_folder(address), enclosing_workspace(address)
    if place is None or home is None:
        return None
    inner = place.relative_to(home).as_posix()
    own = home.samefile(folder)
    return None if own and is_ignored(folder, f"{inner}/root.json") else place


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
