"""Looking at every object of a store: is it there, is it what its name says, does it hold together.

What the chunks mean, and whether all that refs need is there, is looked at by `history.inspect`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.errors import DatasetError, FormatError, IntegrityError, NotFoundError
from datasets_vc.format.index import IndexTable, PackInfo
from datasets_vc.format.pack import decode_pack
from datasets_vc.format.root import Root
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store.index import ChunkIndex, Place, merge_tables
from datasets_vc.store.indexes import IndexObjects
from datasets_vc.store.names import DAMAGED, PACKS, digest_in, pack_name
from datasets_vc.store.store import Store
from datasets_vc.store.verify import verify_chunk

_PARALLEL = 2


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
    store: Store, sample: Sample | None = None, progress: Progress = SILENT
) -> Inspection:
    """Look at the root, the index objects and the packs of a store, down to each chunk.

    Raises:
        NotFoundError: there is no root.
        IntegrityError: the root is damaged.
    """
    root = store.root()
    found = Inspection(root, ChunkIndex(()))
    found.count("root")
    _inspect_indexes(store, found)
    packs = {pack.digest: pack for pack in found.index.packs}
    chosen = (sample or Sample()).of(_inspect_listing(store, found, packs))
    progress.begin("Checking", sum(pack.size for pack in chosen), "B")
    rows = _Rows(found.index)

    def inspect(pack: PackInfo) -> Callable[[], None]:
        seen = _inspect_pack(store, pack, rows)
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
            _lose(found, pack, found.index.places_in(pack))
        else:
            there.append(pack)
    for name in sizes:
        digest_text = name.removesuffix(DAMAGED)
        marked = digest_in(digest_text, PACKS) if digest_text != name else None
        if marked in packs:
            found.damaged.add(marked)
    return there


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is wrong with a pack: in a word, with which chunks, and which rows of indexes lie."""

    problem: str = ""
    bad: Sequence[tuple[Place, str]] = ()
    lying: Sequence[Digest] = ()
    chunks: int = 0
    size: int = 0


class _Rows:
    """What the index says of each pack."""

    def __init__(self, index: ChunkIndex) -> None:
        self._index = index

    def of(self, pack: PackInfo) -> list[Place]:
        return self._index.places_in(pack)


def _inspect_pack(store: Store, pack: PackInfo, rows: _Rows) -> _Seen:
    places = rows.of(pack)
    try:
        name = pack_name(pack.digest)
        data: Buffer | None = store.backend.map(name)
        data = store.backend.get(name) if data is None else data
    except NotFoundError:
        return _Seen("It is missing.", [(place, "Its pack is missing.") for place in places])
    view = memoryview(data)
    problem = "" if digest_of(view) == pack.digest else "It does not match its digest."
    try:
        table = _table(view, pack)
    except IntegrityError as error:
        problem, table = problem or error.message, None
    lying = _lying(places, table) if table is not None and not problem else set()
    bad = []
    for place in places:
        if place.digest in lying:
            continue
        try:
            verify_chunk(place, view[place.offset : place.end], store.url)
        except IntegrityError as error:
            bad.append((place, error.message))
    if bad and not problem:
        problem = "It holds chunks that are not what it says."
    return _Seen(problem, bad, sorted(lying), len(places), len(view))


def _table(data: memoryview, pack: PackInfo) -> IndexTable:
    contents = decode_pack(data, f"The pack {pack.digest.hex()}")
    return merge_tables([IndexTable((pack,), contents.digests, contents.locations)], frozenset())


def _lying(places: Sequence[Place], table: IndexTable) -> set[Digest]:
    """The chunks that lie elsewhere in their pack, or not in it, than the index says."""
    true = ChunkIndex([table]).locate([place.digest for place in places])
    rows = true.rows
    same = true.found.copy()
    for column, values in (
        ("offset", [place.offset for place in places]),
        ("stored", [place.stored for place in places]),
        ("raw", [place.raw for place in places]),
        ("codec", [place.codec for place in places]),
        ("checksum", [place.checksum for place in places]),
    ):
        same &= rows[column] == np.array(values, rows.dtype[column])
    return {places[row].digest for row in np.flatnonzero(~same).tolist()}


def _note_pack(found: Inspection, pack: PackInfo, seen: _Seen) -> None:
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
        for place, problem in seen.bad:
            found.find("chunk", place.digest, problem)
        _lose(found, pack, [place for place, _ in seen.bad])


def _lose(found: Inspection, pack: PackInfo, places: Iterable[Place]) -> None:
    """A pack is damaged, and some of its chunks cannot be read, unless there are copies."""
    found.damaged.add(pack.digest)
    found.bad.update(place.digest for place in places)
