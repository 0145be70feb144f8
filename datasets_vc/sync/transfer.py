"""Receiving chunks: whole packs as they stream in, ranges of others, every byte verified."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from datasets_vc.backends.base import ObjectWriter
from datasets_vc.digest import Digest, Hasher
from datasets_vc.errors import IntegrityError, NotFoundError
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import Digests, joined
from datasets_vc.memory import give_back
from datasets_vc.progress import SILENT, Progress, phase
from datasets_vc.store import Store, Written
from datasets_vc.store.counted import CollectedError
from datasets_vc.store.index import without_recipes
from datasets_vc.store.names import PACKS, pack_name
from datasets_vc.store.packing import Encoded
from datasets_vc.store.reader import MissingPackError
from datasets_vc.store.verify import check_digest, verify_chunks, verify_pack, verify_range
from datasets_vc.sync.flow import Flow, Job, Result, TransferConfig
from datasets_vc.sync.plan import Piece, Receiving, plan_receiving

_PUBLISH_BYTES = 256 << 20
"""Packs are listed in the index when so much has arrived."""

_PIECES_BYTES = 256 << 20
_PACKS_AT_ONCE = 128
"""Parts of so many packs are brought and listed together; each is locked meanwhile."""

_STREAMED = 8 << 20
"""Bytes of memory that a pack takes while it streams in, and is looked at."""

_PAUSE = 0.05

_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class Moved:
    """Objects and chunks that were moved; bytes and requests are counted by the backend."""

    packs: int = 0
    chunks: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(self.packs + other.packs, self.chunks + other.chunks)


def receive(
    local: Store,
    remote: Store,
    digests: Digests,
    progress: Progress = SILENT,
    config: TransferConfig | None = None,
) -> Moved:
    """Bring chunks that `local` does not have from `remote`, verified, and list them in its index.

    A recipe is no chunk: none is asked for, and none that comes along in a pack is listed.

    They are listed batch by batch, and whole packs of a batch that was cut short are found again
    on disk, so that an interrupted transfer goes on near where it stopped. Several processes that
    receive into one store share the work: none fetches what another one is fetching.

    Raises:
        MissingDataError: the remote does not have one of them.
        IntegrityError: what arrived is not what was asked for, or is a recipe there; nothing of it
            is kept.
        CollectedError: collections of the local store went on all the time.
    """

    def attempt() -> Moved:
        plan = plan_receiving(local, remote, digests)
        return _Receiver(local, remote, progress, config or TransferConfig()).run(plan)

    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except (MissingPackError, CollectedError):
            # The remote may have replaced it since its index was read, or a collection was here.
            remote.refresh()
            local.refresh()
    return attempt()


def left_behind(local: Store, packs: Sequence[PackInfo]) -> list[PackInfo]:
    """Those packs whose bytes are here, though a transfer was cut short before it listed them."""
    sizes = {}
    for pack in packs:
        try:
            sizes[pack.digest] = local.backend.stat(pack_name(pack.digest)).size
        except NotFoundError:
            continue
    return [pack for pack in packs if sizes.get(pack.digest) == pack.size]


@dataclass(slots=True)
class _Arrived:
    """Packs that are here and in no index yet."""

    tables: list[IndexTable] = field(default_factory=list)
    bytes: int = 0


class _Receiver:
    """One transfer into a local store."""

    def __init__(
        self,
        local: Store,
        remote: Store,
        progress: Progress,
        config: TransferConfig,
    ) -> None:
        self._local = local
        self._remote = remote
        self._generation = local.seen.gc_generation
        self._progress = progress
        self._flow = Flow(config, lambda: remote.backend.stumbles)
        self._arrived = _Arrived()
        # Looking at chunks needs Python's lock for each: threads that do so together take longer.
        self._verifying = threading.Lock()

    def run(self, plan: Receiving) -> Moved:
        if not plan.chunks:
            return Moved()
        fresh = self._take_left_behind(plan.whole)
        size = sum(pack.size for pack in fresh) + sum(piece.size for piece in plan.pieces)
        with phase(self._progress, "Receiving", size, "B"):
            self._bring_packs(fresh)
            self._bring_pieces(plan.pieces)
        return Moved(plan.packs, plan.chunks)

    # Whole packs

    def _take_left_behind(self, packs: Sequence[PackInfo]) -> list[PackInfo]:
        """List what is here already; returns what has to be brought."""
        here = left_behind(self._local, packs)
        if not here:
            return list(packs)
        taken = set()
        with phase(self._progress, "Checking", sum(pack.size for pack in here), "B"):
            for pack in here:
                table = self._left(pack)
                if table:
                    taken.add(pack.digest)
                    self._take(pack, table)
                self._progress.advance(pack.size)
            self._publish()
        return [pack for pack in packs if pack.digest not in taken]

    def _bring_packs(self, packs: Sequence[PackInfo]) -> None:
        others: list[PackInfo] = []

        def take(pack: PackInfo, table: IndexTable | None) -> None:
            if table is None:
                others.append(pack)
            else:
                self._take(pack, table)

        self._run(partial(self._pack, wait=False), packs, take, self._pack_memory)
        self._publish()
        if others:
            # Another process has been at them meanwhile.
            self._local.refresh()
            listed = {pack.digest for pack in self._local.index.packs}
            rest = [pack for pack in others if pack.digest not in listed]
            done = sum(pack.size for pack in others) - sum(pack.size for pack in rest)
            self._progress.advance(done)
            self._run(partial(self._pack, wait=True), rest, take, self._pack_memory)
            self._publish()

    def _pack(self, pack: PackInfo, *, wait: bool) -> IndexTable | None:
        """Bring a pack; None, unless told to wait, while another process does that."""
        name = pack_name(pack.digest)
        while True:
            with self._local.backend.exclusive(name) as mine:
                if mine:
                    return self._left_meanwhile(pack) or self._stream(pack)
            if not wait:
                return None
            self._flow.go_on(_PAUSE)

    def _left_meanwhile(self, pack: PackInfo) -> IndexTable | None:
        table = self._left(pack)
        if table:
            self._progress.advance(pack.size)
        return table

    def _left(self, pack: PackInfo) -> IndexTable | None:
        """What a pack holds that is here, if it is whole."""
        name = pack_name(pack.digest)
        try:
            data = self._local.backend.map(name) or self._local.backend.get(name)
            return verify_pack(data, pack.digest, self._local.url)
        except (NotFoundError, IntegrityError):
            return None

    def _stream(self, pack: PackInfo) -> IndexTable:
        incoming = self._local.backend.start(PACKS)
        try:
            digest = self._write(pack, incoming)
            with _told_what_to_do():
                check_digest(pack.digest, digest, self._remote.url)
                with self._verifying:
                    table = verify_chunks(incoming.written(), pack.digest, self._remote.url)
            incoming.finish(pack_name(pack.digest))
        except BaseException:
            incoming.abort()
            raise
        return table

    def _write(self, pack: PackInfo, incoming: ObjectWriter) -> Digest:
        """Write a pack as it comes; returns the digest of what came."""
        hasher = Hasher()
        size = 0
        with self._named(pack):
            for piece in self._remote.backend.stream_to(pack_name(pack.digest), pack.size + 1):
                incoming.write(piece)
                hasher.update(piece)
                size += len(piece)
                self._progress.advance(len(piece))
                if size > pack.size:
                    break  # It is another one; there is no end to it, perhaps.
                if size < pack.size:
                    self._flow.go_on()
        return Digest(hasher.digest())

    def _pack_memory(self, pack: PackInfo) -> int:
        return min(pack.size, _STREAMED) if self._remote.backend.streams else pack.size

    # Parts of packs

    def _bring_pieces(self, pieces: Sequence[Piece]) -> None:
        waiting = _by_pack(pieces)
        while waiting:
            batch, waiting = _first(waiting)
            with ExitStack() as locks:
                busy = []
                mine: list[Piece] = []
                for some in batch:
                    name = pack_name(some[0].pack.digest)
                    if locks.enter_context(self._local.backend.exclusive(name)):
                        mine += some
                    else:
                        busy.append(some)
                self._bring_mine(mine)
            waiting += busy
            if not mine:
                self._flow.go_on(_PAUSE)

    def _bring_mine(self, pieces: Sequence[Piece]) -> None:
        if not pieces:
            return
        # What another process has listed before the locks were ours need not come again.
        self._local.refresh()
        lacking = []
        for piece in pieces:
            if self._local.index.contains_chunks(piece.keys).all():
                self._progress.advance(piece.size)
            else:
                lacking.append(piece)
        with self._local.writer() as writer:

            def run(piece: Piece) -> None:
                writer.add_received(self._piece(piece), piece.pack.category)

            self._run(run, lacking, lambda *_: None, attrgetter("size"))
            self._local.publish(writer.finish())

    def _piece(self, piece: Piece) -> list[Encoded]:
        """Bring some chunks of a pack."""
        name = pack_name(piece.pack.digest)
        with self._named(piece.pack):
            data = self._remote.backend.get(name, piece.start, piece.end)
        with _told_what_to_do():
            chunks = verify_range(
                piece.pack, piece.keys, piece.rows, memoryview(data), piece.start, self._remote.url
            )
        self._progress.advance(piece.size)
        return chunks

    # What both need

    def _run(
        self,
        act: Callable[[Job], Result],
        jobs: Sequence[Job],
        take: Callable[[Job, Result], object],
        memory: Callable[[Job], int],
    ) -> None:
        self._flow.run(act, jobs, take, size=attrgetter("size"), memory=memory)

    def _take(self, pack: PackInfo, table: IndexTable) -> None:
        chunks = without_recipes(table, table.digests)
        if len(chunks.digests):
            self._arrived.tables.append(chunks)
        self._arrived.bytes += pack.size
        if self._arrived.bytes >= _PUBLISH_BYTES:
            self._publish()

    def _publish(self) -> None:
        arrived, self._arrived = self._arrived, _Arrived()
        if arrived.tables:
            tables = tuple(arrived.tables)
            # What is a recipe here and came as a chunk: an old version has believed somebody.
            recipes = self._local.index.recipes_among(joined([each.digests for each in tables]))
            self._local.publish(Written(tables, generation=self._generation, superseded=recipes))
            give_back()

    @contextmanager
    def _named(self, pack: PackInfo) -> Iterator[None]:
        try:
            yield
        except NotFoundError as error:
            hint = "Try again; if it is lost, push again from a machine that has it."
            raise MissingPackError(pack.digest, self._remote.url, hint) from error


@contextmanager
def _told_what_to_do() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        hint = "Put a sound copy of that pack there, or pull from another remote."
        raise IntegrityError(error.message, hint) from error


def _by_pack(pieces: Sequence[Piece]) -> list[list[Piece]]:
    by_pack: dict[Digest, list[Piece]] = {}
    for piece in pieces:
        by_pack.setdefault(piece.pack.digest, []).append(piece)
    return list(by_pack.values())


def _first(packs: list[list[Piece]]) -> tuple[list[list[Piece]], list[list[Piece]]]:
    """The parts of a few packs, and the rest."""
    size = 0
    for count, pieces in enumerate(packs):
        size += sum(piece.size for piece in pieces)
        if count and (size > _PIECES_BYTES or count == _PACKS_AT_ONCE):
            return packs[:count], packs[count:]
    return packs, []
