"""Collections of stores in memory, at any time."""

from __future__ import annotations

from collections.abc import Sequence

from datasets_vc.digest import Digest
from datasets_vc.format.root import Root
from datasets_vc.history.holders import ref_holders, run_holders
from datasets_vc.history.inspect import inspect_meaning
from datasets_vc.history.reachable import Holder, mark_below, mark_held
from datasets_vc.store import Store
from datasets_vc.store.collect import Age, Marking, Plan, collect
from datasets_vc.store.index import ChunkIndex
from datasets_vc.store.inspect import Finding, inspect_objects
from datasets_vc.store.marks import Marks

GRACE = 1000


def marking_of(store: Store, more: Sequence[Holder] = ()) -> Marking:
    def held(index: ChunkIndex, root: Root) -> Marks:
        return mark_held(index, store, [*ref_holders(root), *run_holders(store), *more])

    return Marking(held, lambda marks, rows: mark_below(marks, store, rows))


def collect_at(store: Store, now: int, grace: int = GRACE, more: Sequence[Holder] = ()) -> Plan:
    return collect(store, marking_of(store, more), Age(grace, now))


def errors_of(store: Store, *, complete: bool = True) -> list[Finding]:
    """What a check finds that knows nothing."""
    fresh = Store(store.backend)
    found = inspect_objects(fresh)
    fresh.look_by(found.index, found.root)
    inspect_meaning(fresh, fresh, list(ref_holders(found.root)), found, complete=complete)
    return found.findings


def has(store: Store, *digests: Digest) -> list[bool]:
    store.refresh()
    found: list[bool] = store.index.contains(digests).tolist()
    return found
