"""Writing chunks: cut, deduplicate, compress, fill packs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Buffer, Digest, Hasher, checksum_of, digest_of
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.header import HEADER_SIZE, PACK, encode_header
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import LOCATION, MAX_CHUNK_SIZE, RECIPE, Locations, digest_keys
from datasets_vc.format.pack import DATA, METADATA, TARGET_SIZE, encode_footer
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.store.chunking import WHOLE_BELOW, compression_pays, cut, cut_stream, encode
from datasets_vc.store.index import ChunkIndex, merge_tables
from datasets_vc.store.names import pack_name


@dataclass(frozen=True, slots=True)
class Written:
    """Packs that are durable but that no root lists yet; `bytes` is their size."""

    tables: tuple[IndexTable, ...] = ()
    bytes: int = 0
    chunks: int = 0

    @property
    def packs(self) -> tuple[PackInfo, ...]:
        return tuple(pack for table in self.tables for pack in table.packs)


class ChunkWriter:
    """Puts chunks that a store does not have yet into new packs. Safe to use from several threads.

    Nothing refers to the packs until `Store.publish` is given what `finish` returns: a writer that
    is dropped, or whose process dies, leaves garbage at worst.
    """

    def __init__(self, backend: Backend, index: ChunkIndex) -> None:
        self._index = index
        self._lock = threading.Lock()
        self._new: set[Digest] = set()
        self._builders = {kind: _PackBuilder(backend, kind) for kind in (DATA, METADATA)}

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._builders = {}

    def add_file(self, data: Buffer) -> Digest:
        """Store a file that is in memory, or mapped; returns its digest.

        `data` must not change until `finish` returns.
        """
        digest = digest_of(data)
        if len(data) >= WHOLE_BELOW:
            # A recipe may be here while pieces are not: only the pieces say what to store.
            compress = compression_pays(data)
            self._add_recipe(digest, [self._add_chunk(piece, compress) for piece in cut(data)])
        elif not self._known(digest):
            self._add(digest, *encode(data, compression_pays(data)), len(data), DATA)
        return digest

    def add_stream(self, read: Callable[[int], bytes], size: int) -> Digest:
        """Store a file of any size while reading it; returns its digest.

        Args:
            read: gives at most as many bytes as it is asked for, and none at the end.
            size: bytes, as far as is known beforehand; a small file is read whole.
        """
        if size < WHOLE_BELOW:
            return self.add_file(b"".join(iter(lambda: read(WHOLE_BELOW), b"")))
        whole = Hasher()
        pieces: list[tuple[Digest, int]] = []
        compress: bool | None = None
        for piece in cut_stream(read):
            whole.update(piece)
            compress = compression_pays(piece) if compress is None else compress
            pieces.append(self._add_chunk(piece, compress))
        if not pieces:
            return self.add_file(b"")
        digest = Digest(whole.digest())
        self._add_recipe(digest, pieces)
        return digest

    def add_meta(self, data: Buffer) -> Digest:
        """Store a node, a commit, a link target or the input of a run; returns its digest."""
        digest = digest_of(data)
        if not self._known(digest):
            self._add(digest, *encode(data, compression_pays(data)), len(data), METADATA)
        return digest

    def add_encoded(
        self, digest: Digest, codec: int, payload: Buffer, raw: int, category: int
    ) -> None:
        """Store a chunk as another store had it, after the caller has verified it."""
        if not self._known(digest):
            self._add(digest, codec, payload, raw, category)

    def finish(self) -> Written:
        """Write what is left and say what was written."""
        with self._lock:
            tables = [table for builder in self._builders.values() for table in builder.finish()]
        packs = [pack for table in tables for pack in table.packs]
        return Written(
            tables=tuple(tables),
            bytes=sum(pack.size for pack in packs),
            chunks=sum(len(table.digests) for table in tables),
        )

    def _known(self, digest: Digest) -> bool:
        return digest in self._new or self._index.find(digest) is not None

    def _add_chunk(self, piece: Buffer, compress: bool) -> tuple[Digest, int]:
        digest = digest_of(piece)
        if not self._known(digest):
            self._add(digest, *encode(piece, compress), len(piece), DATA)
        return digest, len(piece)

    def _add_recipe(self, digest: Digest, pieces: list[tuple[Digest, int]]) -> None:
        if len(pieces) < 2 or self._known(digest):
            return
        digests, lengths = zip(*pieces, strict=True)
        payload = encode_recipe(Recipe(digests, lengths))
        self._add(digest, RECIPE, payload, len(payload), METADATA)

    def _add(self, digest: Digest, codec: int, payload: Buffer, raw: int, category: int) -> None:
        if max(len(payload), raw) > MAX_CHUNK_SIZE:
            raise InvalidInputError(f"{max(len(payload), raw):,} bytes are too many for one chunk.")
        checksum = checksum_of(payload)
        with self._lock:
            if digest not in self._new:
                self._builders[category].add(digest, codec, payload, raw, checksum)
                self._new.add(digest)


@dataclass
class _PackBuilder:
    """Gathers payloads until they make a pack."""

    backend: Backend
    category: int
    tables: list[IndexTable] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reset()

    def add(self, digest: Digest, codec: int, payload: Buffer, raw: int, checksum: int) -> None:
        if self.rows and self.size + len(payload) > 2 * TARGET_SIZE:
            self._write()
        self.rows.append((checksum, self.size, len(payload), raw, 0, codec, (0, 0, 0)))
        self.digests.append(digest)
        self.parts.append(payload)
        self.hasher.update(payload)
        self.size += len(payload)
        if self.size >= TARGET_SIZE:
            self._write()

    def finish(self) -> Iterable[IndexTable]:
        if self.rows:
            self._write()
        return self.tables

    def _reset(self) -> None:
        header = encode_header(PACK)
        self.parts: list[Buffer] = [header]
        self.size = HEADER_SIZE
        self.hasher = Hasher(header)
        self.digests: list[Digest] = []
        self.rows: list[tuple[object, ...]] = []

    def _write(self) -> None:
        locations: Locations = np.array(self.rows, LOCATION)
        digests = b"".join(self.digests)
        footer = encode_footer(digests, locations, self.category, self.size)
        self.hasher.update(footer)
        info = PackInfo(Digest(self.hasher.digest()), self.size + len(footer), self.category)
        self.backend.put(pack_name(info.digest), *self.parts, footer)
        unsorted = IndexTable((info,), digest_keys(digests), locations)
        self.tables.append(merge_tables([unsorted], frozenset()))
        self._reset()
