"""Sending chunks: packs as they are where most of one is wanted, else put together anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from datasets_vc.backends.base import Backend, ObjectWriter
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import IntegrityError, NotFoundError
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import DigestKeys, Digests, as_keys, digest_list, unique
from datasets_vc.format.pack import DATA, METADATA
from datasets_vc.memory import ViewFile, give_back
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import ChunkWriter, Store, Written
from datasets_vc.store.names import pack_name
from datasets_vc.store.packing import Encoded
from datasets_vc.store.reader import WrongRecipeError
from datasets_vc.store.verify import pack_table
from datasets_vc.sync.closure import with_recipe
from datasets_vc.sync.flow import Flow, TransferConfig
from datasets_vc.sync.plan import Sending, batches, plan_sending

_PARALLEL = 2
_RECIPES_AT_ONCE = 64
_READ_BYTES = 4 << 20
_KEYS_AT_ONCE = 1024
_STREAMED = 4 << 20
"""Bytes of memory that a pack takes while it is read and sent."""


def send(
    local: Store,
    remote: Store,
    digests: Digests,
    progress: Progress = SILENT,
    config: TransferConfig | None = None,
) -> Written:
    """Put chunks of `local` into packs at `remote`, which the caller then publishes there.

    Recipes are held against their files first: who receives them does so, too, but others would
    believe that the remote has these files.

    Raises:
        MissingDataError: the local store does not have one of them.
        IntegrityError: a local pack is damaged, or a recipe makes another file.
    """
    _check_recipes(local, with_recipe(local.index, unique(digests)))
    plan = plan_sending(local, digests)
    seen = remote.seen
    local.let_go()
    give_back()
    progress.begin("Sending", plan.bytes, "B")
    # A collection is just deleting what has these names: the chunks get into packs of other names.
    doomed = [pack for pack in plan.whole if pack.digest in seen.doomed]
    packs = [pack for pack in plan.whole if pack not in doomed]
    whole, gone = _send_whole(local, remote.backend, packs, progress, config or TransferConfig())
    rest = _send_rest(local, remote, plan, _asked_of(local, gone + doomed, digests), progress)
    progress.end()
    return Written(
        tables=(*whole, *rest.tables),
        bytes=rest.bytes + sum(pack.size for table in whole for pack in table.packs),
        chunks=rest.chunks + sum(len(table.digests) for table in whole),
        counted=rest.counted,
        generation=seen.gc_generation,
        superseded=rest.superseded,
    )


def _check_recipes(local: Store, files: DigestKeys) -> None:
    with ThreadPoolExecutor(_PARALLEL) as pool:
        for start in range(0, len(files), _RECIPES_AT_ONCE):
            some = digest_list(files[start : start + _RECIPES_AT_ONCE])
            for _ in pool.map(partial(_check_recipe, local), some):
                pass
            local.let_go()


def _check_recipe(local: Store, file: Digest) -> None:
    try:
        for _ in local.iter_extents(file):
            pass
    except WrongRecipeError as error:
        hint = "Nothing was pushed. Drop it, and get the file anew: dsvc fsck --repair"
        raise IntegrityError(error.message, hint) from error


def _send_whole(
    local: Store,
    remote: Backend,
    packs: Sequence[PackInfo],
    progress: Progress,
    config: TransferConfig,
) -> tuple[list[IndexTable], list[PackInfo]]:
    """Send packs as they are; returns their tables, and those that are gone."""
    tables: list[IndexTable] = []
    gone: list[PackInfo] = []

    def take(pack: PackInfo, table: IndexTable | None) -> None:
        if table:
            tables.append(table)
        else:
            gone.append(pack)

    Flow(config, lambda: remote.stumbles).run(
        partial(_send_pack, local, remote, progress),
        packs,
        take,
        size=lambda pack: pack.size,
        memory=lambda pack: min(pack.size, _STREAMED) if remote.streams else pack.size,
    )
    return tables, gone


def _send_pack(
    local: Store, remote: Backend, progress: Progress, pack: PackInfo
) -> IndexTable | None:
    """Send a pack as it is; None if it is gone: its chunks may be in another one by now."""
    name = pack_name(pack.digest)
    try:
        data = local.backend.map(name) or memoryview(local.backend.get(name))
    except NotFoundError:
        return None
    table = pack_table(data, pack.digest, local.url)
    remote.put_from(name, ViewFile(data, told=progress.advance))
    return table


def _asked_of(local: Store, packs: list[PackInfo], digests: Digests) -> DigestKeys:
    """Which of some chunks lie in packs, as this store's index still says."""
    if not packs:
        return as_keys([])
    places = local.index.locate(unique(digests))
    chosen = np.array([pack in packs for pack in places.packs], bool)
    asked: NDArray[np.bool_] = chosen[places.rows["pack"]]
    return places.keys[asked]


def _send_rest(
    local: Store, remote: Store, plan: Sending, gone: DigestKeys, progress: Progress
) -> Written:
    relay = _Relay(remote.backend, local.backend, progress.advance)
    seen = remote.seen
    with ChunkWriter(relay, remote.index, seen.gc_generation, doomed=seen.doomed) as writer:
        for rows in batches(plan.stored, _READ_BYTES):
            _add(local, writer, plan.rest[rows])
        for start in range(0, len(gone), _KEYS_AT_ONCE):
            _add(local, writer, gone[start : start + _KEYS_AT_ONCE])
        return writer.finish()


def _add(local: Store, writer: ChunkWriter, keys: DigestKeys) -> None:
    found = local.read_encoded(digest_list(keys))
    for category in (METADATA, DATA):
        chunks = [
            Encoded(place.digest, place.codec, payload, place.raw, place.checksum)
            for place, payload in found
            if place.pack.category == category
        ]
        writer.add_received(chunks, category)
    local.let_go()


class _Relay(Wrapper):
    """The remote, with a local place for packs that are not complete yet.

    Args:
        told: is called with how many bytes were sent.
    """

    def __init__(self, remote: Backend, place: Backend, told: Callable[[int], None]) -> None:
        super().__init__(remote)
        self._place = place
        self._told = told

    def start(self, prefix: str) -> ObjectWriter:
        return _RelayWriter(self.inner, self._place.start(prefix), self._told)


class _RelayWriter(ObjectWriter):
    """Keeps an object in a local temporary file until it is whole, and sends it then."""

    def __init__(self, remote: Backend, file: ObjectWriter, told: Callable[[int], None]) -> None:
        self._remote = remote
        self._file = file
        self._told = told

    def write(self, *parts: Buffer) -> None:
        self._file.write(*parts)

    def written(self) -> memoryview:
        return self._file.written()

    def finish(self, name: str) -> None:
        try:
            self._remote.put_from(name, ViewFile(self._file.written(), told=self._told))
        finally:
            self._file.abort()

    def abort(self) -> None:
        self._file.abort()
