"""Merging small packs: what is merged and what never is, next to others, stopped anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from datasets_vc.backends import Backend, LocalBackend
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.errors import DatasetError, IntegrityError
from datasets_vc.format.index import PackInfo
from datasets_vc.format.location import RAW, ZSTD
from datasets_vc.format.pack import ALIGNMENT, DATA, METADATA, TARGET_SIZE
from datasets_vc.format.run import decode_run_packs, encode_run_packs
from datasets_vc.store import Store
from datasets_vc.store.compact import GROWTH, HISTORY_BELOW, SMALL, compact, due
from datasets_vc.store.heal import heal
from datasets_vc.store.names import damaged_name, index_name, pack_name
from tests.fault.faults import Crash, FailingBackend, LimitedBackend
from tests.store.memory import MemoryBackend

RUN = "ab" * 32


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


def add(store: Store, *files: Buffer, meta: bytes = b"") -> list[Digest]:
    with store.writer() as writer:
        digests = [writer.add_file(data) for data in files]
        if meta:
            writer.add_meta(meta)
        store.publish(writer.finish())
    return digests


def fill(store: Store, commits: int = GROWTH, size: int = 1000) -> dict[Digest, bytes]:
    """As many small commits; each gives a pack of data and one of metadata."""
    files = [noise(size, seed) for seed in range(commits)]
    for data in files:
        add(store, data, meta=b"meta of " + data)
    return {digest_of(data): data for data in (*files, *(b"meta of " + data for data in files))}


def packs_of(backend: Backend) -> set[str]:
    return {info.name for info in backend.list("packs/")}


def listed(store: Store) -> set[str]:
    store.refresh()
    return {pack_name(pack.digest) for pack in store.index.packs}


def check(backend: Backend, files: dict[Digest, bytes]) -> Store:
    """Everything is there, for one who opens the store now; every pack listed exists."""
    store = Store.open(backend)
    for digest, data in files.items():
        assert bytes(store.read(digest)) == data
    assert listed(store) <= packs_of(backend)
    return store


@pytest.fixture
def backend() -> MemoryBackend:
    backend = MemoryBackend()
    Store.create(backend)
    return backend


@given(st.lists(st.tuples(st.integers(100, 10_000), st.integers(0, 18)), max_size=40))
def test_what_is_merged_is_much_larger_than_each_of_its_parts(sizes: list[tuple[int, int]]) -> None:
    packs = [
        PackInfo(digest_of(b"%d" % number), size << shift, number % 5 % 2)
        for number, (size, shift) in enumerate(sizes)
    ]
    for category in (DATA, METADATA):
        chosen = due(packs, category, SMALL)
        left = [pack for pack in packs if pack not in chosen]
        assert {pack.category for pack in chosen} <= {category}
        if chosen:
            total = sum(pack.size for pack in chosen)
            largest = max(pack.size for pack in chosen)
            assert len(chosen) > 1
            assert chosen[0].size == largest < SMALL
            assert GROWTH * largest <= total <= TARGET_SIZE
        # What is left is left because it is large, or not enough of it.
        merged = PackInfo(digest_of(b"new"), sum(pack.size for pack in chosen) or 1 << 40, category)
        assert not due([*left, merged], category, SMALL) or merged.size < SMALL


@pytest.mark.parametrize("size", [700, 30_000, 500_000])
def test_a_thousand_equal_packs_become_few_and_are_not_written_often(size: int) -> None:
    packs: set[PackInfo] = set()
    again = 0
    for number in range(1000):
        packs.add(PackInfo(digest_of(b"%d" % number), size, DATA))
        chosen = due(packs, DATA, SMALL)
        if chosen:
            total = sum(pack.size for pack in chosen)
            again += total
            packs -= set(chosen)
            packs.add(PackInfo(digest_of(b"to %d" % number), total, DATA))
        small = [pack for pack in packs if pack.size < SMALL]
        assert len(small) <= (GROWTH - 1) * (1 + np.log(1000) / np.log(GROWTH))
    assert len(packs) <= len(small) + 1000 * size / SMALL
    assert again <= 1000 * size * np.log(1000) / np.log(GROWTH)


@pytest.mark.parametrize("delete", [True, False])
def test_many_small_packs_become_one_of_each_class(backend: MemoryBackend, delete: bool) -> None:
    store = Store.open(backend)
    files = fill(store, GROWTH - 1)
    before = dict(backend.objects)
    assert compact(store, delete=delete).tables == ()
    assert backend.objects == before
    files = fill(store, GROWTH)
    old = packs_of(backend)
    assert len(old) == 2 * GROWTH
    written = compact(store, delete=delete)
    assert len(written.packs) == 2
    assert written.chunks == len(store.index) == len(files)
    assert written.bytes == sum(len(backend.objects[name]) for name in listed(store))
    assert listed(store) == {pack_name(pack.digest) for pack in written.packs}
    assert packs_of(backend) == listed(store) | (set() if delete else old)
    check(backend, files)
    assert len(store.root().indexes) == 1


def test_chunks_stay_as_they_were_stored(tmp_path: Path) -> None:
    """Encoded, on blocks where they were, the pieces of a file end to end."""
    store = Store.create(LocalBackend(tmp_path, durable=False))
    big = noise(2 << 20)
    files = [b"text " * 500, big, *(noise(1_040_000, seed) for seed in range(15))]
    digests = [digest for data in files for digest in add(store, data)]
    old = {place.digest: place for place in store.index.places_in(*store.index.packs)}
    (merged,) = compact(store, delete=True).packs
    assert {place.digest for place in store.index.places_in(merged)} == {
        digest for digest, place in old.items() if place.pack.category == DATA
    }
    for place in store.index.places_in(merged):
        was = old[place.digest]
        assert place.pack != was.pack
        kept = (place.codec, place.raw, place.stored, place.checksum)
        assert kept == (was.codec, was.raw, was.stored, was.checksum)
    pieces = store._reader.pieces(store.index, digests[1]).pieces
    first, *rest = (store.find(piece.digest) for piece in pieces)
    assert first
    assert rest
    assert first.offset % ALIGNMENT == 0
    assert isinstance(store.read_file(digests[1]), memoryview)
    assert [bytes(data) for data in store.read_files(digests)] == files


def test_short_metadata_comes_first(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    for step in range(GROWTH):
        with store.writer() as writer:
            writer.add_meta(noise(5000, step))
            writer.add_meta(noise(300, step))
            store.publish(writer.finish())
    (pack,) = compact(store).packs
    places = sorted(store.index.places_in(pack), key=lambda place: place.offset)
    sizes = [place.raw for place in places]
    assert max(sizes[:GROWTH]) < HISTORY_BELOW < min(sizes[GROWTH:])


def test_a_pack_that_a_run_pinned_stays(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    files = fill(store, GROWTH)
    place = store.find(digest_of(noise(1000, 3)))
    assert place
    backend.objects[f"runs/{RUN}/packs.json"] = encode_run_packs([place.pack.digest])
    assert {pack.category for pack in compact(store, delete=True).packs} == {METADATA}
    files |= fill(store, 3 * GROWTH)
    assert {pack.category for pack in compact(store, delete=True).packs} == {DATA, METADATA}
    found = store.find(place.digest)
    assert found == place
    assert len([pack for pack in store.index.packs if pack.category == DATA]) == 2
    check(backend, files)


def test_nothing_is_merged_while_a_pin_cannot_be_read(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    fill(store)
    before = dict(backend.objects)
    for data in (b"{", encode_run_packs([]).replace(b"[]", b"7", 1), b'{"format":"dsvc-run"}'):
        backend.objects[f"runs/{RUN}/packs.json"] = data
        with pytest.raises(DatasetError, match=RUN):
            compact(store, delete=True)
    del backend.objects[f"runs/{RUN}/packs.json"]
    assert backend.objects == before


@given(st.lists(st.binary(min_size=32, max_size=32), unique=True))
def test_pins_are_read_as_they_were_written(names: list[bytes]) -> None:
    packs = [Digest(name) for name in names]
    assert decode_run_packs(encode_run_packs(packs), "it") == sorted(packs)


def test_damage_is_left_where_it_is_and_marked(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    files = fill(store, GROWTH + 1)
    place = store.find(digest_of(noise(1000, 3)))
    assert place
    name = pack_name(place.pack.digest)
    damaged = bytearray(backend.objects[name])
    damaged[place.offset] ^= 1
    backend.objects[name] = bytes(damaged)
    store = Store.open(backend)
    assert len(compact(store, delete=True).packs) == 2
    assert backend.objects[name] == bytes(damaged)
    assert damaged_name(place.pack.digest) in backend.objects
    assert store.find(place.digest) == place
    with pytest.raises(IntegrityError, match=place.pack.digest.hex()):
        store.read(place.digest)
    before = dict(backend.objects)
    fill(store, GROWTH + 1)
    assert compact(store, delete=True).packs == ()
    assert heal(store) == [place.digest]
    del files[place.digest]
    check(backend, files)
    assert backend.objects != before


def test_a_pack_that_is_marked_is_not_looked_into(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    files = fill(store, GROWTH + 1)
    place = store.find(digest_of(noise(1000, 3)))
    assert place
    backend.objects[damaged_name(place.pack.digest)] = b""
    assert len(compact(store, delete=True).packs) == 2
    assert store.find(place.digest) == place
    check(backend, files)


def test_a_chunk_under_a_wrong_digest_is_not_moved(backend: MemoryBackend) -> None:
    """Its checksum is right: only its digest tells."""
    store = Store.open(backend)
    fill(store)
    wrong = digest_of(b"something else")
    with store.writer() as writer:
        writer.add_encoded(wrong, RAW, noise(1000), 1000, DATA)
        store.publish(writer.finish())
    place = store.find(wrong)
    assert compact(store, delete=True).packs
    assert store.find(wrong) == place


def test_packs_of_the_same_chunks_become_one_of_them(backend: MemoryBackend) -> None:
    """As written by several who did not know of each other, each in another order."""
    files = {digest_of(data): data for data in (noise(100, seed) for seed in range(4))}
    orders = list(permutations(files.values()))[:GROWTH]
    writers = [Store.open(backend).writer() for _ in orders]
    for writer, order in zip(writers, orders, strict=True):
        for data in order:
            writer.add_file(data)
        Store.open(backend).publish(writer.finish())
    assert len(packs_of(backend)) == GROWTH
    store = Store.open(backend)
    compact(store, delete=True)
    check(backend, files)
    assert len(packs_of(backend)) == 1
    assert len(store.index.packs) == 1


def test_a_lost_pack_does_not_stop_the_others(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    files = fill(store, GROWTH + 1)
    place = store.find(digest_of(noise(1000, 3)))
    assert place
    del backend.objects[pack_name(place.pack.digest)]
    assert len(compact(store, delete=True).packs) == 2
    assert heal(store) == [place.digest]
    del files[place.digest]
    check(backend, files)


class Meddling(Wrapper):
    """Somebody else does something just before an object is written."""

    def __init__(self, inner: Backend, prefix: str, act: Callable[[], object]) -> None:
        super().__init__(inner)
        self._prefix = prefix
        self._act: Callable[[], object] | None = act

    def put(self, name: str, *parts: Buffer) -> None:
        act, self._act = self._act, self._act and None
        if act and name.startswith(self._prefix):
            act()
        else:
            self._act = act
        self.inner.put(name, *parts)


@pytest.mark.parametrize("prefix", ["packs/", "index/"])
def test_of_two_who_merge_at_once_one_changes_nothing(backend: MemoryBackend, prefix: str) -> None:
    files = fill(Store.open(backend))
    other = Store.open(backend)
    assert len(other.index)
    meddling = Meddling(backend, prefix, lambda: compact(other, delete=True))
    assert compact(Store.open(meddling), delete=True).packs == ()
    store = check(backend, files)
    assert len(store.index.packs) == 2
    assert packs_of(backend) == listed(store)


@pytest.mark.parametrize("prefix", ["packs/", "index/"])
def test_who_merged_something_else_meanwhile_wins(backend: MemoryBackend, prefix: str) -> None:
    files = fill(Store.open(backend))

    def more() -> None:
        other = Store.open(backend)
        files.update(fill(other, 2 * GROWTH))
        assert compact(other, delete=True).packs

    assert compact(Store.open(Meddling(backend, prefix, more)), delete=True).packs == ()
    store = check(backend, files)
    assert packs_of(backend) == listed(store)


@pytest.mark.parametrize("prefix", ["packs/", "index/"])
def test_a_commit_meanwhile_is_kept(backend: MemoryBackend, prefix: str) -> None:
    files = fill(Store.open(backend))

    def commit() -> None:
        (digest,) = add(Store.open(backend), b"another")
        files[digest] = b"another"

    assert compact(Store.open(Meddling(backend, prefix, commit)), delete=True).packs
    check(backend, files)


def test_packs_that_hold_more_by_now_are_not_dropped(backend: MemoryBackend) -> None:
    """As when a pack with a copy of a chunk was listed anew after its other copy was lost."""
    store = Store.open(backend)
    files = fill(store)
    for row in (0, 1):
        stale = Store.open(backend)
        assert len(stale.index)
        table = stale.index.tables[0]
        hidden = type(table)(
            table.packs, np.delete(table.digests, row), np.delete(table.locations, row)
        )
        stale._index = type(stale.index)([hidden, *stale.index.tables[1:]])
        assert compact(stale, delete=True).packs == ()
        check(backend, files)


@pytest.mark.parametrize("mappable", [True, False])
def test_readers_and_writers_of_before_go_on(backend: MemoryBackend, mappable: bool) -> None:
    store = Store.open(backend)
    files = fill(store)
    unmapped = MemoryBackend(mappable)
    unmapped.objects, unmapped.url = backend.objects, backend.url
    readers = [Store.open(unmapped) for _ in range(4)]
    writer = Store.open(backend).writer()
    for reader in readers:
        assert len(reader.index) == len(files)
    assert compact(store, delete=True).packs
    for digest, data in files.items():
        assert bytes(readers[0].read(digest)) == data
    assert [bytes(data) for data in readers[1].read_files(list(files))] == list(files.values())
    payloads = [bytes(payload) for _, payload in readers[2].read_encoded(list(files))]
    assert payloads == list(files.values())
    assert b"".join(map(bytes, readers[3].iter_file(next(iter(files))))) == next(
        iter(files.values())
    )
    # What was known before is known: it is somewhere else now.
    assert all(writer.add_file(data) == digest for digest, data in files.items())
    (new,) = (writer.add_file(b"new"),)
    Store.open(backend).publish(writer.finish())
    check(backend, files | {new: b"new"})


def test_replaced_index_objects_are_deleted(backend: MemoryBackend) -> None:
    store, other = Store.open(backend), Store.open(backend)
    files = fill(store, 2 * GROWTH)
    before = [info.name for info in backend.list("index/")]
    assert len(before) > len(store.root().indexes)
    store.delete_replaced()
    left = [info.name for info in backend.list("index/")]
    assert left == sorted(index_name(digest) for digest in store.root().indexes)
    other.delete_replaced()
    assert [info.name for info in backend.list("index/")] == left
    check(backend, files)


def test_index_objects_that_go_while_others_are_at_work(backend: MemoryBackend) -> None:
    """Who read the root before they went reads it again, to read or to write."""
    store = Store.open(backend)
    files = fill(store, GROWTH)
    for prefix in ("packs/", "index/"):

        def merge() -> None:
            other = Store.open(backend)
            assert len(other.index)
            files.update(fill(other, 2 * GROWTH))
            compact(other, delete=True)
            other.delete_replaced()

        new = noise(50, len(prefix))
        (digest,) = add(Store.open(Meddling(backend, prefix, merge)), new)
        files[digest] = new
        check(backend, files)
    root = store.root()
    store.delete_replaced()
    late = Store.open(backend)
    late.root = lambda: stale.pop() if stale else Store(backend).root()  # type: ignore[method-assign]
    stale = [root]
    add(store, b"one more")
    store.delete_replaced()
    assert all(bytes(late.read(digest)) == data for digest, data in files.items())


def test_an_index_object_that_is_lost_is_told(backend: MemoryBackend) -> None:
    store = Store.open(backend)
    fill(store, 1)
    (name,) = (info.name for info in backend.list("index/"))
    writer = store.writer()
    writer.add_file(b"new")
    written = writer.finish()
    del backend.objects[name]
    with pytest.raises(IntegrityError, match=name.removeprefix("index/")):
        store.publish(written)
    with pytest.raises(IntegrityError, match=name.removeprefix("index/")):
        store.refresh()


def test_an_index_object_is_read_once(
    backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(Store.open(backend), 3)
    read: list[str] = []
    mapped = MemoryBackend.map

    def noting(self: MemoryBackend, name: str) -> memoryview | None:
        read.append(name)
        return mapped(self, name)

    monkeypatch.setattr(MemoryBackend, "map", noting)
    store = Store.open(backend)
    for number in range(3):
        add(store, b"%d" % number)
        store.refresh()
    names = [name for name in read if name.startswith("index/")]
    assert names
    assert len(names) == len(set(names))


def test_what_cannot_be_deleted_is_garbage(backend: MemoryBackend) -> None:
    """Windows deletes no file that somebody has mapped."""
    files = fill(Store.open(backend))
    stuck = FailingBackend(backend, "delete", 99, DatasetError("Cannot delete it."))
    assert len(compact(Store.open(stuck), delete=True).packs) == 2
    assert stuck.calls == len(packs_of(backend)) - 2
    assert len(check(backend, files).index.packs) == 2


def _stopping(count: int) -> Iterator[Callable[[Backend], Backend]]:
    yield lambda inner: LimitedBackend(inner, count, Crash())
    yield lambda inner: LimitedBackend(inner, count)
    if count:
        yield lambda inner: _fails_late(inner, "delete", count - 1)


def _fails_late(inner: Backend, verb: str, after: int) -> Backend:
    failing = FailingBackend(inner, verb, 99, Crash())
    failing.calls = 0
    sound = getattr(inner, verb)

    def act(*arguments: object) -> object:
        failing.calls += 1
        if failing.calls > after:
            raise Crash
        return sound(*arguments)

    setattr(failing, verb, act)
    return failing


@pytest.mark.parametrize("count", range(6))
def test_stopping_anywhere_leaves_a_store(backend: MemoryBackend, count: int) -> None:
    files = fill(Store.open(backend))
    for stop in _stopping(count):
        copy = MemoryBackend()
        copy.objects = dict(backend.objects)
        try:
            compact(Store.open(stop(copy)), delete=True)
        except (Crash, DatasetError):
            check(copy, files)
            compact(Store.open(copy), delete=True)
        store = check(copy, files)
        assert len(store.index.packs) == 2


def test_a_remote_gets_from_a_source_what_that_has(backend: MemoryBackend) -> None:
    store, source = Store.open(backend), Store.create(MemoryBackend())
    files = fill(store)
    fill(source, GROWTH - 1)
    # Encoded in another way it is of no use here: that it decodes to the same nobody has seen.
    text = b"text " * 200
    add(store, text)
    with source.writer() as writer:
        writer.add_encoded(digest_of(text), RAW, text, len(text), DATA)
        source.publish(writer.finish())
    files[digest_of(text)] = text
    remote = MemoryBackend(mappable=False)
    remote.objects, remote.url = backend.objects, backend.url
    asked: list[str] = []
    sound = remote.get

    def get(name: str, start: int = 0, end: int | None = None) -> bytes:
        asked.append(name)
        return sound(name, start, end)

    remote.get = get  # type: ignore[method-assign]
    there = Store.open(remote)
    assert len(compact(there, 1 << 20, source=source).packs) == 2
    assert sum(name.startswith("packs/") for name in asked) == 3
    check(backend, files)
    assert len(packs_of(backend)) == 2 * GROWTH + 1 + 2
    found = there.find(digest_of(text))
    assert found
    assert found.codec == ZSTD


class Machine(RuleBasedStateMachine):
    """Several who write, read, merge and mend one store, each with an index of its own age."""

    @initialize()
    def begin(self) -> None:
        self.backend = MemoryBackend()
        Store.create(self.backend)
        self.stores = [Store.open(self.backend) for _ in range(3)]
        self.files: dict[Digest, bytes] = {}
        self.pinned: dict[str, bytes] = {}
        self.number = 0

    @rule(who=st.integers(0, 2), count=st.integers(1, 20), size=st.sampled_from([1, 100, 300]))
    def publish(self, who: int, count: int, size: int) -> None:
        for _ in range(count):
            self.number += 1
            data = noise(size, self.number % 40)
            add(self.stores[who], data, meta=b"meta of " + data)
            self.files |= {digest_of(each): each for each in (data, b"meta of " + data)}

    @rule(who=st.integers(0, 2), delete=st.booleans())
    def merge(self, who: int, delete: bool) -> None:
        compact(self.stores[who], delete=delete)
        if delete:
            self.stores[who].delete_replaced()

    @rule(who=st.integers(0, 2), writes=st.integers(0, 5), delete=st.booleans())
    def merge_and_die(self, who: int, writes: int, delete: bool) -> None:
        try:
            compact(Store.open(LimitedBackend(self.backend, writes, Crash())), delete=delete)
        except Crash:
            self.stores[who] = Store.open(self.backend)

    @rule(who=st.integers(0, 2))
    def mend(self, who: int) -> None:
        self.stores[who].refresh()
        assert heal(self.stores[who]) == []

    @rule(number=st.integers(0, 40))
    def pin(self, number: int) -> None:
        place = Store.open(self.backend).find(digest_of(noise(100, number)))
        if place:
            name = f"runs/{digest_of(b'%d' % number).hex()}/packs.json"
            self.backend.objects[name] = encode_run_packs([place.pack.digest])
            self.pinned[pack_name(place.pack.digest)] = self.backend.objects[
                pack_name(place.pack.digest)
            ]

    @rule(who=st.integers(0, 2), seed=st.integers(0, 2**32 - 1))
    def read(self, who: int, seed: int) -> None:
        known = sorted(self.files)
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(known))[:20].tolist()
        asked = [known[number] for number in order]
        read = self.stores[who].read_many(asked)
        assert [bytes(data) for data in read] == [self.files[digest] for digest in asked]

    @invariant()
    def nothing_is_lost(self) -> None:
        store = check(self.backend, self.files)
        assert len(store.index) >= len(self.files)
        assert self.pinned.keys() <= listed(store)
        for name, data in self.pinned.items():
            assert self.backend.objects[name] == data


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
