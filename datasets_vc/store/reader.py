"""Reading chunks and files back, verified, from memory maps or by ranged requests.

Whoever makes a store makes its index and its checksums, too: these find damage, and no lie. So
what is read is held against its digest, wherever it lies.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Lock

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Buffer, Digest, checksum_of, digest_of
from datasets_vc.errors import DatasetError, IntegrityError, MissingDataError, NotFoundError
from datasets_vc.format.location import RAW, RECIPE
from datasets_vc.format.recipe import Recipe, decode_recipe
from datasets_vc.memory import let_go
from datasets_vc.store.chunking import decode
from datasets_vc.store.index import ChunkIndex, Place
from datasets_vc.store.names import damaged_name, pack_name
from datasets_vc.store.proved import ProvedChunks
from datasets_vc.store.spans import Extent, Piece, Pieces, RecipeId, Span, coalesce

_MAX_MAPS = 1024
_PARALLEL_REQUESTS = 8
_REMEMBERED_FROM = 1 << 12
"""Bytes; of shorter chunks the digest takes no longer than looking up that it was right."""


class MissingPackError(IntegrityError):
    """A pack that the index lists is not there: lost, or replaced by another writer."""

    def __init__(self, pack: Digest, where: str, hint: str) -> None:
        super().__init__(f"Pack {pack.hex()} is missing from {where}.", hint)


class WrongRecipeError(IntegrityError):
    """A recipe makes something else than what it is stored under, or stands for what is no file."""


class WrongSizeError(IntegrityError):
    """A file has another size than the entry that names it says."""


class Reader:
    """Reads what an index has located; keeps packs mapped where the backend can map them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._maps: OrderedDict[Digest, memoryview] = OrderedDict()
        self._lock = Lock()
        self._confirmed: set[RecipeId] = set()
        self._mappings: dict[Digest, int] = {}
        self._next_mapping = count()
        self._proved = ProvedChunks()

    def chunks(self, index: ChunkIndex, digests: Sequence[Digest]) -> list[Buffer]:
        """Chunks, verified and decoded, in the order asked for; none of them a recipe."""
        places = self.locate(index, digests)
        for place in places:
            self._refuse_recipe(place)
        payloads = self._payloads(places)
        return [self._decode(place, payloads[place.digest]) for place in places]

    def recipes(self, index: ChunkIndex, files: Sequence[Digest]) -> list[Recipe]:
        """What files are made of, in the order asked for; a single chunk is made of itself."""
        places = self.locate(index, files)
        payloads = self._payloads([place for place in places if place.codec == RECIPE])
        return [
            self._recipe(place, payloads[place.digest])[0]
            if place.codec == RECIPE
            else Recipe((place.digest,), (place.raw,))
            for place in places
        ]

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
            payload = payloads[place.digest]
            if place.codec != RECIPE:
                files.append(self._decode(place, payload))
                continue
            recipe, content = self._recipe(place, payload)
            if sizes is not None:
                check_size(place.digest, recipe.size, sizes[row])
            files.append(self._assemble(index, place, recipe, content))
        return files

    def extent(self, index: ChunkIndex, piece: Piece) -> Extent:
        """A chunk of a file, verified and decoded, and where in a local pack its bytes lie."""
        (place,) = self.locate(index, [piece.digest])
        if piece.recipe is not None:
            self._check_piece(index, piece.recipe, place, piece.size)
        data = self._decode(place, self._payloads([place])[piece.digest])
        raw = place.codec == RAW and self._map(place) is not None
        return Extent(data, place.pack.digest if raw else None, place.offset)

    def pieces(self, index: ChunkIndex, digest: Digest) -> Pieces:
        """The chunks of a file; itself, where it is one."""
        (place,) = self.locate(index, [digest])
        if place.codec != RECIPE:
            return Pieces([Piece(digest, place.raw)])
        recipe, content = self._recipe(place, self._payloads([place])[digest])
        pairs = zip(recipe.digests, recipe.lengths, strict=True)
        return Pieces([Piece(piece, size, digest) for piece, size in pairs], content)

    def confirm(self, index: ChunkIndex, recipe: RecipeId, found: Digest) -> None:
        """Make sure that the chunks of a recipe make the file that it is stored under.

        Every chunk is checked by itself; that they belong together is checked once for the bytes
        of a recipe: another one may come under the same digest. One that lies is marked like
        damage, so that the next `pull` forgets it.

        Raises:
            IntegrityError: they make something else.
        """
        if found != recipe.file:
            problem = "what it makes does not match its digest"
            raise self._wrong_recipe(index, recipe.file, problem)
        self._confirmed.add(recipe)

    def is_confirmed(self, recipe: RecipeId) -> bool:
        return recipe in self._confirmed

    def stored(self, places: Sequence[Place]) -> list[Buffer]:
        """Payloads as they are stored, verified but not decoded."""
        payloads = self._payloads(places)
        return [self._checked(place, payloads[place.digest]) for place in places]

    def forget(self, packs: Iterable[Digest]) -> None:
        """Drop the maps of packs; slices that were handed out stay as they are."""
        with self._lock:
            for pack in packs:
                self._maps.pop(pack, None)
                self._mappings.pop(pack, None)

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

    def _assemble(
        self, index: ChunkIndex, file: Place, recipe: Recipe, content: RecipeId
    ) -> Buffer:
        places = self.locate(index, recipe.digests)
        for place, size in zip(places, recipe.lengths, strict=True):
            self._check_piece(index, file.digest, place, size)
        payloads = self._payloads(places)
        pieces = [self._decode(place, payloads[place.digest]) for place in places]
        whole = self._one_slice(places)
        data = whole if whole is not None else b"".join(pieces)
        if not self.is_confirmed(content):
            self.confirm(index, content, digest_of(data))
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

    def _recipe(self, place: Place, payload: Buffer) -> tuple[Recipe, RecipeId]:
        """A recipe, which nothing but the whole file can prove, and what to call these bytes."""
        what = _recipe_of(place)
        data = decode(self._checked(place, payload), place.codec, place.raw, what)
        return decode_recipe(data, what), RecipeId(place.digest, digest_of(data))

    def _decode(self, place: Place, payload: Buffer) -> Buffer:
        """A chunk that is no recipe, held against its digest."""
        self._refuse_recipe(place)
        what = f"Chunk {place.digest.hex()} in pack {place.pack.digest.hex()}"
        data = decode(self._checked(place, payload), place.codec, place.raw, what)
        if self._matches(place, data):
            return data
        self._mark_damaged(place)
        raise IntegrityError(
            f"{what} of {self._backend.url} is not what it is stored as: it does not match its "
            "digest.",
            "Read that version from another store that has it.",
        )

    def _matches(self, place: Place, data: Buffer) -> bool:
        """Whether a chunk has its digest; of one that stays mapped it is found out once."""
        mapping = self._mappings.get(place.pack.digest)
        if mapping is None or place.raw < _REMEMBERED_FROM:
            return digest_of(data) == place.digest
        if self._proved.has(place, mapping):
            return True
        if digest_of(data) != place.digest:
            return False
        self._proved.add(place, mapping)
        return True

    def _refuse_recipe(self, place: Place) -> None:
        if place.codec != RECIPE:
            return
        self._mark_damaged(place)
        raise WrongRecipeError(
            f"Chunk {place.digest.hex()} in {self._backend.url} is stored as a recipe, which only "
            "a file can be.",
            "Read that version from another store that has it.",
        )

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
                self._mappings[digest] = next(self._next_mapping)
                if len(self._maps) > _MAX_MAPS:
                    oldest, _ = self._maps.popitem(last=False)
                    self._mappings.pop(oldest, None)
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
