"""Reading chunks and files back, verified, from memory maps or by ranged requests."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Buffer, Digest, checksum_of, digest_of
from datasets_vc.errors import DatasetError, IntegrityError, MissingDataError, NotFoundError
from datasets_vc.format.location import RAW, RECIPE
from datasets_vc.format.recipe import Recipe, decode_recipe
from datasets_vc.memory import let_go
from datasets_vc.store.chunking import decode
from datasets_vc.store.index import ChunkIndex, Place
from datasets_vc.store.names import damaged_name, pack_name

_MAX_MAPS = 1024
_MAX_GAP = 1 << 20
_PARALLEL_REQUESTS = 8


class Extent(NamedTuple):
    """Bytes of a file; with a pack, they are those from `offset` on of that pack, a local file."""

    data: Buffer
    pack: Digest | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Places in one pack that one request reads: bytes [start, end)."""

    start: int
    end: int
    places: tuple[Place, ...]


def coalesce(places: Sequence[Place], gap: int = _MAX_GAP) -> list[Span]:
    """Group places of one pack into requests, bridging at most `gap` unwanted bytes at a time."""
    spans: list[Span] = []
    for place in sorted(places, key=lambda place: place.offset):
        if spans and place.offset - spans[-1].end <= gap:
            last = spans.pop()
            spans.append(Span(last.start, max(last.end, place.end), (*last.places, place)))
        else:
            spans.append(Span(place.offset, place.end, (place,)))
    return spans


class MissingPackError(IntegrityError):
    """A pack that the index lists is not there: lost, or replaced by another writer."""

    def __init__(self, pack: Digest, where: str, hint: str) -> None:
        super().__init__(f"Pack {pack.hex()} is missing from {where}.", hint)


class Reader:
    """Reads what an index has located; keeps packs mapped where the backend can map them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._maps: OrderedDict[Digest, memoryview] = OrderedDict()
        self._lock = Lock()
        self._confirmed: set[Digest] = set()

    def chunks(self, index: ChunkIndex, digests: Sequence[Digest]) -> list[Buffer]:
        """Chunks, verified and decoded, in the order asked for."""
        places = self.locate(index, digests)
        payloads = self._payloads(places)
        return [self._decode(place, payloads[place.digest]) for place in places]

    def files(self, index: ChunkIndex, digests: Sequence[Digest]) -> list[Buffer]:
        """Files, put together from their chunks where they have a recipe."""
        places = self.locate(index, digests)
        payloads = self._payloads(places)
        files = []
        for place in places:
            data = self._decode(place, payloads[place.digest])
            if place.codec == RECIPE:
                data = self._assemble(index, place, decode_recipe(data, _recipe_of(place)))
            files.append(data)
        return files

    def extent(self, index: ChunkIndex, digest: Digest) -> Extent:
        """A chunk, verified and decoded, and where in a local pack exactly its bytes lie."""
        (place,) = self.locate(index, [digest])
        data = self._decode(place, self._payloads([place])[digest])
        raw = place.codec == RAW and self._map(place) is not None
        return Extent(data, place.pack.digest if raw else None, place.offset)

    def pieces(self, index: ChunkIndex, digest: Digest) -> Sequence[Digest]:
        """The chunks of a file; itself, where it is one."""
        (place,) = self.locate(index, [digest])
        if place.codec != RECIPE:
            return [digest]
        data = self._decode(place, self._payloads([place])[digest])
        return decode_recipe(data, _recipe_of(place)).digests

    def confirm(self, digest: Digest, found: Digest) -> None:
        """Make sure that the chunks of a recipe make the file that it is stored under.

        Every chunk is checked by itself; that they belong together is checked once a file.

        Raises:
            IntegrityError: they make something else.
        """
        if found != digest:
            raise IntegrityError(
                f"The recipe of file {digest.hex()} in {self._backend.url} is wrong: what it makes "
                "does not match its digest.",
                "Fetch that version from another store that has it.",
            )
        self._confirmed.add(digest)

    def is_confirmed(self, digest: Digest) -> bool:
        return digest in self._confirmed

    def stored(self, places: Sequence[Place]) -> list[Buffer]:
        """Payloads as they are stored, verified but not decoded."""
        payloads = self._payloads(places)
        return [self._checked(place, payloads[place.digest]) for place in places]

    def forget(self, packs: Iterable[Digest]) -> None:
        """Drop the maps of packs; slices that were handed out stay as they are."""
        with self._lock:
            for pack in packs:
                self._maps.pop(pack, None)

    def let_go(self) -> None:
        """Give back the memory that reading from maps has taken."""
        with self._lock:
            for view in self._maps.values():
                let_go(view)

    def locate(self, index: ChunkIndex, digests: Sequence[Digest]) -> list[Place]:
        """Where chunks lie; all have to be there."""
        found = index.locate(digests)
        missing = found.missing()
        if missing:
            raise MissingDataError(
                f"The store at {self._backend.url} does not hold {missing[0].hex()}"
                f"{f' and {len(missing) - 1} more' if missing[1:] else ''}.",
                "Bring that version from a remote that has it: dsvc fetch REMOTE REV",
            )
        return found.places()

    def _assemble(self, index: ChunkIndex, file: Place, recipe: Recipe) -> Buffer:
        places = self.locate(index, recipe.digests)
        payloads = self._payloads(places)
        pieces = [self._decode(place, payloads[place.digest]) for place in places]
        whole = self._one_slice(places)
        data = whole if whole is not None else b"".join(pieces)
        if not self.is_confirmed(file.digest):
            self.confirm(file.digest, digest_of(data))
        return data

    def _one_slice(self, places: Sequence[Place]) -> memoryview | None:
        """The file as one slice of a memory map, if its raw chunks lie end to end."""
        first, last = places[0], places[-1]
        end = first.offset
        for place in places:
            if place.codec != RAW or place.pack is not first.pack or place.offset != end:
                return None
            end = place.end
        pack = self._map(first)
        return pack[first.offset : last.end] if pack is not None else None

    def _payloads(self, places: Sequence[Place]) -> dict[Digest, Buffer]:
        """What is stored at `places`, unverified."""
        payloads: dict[Digest, Buffer] = {}
        elsewhere: dict[Digest, list[Place]] = {}
        for place in places:
            pack = self._map(place)
            if pack is None:
                elsewhere.setdefault(place.pack.digest, []).append(place)
            else:
                payloads[place.digest] = pack[place.offset : place.end]
        if elsewhere:
            payloads |= self._request(elsewhere)
        return payloads

    def _request(self, by_pack: dict[Digest, list[Place]]) -> dict[Digest, Buffer]:
        spans = [(pack, span) for pack, places in by_pack.items() for span in coalesce(places)]

        def fetch(job: tuple[Digest, Span]) -> bytes:
            pack, span = job
            try:
                return self._backend.get(pack_name(pack), span.start, span.end)
            except NotFoundError as error:
                raise self._missing(pack) from error

        payloads: dict[Digest, Buffer] = {}
        with ThreadPoolExecutor(min(_PARALLEL_REQUESTS, len(spans))) as pool:
            for (_, span), data in zip(spans, pool.map(fetch, spans), strict=True):
                view = memoryview(data)
                for place in span.places:
                    payloads[place.digest] = view[
                        place.offset - span.start : place.end - span.start
                    ]
        return payloads

    def _decode(self, place: Place, payload: Buffer) -> Buffer:
        what = f"Chunk {place.digest.hex()} in pack {place.pack.digest.hex()}"
        return decode(self._checked(place, payload), place.codec, place.raw, what)

    def _checked(self, place: Place, payload: Buffer) -> Buffer:
        if len(payload) != place.stored or checksum_of(payload) != place.checksum:
            self._mark_damaged(place)
            raise IntegrityError(
                f"Pack {place.pack.digest.hex()} of {self._backend.url} is damaged: "
                f"chunk {place.digest.hex()} does not match its checksum.",
                "Run `dsvc pull` to fetch it anew from a remote.",
            )
        return payload

    def _map(self, place: Place) -> memoryview | None:
        digest = place.pack.digest
        with self._lock:
            pack = self._maps.get(digest)
            if pack is not None:
                self._maps.move_to_end(digest)
                return pack
        try:
            pack = self._backend.map(pack_name(digest))
        except NotFoundError as error:
            raise self._missing(digest) from error
        if pack is not None:
            with self._lock:
                self._maps[digest] = pack
                if len(self._maps) > _MAX_MAPS:
                    self._maps.popitem(last=False)
        return pack

    def _missing(self, pack: Digest) -> MissingPackError:
        hint = "Run `dsvc pull` to fetch it anew from a remote."
        return MissingPackError(pack, self._backend.url, hint)

    def _mark_damaged(self, place: Place) -> None:
        """Leave a note for `pull`; only where packs are local, so not in a remote store."""
        if self._map(place) is None:
            return
        try:
            self._backend.put(damaged_name(place.pack.digest))
        except DatasetError:
            return  # A read-only store: the error that follows says enough.


def _recipe_of(place: Place) -> str:
    return f"The recipe of file {place.digest.hex()}"
