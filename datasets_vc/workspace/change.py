"""Change the files of a workspace, and remember what they have become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets_vc.format.columns import whole_column
from datasets_vc.format.limits import check_paths
from datasets_vc.memory import give_back
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store.nesting import A_STORE
from datasets_vc.workspace.checkout import FileSource, apply_plan
from datasets_vc.workspace.columns import Digests
from datasets_vc.workspace.listing import Listing, Skipped
from datasets_vc.workspace.naming import check_distinct, folding_of
from datasets_vc.workspace.part import Part
from datasets_vc.workspace.plan import plan_checkout
from datasets_vc.workspace.remembered import save_cache
from datasets_vc.workspace.scan import Scan
from datasets_vc.workspace.statcache import StatCache
from datasets_vc.workspace.status import compare

Ready = Callable[[Digests], None]
Versions = Callable[[], tuple[pa.Table, pa.Table]]
"""Reads the entries of the version that a workspace stands on, and those of the one to bring.

Who reads them himself and hands them on keeps them: of a million files, to the end.
"""

_TICKS = 200


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """How many files a checkout wrote and removed.

    `skipped` are (path, reason) of what it left as it is, though the version has files there.
    """

    written: int
    removed: int
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """How files are to be changed.

    Attributes:
        versions: reads both versions.
        scan: lists what is there, given both versions.
        part: what the workspace has of the current version.
        wanted: which entries of the version that is brought it is to have, given what is there.
        source: the store that has the files.
        names: all paths of the version that is brought.
        clock: the time by the workspace's file system, in ns.
        force: give up uncommitted changes.
        progress: hears of bytes.
        ready: called with the digests of the files to write, shape (files, 32), when nothing is in
            the way and nothing has been changed yet.
        begin: called then, if anything is to be changed.
    """

    versions: Versions
    scan: Callable[[pa.Table, pa.Table], Scan]
    part: Part
    wanted: Callable[[pa.Table, Listing], pa.Table]
    source: FileSource
    names: Callable[[], pa.StringArray]
    clock: Callable[[], int]
    force: bool = False
    progress: Progress = SILENT
    ready: Ready = lambda _: None
    begin: Callable[[], None] = lambda: None


def change_files(folder: Path, order: Order) -> CheckedOut:
    """Make the files of the workspace `folder` those of another version.

    Raises: as `Workspace.checkout`.
    """
    current, target = order.versions()
    for version in (current, target):
        check_paths(whole_column(version, "path"))
    found = order.scan(current, target)
    found.check_matched(*(whole_column(version, "path") for version in (current, target)))
    comparison = compare(found.listing, found.cache, current, found.selection, order.part)
    whole, target = target, order.wanted(target, found.listing)
    plan = plan_checkout(
        str(folder),
        comparison,
        target,
        found.selection,
        whole=None if whole is target else whole,
        force=order.force,
    )
    folding = folding_of(folder) if len(plan.write) else None
    if folding:
        names = order.names()
        check_paths(names)
        check_distinct(names.to_pylist(), folding)
    order.ready(plan.digests)
    if plan.changes:
        order.begin()
    # Of a million files each of these is as large as what comes next.
    comparison = comparison.without_version()
    del current, target, whole
    give_back()
    written = apply_plan(folder, plan, order.source, force=order.force, progress=order.progress)
    skipped = tuple(Skipped(path, A_STORE) for path in plan.stores)
    counts, gone = CheckedOut(len(plan.write), len(plan.remove), skipped), plan.gone
    del plan
    give_back()
    known = found.known(comparison, gone)
    save = partial(save_cache, folder, before=found.cache, selection=found.selection)
    del found, comparison
    give_back()
    # Under the lock nobody else writes: what we wrote is as it was in that moment.
    known = known.joined(written.older_than(_after(written, order.clock)))
    del written
    give_back()
    save(known)
    return counts


def _after(written: StatCache, clock: Callable[[], int]) -> int:
    """The time, if it can be soon, after the tick of the clock in which the last file came."""
    files = written.files
    newest = int(np.maximum(files.mtime_ns, files.ctime_ns).max(initial=0))
    moment = clock()
    for _ in range(_TICKS):
        if moment > newest:
            break
        moment = clock()
    return moment
