"""The index objects of a store: read, verified, and written so that there stay few of them."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Buffer, Digest, Hasher, digest_of
from datasets_vc.errors import IntegrityError, NotFoundError
from datasets_vc.format.index import IndexTable, decode_index, index_parts
from datasets_vc.format.location import digest_keys
from datasets_vc.memory import let_go
from datasets_vc.store.growth import ready
from datasets_vc.store.index import ChunkIndex, merge_tables, without_recipes
from datasets_vc.store.names import index_name

_FACTOR = 4
"""Index objects are merged once together they are so many times as large as the largest of them."""


class MissingIndexError(NotFoundError):
    """An index object that a root lists is not there: lost, or replaced by another writer."""


class IndexObjects:
    """The index objects of the store that lies at `backend`.

    Args:
        cache: a local backend that keeps copies of those of a remote store.
    """

    def __init__(self, backend: Backend, cache: Backend | None = None) -> None:
        self._backend = backend
        self._cache = cache
        self._mapped: dict[Digest, IndexTable] = {}

    def read(self, digest: Digest) -> IndexTable:
        """One index object.

        Raises:
            MissingIndexError: it is not there.
            IntegrityError: it is damaged.
        """
        name = index_name(digest)
        if digest in self._mapped:
            # Its bytes stay as they are; but a root must not list again what has gone.
            if self._cache is None:
                with self._missing_told():
                    self._backend.stat(name)
            return self._mapped[digest]
        what = f"The chunk index {digest.hex()} of {self._backend.url}"
        data: Buffer | None = self._cached(name)
        if data is None or digest_of(data) != digest:
            data = self._fetch(name)
            if digest_of(data) != digest:
                raise IntegrityError(f"{what} is damaged: it does not match its digest.")
            if self._cache is not None:
                self._cache.put(name, data)
        table = _decode(data, what)
        if isinstance(data, memoryview):
            self._mapped[digest] = table
        return table

    def keep(self, live: Collection[Digest]) -> None:
        """Keep those tables at hand that are mapped, and verified once; forget all others."""
        self._mapped = {name: table for name, table in self._mapped.items() if name in live}

    def add(
        self,
        live: Sequence[Digest],
        new: Sequence[IndexTable],
        retire: frozenset[Digest],
        avoid: Container[Digest] = (),
        superseded: Sequence[Digest] = (),
    ) -> tuple[Digest, ...]:
        """Write an index object for `new` and the live ones that it pays to merge with it.

        Those that list packs to retire are written again without these: a large one by itself.

        Args:
            avoid: names that no new object may have.
            superseded: what the live ones have as a recipe, and `new` has anew.

        Returns:
            What is live then, once a root lists it.
        """
        before = {digest: self.read(digest) for digest in live}
        keys = digest_keys(superseded)
        keys = keys[ChunkIndex(new).contains(keys)]
        tables = {digest: without_recipes(table, keys) for digest, table in before.items()}
        order = sorted(live, key=lambda digest: len(tables[digest].digests))
        rows = sum(len(table.digests) for table in new)
        count = ready(sorted([rows, *(len(tables[digest].digests) for digest in live)]), _FACTOR)
        merged, alone = [*new], []
        for place, digest in enumerate(order, 1):
            table = tables[digest]
            touched = table is not before[digest]
            touched |= any(pack.digest in retire for pack in table.packs)
            if place < count or (touched and len(table.digests) <= rows):
                merged.append(tables.pop(digest))
                rows += len(table.digests)
            elif touched:
                alone.append(tables.pop(digest))
        groups = [merged, *([table] for table in alone)]
        made = [table for group in groups if len((table := merge_tables(group, retire)).digests)]
        for table in (*merged, *alone):
            _let_go(table)
        written = [self.write(table, avoid) for table in made]
        return (*(name for name in tables if name not in written), *written)

    def write(self, table: IndexTable, avoid: Container[Digest] = ()) -> Digest:
        """Write an index object; returns its digest, which is none of `avoid`."""
        parts = index_parts(table)
        while (digest := _digest_of(parts)) in avoid:
            # The same in other words: a pack may be in the table twice.
            table = replace(table, packs=(*table.packs, table.packs[0]))
            parts = index_parts(table)
        self._backend.put(index_name(digest), *parts)
        if self._cache is not None:
            self._cache.put(index_name(digest), *parts)
        return digest

    def _fetch(self, name: str) -> Buffer:
        with self._missing_told():
            data = self._backend.map(name) if self._cache is None else None
            return data if data is not None else self._backend.get(name)

    @contextmanager
    def _missing_told(self) -> Iterator[None]:
        try:
            yield
        except NotFoundError as error:
            raise MissingIndexError(
                f"The store at {self._backend.url} lacks an index object that its root lists: "
                f"{error.message}"
            ) from error

    def _cached(self, name: str) -> memoryview | None:
        if self._cache is None:
            return None
        try:
            return self._cache.map(name)
        except NotFoundError:
            return None


def _digest_of(parts: Sequence[Buffer]) -> Digest:
    hasher = Hasher()
    for part in parts:
        hasher.update(part)
    return Digest(hasher.digest())


def _let_go(table: IndexTable) -> None:
    """Give back the memory that looking at a mapped table has taken."""
    if isinstance(table.digests.base, memoryview):
        let_go(table.digests.base)


def _decode(data: Buffer, what: str) -> IndexTable:
    table = decode_index(data, what)
    if isinstance(data, memoryview):
        # All of it was looked at, to verify it; from now on single rows are.
        let_go(data)
    return table
