"""Merging small packs, so that many small commits are read like a large one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import ConflictError, DatasetError, IntegrityError, NotFoundError
from datasets_vc.format.header import HEADER_SIZE
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import RECIPE, digest_list
from datasets_vc.format.pack import ALIGNMENT, DATA, METADATA, TARGET_SIZE
from datasets_vc.format.root import Root
from datasets_vc.format.run import decode_run_packs
from datasets_vc.store.growth import ready
from datasets_vc.store.index import ChunkIndex, Place, rows_in
from datasets_vc.store.names import RUN_PACKS, RUNS, damaged_name, pack_name, run_of
from datasets_vc.store.packing import Encoded, Origin, PackBuilder
from datasets_vc.store.reader import MissingPackError
from datasets_vc.store.store import Store
from datasets_vc.store.verify import verify_chunk
from datasets_vc.store.writer import Written

GROWTH = 8
"""Packs are merged once together they are so many times as large as the largest of them."""

HISTORY_BELOW = 2048
"""Bytes; chunks of metadata that are shorter, and no recipes, are commits mostly.

They come first in a pack, so that who fetches history finds it in one place.
"""

SMALL = 4 << 20
"""Bytes; packs that are as large, or larger, are left alone."""

SMALL_AT_REMOTE = 1 << 20
"""What is merged at a remote is sent again, and takes space there until it is collected."""

_BATCH_BYTES = 1 << 20

_Chunks = Sequence[tuple[Place, Buffer]]


def compact(
    store: Store, small: int = SMALL, *, source: Store | None = None, delete: bool = False
) -> Written:
    """Merge small packs where there are many, but none that a run pinned.

    The new packs hold the same chunks, each verified; the swap of the root that lists them drops
    the old ones. A pack with a damaged chunk is left alone. If somebody else has replaced one of
    the packs meanwhile, nothing changes.

    Args:
        small: packs of fewer bytes are merged.
        source: a store to take those chunks from that it has in the same encoding.
        delete: remove what is not needed any more at once. Readers on this machine keep what they
            have mapped, and read the root again where a pack is gone; on others they may not.

    Returns:
        What was written; nothing if there was nothing to merge.

    Raises:
        DatasetError: it could not be done; all chunks are where they were.
    """
    if not any(due(store.index.packs, category, small) for category in (DATA, METADATA)):
        return Written()
    generation = store.seen.gc_generation
    pinned = pinned_packs(store)
    free = [pack for pack in store.index.packs if pack.digest not in pinned]
    tables: list[IndexTable] = []
    merged: set[Digest] = set()
    for category in (DATA, METADATA):
        packs, new = _merge(store, source, due(free, category, small), category)
        merged.update(packs)
        tables += new
    written = Written(
        tables=tuple(tables),
        bytes=sum(pack.size for table in tables for pack in table.packs),
        chunks=sum(len(table.digests) for table in tables),
        generation=generation,
    )
    # What is merged with copies of some of its own chunks only is the same pack again.
    retired = frozenset(merged - {pack.digest for pack in written.packs})
    replaced = bool(retired) and _replace(store, retired, written)
    if delete:
        _delete_unlisted(store, merged.union(pack.digest for pack in written.packs))
    return written if replaced else Written()


def rewrite(
    store: Store, packs: Iterable[PackInfo], *, source: Store | None = None, delete: bool = False
) -> list[PackInfo]:
    """Write what is listed of packs to new ones, without what is not; see `compact`.

    Returns:
        The packs that the new ones replace.
    """
    replaced: list[PackInfo] = []
    for group in _groups(store, packs):
        written_from = store.seen.gc_generation
        sound = _sound_packs(store, source, group)
        tables = tuple(_write(store, group[0].category, sound.values())) if sound else ()
        written = Written(tables, generation=written_from)
        retired = frozenset(sound.keys() - {pack.digest for pack in written.packs})
        if retired and _replace(store, retired, written):
            replaced += [pack for pack in group if pack.digest in retired]
        if delete:
            _delete_unlisted(store, {*retired, *(pack.digest for pack in written.packs)})
    return replaced


def _groups(store: Store, packs: Iterable[PackInfo]) -> Iterator[list[PackInfo]]:
    """Packs of one class of which as much is listed as a new pack may have."""
    for category in (DATA, METADATA):
        group: list[PackInfo] = []
        size = 0
        for pack in [pack for pack in packs if pack.category == category]:
            listed = sum(place.stored for place in store.index.places_in(pack))
            if group and size + listed > TARGET_SIZE:
                yield group
                group, size = [], 0
            group.append(pack)
            size += listed
        if group:
            yield group


def due(packs: Iterable[PackInfo], category: int, small: int) -> list[PackInfo]:
    """Which packs of a class, of less than `small` bytes, to merge now: none, or at least two.

    The largest comes first: it is the oldest, mostly.
    """
    some = {pack for pack in packs if pack.category == category and pack.size < small}
    ordered = sorted(some, key=lambda pack: (pack.size, pack.digest))
    count = ready([pack.size for pack in ordered], GROWTH, TARGET_SIZE)
    return ordered[:count][::-1]


def is_history(place: Place) -> bool:
    """Whether a chunk is a commit, as far as one can tell from outside."""
    short = place.raw < HISTORY_BELOW and place.codec != RECIPE
    return short and place.pack.category == METADATA


def pinned_packs(store: Store) -> set[Digest]:
    """The packs that some run wants left as they are."""
    names = [info.name for info in store.backend.list(RUNS) if run_of(info.name, RUN_PACKS)]
    return {
        pack
        for name in names
        for pack in decode_run_packs(store.backend.get(name), f"The object {name} of {store.url}")
    }


def _merge(
    store: Store, source: Store | None, packs: Sequence[PackInfo], category: int
) -> tuple[Iterable[Digest], Sequence[IndexTable]]:
    """Write the chunks of packs to a new one; returns those that are in it, and its table."""
    sound = _sound_packs(store, source, packs)
    return (list(sound), _write(store, category, sound.values())) if len(sound) > 1 else ((), ())


def _sound_packs(
    store: Store, source: Store | None, packs: Iterable[PackInfo]
) -> dict[Digest, _Chunks]:
    """What the index says that packs hold, in the order of each pack; damaged ones are left out."""
    found: dict[Digest, _Chunks] = {}
    for pack in packs:
        if source is None and _is_marked(store, pack):
            continue
        places = sorted(store.index.places_in(pack), key=lambda place: place.offset)
        try:
            payloads = _payloads(store, source, places)
            for place, payload in zip(places, payloads, strict=True):
                verify_chunk(place, payload, store.url)
        except MissingPackError:
            continue
        except IntegrityError:
            if source is None:
                store.backend.put(damaged_name(pack.digest))
            continue
        found[pack.digest] = list(zip(places, payloads, strict=True))
    return found


def _is_marked(store: Store, pack: PackInfo) -> bool:
    try:
        store.backend.stat(damaged_name(pack.digest))
    except NotFoundError:
        return False
    return True


def _payloads(store: Store, source: Store | None, places: Sequence[Place]) -> list[Buffer]:
    """What is stored at places of `store`, read from `source` as far as it has the same."""
    found: dict[Digest, Buffer] = {}
    if source is not None:
        wanted = {place.digest: place for place in places}
        here = source.index.contains(list(wanted)).tolist()
        held = source.index.locate(
            [name for name, there in zip(wanted, here, strict=True) if there]
        )
        same = [
            place for place in held.places() if _encoding(place) == _encoding(wanted[place.digest])
        ]
        found = dict(zip([place.digest for place in same], source.read_stored(same), strict=True))
    rest = [place for place in places if place.digest not in found]
    found |= zip([place.digest for place in rest], store.read_stored(rest), strict=True)
    return [found[place.digest] for place in places]


def _encoding(place: Place) -> tuple[int, int, int, int]:
    return place.checksum, place.stored, place.raw, place.codec


def _write(store: Store, category: int, packs: Iterable[_Chunks]) -> Sequence[IndexTable]:
    builder = PackBuilder(store.backend, category, frozenset(store.seen.doomed))
    try:
        for chunks in packs if category == DATA else [_history_first(packs)]:
            for batch, origin in _batches(chunks):
                builder.add(batch, origin if category == DATA else None)
        return builder.finish()
    finally:
        builder.abort()


def _history_first(packs: Iterable[_Chunks]) -> _Chunks:
    chunks = [chunk for pack in packs for chunk in pack]
    return sorted(chunks, key=lambda chunk: not is_history(chunk[0]))


def _batches(chunks: _Chunks) -> Iterator[tuple[list[Encoded], Origin | None]]:
    """Chunks that lie end to end in a pack, and where in it, if they were aligned to be there."""
    batch: list[Encoded] = []
    origin: Origin | None = None
    size, end = 0, HEADER_SIZE
    for place, payload in chunks:
        if batch and (place.offset != end or size >= _BATCH_BYTES):
            yield batch, origin
            batch, origin, size = [], None, 0
        if not batch and 0 < place.offset - end < ALIGNMENT:
            origin = Origin(place.offset, None)
        batch.append(Encoded(place.digest, place.codec, payload, place.raw, place.checksum))
        size += place.stored
        end = place.end
    if batch:
        yield batch, origin


def _replace(store: Store, retired: frozenset[Digest], written: Written) -> bool:
    """List new packs instead of old ones, if these still are listed and nothing would be lost."""
    new = ChunkIndex(written.tables)

    def unless_overtaken(root: Root) -> Root:
        listed: set[Digest] = set()
        for table in map(store.indexes.read, root.indexes):
            listed.update(pack.digest for pack in table.packs)
            held = digest_list(table.digests[rows_in(table, retired)])
            if not new.contains(held).all():
                raise ConflictError(f"Chunks came into old packs of {store.url}.")
        if not retired <= listed:
            raise ConflictError(f"Packs of {store.url} were replaced by somebody else.")
        return root

    try:
        store.publish(written, unless_overtaken, retire=retired)
    except ConflictError:
        store.refresh()
        return False
    return True


def _delete_unlisted(store: Store, packs: set[Digest]) -> None:
    """Delete those of some packs that the index does not list: others may have made the same."""
    store.forget_packs(packs)
    for pack in packs - {pack.digest for pack in store.index.packs}:
        # Windows keeps what is mapped: it is garbage then, and a collection finds it.
        with suppress(DatasetError):
            store.backend.delete(pack_name(pack))
