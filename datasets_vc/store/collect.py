"""Deleting what nobody holds (docs/format.md, section 12, "Collecting").

One swap of the root drops what goes from the index, dooms the objects that nothing is listed of any
more, and raises the generation, by which writers see that they have to look at what they count on;
only then objects are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import DatasetError, NotFoundError
from datasets_vc.format.garbage import Keys, Note, decode_note, encode_note, keys_of
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import digest_keys
from datasets_vc.format.pack import ROW_SIZE
from datasets_vc.format.root import Root
from datasets_vc.store.index import ChunkIndex, merge_tables
from datasets_vc.store.indexes import MissingIndexError
from datasets_vc.store.marks import Marks, Mask, Rows
from datasets_vc.store.names import (
    GARBAGE,
    INDEX,
    PACKS,
    digest_in,
    garbage_name,
)
from datasets_vc.store.store import Store

_PARALLEL = 8


@dataclass(frozen=True)
class Marking:
    """How a collection learns what is held.

    Attributes:
        held: marks all that is held of an index, for a root.
        below: marks some rows, too, and all below them.
        dropped: picks rows that go although they are held, or none.
    """

    held: Callable[[ChunkIndex, Root], Marks]
    below: Callable[[Marks, Rows], None]
    dropped: Callable[[Marks], Mask] | None = None


@dataclass(frozen=True)
class Age:
    """What is old enough to go: garbage for so many seconds at `now`, in seconds since 1970.

    Index objects that were replaced go at once where there is no grace, and in a workspace's `own`
    store: its readers look again.
    """

    grace: int
    now: int
    own: bool = False


@dataclass(frozen=True)
class Gone:
    """An object that a collection deletes: how many bytes it has, and why it is garbage."""

    name: str
    bytes: int
    reason: str


@dataclass(frozen=True, eq=False)
class Plan:
    """What a collection does, for one root.

    Attributes:
        marks: what is held, and by whom.
        picked: rows of chunks that are dropped from the index.
        waiting: rows of garbage that is not old enough.
        objects: what is deleted.
        unlisted: bytes of objects that nothing lists and that are not old enough.
        tables: index tables by the index object that they replace.
        note: what waits; None if nothing does.
    """

    marks: Marks
    picked: Mask
    waiting: Mask
    objects: tuple[Gone, ...] = ()
    doomed: frozenset[Digest] = frozenset()
    tables: Mapping[Digest, IndexTable] = field(default_factory=dict)
    note: Note | None = None
    unlisted: int = 0


def plan(store: Store, root: Root, marking: Marking, age: Age) -> Plan:
    """What a collection would do now; nothing is changed."""
    if store.refresh(root) != root:
        raise MissingIndexError("An index object was replaced meanwhile.")
    marks = marking.held(store.index, root)
    old = _Old(_read_note(store, root), age)
    dead = ~marks.held
    picked = dead & old.of(keys_of(marks.digests))
    if picked.any():
        # What became garbage only now still needs what lies below it.
        marking.below(marks, np.flatnonzero(dead & ~picked & marks.metadata()))
        picked &= ~marks.held
    if marking.dropped is not None:
        picked |= marking.dropped(marks)
    waiting = dead & ~picked
    there = _Objects(store)
    unlisted = there.unlisted(root, marks.index)
    doomed = {digest for digest, old_enough in old.pick(unlisted) if old_enough}
    rest = [digest for digest in unlisted if digest not in doomed]
    tables = tables_without(root, marks, picked, doomed)
    emptied = _emptied(marks.index, root, tables)
    replaced = set(tables) if age.own or age.grace <= 0 else set()
    doomed |= emptied | replaced | {*root.doomed}
    why = dict.fromkeys(emptied, "nothing in it is held") | dict.fromkeys(replaced, "replaced")
    objects = tuple(there.gone(doomed, why))
    note = old.next(keys_of(marks.digests[waiting]), keys_of(digest_keys(rest)))
    left = there.bytes_of(rest)
    return Plan(marks, picked, waiting, objects, frozenset(doomed), tables, note, left)


def collect(store: Store, marking: Marking, age: Age) -> Plan:
    """Drop and delete garbage that is old enough; returns what was done.

    Raises:
        ConflictError: other writers keep changing the store.
    """
    made: Plan | None = None

    def change(root: Root) -> Root:
        nonlocal made
        made = plan(store, root, marking, age)
        return _carried_out(store, root, made)

    root = store.swap_root(change)
    assert made is not None
    store.refresh(root)
    if made.doomed:
        _delete(store, made)
    _delete_other_notes(store, root.garbage)
    return made


def sparse_packs(marks: Marks, picked: Mask, pinned: Collection[Digest]) -> dict[PackInfo, int]:
    """Packs of which less than half is listed without what is picked; how many bytes are not.

    Those of which nothing is left are not among them, and pinned ones are not.
    """
    listed: dict[PackInfo, int] = {}
    for table, rows in marks.tables():
        kept = table.locations[~picked[rows]]
        taken = kept["stored"].astype(np.int64) + ROW_SIZE
        sizes = np.bincount(kept["pack"], taken, len(table.packs))
        for pack, size in zip(table.packs, sizes.tolist(), strict=True):
            listed[pack] = listed.get(pack, 0) + int(size)
    return {
        pack: pack.size - size
        for pack, size in listed.items()
        if 0 < size < pack.size / 2 and pack.digest not in pinned
    }


class _Old:
    """What has been garbage for long enough."""

    def __init__(self, note: Note | None, age: Age) -> None:
        self._note = note
        self._age = age
        self._due = note is not None and age.now - note.since >= age.grace

    def of(self, keys: Keys) -> Mask:
        if self._age.grace <= 0:
            return np.ones(len(keys), np.bool_)
        if self._note is None or not self._due:
            return np.zeros(len(keys), np.bool_)
        return self._note.lists(keys)

    def pick(self, digests: list[Digest]) -> Iterator[tuple[Digest, bool]]:
        return zip(digests, self.of(keys_of(digest_keys(digests))).tolist(), strict=True)

    def next(self, *waiting: Keys) -> Note | None:
        """The note of what waits: a new one, or, until that is due, what is left of the old one."""
        keys = np.unique(np.concatenate(waiting))
        since = self._age.now
        if self._note is not None and not self._due and self._age.grace > 0:
            since, keys = self._note.since, keys[self._note.lists(keys)]
            if not len(keys):
                since, keys = self._age.now, np.unique(np.concatenate(waiting))
        return Note(since, keys) if len(keys) else None


class _Objects:
    """The packs and index objects that there are, listed or not."""

    def __init__(self, store: Store) -> None:
        self._sizes: dict[Digest, tuple[str, int]] = {}
        for folder in (INDEX, PACKS):
            for info in store.backend.list(folder):
                digest = digest_in(info.name, folder)
                if digest:
                    self._sizes[digest] = info.name, info.size

    def unlisted(self, root: Root, index: ChunkIndex) -> list[Digest]:
        """Those that no live index object and no root lists."""
        listed = {*root.indexes, *root.doomed}
        listed.update(pack.digest for table in index.tables for pack in _used(table))
        return [digest for digest in self._sizes if digest not in listed]

    def bytes_of(self, digests: Iterable[Digest]) -> int:
        return sum(self._sizes[digest][1] for digest in digests)

    def gone(self, doomed: Collection[Digest], why: Mapping[Digest, str]) -> Iterator[Gone]:
        """Those that are doomed, index objects first."""
        for digest, (name, size) in self._sizes.items():
            if digest in doomed:
                yield Gone(name, size, why.get(digest, "listed nowhere"))


def _used(table: IndexTable) -> list[PackInfo]:
    """The packs of a table that a row of it names."""
    return [table.packs[number] for number in np.unique(table.locations["pack"]).tolist()]


def tables_without(
    root: Root, marks: Marks, picked: Mask, doomed: Collection[Digest]
) -> dict[Digest, IndexTable]:
    """The tables that have to change, without the rows picked and the packs doomed.

    Args:
        root: lists the index objects whose tables the index of `marks` has.
    """
    changed = {}
    for name, table in zip(root.indexes, marks.index.tables, strict=True):
        kept = ~picked[marks.rows(table.digests)] if len(table.digests) else np.ones(0, np.bool_)
        if kept.all() and not any(pack.digest in doomed for pack in table.packs):
            continue
        rest = IndexTable(table.packs, table.digests[kept], table.locations[kept])
        unused = {pack.digest for pack in table.packs} - {pack.digest for pack in _used(rest)}
        changed[name] = merge_tables([rest], frozenset(unused))
    return changed


def _emptied(index: ChunkIndex, root: Root, tables: Mapping[Digest, IndexTable]) -> set[Digest]:
    """Packs of which something was listed, and nothing is."""
    after = [tables.get(*pair) for pair in zip(root.indexes, index.tables, strict=True)]
    left = {pack.digest for table in after if table for pack in table.packs}
    return {pack.digest for pack in index.packs} - left


def _carried_out(store: Store, root: Root, made: Plan) -> Root:
    """The root after a plan, whose new index objects and note are written."""
    avoid = made.doomed
    written = [
        store.indexes.write(table, avoid) for table in made.tables.values() if len(table.digests)
    ]
    kept = [name for name in root.indexes if name not in made.tables]
    changed = replace(
        root,
        indexes=(*kept, *(name for name in dict.fromkeys(written) if name not in kept)),
        garbage=_write_note(store, made.note),
        doomed=tuple(sorted(made.doomed)),
    )
    if changed == root:
        return root
    dropped = changed.indexes != root.indexes or changed.doomed != root.doomed
    return replace(changed, gc_generation=root.gc_generation + dropped)


def _delete(store: Store, made: Plan) -> None:
    """Delete what is doomed, index objects first, and say so in the root."""
    store.forget_packs(made.doomed)
    left: set[Digest] = set()

    def delete(gone: Gone) -> None:
        try:
            store.backend.delete(gone.name)
        except DatasetError:  # Windows keeps what is mapped; the next collection tries again.
            left.add(Digest(bytes.fromhex(gone.name.rpartition("/")[2])))

    for folder in (INDEX, PACKS):
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(delete, [g for g in made.objects if g.name.startswith(folder)]))
    done = made.doomed - left
    root = store.swap_root(
        lambda root: replace(root, doomed=tuple(d for d in root.doomed if d not in done))
    )
    store.refresh(root)


def _read_note(store: Store, root: Root) -> Note | None:
    """The note that a root names; one that is lost or damaged only makes garbage younger."""
    if root.garbage is None:
        return None
    try:
        data = store.backend.get(garbage_name(root.garbage))
        if digest_of(data) == root.garbage:
            return decode_note(data, f"The note {root.garbage.hex()}")
    except NotFoundError:
        pass
    return None


def _write_note(store: Store, note: Note | None) -> Digest | None:
    if note is None:
        return None
    data = encode_note(note)
    digest = digest_of(data)
    store.backend.put(garbage_name(digest), data)
    return digest


def _delete_other_notes(store: Store, live: Digest | None) -> None:
    for info in store.backend.list(GARBAGE):
        if digest_in(info.name, GARBAGE) != live:
            store.backend.delete(info.name)
