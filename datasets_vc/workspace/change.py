"""Change the files of a workspace, and remember what they have become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets_vc.memory import give_back
from datasets_vc.progress import SILENT, Progress
from datasets_vc.workspace.checkout import FileSource, apply_plan
from datasets_vc.workspace.columns import Digests, whole_column
from datasets_vc.workspace.listing import Listing
from datasets_vc.workspace.naming import check_distinct, folding_of
from datasets_vc.workspace.part import Part
from datasets_vc.workspace.plan import plan_checkout
from datasets_vc.workspace.remembered import save_cache
from datasets_vc.workspace.scan import Scan
from datasets_vc.workspace.statcache import StatCache
from datasets_vc.workspace.status import compare

Ready = Callable[[Digests], None]

_TICKS = 200


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """How many files a checkout wrote and removed."""

    written: int
    removed: int


@dataclass(frozen=True, slots=True)
class Order:
    """How files are to be changed.

    Attributes:
        scan: lists what is there.
        part: what the workspace has of the current version.
        wanted: which entries of the version that is brought it is to have, given what is there.
        source: the store that has the files.
        names: all paths of the version that is brought.
        clock: the time by the workspace's file system, in ns.
        force: give up uncommitted changes.
        progress: hears of bytes.
        ready: called with the digests of the files to write, shape (files, 32), when nothing is in
            the way and nothing has been changed yet.
    """

    scan: Callable[[], Scan]
    part: Part
    wanted: Callable[[pa.Table, Listing], pa.Table]
    source: FileSource
    names: Callable[[], pa.StringArray]
    clock: Callable[[], int]
    force: bool = False
    progress: Progress = SILENT
    ready: Ready = lambda _: None


def change_files(folder: Path, current: pa.Table, target: pa.Table, order: Order) -> CheckedOut:
    """Make the files of the workspace `folder` those of another version.

    Args:
        current: the entries of the version that it stands on.
        target: those of the other.

    Raises: as `Workspace.checkout`.
    """
    found = order.scan()
    found.check_matched(*(whole_column(version, "path") for version in (current, target)))
    comparison = compare(found.listing, found.cache, current, found.selection, order.part)
    target = order.wanted(target, found.listing)
    plan = plan_checkout(str(folder), comparison, target, found.selection, force=order.force)
    folding = folding_of(folder) if len(plan.write) else None
    if folding:
        check_distinct(order.names().to_pylist(), folding)
    order.ready(plan.digests)
    give_back()
    written = apply_plan(folder, plan, order.source, force=order.force, progress=order.progress)
    counts = CheckedOut(len(plan.write), len(plan.remove))
    known, before = found.known(comparison, plan.gone), found.cache
    # Of a million files each of these is as large as what comes next.
    del plan, found, comparison, target
    give_back()
    # Under the lock nobody else writes: what we wrote is as it was in that moment.
    known = known.joined(written.older_than(_after(written, order.clock)))
    del written
    give_back()
    save_cache(folder, known, before)
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
