"""Freeing local space: bytes go that a remote has, and what says which files there are stays."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from datasets_vc.config import read_config
from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError, InvalidInputError, RemoteError
from datasets_vc.history.holders import run_holders
from datasets_vc.history.reachable import Holder, mark_held
from datasets_vc.repository.collecting import held_here, mark_young
from datasets_vc.repository.context import Context
from datasets_vc.store import Store
from datasets_vc.store.collect import Age, Marking, collect, plan, sparse_packs
from datasets_vc.store.compact import rewrite
from datasets_vc.store.index import ChunkIndex
from datasets_vc.store.marks import Marks, Mask
from datasets_vc.store.names import PACKS, RUN_PACKS, damaged_name, pack_name, run_part
from datasets_vc.sync.fetch import update_tracking
from datasets_vc.sync.identity import itself_error, relation_to, shared_packs
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Connection, connect

_FOREVER = 1 << 40
_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was, or would be, dropped from the local store.

    Attributes:
        chunks: how many, and
        bytes: what they take as they are stored.
        packs: how many were deleted, or written again without them, and
        freed: how many bytes that makes.
        only_here: bytes that no remote has for sure; they stay.
        not_counted: remotes that were left out, and why, in a sentence.
        unused: how much of that belongs to no branch, tag or run, so that no push sends it.
        damaged: how much of it each of some remotes lists in packs that are not whole there.
        push: the command line that sends the rest.
    """

    chunks: int
    bytes: int
    packs: int
    freed: int
    only_here: int
    not_counted: Mapping[str, str] = field(default_factory=dict)
    unused: int = 0
    damaged: Mapping[str, int] = field(default_factory=dict)
    push: str = "dsvc push"

    @property
    def unsent(self) -> int:
        """The bytes of `only_here` that a push would send."""
        return self.only_here - self.unused - sum(self.damaged.values())


@dataclass(frozen=True)
class _There:
    """What a remote has for sure: what its index, read just now, lists in packs that it has."""

    name: str
    index: ChunkIndex
    packs: Mask
    damaged: Mask

    def has(self, digests: Sequence[Digest]) -> Mask:
        return self._in(self.packs, digests)

    def has_damaged(self, digests: Sequence[Digest]) -> Mask:
        return self._in(self.damaged, digests)

    def _in(self, packs: Mask, digests: Sequence[Digest]) -> Mask:
        if not len(self.index):
            return np.zeros(len(digests), np.bool_)
        places = self.index.locate(digests)
        numbers = np.where(places.found, places.rows["pack"], 0)
        has: Mask = places.found & packs[numbers]
        return has


def drop(
    context: Context,
    revisions: Sequence[str],
    *,
    everything: bool,
    keep_pinned: bool,
    dry_run: bool,
) -> Dropped:
    if not (revisions or everything):
        raise InvalidInputError("Nothing is named to drop.", "Name versions, or give --all.")
    with context.workspace.lock():
        datasets = [context.resolve(revision).dataset for revision in revisions]
        there, not_counted = _remotes(context)
        dropping = _Dropping(
            context.store,
            there,
            dropped=None if everything else datasets,
            kept=_needed(context, datasets),
            keep_pinned=keep_pinned,
        )
        dropped = _drop(context, dropping, dry_run=dry_run)
        names = [each.name for each in there]
        return replace(dropped, not_counted=not_counted, push=_push(context, names))


def _drop(context: Context, dropping: _Dropping, *, dry_run: bool) -> Dropped:
    store = context.store
    own = read_config(context.folder).store is None
    age = Age(_FOREVER, int(time.time()), own=own)
    marking = Marking(held_here(context, store), mark_young(store), dropping.rows)
    made = plan(store, store.root(), marking, age)
    if not dry_run and made.picked.any():
        made = collect(store, marking, age)
    pinned = _unpin(store, made.marks, made.picked, keep=dry_run)
    sparse = sparse_packs(made.marks, made.picked, pinned)
    if sparse and not dry_run:
        replaced = rewrite(store, list(sparse), delete=own)
        sparse = {pack: sparse[pack] for pack in replaced}
        if own:
            store.delete_replaced()
    deleted = [gone for gone in made.objects if gone.name.startswith(PACKS)]
    sizes = made.marks.sizes()
    return Dropped(
        chunks=int(made.picked.sum()),
        bytes=int(sizes[made.picked].sum()),
        packs=len(deleted) + len(sparse),
        freed=sum(gone.bytes for gone in deleted) + sum(sparse.values()),
        only_here=dropping.only_here,
        unused=dropping.unused,
        damaged=dropping.damaged,
    )


class _Dropping:
    """Which chunks to drop: files of some versions, or of all, that a remote has.

    Args:
        there: what remotes have.
        dropped: the datasets whose files go; None for all files.
        kept: datasets whose files stay.
        keep_pinned: whether pinned packs stay, too.

    Attributes:
        only_here: bytes that would go if a remote had them.
        unused, damaged: see `Dropped`.
    """

    def __init__(
        self,
        store: Store,
        there: Sequence[_There],
        *,
        dropped: Sequence[Digest] | None,
        kept: Sequence[Digest],
        keep_pinned: bool,
    ) -> None:
        self.only_here = self.unused = 0
        self.damaged: dict[str, int] = {}
        self._store = store
        self._there = there
        self._dropped = dropped
        self._kept = kept
        self._keep_pinned = keep_pinned

    def rows(self, marks: Marks) -> Mask:
        """The rows of an index that go."""
        wanted = ~marks.metadata()
        if self._dropped is not None:
            wanted &= self._below(marks, self._dropped) & ~self._below(marks, self._kept)
        if self._keep_pinned:
            packs = {pack for holder in run_holders(self._store) for pack in holder.packs}
            wanted[marks.in_packs(packs)] = False
        there = self._at_remotes(marks, np.flatnonzero(wanted))
        self._tell(marks, wanted & ~there)
        return wanted & there

    def _tell(self, marks: Marks, staying: Mask) -> None:
        """Count what stays, by what would have to be done that it need not."""
        sizes = marks.sizes()
        self.only_here = int(sizes[staying].sum())
        used = np.logical_or.reduce((marks.bits & ~marks.bits_of(marks.spare)) != 0, axis=1)
        self.unused = int(sizes[staying & ~used].sum())
        left = np.flatnonzero(staying & used)
        self.damaged = {}
        for there in self._there:
            bad = there.has_damaged(marks.names(left))
            if bad.any():
                self.damaged[there.name] = int(sizes[left[bad]].sum())
            left = left[~bad]

    def _below(self, marks: Marks, datasets: Sequence[Digest]) -> Mask:
        holder = Holder("dropped", "", datasets=tuple(datasets))
        return mark_held(marks.index, self._store, [holder]).held

    def _at_remotes(self, marks: Marks, rows: np.ndarray) -> Mask:
        found = np.zeros(len(marks.digests), np.bool_)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            names = marks.names(some)
            for there in self._there:
                found[some] |= there.has(names)
        return found


def _remotes(context: Context) -> tuple[list[_There], Mapping[str, str]]:
    """What the remotes have, and why some do not count.

    Raises:
        RemoteError: none counts.
    """
    found, not_counted = [], {}
    for name, config in context.remotes.list().items():
        try:
            connection = connect(config, context.store)
            _check_elsewhere(context.store, connection)
            found.append(_what_is(context.store, connection))
        except DatasetError as error:
            if type(error) is DatasetError:
                raise  # it is this machine that has no room, or may not write
            not_counted[name] = error.message
            continue
        # From now on this store is one that lacks what a remote has.
        update_tracking(context.store, name, connection.root, tags=False)
    if not found:
        trouble = " ".join(not_counted.values()) or "There is none."
        raise RemoteError(
            f"No remote could say what it has. {trouble}",
            "Only what a remote has is dropped: dsvc remote add NAME URL, then dsvc push",
        )
    return found, not_counted


def _check_elsewhere(store: Store, connection: Connection) -> None:
    """Make sure that a remote is another store than the one here.

    Raises:
        InvalidInputError: it is not, or nobody can find out.
    """
    config = connection.config
    relation = relation_to(store, connection.backend, connection.root, thorough=True)
    if relation == "itself":
        raise itself_error(config.name, config.url)
    if relation == "unknown":
        raise InvalidInputError(
            f"The remote '{config.name}' ({config.url}) may be this workspace's own store: nothing "
            "could be written to find out."
        )


def _what_is(store: Store, connection: Connection) -> _There:
    """What a remote has: listed in packs that are there, whole, and no links to files here."""
    remote = connection.store
    sizes = {info.name: info.size for info in remote.backend.list(PACKS)}
    packs = remote.index.packs
    shared = shared_packs(store, connection.backend, {pack.digest for pack in packs})
    damaged = np.array(
        [
            sizes.get(pack_name(pack.digest)) != pack.size or damaged_name(pack.digest) in sizes
            for pack in packs
        ],
        np.bool_,
    )
    apart = np.array([pack.digest not in shared for pack in packs], np.bool_)
    return _There(connection.config.name, remote.index, ~damaged & apart, damaged)


def _push(context: Context, remotes: Sequence[str]) -> str:
    """The command line that sends all there is to one of some remotes."""
    root = context.store.root()
    every = ["--all", "--tags"] if len(root.branches) > 1 or root.tags else []
    to = [] if DEFAULT_REMOTE in remotes else list(remotes[:1])
    return shlex.join(["dsvc", "push", *every, *to])


def _needed(context: Context, dropped: Sequence[Digest]) -> list[Digest]:
    """The dataset that the workspace stands at, unless just that is to be dropped."""
    here = context.dataset_of(context.head.commit)
    return [here] if here and here not in dropped else []


def _unpin(store: Store, marks: Marks, picked: Mask, *, keep: bool) -> set[Digest]:
    """Forget the pins of packs that lose chunks; returns what is pinned then."""
    left: set[Digest] = set()
    for holder in run_holders(store):
        if not picked[marks.in_packs(holder.packs)].any():
            left.update(holder.packs)
        elif not keep:
            store.backend.delete(run_part(holder.name, RUN_PACKS))
    return left
