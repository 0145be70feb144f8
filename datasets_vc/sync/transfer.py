"""Moving chunks: whole packs where most of one is wanted, ranges of it elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Digest
from datasets_vc.errors import IntegrityError, MissingDataError, NotFoundError
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.pack import DATA
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import ChunkWriter, Store, Written
from datasets_vc.store.compact import is_history
from datasets_vc.store.counted import CollectedError
from datasets_vc.store.index import Place
from datasets_vc.store.names import pack_name
from datasets_vc.store.reader import MissingPackError, Span, coalesce
from datasets_vc.store.verify import verify_chunk, verify_pack

WHOLE_PACK_BELOW = 1 << 20
"""Bytes; fetching a smaller pack whole costs less than asking for parts of it."""

SEND_WHOLE_FROM = 16 << 20
"""Bytes; smaller packs are put together into larger ones when they are sent."""

_BATCH_BYTES = 512 << 20
_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Moved:
    """Objects and chunks that were moved; bytes and requests are counted by the backend."""

    packs: int = 0
    chunks: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(self.packs + other.packs, self.chunks + other.chunks)


@dataclass(frozen=True, slots=True)
class _Job:
    """One request: a whole pack, or a span of it."""

    pack: PackInfo
    span: Span | None
    chunks: int

    @property
    def size(self) -> int:
        return self.span.end - self.span.start if self.span else self.pack.size


def receive(
    local: Store, remote: Store, digests: Sequence[Digest], progress: Progress = SILENT
) -> Moved:
    """Bring chunks that `local` does not have from `remote`, verified, and list them in its index.

    They are listed batch by batch, and whole packs of a batch that was cut short are found again
    on disk, so that an interrupted transfer goes on near where it stopped.

    Raises:
        MissingDataError: the remote does not have one of them.
        IntegrityError: what arrived is not what was asked for; nothing of it is kept.
    """
    try:
        return _receive(local, remote, digests, progress)
    except (MissingPackError, CollectedError):
        # The remote may have replaced it since its index was read, or a collection was here.
        remote.refresh()
        local.refresh()
        return _receive(local, remote, digests, progress)


def _receive(local: Store, remote: Store, digests: Sequence[Digest], progress: Progress) -> Moved:
    wanted = local.index.locate(list(dict.fromkeys(digests))).missing()
    if not wanted:
        return Moved()
    places = remote.index.locate(wanted)
    if places.missing():
        raise MissingDataError(
            f"The remote {remote.url} does not hold {places.missing()[0].hex()}, which belongs to "
            "the version asked for.",
            "Push that version again from a machine that has it.",
        )
    jobs = _plan(local, remote, places.places())
    progress.begin("Receiving", sum(job.size for job in jobs), "B")
    for batch in _batches(jobs):
        _receive_batch(local, remote, batch, progress)
    progress.end()
    return Moved(len({job.pack.digest for job in jobs}), len(wanted))


def send(
    local: Store, remote: Store, digests: Sequence[Digest], progress: Progress = SILENT
) -> Written:
    """Put chunks of `local` into packs at `remote`, which the caller then publishes there.

    Raises:
        MissingDataError: the local store does not have one of them.
        IntegrityError: a local pack is damaged.
    """
    # Packs of metadata are never sent whole: a commit or node that came along would make the remote
    # look as if it had all that lies below it.
    generation = remote.seen.gc_generation
    found = local.index.locate(list(dict.fromkeys(digests)))
    if found.missing():
        raise MissingDataError(
            f"This store lacks {len(found.missing())} chunks of what is to be pushed, "
            f"such as {found.missing()[0].hex()}, and so does the remote.",
            "Fetch that version first from a remote that has it: dsvc fetch REMOTE REV",
        )
    places = found.places()
    history = [place for place in places if is_history(place)]
    by_pack = _by_pack([place for place in places if not is_history(place)])
    whole = [
        pack
        for pack, places in by_pack.items()
        if pack.category == DATA and pack.size >= SEND_WHOLE_FROM and _mostly(pack, places)
    ]
    parts = [history, *(places for pack, places in by_pack.items() if pack not in whole)]
    total = sum(place.stored for places in parts for place in places)
    progress.begin("Sending", total + sum(pack.size for pack in whole), "B")
    with ThreadPoolExecutor(_PARALLEL) as pool:
        sent = list(pool.map(partial(_send_pack, local, remote.backend, progress), whole))
    tables = [table for table in sent if table]
    parts += [by_pack[pack] for pack, table in zip(whole, sent, strict=True) if not table]
    rest = _send_parts(local, remote.writer(), parts, progress)
    progress.end()
    return Written(
        tables=(*tables, *rest.tables),
        bytes=rest.bytes + sum(pack.size for table in tables for pack in table.packs),
        chunks=rest.chunks + sum(len(table.digests) for table in tables),
        counted=rest.counted,
        generation=generation,
    )


def _plan(local: Store, remote: Store, places: Sequence[Place]) -> list[_Job]:
    jobs: list[_Job] = []
    by_pack = _by_pack(places)
    small = [pack for pack in by_pack if pack.size <= WHOLE_PACK_BELOW]
    for pack, held in _by_pack(remote.index.places_in(*small)).items():
        # Most of a pack that was merged at the remote may be here; the rest comes along.
        here = local.index.contains([place.digest for place in held]).tolist()
        if any(here):
            by_pack[pack] = [place for place, there in zip(held, here, strict=True) if not there]
        else:
            jobs.append(_Job(pack, None, len(by_pack.pop(pack))))
    for pack, wanted in by_pack.items():
        if pack.size > WHOLE_PACK_BELOW and _mostly(pack, wanted):
            jobs.append(_Job(pack, None, len(wanted)))
        else:
            jobs += [_Job(pack, span, len(span.places)) for span in coalesce(wanted)]
    return jobs


def _batches(jobs: Sequence[_Job]) -> Iterator[list[_Job]]:
    batch: list[_Job] = []
    size = 0
    for job in jobs:
        batch.append(job)
        size += job.size
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _receive_batch(local: Store, remote: Store, jobs: Sequence[_Job], progress: Progress) -> None:
    writer = local.writer()

    def run(job: _Job) -> IndexTable | None:
        table = None
        if job.span is None:
            table = _receive_pack(local.backend, remote, job.pack)
        else:
            _receive_span(writer, remote, job.pack, job.span)
        progress.advance(job.size)
        return table

    with writer:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            tables = _all_or_first_error(pool, run, jobs)
        written = writer.finish()
    whole = tuple(table for table in tables if table is not None)
    local.publish(replace(written, tables=(*written.tables, *whole)))


def _all_or_first_error(
    pool: ThreadPoolExecutor, run: Callable[[_Job], IndexTable | None], jobs: Sequence[_Job]
) -> list[IndexTable | None]:
    """Run all jobs; after an error or an interrupt those that have not begun are dropped."""
    try:
        return list(pool.map(run, jobs))
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise


def _receive_pack(local: Backend, remote: Store, pack: PackInfo) -> IndexTable:
    name = pack_name(pack.digest)
    try:
        # Left here by a transfer that was interrupted before it could list the pack.
        return verify_pack(local.get(name), pack.digest, local.url)
    except (NotFoundError, IntegrityError):
        data = _get(remote, pack)
    with _told_what_to_do():
        table = verify_pack(data, pack.digest, remote.url)
    local.put(name, data)
    return table


def _receive_span(writer: ChunkWriter, remote: Store, pack: PackInfo, span: Span) -> None:
    data = memoryview(_get(remote, pack, span.start, span.end))
    for place in span.places:
        payload = data[place.offset - span.start : place.end - span.start]
        with _told_what_to_do():
            verify_chunk(place, payload, remote.url)
        writer.add_encoded(place.digest, place.codec, payload, place.raw, pack.category)


@contextmanager
def _told_what_to_do() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        hint = "Put a sound copy of that pack there, or pull from another remote."
        raise IntegrityError(error.message, hint) from error


def _get(remote: Store, pack: PackInfo, start: int = 0, end: int | None = None) -> bytes:
    try:
        return remote.backend.get(pack_name(pack.digest), start, end)
    except NotFoundError as error:
        hint = "Try again; if it is lost, push again from a machine that has it."
        raise MissingPackError(pack.digest, remote.url, hint) from error


def _send_pack(
    local: Store, remote: Backend, progress: Progress, pack: PackInfo
) -> IndexTable | None:
    """Send a pack as it is; None if it is gone: its chunks may be in another one by now."""
    name = pack_name(pack.digest)
    try:
        data = local.backend.map(name) or local.backend.get(name)
    except NotFoundError:
        return None
    table = verify_pack(data, pack.digest, local.url)
    remote.put(name, data)
    progress.advance(pack.size)
    return table


def _send_parts(
    local: Store, writer: ChunkWriter, parts: Sequence[Sequence[Place]], progress: Progress
) -> Written:
    with writer:
        for places in parts:
            for place, payload in local.read_encoded([place.digest for place in places]):
                category = place.pack.category
                writer.add_encoded(place.digest, place.codec, payload, place.raw, category)
                progress.advance(place.stored)
        return writer.finish()


def _by_pack(places: Sequence[Place]) -> dict[PackInfo, list[Place]]:
    by_pack: dict[PackInfo, list[Place]] = {}
    for place in places:
        by_pack.setdefault(place.pack, []).append(place)
    return by_pack


def _mostly(pack: PackInfo, places: Sequence[Place]) -> bool:
    return 2 * sum(place.stored for place in places) > pack.size
