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


class Piece(NamedTuple):
    """A chunk of `size` bytes; if it is one of several of a file, of the one with that recipe."""

    digest: Digest
    size: int
    recipe: Digest | None = None


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


class WrongRecipeError(IntegrityError):
    """A recipe makes something else than the file that it is stored under."""


class WrongSizeError(IntegrityError):
    """A file has another size than the entry that names it says."""


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

    def files(
        self, index: ChunkIndex, digests: Sequence[Digest], sizes: Sequence[int] | None = None
    ) -> list[Buffer]:
        """Files, put together from their chunks where they have a recipe.

        Args:
            sizes: how many bytes each has to have: one that has more takes no memory.
        """
        places = self.locate(index, digests)
        for place, size in zip(places, sizes, strict=True) if sizes is not None else ():
            if place.codec != RECIPE:
                check_size(place.digest, place.raw, size)
        payloads = self._payloads(places)
        files = []
        for row, place in enumerate(places):
            data = self._decode(place, payloads[place.digest])
            if place.codec == RECIPE:
                recipe = decode_recipe(data, _recipe_of(place))
                if sizes is not None:
                    check_size(place.digest, recipe.size, sizes[row])
                data = self._assemble(index, place, recipe)
            files.append(data)
        return files

    def extent(self, index: ChunkIndex, piece: Piece) -> Extent:
        """A chunk of a file, verified and decoded, and where in a local pack its bytes lie."""
        (place,) = self.locate(index, [piece.digest])
        if piece.recipe is not None:
            self._check_piece(index, piece.recipe, place, piece.size)
        data = self._decode(place, self._payloads([place])[piece.digest])
        raw = place.codec == RAW and self._map(place) is not None
        return Extent(data, place.pack.digest if raw else None, place.offset)

    def pieces(self, index: ChunkIndex, digest: Digest) -> list[Piece]:
        """The chunks of a file; itself, where it is one."""
        (place,) = self.locate(index, [digest])
        if place.codec != RECIPE:
            return [Piece(digest, place.raw)]
        data = self._decode(place, self._payloads([place])[digest])
        recipe = decode_recipe(data, _recipe_of(place))
        return [
            Piece(piece, size, digest)
            for piece, size in zip(recipe.digests, recipe.lengths, strict=True)
        ]

    def confirm(self, index: ChunkIndex, digest: Digest, found: Digest) -> None:
        """Make sure that the chunks of a recipe make the file that it is stored under.

        Every chunk is checked by itself; that they belong together is checked once a file. A recipe
        that lies is marked like damage, so that the next `pull` forgets it.

        Raises:
            IntegrityError: they make something else.
        """
        if found != digest:
            raise self._wrong_recipe(index, digest, "what it makes does not match its digest")
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
        for place, size in zip(places, recipe.lengths, strict=True):
            self._check_piece(index, file.digest, place, size)
        payloads = self._payloads(places)
        pieces = [self._decode(place, payloads[place.digest]) for place in places]
        whole = self._one_slice(places)
        data = whole if whole is not None else b"".join(pieces)
        if not self.is_confirmed(file.digest):
            self.confirm(index, file.digest, digest_of(data))
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
        data = decode(self._checked(place, payload), place.codec, place.raw, what)
        # A checksum finds damage, not a lie: what has not been fetched was never held against its
        # digest.
        if place.codec != RECIPE and self._map(place) is None and digest_of(data) != place.digest:
            raise IntegrityError(
                f"{what} of {self._backend.url} is not what it is stored as: it does not match its "
                "digest.",
                "Read that version from another store that has it.",
            )
        return data

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

    def _check_piece(self, index: ChunkIndex, file: Digest, place: Place, size: int) -> None:
        if place.codec == RECIPE or place.raw != size:
            problem = f"chunk {place.digest.hex()} of it does not match its length, {size} bytes"
            raise self._wrong_recipe(index, file, problem)

    def _wrong_recipe(self, index: ChunkIndex, file: Digest, problem: str) -> WrongRecipeError:
        self._mark_damaged(self.locate(index, [file])[0])
        return WrongRecipeError(
            f"The recipe of file {file.hex()} in {self._backend.url} is wrong: {problem}.",
            "Fetch that version from another store that has it.",
        )

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


def check_size(digest: Digest, found: int, expected: int) -> None:
    """Check that a file has the number of bytes that its entry says, before it is read.

    Raises:
        WrongSizeError: it has another.
    """
    if found != expected:
        raise WrongSizeError(
            f"File {digest.hex()} has {found} bytes where its entry says {expected}.",
            "Run 'dsvc fsck', and fetch it anew.",
        )
