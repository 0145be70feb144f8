"""Collecting a store: who holds what, what goes, and how much each holder keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from datasets_vc.config import read_config
from datasets_vc.digest import Buffer, Digest
from datasets_vc.format.location import digest_list
from datasets_vc.format.pack import METADATA
from datasets_vc.format.recipe import Recipe
from datasets_vc.format.root import Root
from datasets_vc.history.holders import ref_holders, run_holders
from datasets_vc.history.manifest import ChunkSource
from datasets_vc.history.reachable import Holder, mark_below, mark_held
from datasets_vc.repository.context import Context
from datasets_vc.store import Store
from datasets_vc.store.collect import (
    Age,
    Gone,
    Marking,
    Plan,
    collect,
    plan,
    sparse_packs,
)
from datasets_vc.store.compact import HISTORY_BELOW, pinned_packs, rewrite
from datasets_vc.store.index import ChunkIndex
from datasets_vc.store.leftovers import delete_leftovers
from datasets_vc.store.marks import Marks, Rows
from datasets_vc.workspace.mergestate import MergeState

SHARED_GRACE = timedelta(days=14)
"""How long garbage stays where others may still read it: in remotes and shared stores."""

OWN_GRACE = timedelta(days=1)
"""How long it stays in a store that one workspace has for itself."""

_MAX_HOLDERS = 255
_ONE = Holder("all", "")


@dataclass(frozen=True, slots=True)
class Held:
    """What a holder keeps: bytes as stored, all that it reaches and those that only it does."""

    kind: str
    name: str
    bytes: int
    alone: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, or would do.

    Attributes:
        chunks: how many were dropped from the index.
        bytes: what these take as they are stored.
        objects: what was deleted.
        rewritten: packs that were written again without the chunks that nobody needs, and how many
            bytes less they take; the old ones are deleted by this collection or a later one.
        waiting_chunks: garbage that is not old enough, and
        waiting_bytes: what it takes, with objects that nothing lists.
        waiting_since: since when at least it has been known to be garbage; None if none waits.
        grace: how old it has to be.
        held: bytes by holder, if asked for.
        unreadable: runs of which nobody knows for sure what they need, and why; all that they name
            by a digest is kept.
    """

    chunks: int
    bytes: int
    objects: Sequence[Gone]
    rewritten: int
    rewritten_bytes: int
    waiting_chunks: int
    waiting_bytes: int
    waiting_since: datetime | None
    grace: timedelta
    held: Sequence[Held] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)


def collect_garbage(
    context: Context, remote: str | None, grace: timedelta | None, *, dry_run: bool, explain: bool
) -> Collected:
    own = remote is None and read_config(context.folder).store is None
    grace = (OWN_GRACE if own else SHARED_GRACE) if grace is None else grace
    # In a workspace's own store only its own commands write, and most of them hold the lock.
    with context.workspace.lock() if remote is None and not dry_run else nullcontext():
        return _collect(context, remote, grace, own=own, dry_run=dry_run, explain=explain)


def _collect(
    context: Context,
    remote: str | None,
    grace: timedelta,
    *,
    own: bool,
    dry_run: bool,
    explain: bool,
) -> Collected:
    if remote and not dry_run:
        context.remotes.check_droppable(remote)
    store = context.remotes.connect(remote).store if remote else context.store
    source = Nearby(store, context.store) if remote else store
    age = Age(int(grace.total_seconds()), int(time.time()), own=own)
    holders: list[Holder] = []
    problems: dict[Digest, str] = {}

    def held(index: ChunkIndex, root: Root) -> Marks:
        holders[:] = [*ref_holders(root), *run_holders(store)]
        if remote is None:
            holders.extend(workspace_holders(context))
        if isinstance(source, Nearby):
            source.read_ahead()
        kept = _few(holders) if explain else [_merged(_ONE, holders)]
        return mark_held(index, source, kept, problems)

    marking = Marking(held, mark_young(source))
    made = plan(store, store.root(), marking, age) if dry_run else collect(store, marking, age)
    left = delete_leftovers(store, age, dry_run=dry_run)
    sparse = sparse_packs(made.marks, made.picked, pinned_packs(store))
    sparse = {pack: freed for pack, freed in sparse.items() if not _waits(made, pack.digest)}
    if sparse and not dry_run:
        replaced = rewrite(
            store,
            list(sparse),
            source=context.store if remote else None,
            delete=own or age.grace <= 0,
        )
        sparse = {pack: sparse[pack] for pack in replaced}
        if own:
            store.delete_replaced()
    sizes = made.marks.sizes()
    return Collected(
        chunks=int(made.picked.sum()),
        bytes=int(sizes[made.picked].sum()),
        objects=(*made.objects, *left),
        rewritten=len(sparse),
        rewritten_bytes=sum(sparse.values()),
        waiting_chunks=int(made.waiting.sum()),
        waiting_bytes=int(sizes[made.waiting].sum()) + made.unlisted,
        waiting_since=datetime.fromtimestamp(made.note.since, UTC) if made.note else None,
        grace=grace,
        held=_bytes_held(made.marks, _few(holders)) if explain else (),
        unreadable=_unreadable(holders, problems),
    )


def _unreadable(holders: Sequence[Holder], problems: Mapping[Digest, str]) -> dict[str, str]:
    """The runs that cannot be read, or whose inputs have a problem."""
    found = {}
    for holder in holders:
        wrong = next((problems[each] for each in holder.chunks if each in problems), "")
        if holder.kind == "run" and (holder.problem or wrong):
            found[holder.name] = holder.problem or wrong
    return found


def held_here(context: Context, store: Store) -> Callable[[ChunkIndex, Root], Marks]:
    """Marks what is held of a workspace's store."""

    def held(index: ChunkIndex, root: Root) -> Marks:
        holders = [*ref_holders(root), *run_holders(store), *workspace_holders(context)]
        return mark_held(index, store, [_merged(_ONE, holders)])

    return held


def mark_young(source: ChunkSource) -> Callable[[Marks, Rows], None]:
    """Marks garbage that is not old enough, and what that needs."""
    return lambda marks, rows: mark_below(marks, source, rows)


def _waits(made: Plan, pack: Digest) -> bool:
    """Whether a pack has garbage that is not old enough: it would only be written twice."""
    return bool(made.waiting[made.marks.in_packs([pack])].any())


def workspace_holders(context: Context) -> list[Holder]:
    """What a workspace needs beyond the refs: HEAD, and what is unfinished."""
    holders = []
    if context.head.commit and (context.head.branch is None or context.head.commit != context.tip):
        holders.append(Holder("head", "HEAD", commits=(context.head.commit,)))
    state = context.unfinished
    if state:
        holders.append(_merge_holder(state))
    cut = context.cut_short
    if cut:
        holders.append(Holder("checkout", cut.branch or cut.after.hex(), commits=(cut.after,)))
    return holders


def _merge_holder(state: MergeState) -> Holder:
    sides = (
        entry
        for each in state.conflicts
        for entry in (each.base, each.ours, each.theirs, each.here)
    )
    files = (entry.digest for entry in sides if entry)
    # The commit may not be recorded yet.
    made = (state.commit,) if state.commit else ()
    return Holder(
        "merge",
        state.revision,
        commits=(state.ours, state.other),
        datasets=(state.dataset,),
        chunks=(*made, *files),
    )


class Nearby:
    """Reads metadata of a remote store from the local one as far as that has it."""

    def __init__(self, store: Store, local: Store) -> None:
        self._store = store
        self._local = local
        self._ahead: dict[Digest, Buffer] = {}

    def read_ahead(self) -> None:
        """Get all commits that are not here in few requests."""
        short = digest_list(self._store.index.short(METADATA, HISTORY_BELOW))
        here = self._local.index.contains(short).tolist()
        new = [each for each, there in zip(short, here, strict=True) if not there]
        wanted = [each for each in new if each not in self._ahead]
        self._ahead |= zip(wanted, self._store.read_many(wanted), strict=True)

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        found = {each: self._ahead[each] for each in digests if each in self._ahead}
        rest = [each for each in digests if each not in found]
        here = self._local.index.contains(rest).tolist()
        near = [each for each, there in zip(rest, here, strict=True) if there]
        far = [each for each, there in zip(rest, here, strict=True) if not there]
        for store, some in ((self._local, near), (self._store, far)):
            if some:
                found |= zip(some, store.read_many(some), strict=True)
        return [found[each] for each in digests]

    def read_recipes(self, files: Sequence[Digest]) -> list[Recipe]:
        """Those of the store itself: no digest covers them, so others' may say something else."""
        return self._store.read_recipes(files)


def _few(holders: Sequence[Holder]) -> list[Holder]:
    """No more holders than can be told apart; the last one stands for the rest."""
    if len(holders) <= _MAX_HOLDERS:
        return list(holders)
    rest = holders[_MAX_HOLDERS:]
    return [*holders[:_MAX_HOLDERS], _merged(Holder("others", f"{len(rest)} more"), rest)]


def _merged(name: Holder, holders: Sequence[Holder]) -> Holder:
    """One holder of all that others hold."""
    return replace(
        name,
        commits=tuple(each for holder in holders for each in holder.commits),
        datasets=tuple(each for holder in holders for each in holder.datasets),
        chunks=tuple(each for holder in holders for each in holder.chunks),
        packs=tuple(each for holder in holders for each in holder.packs),
    )


def _bytes_held(marks: Marks, holders: Sequence[Holder]) -> list[Held]:
    sizes, bits = marks.sizes(), marks.bits
    one_word = (bits != 0).sum(axis=1) == 1
    single = one_word & ((bits & (bits - np.uint64(1))) == 0).all(axis=1)
    found = []
    for number, holder in enumerate(holders):
        word, bit = divmod(number, 64)
        mine = (bits[:, word] >> np.uint64(bit)) & np.uint64(1) != 0
        found.append(
            Held(
                holder.kind,
                holder.name,
                int(sizes[mine].sum()),
                int(sizes[mine & single].sum()),
            )
        )
    return found
