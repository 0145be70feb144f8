"""Writing chunks and reading them back, over backends that map and backends that do not."""

from __future__ import annotations

import io
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.backends import Backend, FsspecBackend, LocalBackend
from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import (
    AlreadyExistsError,
    ConflictError,
    FormatError,
    IntegrityError,
    InvalidInputError,
    MissingDataError,
    NotFoundError,
)
from datasets_vc.format.location import RAW, RECIPE, ZSTD
from datasets_vc.format.pack import DATA, METADATA
from datasets_vc.format.root import Root
from datasets_vc.history.branches import Branches
from datasets_vc.store import Store
from datasets_vc.store import store as store_module
from datasets_vc.store.reader import Reader
from datasets_vc.store.rootobject import PACE
from tests.store.memory import MemoryBackend

MIB = 1 << 20
SIZES = (0, 1, MIB - 1, MIB, 5 * MIB)


def noise(size: int, seed: int = 0) -> bytes:
    return np.random.Generator(np.random.PCG64(seed)).bytes(size)


def digits(size: int, seed: int = 0) -> bytes:
    """Text that zstd makes less than half as long."""
    values = np.random.Generator(np.random.PCG64(seed)).integers(48, 58, size, np.uint8)
    return values.tobytes()


@pytest.fixture(params=["local", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "local":
        return LocalBackend(tmp_path, durable=False)
    return FsspecBackend(f"memory://{tmp_path.name}")


@pytest.fixture
def store() -> Store:
    return Store.create(MemoryBackend())


def add(store: Store, *files: bytes) -> list[Digest]:
    writer = store.writer()
    digests = [writer.add_file(data) for data in files]
    store.publish(writer.finish())
    return digests


@pytest.mark.parametrize("make", [noise, digits])
def test_files_of_all_sizes_come_back(backend: Backend, make: type[bytes]) -> None:
    files = [make(size) for size in SIZES]
    digests = add(Store.create(backend), *files)
    assert digests == [digest_of(data) for data in files]
    store = Store.open(backend)
    assert [bytes(data) for data in store.read_files(digests)] == files
    for digest, data in zip(digests, files, strict=True):
        assert bytes(store.read_file(digest)) == data
        assert b"".join(bytes(piece) for piece in store.iter_file(digest)) == data
    codecs = [place.codec for digest in digests if (place := store.find(digest))]
    assert codecs[:2] == [RAW, RAW]
    assert codecs[2] == (RAW if make is noise else ZSTD)
    assert codecs[4] == RECIPE
    pieces = list(store.iter_file(digests[-1]))
    assert 2 <= len(pieces) <= 5 * MIB // (MIB >> 2)
    assert all(len(piece) <= 4 * MIB for piece in pieces)


@pytest.mark.parametrize("make", [noise, digits])
@pytest.mark.parametrize("step", [MIB, 70_001])
def test_a_stream_is_stored_as_the_file_is(store: Store, make: type[bytes], step: int) -> None:
    writer = store.writer()
    for size in SIZES:
        data = make(size)
        source = io.BytesIO(data)
        digest = writer.add_stream(lambda count, s=source: s.read(min(count, step)), size)
        assert digest == writer.add_file(data)
        assert digest == digest_of(data)
    written = writer.finish()
    store.publish(written)
    assert written.bytes < 2.1 * sum(SIZES)
    assert [bytes(store.read_file(digest_of(make(size)))) for size in SIZES] == list(
        map(make, SIZES)
    )


@pytest.mark.parametrize("real", [0, 1, MIB, 5 * MIB])
@pytest.mark.parametrize("promised", [0, MIB, 9 * MIB])
def test_a_stream_may_have_another_size_than_was_promised(
    store: Store, real: int, promised: int
) -> None:
    writer = store.writer()
    digest = writer.add_stream(io.BytesIO(noise(real)).read, promised)
    store.publish(writer.finish())
    assert bytes(store.read_file(digest)) == noise(real)


def test_raw_file_of_several_chunks_is_one_slice_of_a_map(tmp_path: Path) -> None:
    store = Store.create(LocalBackend(tmp_path, durable=False))
    (digest,) = add(store, noise(5 * MIB))
    whole = store.read_file(digest)
    assert isinstance(whole, memoryview)
    assert whole.readonly
    assert len(whole.obj) > len(whole)  # type: ignore[arg-type]


def test_equal_bytes_are_stored_once(store: Store) -> None:
    big = noise(6 * MIB)
    first = store.writer()
    first.add_file(big)
    first.add_file(b"small")
    first.add_file(b"small")
    written = first.finish()
    store.publish(written)
    again = Store.open(store.backend).writer()
    again.add_file(b"small")
    again.add_file(big)
    again.add_stream(io.BytesIO(big).read, len(big))
    assert again.finish().tables == ()
    longer = Store.open(store.backend).writer()
    longer.add_file(big + b"one line more")
    assert longer.finish().bytes < 4.5 * MIB
    assert written.bytes < 6 * MIB + 10_000


def test_data_and_metadata_lie_in_different_packs(store: Store) -> None:
    writer = store.writer()
    data = writer.add_file(noise(5 * MIB))
    meta = writer.add_meta(b"a link's target")
    store.publish(writer.finish())
    categories = {
        place.codec: place.pack.category
        for digest in store.index.tables[0].digests
        if (place := store.find(Digest(bytes(digest).ljust(32, b"\0"))))
        and place.digest not in (meta,)
    }
    assert categories == {RAW: DATA, RECIPE: METADATA}
    found = store.find(meta)
    assert found
    assert found.pack.category == METADATA
    recipe = store.find(data)
    assert recipe
    assert recipe.codec == RECIPE


def test_packs_are_closed_at_their_size(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets_vc.store.packing.TARGET_SIZE", 10_000)
    writer = store.writer()
    digests = [writer.add_file(noise(3000, seed)) for seed in range(20)]
    digests.append(writer.add_file(noise(100_000)))
    written = writer.finish()
    store.publish(written)
    assert len(written.packs) == 6
    assert [len(table.digests) for table in written.tables] == [4, 4, 4, 4, 4, 1]
    assert len(store.read_files(digests)) == 21


@pytest.mark.parametrize("longest", [1, 8, 1 << 18])
def test_what_a_closed_pack_has_is_not_written_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    monkeypatch.setattr("datasets_vc.store.packing._LONGEST_RUN", longest)
    monkeypatch.setattr("datasets_vc.store.packing.TARGET_SIZE", 10_000)
    writer = store.writer()
    files = [noise(3000, seed) for seed in range(40)]
    for seed in (*range(30), *range(40), 0):
        writer.add_file(files[seed])
    written = writer.finish()
    store.publish(written)
    assert written.chunks == 40
    assert [bytes(data) for data in store.read_files(map(digest_of, files))] == files


def test_what_no_pack_could_say_is_not_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets_vc.store.writer.MAX_CHUNK_SIZE", 1000)
    with pytest.raises(InvalidInputError, match="1,001 bytes"):
        store.writer().add_meta(noise(1001))


def test_compression_is_used_where_it_pays(store: Store) -> None:
    head_noise = noise(1 << 16) + digits(MIB)
    head_text = digits(1 << 16) + noise(MIB)
    files = [digits(1000), noise(1000), head_noise, head_text, b"x", b"ab" * 50]
    digests = add(store, *files)
    places = [store.find(digest) for digest in digests]
    assert [place.codec for place in places if place][:2] == [ZSTD, RAW]
    assert [place.codec for place in places if place][4:] == [RAW, ZSTD]
    sizes = [
        sum(place.stored for place in map(store.find, _pieces_of(store, digest)) if place)
        for digest in digests[2:4]
    ]
    assert sizes[0] == len(head_noise)
    assert sizes[1] < len(head_text)
    assert [bytes(data) for data in store.read_files(digests)] == files


def _pieces_of(store: Store, digest: Digest) -> Sequence[Digest]:
    return store.read_recipes([digest])[0].digests


def test_missing_chunks_are_named(store: Store) -> None:
    (known,) = add(store, b"known")
    absent = digest_of(b"absent")
    assert store.find(absent) is None
    assert store.index.contains([known, absent, known]).tolist() == [True, False, True]
    with pytest.raises(MissingDataError, match=absent.hex()) as caught:
        store.read_many([known, absent])
    assert caught.value.hint
    with pytest.raises(MissingDataError):
        store.read_file(absent)


def test_reads_keep_the_order_asked_for_and_repeat(backend: Backend) -> None:
    store = Store.create(backend)
    digests = add(store, *(b"%d" % number for number in range(50)))
    asked = [digests[number] for number in (7, 3, 49, 3, 0, 7)]
    assert [bytes(data) for data in store.read_many(asked)] == [b"7", b"3", b"49", b"3", b"0", b"7"]
    assert store.read_many([]) == []


def test_there_is_a_store_or_there_is_none(store: Store) -> None:
    with pytest.raises(AlreadyExistsError):
        Store.create(store.backend)
    with pytest.raises(NotFoundError, match="no store"):
        Store.open(MemoryBackend())


def test_index_is_folded_and_keeps_all_rows(store: Store) -> None:
    digests = []
    for number in range(64):
        digests += add(store, *(b"%d-%d" % (number, part) for part in range(1 + number % 3)))
        assert len(store.root().indexes) <= 3 * (1 + np.log(len(digests)) / np.log(4))
    opened = Store.open(store.backend)
    assert opened.index.contains(digests).all()
    assert len(opened.index) == len(digests)
    assert len(opened.read_many(digests)) == len(digests)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 40), max_size=6), max_size=6))
def test_index_finds_what_was_added_and_nothing_else(groups: list[list[int]]) -> None:
    store = Store.create(MemoryBackend())
    for group in groups:
        writer = Store.open(store.backend).writer()
        for number in group:
            writer.add_meta(b"%d" % number)
        store.publish(writer.finish())
    added = {number for group in groups for number in group}
    names = [digest_of(b"%d" % number) for number in range(41)]
    assert store.index.contains(names).tolist() == [number in added for number in range(41)]
    for number, name in enumerate(names):
        place = store.find(name)
        assert (place is not None) == (number in added)
        assert place is None or bytes(store.read(name)) == b"%d" % number
        assert (name in store.index.with_prefix(name.hex()[:8], METADATA)) == (number in added)


def test_prefixes_find_metadata_only(store: Store) -> None:
    (data,) = add(store, b"data")
    writer = store.writer()
    meta = writer.add_meta(b"meta")
    store.publish(writer.finish())
    assert store.index.with_prefix(data.hex()[:8], METADATA) == []
    for digits_given in (1, 7, 8, 63, 64):
        assert meta in store.index.with_prefix(meta.hex()[:digits_given], METADATA)


def test_writers_in_threads_share_one_chunk_writer(store: Store) -> None:
    writer = store.writer()
    files = [[noise(50_000, seed) for seed in range(start, start + 20)] for start in (0, 10, 20)]

    def run(part: list[bytes]) -> None:
        for data in part:
            writer.add_file(data)

    _in_threads([lambda part=part: run(part) for part in files])
    written = writer.finish()
    store.publish(written)
    assert written.chunks == 40
    digests = [digest_of(data) for part in files for data in part]
    assert [bytes(data) for data in store.read_many(digests)] == [d for part in files for d in part]


def test_concurrent_publishing_loses_nothing(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, durable=False)
    Store.create(backend)

    def publish(worker: int) -> None:
        store = Store.open(LocalBackend(tmp_path, durable=False))
        for step in range(5):
            writer = store.writer()
            digest = writer.add_file(b"%d-%d" % (worker, step))
            branch = f"b{worker}-{step}"
            store.publish(
                writer.finish(),
                lambda root, b=branch, d=digest: replace(root, branches={**root.branches, b: d}),
            )

    _in_threads([lambda worker=worker: publish(worker) for worker in range(4)])
    store = Store.open(backend)
    branches = store.root().branches
    assert sorted(branches) == sorted(
        f"b{worker}-{step}" for worker in range(4) for step in range(5)
    )
    for name, digest in branches.items():
        assert bytes(store.read(digest)) == name[1:].encode()


def _in_threads(jobs: list[object]) -> None:
    errors: list[BaseException] = []

    def run(job: object) -> None:
        try:
            job()  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_two_stores_see_each_other_after_a_refresh(store: Store) -> None:
    other = Store.open(store.backend)
    assert len(other.index) == 0
    (digest,) = add(store, b"new")
    assert other.find(digest) is None
    other.refresh()
    assert bytes(other.read(digest)) == b"new"


def test_unknown_members_of_the_root_are_kept(store: Store) -> None:
    backend = store.backend
    assert isinstance(backend, MemoryBackend)
    root = _unchecked_root(backend) | {"later": {"a": [1, None]}, "write_flags": []}
    backend.objects["root.json"] = json.dumps(root, indent=1).encode()
    add(store, b"new")
    assert json.loads(backend.objects["root.json"])["later"] == {"a": [1, None]}


def _unchecked_root(backend: MemoryBackend) -> dict[str, object]:
    root: dict[str, object] = json.loads(backend.objects["root.json"])
    del root["check"]
    return root


def test_store_with_unknown_write_flags_is_read_and_not_changed(store: Store) -> None:
    (digest,) = add(store, b"old")
    backend = store.backend
    assert isinstance(backend, MemoryBackend)
    root = _unchecked_root(backend) | {"write_flags": ["encrypted"]}
    backend.objects["root.json"] = json.dumps(root).encode()
    opened = Store.open(backend)
    assert bytes(opened.read(digest)) == b"old"
    before = dict(backend.objects)
    with pytest.raises(FormatError, match="encrypted"):
        opened.swap_root(lambda root: replace(root, gc_generation=9))
    assert backend.objects == before


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"format":"dsvc-commit"}'])
def test_damaged_root(store: Store, data: bytes) -> None:
    backend = store.backend
    assert isinstance(backend, MemoryBackend)
    backend.objects["root.json"] = data
    with pytest.raises(IntegrityError, match="root"):
        Store.open(backend)
    with pytest.raises(IntegrityError, match="root"):
        store.swap_root(lambda root: replace(root, gc_generation=9))
    assert backend.objects["root.json"] == data


def test_a_change_that_changes_nothing_writes_nothing(store: Store) -> None:
    before = store.root()
    assert store.swap_root(lambda root: root) == before
    assert store.root().write_id == before.write_id


def test_refs_move_only_from_where_they_are_known_to_be(store: Store) -> None:
    first, second, third = (digest_of(b"%d" % number) for number in range(3))
    refs = Branches(store)
    refs.move("main", None, first)
    refs.move("main", first, second)
    for old in (None, first):
        with pytest.raises(ConflictError, match="'main' was moved"):
            refs.move("main", old, third)
    assert refs.list() == {"main": second}
    assert refs.delete("main", force=True) == second
    with pytest.raises(NotFoundError):
        refs.delete("main", force=True)


def test_loser_of_a_race_applies_its_change_to_the_new_root(store: Store) -> None:
    other = Store.open(store.backend)
    theirs, ours = digest_of(b"theirs"), digest_of(b"ours")
    seen: list[Root] = []

    def change(root: Root) -> Root:
        if not seen:
            other.swap_root(lambda root: replace(root, branches={"theirs": theirs}))
        seen.append(root)
        return replace(root, branches={**root.branches, "ours": ours})

    store.swap_root(change)
    assert len(seen) == 2
    assert store.root().branches == {"ours": ours, "theirs": theirs}


def test_a_store_that_never_stops_changing_is_given_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    drawn = itertools.cycle([0.0, 0.3, 0.6, 0.9])
    pace = replace(PACE, sleep=waited.append, uniform=lambda: next(drawn))
    monkeypatch.setattr(store._root, "_pace", pace)
    numbers: Iterator[int] = iter(range(1, 10_000))

    def change(root: Root) -> Root:
        found = store.backend.read_root("root.json")
        assert found is not None
        store.backend.swap("root.json", found.data + b" ", found.token)  # another writer does
        return replace(root, gc_generation=next(numbers))

    with pytest.raises(ConflictError, match="Other writers keep changing"):
        store.swap_root(change)
    assert next(numbers) < 100
    assert len(waited) == 64
    assert len(set(waited[:4])) == 4  # drawn anew each time
    assert max(waited) <= PACE.max_delay


def test_a_large_file_takes_little_memory_of_mapped_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_LET_GO_BYTES", 2 * MIB)
    given_back: list[bool] = []
    monkeypatch.setattr(Reader, "let_go", lambda _: given_back.append(True))
    store = Store.create(LocalBackend(tmp_path, durable=False))
    data = noise(20 * MIB)
    with store.writer() as writer:
        digest = writer.add_file(data)
        store.publish(writer.finish())

    assert b"".join(map(bytes, store.iter_file(digest))) == data

    assert len(given_back) >= 4


@pytest.mark.parametrize("sparse", [1, 3, 64])
def test_many_chunks_are_located_as_one_is(monkeypatch: pytest.MonkeyPatch, sparse: int) -> None:
    monkeypatch.setattr("datasets_vc.store.index._SPARSE", sparse)
    backend = MemoryBackend()
    store = Store.create(backend)
    for start in range(0, 30, 10):
        with store.writer() as writer:
            for number in range(start, start + 10):
                writer.add_file(b"%d" % number)
            store.publish(writer.finish())
    asked = [digest_of(b"%d" % number) for number in (3, 31, 29, 11, 3, 20, 0)]
    located = store.index.locate(asked)
    assert located.found.tolist() == [True, False, True, True, True, True, True]
    for row in np.flatnonzero(located.found).tolist():
        place = store.find(asked[row])
        assert place
        assert located.packs[located.rows["pack"][row]] == place.pack
        assert located.rows["offset"][row] == place.offset
