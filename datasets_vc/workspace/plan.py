"""What a checkout would do, and what uncommitted work stands in its way; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from datasets_vc.errors import UnsavedChangesError
from datasets_vc.format.columns import Mask, Rows, align
from datasets_vc.workspace.collisions import check_apart
from datasets_vc.workspace.columns import Digests, Entries, entries_of, paths_at, same_digests_at
from datasets_vc.workspace.fitting import check_fits
from datasets_vc.workspace.listing import Listing
from datasets_vc.workspace.obstacles import Obstacles
from datasets_vc.workspace.selection import Selection
from datasets_vc.workspace.status import Comparison, settle

_SHOWN = 10


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Files to remove, paths to clear away with all below them, and then files to write.

    `remove` are rows of the listing, `write` of the target, both ascending; `replaces` has for each
    of the latter the row of the listed file that it replaces, or -1. `held` are the digests of the
    listed files, as far as they are known: of what is removed or replaced, unless by force.
    `stores` are folders that are left as they are, though the target has files there.
    """

    listing: Listing
    held: Digests
    target: Entries
    remove: Rows
    clear: list[str]
    write: Rows
    replaces: Rows
    stores: tuple[str, ...] = ()

    @property
    def digests(self) -> Digests:
        """Those of the files to write."""
        whole = len(self.write) == len(self.target)
        return self.target.digest if whole else self.target.digest[self.write]

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(len(self.write) or len(self.remove) or self.clear)

    @property
    def gone(self) -> Rows:
        """The listed rows of the files that are removed or replaced."""
        return np.concatenate([self.remove, self.replaces[self.replaces >= 0]])


def plan_checkout(
    root: str,
    comparison: Comparison,
    target: pa.Table,
    selection: Selection,
    *,
    whole: pa.Table | None = None,
    force: bool,
) -> Plan:
    """Plan to make the selected paths as they are in another version.

    A switch of the whole workspace leaves alone what is the same in both versions, even if it was
    modified or deleted meanwhile; but what was left out so far comes if the target has it. With
    paths given, or with `force`, all that is selected is to be as in the target. Untracked files
    stay, unless they are in the way. Of what the workspace is not to have of the version, files go
    that are as they are there, wherever they came from.

    Args:
        root: the workspace.
        comparison: what is there beside the *current* version; learns digests.
        target: the entries of the version to bring, as far as the workspace is to have them.
        selection: which paths.
        whole: the entries of the version to bring, if the target are not all of them.
        force: overwrite uncommitted work.

    Raises:
        UnsavedChangesError: uncommitted work is in the way.
        InvalidInputError: a path of the target cannot be written here.
        UnreadableFileError: a file that has to be compared cannot be read.
    """
    listing, entries = comparison.listing, entries_of(target)
    chosen = selection.mask(entries.path, above=False)
    if selection.everything and not force:
        chosen &= ~_same_in(comparison, entries)
    place = align(entries.path, listing.path)
    leaving = _leaving(comparison, entries, selection)
    outside = _outside(root, comparison, entries, whole, selection)
    leaving |= outside
    settle(root, comparison, _doubtful(comparison, entries, chosen, place, leaving, force=force))
    write = np.flatnonzero(chosen & ~_there(comparison, entries, place))
    check_fits(root, entries.path, write)
    obstacles = Obstacles(root, listing.path, leaving, force=force)
    new = place[write] < 0
    new[new] = ~obstacles.permit(entries, write[new])
    write = write[~new]
    check_apart(entries.path, write)
    replaces = place[write]
    if not force:
        touched = leaving.copy()
        touched[replaces[replaces >= 0]] = True
        dirty = paths_at(listing.path, np.flatnonzero(touched & ~outside & ~comparison.equal))
        _refuse({*dirty, *obstacles.blocking})
    clear = sorted(obstacles.clear)
    return Plan(
        listing,
        comparison.digest,
        entries,
        np.flatnonzero(leaving),
        clear,
        write,
        replaces,
        tuple(sorted(obstacles.stores)),
    )


def _same_in(comparison: Comparison, target: Entries) -> Mask:
    """Which rows of the target are the same in the current version, and not left out of it."""
    version = comparison.version
    rows = align(target.path, version.path)
    if not len(version):
        return rows >= 0
    here = np.ones(len(version), np.bool_)
    here[comparison.left_out] = False
    same: Mask = (rows >= 0) & here[rows] & (target.kind == version.kind[rows])
    return same & same_digests_at(version.digest, rows, target.digest)


def _there(comparison: Comparison, target: Entries, place: Rows) -> Mask:
    """Which rows of the target the workspace is known to have; `place` are their listed files."""
    listing = comparison.listing
    if not len(listing):
        return place >= 0
    there: Mask = (place >= 0) & comparison.known[place] & (listing.kind[place] == target.kind)
    return there & same_digests_at(comparison.digest, place, target.digest)


def _leaving(comparison: Comparison, target: Entries, selection: Selection) -> Mask:
    """Which listed files the current version has and the target has not."""
    version = comparison.version
    if not len(version):
        return comparison.rows >= 0
    gone = (align(version.path, target.path) < 0) & selection.mask(version.path, above=False)
    leaving: Mask = (comparison.rows >= 0) & gone[comparison.rows]
    return leaving


def _outside(
    root: str,
    comparison: Comparison,
    target: Entries,
    whole: pa.Table | None,
    selection: Selection,
) -> Mask:
    """Which listed files are as the whole version has them, and no part of the target.

    A checkout that was cut short may have written them, or somebody put them here.
    """
    listing = comparison.listing
    if whole is None or not len(listing):
        return np.zeros(len(listing), np.bool_)
    version = entries_of(whole)
    rows = align(listing.path, version.path)
    left_out = (align(version.path, target.path) < 0) & selection.mask(version.path, above=False)
    seen = replace(comparison, version=version, rows=np.where(left_out[rows], rows, -1))
    settle(root, seen)
    return seen.equal


def _doubtful(
    comparison: Comparison,
    target: Entries,
    chosen: Mask,
    place: Rows,
    leaving: Mask,
    *,
    force: bool,
) -> Mask:
    """Which listed files must be read to tell what they are, if the cache does not know."""
    listing = comparison.listing
    doubtful = np.zeros(len(listing), np.bool_)
    wanted = np.flatnonzero(chosen & (place >= 0))
    found = place[wanted]
    like_target = listing.size[found].astype(np.uint64) == target.size[wanted]
    doubtful[found[like_target & (listing.kind[found] == target.kind[wanted])]] = True
    if force:
        return doubtful
    touched = leaving.copy()
    touched[found] = True
    return doubtful | (touched & comparison.alike)


def _refuse(paths: set[str]) -> None:
    if not paths:
        return
    shown = ", ".join(f"'{path}'" for path in sorted(paths)[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    raise UnsavedChangesError(
        f"Uncommitted changes would be lost in {shown}{more}.",
        "Commit them or move them away, or use --force to give them up.",
    )
