"""The chunk index of a store: the union of its index objects, searched without loading them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import DIGEST_SIZE, Digest
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import (
    LOCATION,
    RECIPE,
    DigestKeys,
    Digests,
    Locations,
    as_keys,
    digest_keys,
    digest_list,
    joined,
    unique,
)
from datasets_vc.memory import let_go


@dataclass(frozen=True, slots=True)
class Place:
    """Where one chunk lies: `offset` and `stored` in bytes of the pack, `raw` after decoding."""

    digest: Digest
    pack: PackInfo
    offset: int
    stored: int
    raw: int
    codec: int
    checksum: int

    @property
    def end(self) -> int:
        return self.offset + self.stored


@dataclass(frozen=True, slots=True)
class Places:
    """Where many chunks lie: `rows["pack"]` counts in `packs`; rows not `found` mean nothing."""

    keys: DigestKeys
    found: NDArray[np.bool_]
    rows: Locations
    packs: Sequence[PackInfo]

    def missing(self) -> list[Digest]:
        """The digests that are not in the index, in the order asked for."""
        return digest_list(self.keys[~self.found])

    def places(self) -> list[Place]:
        """One object for each chunk; all must be found."""
        columns = (self.rows[name].tolist() for name in _PLACE_COLUMNS)
        return [
            Place(digest, self.packs[pack], offset, stored, raw, codec, checksum)
            for digest, pack, offset, stored, raw, codec, checksum in zip(
                digest_list(self.keys), *columns, strict=True
            )
        ]


_AT_ONCE = 1 << 16
_SPARSE = 64
_DENSE = 1 << 12
"""So many keys touch about every page of a mapped table, and are looked up together. Of fewer each
maps some 64 KiB in several places: a thousand would hold all of a table of a hundred MB."""
_PLACE_COLUMNS = ("pack", "offset", "stored", "raw", "codec", "checksum")


class ChunkIndex:
    """A read-only view of some index tables, whose packs are numbered through."""

    def __init__(self, tables: Sequence[IndexTable]) -> None:
        self.tables = tuple(tables)
        self.packs: tuple[PackInfo, ...] = tuple(pack for t in self.tables for pack in t.packs)
        counts = [len(table.packs) for table in self.tables]
        self._first_pack = np.concatenate(([0], np.cumsum(counts))).astype(np.uint32)
        # Most of what is asked for is in large tables, and not looked for in the others then.
        self._largest_first = sorted(
            (
                pair
                for pair in zip(self.tables, self._first_pack, strict=False)
                if len(pair[0].digests)
            ),
            key=lambda pair: -len(pair[0].digests),
        )

    def __len__(self) -> int:
        return sum(len(table.digests) for table in self.tables)

    def find(self, digest: Digest) -> Place | None:
        """Where `digest` lies, or None."""
        key = np.frombuffer(digest, f"S{DIGEST_SIZE}")[0]
        for table, _ in self._largest_first:
            row = int(np.searchsorted(table.digests, key))
            if row < len(table.digests) and table.digests[row] == key:
                checksum, offset, stored, raw, pack, codec, _ = table.locations[row].item()
                return Place(digest, table.packs[pack], offset, stored, raw, codec, checksum)
        return None

    def let_go(self) -> None:
        """Give back the memory that searching mapped tables has taken."""
        for table in self.tables:
            if isinstance(table.digests.base, memoryview):
                let_go(table.digests.base)

    def contains(self, digests: Digests) -> NDArray[np.bool_]:
        """Which of `digests` the index has."""
        keys = as_keys(digests)
        found = np.zeros(len(keys), bool)
        for start in range(0, len(keys), _AT_ONCE):
            for some, _, _ in self._matches(keys[start : start + _AT_ONCE]):
                found[start + some] = True
        return found

    def contains_chunks(self, digests: Digests) -> NDArray[np.bool_]:
        """Which of `digests` the index has as single chunks: not as recipes, which may lie."""
        keys = as_keys(digests)
        found = np.zeros(len(keys), bool)
        for start in range(0, len(keys), _AT_ONCE):
            for some, locations, _ in self._matches(keys[start : start + _AT_ONCE]):
                found[start + some] = locations["codec"] != RECIPE
        return found

    def recipes_among(self, digests: Digests) -> tuple[Digest, ...]:
        """Those of `digests` that the index has as recipes."""
        keys = as_keys(digests)
        listed = keys[self.contains(keys)]
        return tuple(digest_list(listed[~self.contains_chunks(listed)]))

    def locate(self, digests: Digests) -> Places:
        """Where `digests` lie, many at a time."""
        keys = as_keys(digests)
        found = np.zeros(len(keys), bool)
        rows: Locations = np.zeros(len(keys), LOCATION)
        step = _SPARSE if len(keys) < _DENSE else _AT_ONCE
        for start in range(0, len(keys), step):
            if start:
                self.let_go()
            for some, locations, first_pack in self._matches(keys[start : start + step]):
                rows[start + some] = locations
                rows["pack"][start + some] += first_pack
                found[start + some] = True
        return Places(keys, found, rows, self.packs)

    def _matches(
        self, keys: DigestKeys
    ) -> Iterator[tuple[NDArray[np.int64], Locations, np.uint32]]:
        """Which of some keys a table has, and where: table by table, each key once."""
        todo = np.arange(len(keys))
        for table, first_pack in self._largest_first:
            if not len(todo):
                return
            at = np.searchsorted(table.digests, keys[todo])
            at[at == len(table.digests)] = 0
            here = table.digests[at] == keys[todo]
            yield todo[here], table.locations[at[here]], first_pack
            todo = todo[~here]

    def reading_order(self, digests: NDArray[np.uint8]) -> NDArray[np.int64]:
        """In which order to read chunks so that packs are read one by one, from front to back.

        Args:
            digests: shape (chunks, 32); those that are not in the index come last.
        """
        nowhere = len(self.packs)
        packs, offsets = (
            np.full(len(digests), nowhere, np.uint32),
            np.zeros(len(digests), np.uint64),
        )
        for start in range(0, len(digests), _AT_ONCE):
            piece = slice(start, start + _AT_ONCE)
            keys = digest_keys(digests[piece].tobytes())
            for table, first_pack in zip(self.tables, self._first_pack, strict=False):
                if not len(table.digests):
                    continue
                at = np.searchsorted(table.digests, keys)
                at[at == len(table.digests)] = 0
                new = (table.digests[at] == keys) & (packs[piece] == nowhere)
                packs[piece][new] = table.locations["pack"][at[new]] + first_pack
                offsets[piece][new] = table.locations["offset"][at[new]]
        self.let_go()
        return np.lexsort((offsets, packs))

    def places_in(self, *packs: PackInfo) -> list[Place]:
        """Where the chunks of some packs lie, as far as the index has them, in no order."""
        return self.held_by(packs).places()

    def held_by(self, packs: Iterable[PackInfo]) -> Places:
        """What `places_in` tells, as columns."""
        chosen = {pack.digest for pack in packs}
        keys, rows = [], [np.zeros(0, LOCATION)]
        for table, first_pack in zip(self.tables, self._first_pack, strict=False):
            here = rows_in(table, chosen)
            if not here.any():
                continue
            locations = table.locations[here]
            locations["pack"] += first_pack
            keys.append(table.digests[here])
            rows.append(locations)
        found = joined(keys)
        return Places(found, np.ones(len(found), bool), np.concatenate(rows), self.packs)

    def without(self, packs: frozenset[Digest]) -> ChunkIndex:
        """This index less what these packs hold."""
        return ChunkIndex([merge_tables(self.tables, packs)])

    def short(self, category: int, below: int) -> DigestKeys:
        """The chunks, but no recipes, that have fewer bytes, in packs of that category."""
        found: list[DigestKeys] = []
        for table in self.tables:
            packs = {pack.digest for pack in table.packs if pack.category == category}
            short = (table.locations["raw"] < below) & (table.locations["codec"] != RECIPE)
            found.append(table.digests[short & rows_in(table, packs)])
        return unique(joined(found))

    def with_prefix(self, prefix: str, category: int) -> list[Digest]:
        """The chunks, but no recipes, in packs of that category whose hex begins with `prefix`."""
        low = bytes.fromhex(prefix.ljust(2 * DIGEST_SIZE, "0"))
        high = bytes.fromhex(prefix.ljust(2 * DIGEST_SIZE, "f"))
        matches: set[Digest] = set()
        for table in self.tables:
            bounds = digest_keys([low, high])
            first = int(np.searchsorted(table.digests, bounds[0]))
            last = int(np.searchsorted(table.digests, bounds[1], side="right"))
            packs = table.locations["pack"][first:last].tolist()
            codecs = table.locations["codec"][first:last].tolist()
            names = digest_list(table.digests[first:last])
            matches.update(
                name
                for name, pack, codec in zip(names, packs, codecs, strict=True)
                if table.packs[pack].category == category and codec != RECIPE
            )
        return sorted(matches)


def without_recipes(table: IndexTable, files: DigestKeys) -> IndexTable:
    """A table less the recipes that it has of some files; the same one if it has none."""
    if not len(files) or not len(table.digests):
        return table
    at = np.searchsorted(table.digests, files)
    at[at == len(table.digests)] = 0
    gone = at[(table.digests[at] == files) & (table.locations["codec"][at] == RECIPE)]
    if not len(gone):
        return table
    kept = np.delete(np.arange(len(table.digests)), gone)
    rest = IndexTable(table.packs, table.digests[kept], table.locations[kept])
    used = {table.packs[pack].digest for pack in np.unique(rest.locations["pack"]).tolist()}
    unused = {pack.digest for pack in table.packs} - used
    return merge_tables([rest], frozenset(unused))


def rows_in(table: IndexTable, packs: Container[Digest]) -> NDArray[np.bool_]:
    """Which rows of a table say that a chunk lies in one of these packs."""
    chosen = np.array([pack.digest in packs for pack in table.packs], bool)
    if not chosen.any():
        return np.zeros(len(table.digests), bool)
    rows: NDArray[np.bool_] = chosen[table.locations["pack"]]
    return rows


def merge_tables(tables: Sequence[IndexTable], without: frozenset[Digest]) -> IndexTable:
    """One table with the rows of all, each digest once, less those of the packs `without`."""
    packs = sorted(
        {pack for t in tables for pack in t.packs if pack.digest not in without},
        key=lambda pack: pack.digest,
    )
    number = {pack.digest: row for row, pack in enumerate(packs)}
    keys: list[DigestKeys] = []
    kept: list[tuple[IndexTable, NDArray[np.bool_] | slice, NDArray[np.int64]]] = []
    for table in tables:
        renumber = np.array([number.get(pack.digest, -1) for pack in table.packs], np.int64)
        target = renumber[table.locations["pack"]] if len(table.packs) else np.zeros(0, np.int64)
        # Mostly all rows are kept: then they need not be copied.
        some = target >= 0 if (target < 0).any() else slice(None)
        keys.append(table.digests[some])
        kept.append((table, some, target[some]))
    digests = joined(keys)
    del keys
    order = np.argsort(digests, kind="stable")
    digests = digests[order]
    repeated = np.flatnonzero(digests[1:] == digests[:-1]) + 1
    if len(repeated):
        digests, order = np.delete(digests, repeated), np.delete(order, repeated)
    rows: Locations = np.zeros(sum(len(target) for *_, target in kept), LOCATION)
    start = 0
    for table, some, target in kept:
        part = rows[start : start + len(target)]
        part[:] = table.locations[some]
        part["pack"] = target
        start += len(target)
    return IndexTable(tuple(packs), digests, rows[order])
