"""Writing chunks: cut, deduplicate, compress, and hand on to packs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Buffer, Digest, Hasher, checksum_of, digest_of
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import MAX_CHUNK_SIZE, RECIPE, digest_keys, digest_list
from datasets_vc.format.pack import DATA, METADATA
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.store.chunking import (
    WHOLE_BELOW,
    compression_pays,
    cut,
    cut_stream,
    encode,
    encode_whole,
)
from datasets_vc.store.index import ChunkIndex, Place
from datasets_vc.store.names import pack_name
from datasets_vc.store.packing import Encoded, Origin, PackBuilder

Item = TypeVar("Item")

_PIECES_AHEAD = 4
_ENCODERS = 2
_BATCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """Packs that are durable but that no root lists yet; `bytes` is their size.

    Attributes:
        counted: digests, end to end, that are not in them and have to be in the store.
        generation: of the collections that the writer knew of; None if it knew of none.
        superseded: what is in them, and what the store has as a recipe that is not to be believed.
    """

    tables: tuple[IndexTable, ...] = ()
    bytes: int = 0
    chunks: int = 0
    counted: Buffer = b""
    generation: int | None = None
    superseded: tuple[Digest, ...] = ()

    @property
    def packs(self) -> tuple[PackInfo, ...]:
        return tuple(pack for table in self.tables for pack in table.packs)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Files that are hashed and, as far as the store lacked them, encoded."""

    digests: tuple[Digest, ...]
    new: tuple[Encoded, ...]


class ChunkWriter:
    """Puts chunks that a store does not have yet into new packs. Safe to use from several threads.

    Nothing refers to the packs until `Store.publish` is given what `finish` returns: a writer that
    is dropped, or whose process dies, leaves garbage at worst.

    Args:
        index: what the store has.
        generation: of the root that the index belongs to.
        doomed: names that packs must not have, since a collection is deleting them.
        needed: digests, end to end, that have to be in the store in any case.
    """

    def __init__(
        self,
        backend: Backend,
        index: ChunkIndex,
        generation: int | None = None,
        *,
        doomed: Iterable[Digest] = (),
        needed: Buffer = b"",
    ) -> None:
        self._backend = backend
        self._index = index
        self._generation = None if needed else generation
        self._counted = bytearray(needed)
        self._superseded: set[Digest] = set()
        self._lock = threading.Lock()
        avoid = frozenset(doomed)
        self._builders = {kind: PackBuilder(backend, kind, avoid) for kind in (DATA, METADATA)}

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for builder in self._builders.values():
            builder.abort()

    def add_file(self, data: Buffer) -> Digest:
        """Store a file that is in memory, or mapped; returns its digest."""
        if len(data) < WHOLE_BELOW:
            return self.add_prepared(self.prepare([data]))[0]
        return self._add_pieces(cut(data)) or digest_of(data)

    def prepare(self, files: Sequence[Buffer]) -> Prepared:
        """Hash and encode files below WHOLE_BELOW, without storing them.

        This is where the work is: let several threads do it, and one add what they have prepared,
        in an order that does not depend on which was first.
        """
        digests = tuple(map(digest_of, files))
        known = self._known(digests)
        self._count(b"".join(d for d, there in zip(digests, known, strict=True) if there))
        new = {
            digest: data
            for digest, data, there in zip(digests, files, known, strict=True)
            if not there
        }
        return Prepared(digests, tuple(_encoded_whole(*item) for item in new.items()))

    def add_prepared(self, files: Prepared) -> tuple[Digest, ...]:
        """Store files; returns their digests."""
        with self._lock:
            self._builders[DATA].add(files.new)
        return files.digests

    def add_stream(
        self, read: Callable[[int], bytes], size: int, source: int | None = None
    ) -> Digest:
        """Store a file of any size while reading it; returns its digest.

        Args:
            read: gives at most as many bytes as it is asked for, and none at the end.
            size: bytes, as far as is known beforehand; a small file is read whole.
            source: a descriptor of the local file that is read from its beginning: packs share its
                blocks where the file system can do that.
        """
        if size < WHOLE_BELOW:
            return self.add_file(b"".join(iter(lambda: read(WHOLE_BELOW), b"")))
        return self._add_pieces(cut_stream(read), source) or self.add_file(b"")

    def add_meta(self, data: Buffer) -> Digest:
        """Store a node, a commit, a link target or the input of a run; returns its digest."""
        digest = digest_of(data)
        if not self._has(digest):
            self._add([_encoded_whole(digest, data)], METADATA)
        return digest

    def add_node(self, data: Buffer, below: Buffer) -> Digest:
        """Store a node; returns its digest.

        Args:
            below: the digests in its rows, end to end. As far as the store has them this writer
                may never see them: a file that has not changed is not read again.
        """
        digest = digest_of(data)
        if not self._has(digest):
            self._add([_encoded_whole(digest, data)], METADATA)
            self.count_on(below)
        return digest

    def count_on(self, digests: Buffer) -> None:
        """Take for granted what the store has of some chunks; digests end to end."""
        if not len(self._index):
            return
        names = digest_list(digest_keys(digests))
        known = self._index.contains(names).tolist()
        self._count(b"".join(name for name, there in zip(names, known, strict=True) if there))

    def add_encoded(
        self, digest: Digest, codec: int, payload: Buffer, raw: int, category: int
    ) -> None:
        """Store a chunk as another store had it, after the caller has verified it."""
        if not self._has(digest):
            self._add([Encoded(digest, codec, payload, raw, checksum_of(payload))], category)

    def add_proved(self, recipes: Sequence[Encoded]) -> None:
        """Store recipes that were held against their files, in place of any that were not."""
        known = self._known([recipe.digest for recipe in recipes])
        self._add(
            [recipe for recipe, there in zip(recipes, known, strict=True) if not there], METADATA
        )

    def add_received(self, chunks: Sequence[Encoded], category: int) -> None:
        """Store chunks as another store had them, after the caller has verified them.

        A recipe is left out where there is one of that file.
        """
        known = self._received(chunks)
        batch: list[Encoded] = []
        size = 0
        for chunk, there in zip(chunks, known, strict=True):
            if there:
                self._count(chunk.digest)
                continue
            batch.append(chunk)
            size += len(chunk.payload)
            if size >= _BATCH_BYTES:
                self._add(batch, category)
                batch, size = [], 0
        self._add(batch, category)

    def finish(self) -> Written:
        """Write what is left and say what was written."""
        with self._lock:
            tables = [table for builder in self._builders.values() for table in builder.finish()]
        packs = [pack for table in tables for pack in table.packs]
        return Written(
            tables=tuple(tables),
            bytes=sum(pack.size for pack in packs),
            chunks=sum(len(table.digests) for table in tables),
            counted=self._counted,
            generation=self._generation,
            superseded=tuple(self._superseded),
        )

    def _has(self, digest: Digest) -> bool:
        """Whether the store has a chunk; if so, this writer counts on it."""
        place = self._index.find(digest)
        if place is None:
            return False
        if place.codec == RECIPE:
            self._supersede([digest])
            return False
        self._count(digest)
        return True

    def _has_recipe(self, file: Digest, payload: bytes) -> bool:
        """Whether the store has these bytes as the recipe of a file.

        Another one, which some other program made, or an enemy, is replaced: not believed.
        """
        place = self._index.find(file)
        if place is None:
            return False
        if place.codec == RECIPE and not self._is_stored(place, payload):
            self._supersede([file])
            return False
        self._count(file)
        return True

    def _is_stored(self, place: Place, payload: bytes) -> bool:
        try:
            name = pack_name(place.pack.digest)
            return self._backend.get(name, place.offset, place.end) == payload
        except NotFoundError:
            return False

    def _known(self, digests: Sequence[Digest]) -> list[bool]:
        """Which of some chunks the store has: what it has as a recipe is superseded."""
        self._supersede(self._index.recipes_among(digests))
        known: list[bool] = self._index.contains_chunks(digests).tolist()
        return known

    def _received(self, chunks: Sequence[Encoded]) -> list[bool]:
        single = iter(self._known([chunk.digest for chunk in chunks if chunk.codec != RECIPE]))
        return [
            self._index.find(chunk.digest) is not None if chunk.codec == RECIPE else next(single)
            for chunk in chunks
        ]

    def _supersede(self, digests: Sequence[Digest]) -> None:
        if digests:
            with self._lock:
                self._superseded.update(digests)

    def _count(self, digests: Buffer) -> None:
        if not len(digests):
            return
        with self._lock:
            self._counted += digests

    def _add(self, chunks: Sequence[Encoded], category: int, origin: Origin | None = None) -> None:
        size = max((max(len(chunk.payload), chunk.raw) for chunk in chunks), default=0)
        if size > MAX_CHUNK_SIZE:
            raise InvalidInputError(f"{size:,} bytes are too many for one chunk.")
        with self._lock:
            self._builders[category].add(chunks, origin)

    def _add_pieces(self, pieces: Iterable[Buffer], source: int | None = None) -> Digest | None:
        """Store a file in pieces; returns its digest, or None if there were none.

        While this thread reads and cuts, one hashes the whole and two hash and compress pieces.
        """
        whole = Hasher()
        digests: list[Digest] = []
        lengths: list[int] = []
        with ThreadPoolExecutor(1) as hashing, ThreadPoolExecutor(_ENCODERS) as encoding:

            def prepared() -> Iterator[tuple[Future[object], Future[Encoded]]]:
                compress: bool | None = None
                for piece in pieces:
                    compress = compression_pays(piece) if compress is None else compress
                    yield (
                        hashing.submit(whole.update, piece),
                        encoding.submit(self._encode_piece, piece, compress),
                    )

            for hashed, encoded in _behind(prepared(), _PIECES_AHEAD):
                hashed.result()
                piece = encoded.result()
                # A recipe may be here while pieces are not: only the pieces say what to store.
                if not self._has(piece.digest):
                    self._add([piece], DATA, Origin(sum(lengths), source))
                digests.append(piece.digest)
                lengths.append(piece.raw)
        if source is not None:
            with self._lock:
                self._builders[DATA].settle()
        if not digests:
            return None
        file = Digest(whole.digest())
        if len(digests) > 1:
            self._add_recipe(file, Recipe(tuple(digests), tuple(lengths)))
        return file

    def _encode_piece(self, piece: Buffer, compress: bool) -> Encoded:
        digest = digest_of(piece)
        codec, payload = encode(piece, compress and self._index.find(digest) is None)
        return Encoded(digest, codec, payload, len(piece), checksum_of(payload))

    def _add_recipe(self, file: Digest, recipe: Recipe) -> None:
        payload = encode_recipe(recipe)
        if self._has_recipe(file, payload):
            return
        self._add([Encoded(file, RECIPE, payload, len(payload), checksum_of(payload))], METADATA)


def _behind(items: Iterable[Item], distance: int) -> Iterator[Item]:
    """The items, each once `distance` more have been taken or there are no more."""
    waiting: deque[Item] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > distance:
            yield waiting.popleft()
    yield from waiting


def _encoded_whole(digest: Digest, data: Buffer) -> Encoded:
    codec, payload = encode_whole(data)
    return Encoded(digest, codec, payload, len(data), checksum_of(payload))
