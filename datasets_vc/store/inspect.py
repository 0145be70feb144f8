"""Looking at every object of a store: is it there, is it what its name says, does it hold together.

What the chunks mean, and whether all that refs need is there, is looked at by `history.inspect`.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datasets_vc.backends.base import Backend
from datasets_vc.digest import Digest, Hasher, digest_of
from datasets_vc.errors import (
    DatasetError,
    FormatError,
    IntegrityError,
    NotFoundError,
    UnreadableFileError,
)
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.location import Locations, as_keys, digest_list
from datasets_vc.format.pack import decode_pack
from datasets_vc.format.root import Root
from datasets_vc.memory import let_go
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store.index import ChunkIndex, Places, merge_tables, rows_in
from datasets_vc.store.indexes import IndexObjects
from datasets_vc.store.names import DAMAGED, PACKS, digest_in, pack_name
from datasets_vc.store.store import Store
from datasets_vc.store.verify import verify_chunk

_PARALLEL = 2
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an object.

    Attributes:
        kind: "root", "index", "pack", "chunk", "recipe", "node", "commit", "tag", "ref" or "run".
        name: which one: digest, name of the ref, id of the run.
        problem: what is wrong with it, in a sentence.
    """

    kind: str
    name: str
    problem: str


@dataclass
class Inspection:
    """What was looked at, and what is wrong.

    Attributes:
        root: as it was.
        index: what the sound index objects say.
        checked: how many of each kind of object were looked at.
        bytes: how many bytes of packs were read.
        findings: what is wrong.
        bad: chunks that are listed and cannot be read.
        lost_indexes: index objects that are missing or damaged.
        lying: packs about which an index object says what they do not.
        damaged: packs that are missing or damaged.
    """

    root: Root
    index: ChunkIndex
    checked: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    bad: set[Digest] = field(default_factory=set)
    lost_indexes: set[Digest] = field(default_factory=set)
    lying: set[Digest] = field(default_factory=set)
    damaged: set[Digest] = field(default_factory=set)

    def count(self, kind: str, number: int = 1) -> None:
        self.checked[kind] = self.checked.get(kind, 0) + number

    def find(self, kind: str, name: Digest | str, problem: str) -> None:
        text = name if isinstance(name, str) else name.hex()
        self.findings.append(Finding(kind, text, problem))


@dataclass(frozen=True)
class Sample:
    """Which part of the bytes to read: a fraction of them, drawn by a seed."""

    fraction: float = 1.0
    seed: int = 0

    @property
    def whole(self) -> bool:
        return self.fraction >= 1

    def of(self, items: Iterable[PackInfo]) -> list[PackInfo]:
        """Packs that are drawn until they have that part of all bytes."""
        drawn = sorted(items, key=lambda pack: pack.digest)
        if self.whole:
            return drawn
        random.Random(self.seed).shuffle(drawn)
        left = self.fraction * sum(pack.size for pack in drawn)
        chosen = []
        for pack in drawn:
            if left <= 0:
                break
            chosen.append(pack)
            left -= pack.size
        return chosen


def inspect_objects(
    store: Store,
    sample: Sample | None = None,
    progress: Progress = SILENT,
    known: dict[Digest, Seen] | None = None,
) -> Inspection:
    """Look at the root, the index objects and the packs of a store, down to each chunk.

    Args:
        known: packs that were found sound a moment ago, and need not be read again; those that are
            now are added.

    Raises:
        NotFoundError: there is no root.
        IntegrityError: the root is damaged.
    """
    before = {} if known is None else known
    root = store.root()
    found = Inspection(root, ChunkIndex(()))
    found.count("root")
    _inspect_indexes(store, found)
    packs = {pack.digest: pack for pack in found.index.packs}
    chosen = (sample or Sample()).of(_inspect_listing(store, found, packs))
    progress.begin("Checking", sum(pack.size for pack in chosen), "B")

    def inspect(pack: PackInfo) -> Callable[[], None]:
        seen = before.get(pack.digest) or _inspect_pack(store, pack, found.index)
        if not (seen.problem or seen.lying):
            before[pack.digest] = seen
        progress.advance(pack.size)
        return lambda: _note_pack(found, pack, seen)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        for note in pool.map(inspect, chosen):
            note()
    progress.end()
    store.let_go()
    return found


def _inspect_indexes(store: Store, found: Inspection) -> None:
    # Not those of a remote that are kept here: they are sound.
    objects = IndexObjects(store.backend)
    tables = []
    for name in found.root.indexes:
        found.count("index")
        try:
            tables.append(objects.read(name))
        except FormatError:
            raise
        except DatasetError as error:
            found.find("index", name, error.message)
            found.lost_indexes.add(name)
    found.index = ChunkIndex(tables)


def _inspect_listing(
    store: Store, found: Inspection, packs: dict[Digest, PackInfo]
) -> list[PackInfo]:
    """Find packs that are missing or have another size; returns the others."""
    sizes = {info.name: info.size for info in store.backend.list(PACKS)}
    there = []
    for digest, pack in packs.items():
        found.count("pack")
        size = sizes.get(pack_name(digest))
        if size is None:
            found.find("pack", digest, "It is missing.")
        elif size != pack.size:
            found.find("pack", digest, f"It has {size:,} bytes, and should have {pack.size:,}.")
        if size is None:
            _lose(found, pack, [place.digest for place in found.index.places_in(pack)])
        else:
            there.append(pack)
    for name in sizes:
        digest_text = name.removesuffix(DAMAGED)
        marked = digest_in(digest_text, PACKS) if digest_text != name else None
        if marked in packs:
            found.damaged.add(marked)
    return there


@dataclass(frozen=True, slots=True)
class Seen:
    """What is wrong with a pack: in a word, with which chunks, and of which the index lies."""

    problem: str = ""
    bad: Sequence[tuple[Digest, str]] = ()
    lying: Sequence[Digest] = ()
    chunks: int = 0
    size: int = 0


def _inspect_pack(store: Store, pack: PackInfo, index: ChunkIndex) -> Seen:
    name = pack_name(pack.digest)
    try:
        view, digest = _read(store.backend, name)
    except NotFoundError:
        gone = [(place.digest, "Its pack is missing.") for place in index.places_in(pack)]
        return Seen("It is missing.", gone)
    except UnreadableFileError as error:
        if getattr(error.__cause__, "errno", None) != errno.EIO:
            raise
        gone = [(place.digest, "Its pack cannot be read.") for place in index.places_in(pack)]
        return Seen(error.message, gone)
    problem = "" if digest == pack.digest else "It does not match its digest."
    try:
        own = ChunkIndex([_table(view, pack)])
    except IntegrityError as error:
        problem, own = problem or error.message, ChunkIndex(())
    bad: list[tuple[Digest, str]] = []
    lying: list[Digest] = []
    count = 0
    for digests, rows in _listed(index, pack):
        count += len(digests)
        true = _true(digests, rows, own) if not problem else np.ones(len(digests), np.bool_)
        lying += [digests[row] for row in np.flatnonzero(~true).tolist()]
        some = [digests[row] for row in np.flatnonzero(true).tolist()]
        for place in Places(as_keys(some), true[true], rows[true], [pack]).places():
            try:
                verify_chunk(place, view[place.offset : place.end], store.url)
            except IntegrityError as error:
                bad.append((place.digest, error.message))
    if bad and not problem:
        problem = "It holds chunks that are not what it says."
    let_go(view)
    return Seen(problem, bad, lying, count, len(view))


def _read(backend: Backend, name: str) -> tuple[memoryview, Digest]:
    """A pack, mapped if it can be, and the digest of its bytes."""
    data = backend.map(name)
    if data is None:
        data = memoryview(backend.get(name))
        return data, digest_of(data)
    # Read first: of a map that the disk cannot read the system says so by ending the process.
    hasher = Hasher()
    for piece in backend.stream(name):
        hasher.update(piece)
    return data, Digest(hasher.digest())


def _listed(index: ChunkIndex, pack: PackInfo) -> Iterator[tuple[list[Digest], Locations]]:
    """What the index says of a pack, some chunks at a time; the only pack of the rows is 0."""
    for table in index.tables:
        here = np.flatnonzero(rows_in(table, {pack.digest}))
        for start in range(0, len(here), _ROWS_AT_ONCE):
            some = here[start : start + _ROWS_AT_ONCE]
            rows = table.locations[some]
            rows["pack"] = 0
            yield digest_list(table.digests[some]), rows


def _table(data: memoryview, pack: PackInfo) -> IndexTable:
    contents = decode_pack(data, f"The pack {pack.digest.hex()}")
    return merge_tables([IndexTable((pack,), contents.digests, contents.locations)], frozenset())


def _true(digests: Sequence[Digest], rows: Locations, own: ChunkIndex) -> NDArray[np.bool_]:
    """Which rows say what the pack itself says."""
    places = own.locate(digests)
    same: NDArray[np.bool_] = places.found & (places.rows == rows)
    return same


def _note_pack(found: Inspection, pack: PackInfo, seen: Seen) -> None:
    found.count("chunk", seen.chunks)
    found.bytes += seen.size
    for digest in seen.lying:
        problem = f"The index says of it what pack {pack.digest.hex()} does not."
        found.find("chunk", digest, problem)
        found.bad.add(digest)
        found.lying.add(pack.digest)
    if seen.problem:
        known = {finding.name for finding in found.findings if finding.kind == "pack"}
        if pack.digest.hex() not in known:
            found.find("pack", pack.digest, seen.problem)
        for digest, problem in seen.bad:
            found.find("chunk", digest, problem)
        _lose(found, pack, [digest for digest, _ in seen.bad])


def _lose(found: Inspection, pack: PackInfo, chunks: Iterable[Digest]) -> None:
    """A pack is damaged, and some of its chunks cannot be read."""
    found.damaged.add(pack.digest)
    found.bad.update(chunks)
