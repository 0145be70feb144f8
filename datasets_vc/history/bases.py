"""Where two lines of history parted, and the merge of their datasets from there."""

from __future__ import annotations

from collections.abc import Sequence

from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.format.entries import FILE, Entry
from datasets_vc.history.commits import common_ancestors, read_commit
from datasets_vc.history.manifest import Manifest, write_manifest
from datasets_vc.history.merge import (
    UNKNOWN_SIZE,
    Conflict,
    Merge,
    edited,
    merge_datasets,
)
from datasets_vc.store import Store


def merge_bases(store: Store, a: Digest, b: Digest) -> list[Digest]:
    """The best common ancestors of two commits, by digest: those before no other one.

    None for unrelated histories; several where the two lines were merged crosswise.
    """
    return common_ancestors(store, [a], [b])


def merge_base(store: Store, a: Digest, b: Digest) -> Digest | None:
    """The best common ancestor; of several the first by digest, so that no side is preferred."""
    return next(iter(merge_bases(store, a, b)), None)


def merge_commits(store: Store, ours: Digest, theirs: Digest) -> Merge:
    """Merge the datasets of two commits from where their histories parted.

    Of several best common ancestors one base is made by merging them, from where these parted in
    turn (git's "recursive" strategy). Where they disagree, it has what no side can have: then the
    two sides are in conflict unless they agree.
    """
    sides = _dataset(store, ours), _dataset(store, theirs)
    known = _Known(store)
    return merge_datasets(known, _base(store, known, [ours], theirs), *sides)


def commits_merged(store: Store, ours: Digest, theirs: Digest) -> list[Digest]:
    """The commits whose datasets `merge_commits` reads: a partial store may lack their nodes."""
    return list(dict.fromkeys([ours, theirs, *_bases_below(store, [ours], theirs)]))


class _Known:
    """The nodes of a store, and those of datasets that are nowhere recorded."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made: dict[Digest, bytes] = {}

    def add_node(self, data: Buffer, below: Buffer) -> Digest:
        del below
        digest = digest_of(data)
        if self._store.find(digest) is None:
            self._made[digest] = bytes(data)
        return digest

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        stored = iter(self._store.read_many([d for d in digests if d not in self._made]))
        return [self._made[d] if d in self._made else next(stored) for d in digests]


def _base(store: Store, known: _Known, some: Sequence[Digest], other: Digest) -> Digest | None:
    """The dataset from which those of `some` commits, merged, and of `other` came."""
    bases = common_ancestors(store, some, [other])
    if not bases:
        return None
    merged = _dataset(store, bases[0])
    for number, base in enumerate(bases[1:], 1):
        below = _base(store, known, bases[:number], base)
        merge = merge_datasets(known, below, merged, _dataset(store, base))
        unknown = {conflict.path: _unknown(conflict) for conflict in merge.conflicts}
        entries = edited(merge.entries(Manifest(known, merged).entries()), unknown)
        merged = write_manifest(known, entries)
    return merged


def _bases_below(store: Store, some: Sequence[Digest], other: Digest) -> list[Digest]:
    bases = common_ancestors(store, some, [other])
    below = [
        commit
        for number, base in enumerate(bases[1:], 1)
        for commit in _bases_below(store, bases[:number], base)
    ]
    return [*bases, *below]


def _unknown(conflict: Conflict) -> Entry:
    """An entry that is equal to none of a commit, and to no other of its kind."""
    versions = (conflict.base, conflict.ours, conflict.theirs)
    told = b"".join(entry.digest if entry else b"nothing" for entry in versions)
    return Entry(conflict.path, FILE, UNKNOWN_SIZE, digest_of(told))


def _dataset(store: Store, commit: Digest) -> Digest:
    return read_commit(store, commit).dataset
