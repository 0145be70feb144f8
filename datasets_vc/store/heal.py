"""Put a store back in order when packs of it are damaged or gone."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from datasets_vc.digest import Digest
from datasets_vc.errors import IntegrityError, NotFoundError
from datasets_vc.format.index import PackInfo
from datasets_vc.format.location import RECIPE
from datasets_vc.format.root import Root
from datasets_vc.store.names import PACKS, damaged_name, pack_name, quarantine_name
from datasets_vc.store.store import Store
from datasets_vc.store.verify import is_wrong, verify_chunk


def heal(store: Store) -> list[Digest]:
    """Move the sound chunks of damaged packs to new ones and forget the others.

    A pack with damaged chunks goes to quarantine: somebody may still get something out of it.

    Packs count as damaged if a reader marked them, or if they are missing or have another size
    than the index says; contents of other packs are not read. A recipe that makes something else
    than the file that it is stored under is forgotten, too. What is forgotten can be fetched.

    Returns:
        The digests that the store has lost.
    """
    bad = _damaged_packs(store)
    if not bad:
        return []
    names = frozenset(pack.digest for pack in bad)
    sound = store.index.without(names)
    writer = store.writer(sound)
    lost: list[Digest] = []
    incomplete = set()
    for pack in bad:
        data = _read(store, pack)
        for place in store.index.places_in(pack):
            payload = data[place.offset : place.end]
            try:
                verify_chunk(place, payload, store.url)
                if place.codec == RECIPE and is_wrong(store, place.digest):
                    raise IntegrityError("It makes another file.")
            except IntegrityError:
                lost.append(place.digest)
                incomplete.add(pack.digest)
            else:
                category = place.pack.category
                writer.add_encoded(place.digest, place.codec, payload, place.raw, category)
    written = writer.finish()
    # A pack whose chunks are all sound may have been written again, under its own name.
    retired = names - {pack.digest for pack in written.packs}
    store.publish(written, _raised if lost else _same, retire=retired)
    for name in names:
        if name in retired:
            if name in incomplete:
                _quarantine(store, name)
            store.backend.delete(pack_name(name))
        store.backend.delete(damaged_name(name))
    store.forget_packs(names)
    return [digest for digest in lost if store.find(digest) is None]


def _same(root: Root) -> Root:
    return root


def _raised(root: Root) -> Root:
    """Tells writers that chunks which they count on may be gone."""
    return replace(root, gc_generation=root.gc_generation + 1)


def _damaged_packs(store: Store) -> list[PackInfo]:
    sizes = {info.name: info.size for info in store.backend.list(PACKS)}
    unique = {pack.digest: pack for pack in store.index.packs}
    return [
        pack
        for pack in unique.values()
        if sizes.get(pack_name(pack.digest)) != pack.size or damaged_name(pack.digest) in sizes
    ]


def _quarantine(store: Store, pack: Digest) -> None:
    """Keep what is left of a pack elsewhere."""
    with suppress(NotFoundError):
        store.backend.put(quarantine_name(pack), store.backend.get(pack_name(pack)))


def _read(store: Store, pack: PackInfo) -> memoryview:
    """What is left of a pack; nothing if it is gone."""
    name = pack_name(pack.digest)
    try:
        data = store.backend.map(name)
        return memoryview(store.backend.get(name)) if data is None else data
    except NotFoundError:
        return memoryview(b"")
