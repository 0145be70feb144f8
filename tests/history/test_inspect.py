"""A check finds each kind of damage, and nothing where there is none."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datasets_vc.backends.oserrors import translated
from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.errors import IntegrityError, UnreadableFileError
from datasets_vc.format.commit import Commit, encode_commit
from datasets_vc.format.entries import ENTRY_SCHEMA, FILE, Entry, entry_table
from datasets_vc.format.node import INNER_SCHEMA, encode_nodes, node_ends
from datasets_vc.format.pack import DATA, METADATA
from datasets_vc.format.recipe import Recipe, encode_recipe
from datasets_vc.history.affected import affected_paths
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import write_manifest
from datasets_vc.store import ChunkWriter, Store
from datasets_vc.store.index import merge_tables
from datasets_vc.store.inspect import Sample, inspect_objects
from datasets_vc.store.names import damaged_name, index_name, pack_name
from tests.history.collecting import errors_of
from tests.store.memory import MemoryBackend
from tests.sync.stores import START, commit, new_store, noise, tag

FILES = {f"{n:04d}": b"%d" % n for n in range(700)} | {"video": noise(3 << 20, 1)}


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    store = new_store()
    first = commit(store, FILES)
    second = commit(store, FILES | {"0300": b"changed"}, [first], step=1)
    tag(store, "v1", second)
    return objects(store)


@pytest.fixture
def store(made: dict[str, bytes]) -> Store:
    backend = MemoryBackend()
    backend.objects = dict(made)
    return Store.open(backend)


def objects(store: Store) -> dict[str, bytes]:
    found: dict[str, bytes] = store.backend.objects  # type: ignore[attr-defined]
    return found


def pack_of(store: Store, category: int) -> str:
    packs = [pack for pack in store.index.packs if pack.category == category]
    return pack_name(max(packs, key=lambda pack: pack.size).digest)


def index_of(store: Store) -> str:
    return index_name(store.root().indexes[0])


def test_a_sound_store_has_no_errors(store: Store) -> None:
    assert errors_of(store) == []


WHICH = {
    "data": lambda store: pack_of(store, DATA),
    "metadata": lambda store: pack_of(store, METADATA),
    "index": index_of,
}


@pytest.mark.parametrize("kind", WHICH)
@pytest.mark.parametrize("where", [0, 0.1, 0.37, 0.8, 1])
def test_a_flipped_bit_is_found(
    store: Store, kind: str, where: float, request: pytest.FixtureRequest
) -> None:
    name = WHICH[kind](store)
    data = bytearray(objects(store)[name])
    data[round(where * (len(data) - 1))] ^= 1 << len(request.node.name) % 8
    objects(store)[name] = bytes(data)
    errors = errors_of(store)
    assert name.partition("/")[2] in {error.name for error in errors}


@pytest.mark.parametrize("kind", WHICH)
@pytest.mark.parametrize("act", ["cut", "empty", "gone", "longer"])
def test_an_object_of_another_length_is_found(store: Store, kind: str, act: str) -> None:
    name = WHICH[kind](store)
    data = objects(store).pop(name)
    if act != "gone":
        objects(store)[name] = {"cut": data[:-100], "empty": b"", "longer": data + b"x"}[act]
    errors = errors_of(store)
    assert name.partition("/")[2] in {error.name for error in errors}


def test_a_flipped_bit_in_the_root_is_found(store: Store) -> None:
    data = bytearray(objects(store)["root.json"])
    data[0] ^= 1
    objects(store)["root.json"] = bytes(data)
    with pytest.raises(IntegrityError):
        errors_of(store)


def test_a_mark_is_looked_at_even_if_all_is_sound(store: Store) -> None:
    pack = store.index.packs[0].digest
    store.backend.put(damaged_name(pack))
    assert inspect_objects(store).damaged == {pack}
    assert errors_of(store) == []


@pytest.mark.parametrize("column", ["offset", "stored", "raw", "checksum", "codec"])
def test_a_row_of_the_index_that_lies_is_found(store: Store, column: str) -> None:
    table = merge_tables(store.index.tables, frozenset())
    locations = table.locations.copy()
    video = int(np.flatnonzero(locations["stored"] == locations["stored"].max())[0])
    locations[column][video] -= 1 if column != "codec" else 0
    locations["codec"][video] ^= column == "codec"
    lying = store.indexes.write(replace(table, locations=locations))
    store.swap_root(lambda root: replace(root, indexes=(lying,)))
    digest = bytes(table.digests[video]).ljust(32, b"\0").hex()
    assert digest in {error.name for error in errors_of(store) if error.kind == "chunk"}


@pytest.mark.parametrize("refs", ["branches", "tags", "tracking"])
def test_a_dangling_ref_is_found(store: Store, refs: str) -> None:
    lost = digest_of(b"lost")
    store.swap_root(lambda root: replace(root, **{refs: {"origin/x": lost}}))
    (error,) = (error for error in errors_of(store, complete=False) if error.kind == "ref")
    assert error.name == "origin/x"


def test_a_ref_that_names_something_else_is_found(store: Store) -> None:
    store.swap_root(lambda root: replace(root, branches={"x": digest_of(FILES["0001"])}))
    assert {error.kind for error in errors_of(store)} == {"commit"}


def without(store: Store, digest: Digest) -> None:
    """Drop a chunk from the index, as nothing should."""
    table = merge_tables(store.index.tables, frozenset())
    kept = table.digests != np.frombuffer(digest, "S32")[0]
    rest = replace(table, digests=table.digests[kept], locations=table.locations[kept])
    name = store.indexes.write(rest)
    store.swap_root(lambda root: replace(root, indexes=(name,)))


def test_what_is_missing_is_found_where_everything_has_to_be_there(store: Store) -> None:
    tip = store.root().branches["main"]
    parent = read_commit(store, tip).parents[0]
    for lost in (digest_of(FILES["0007"]), digest_of(FILES["video"])):
        without(store, lost)
        store.refresh()
        assert lost.hex() in {error.name for error in errors_of(store)}
        assert errors_of(store, complete=False) == []
    without(store, read_commit(store, tip).dataset)
    assert "node" in {error.kind for error in errors_of(store)}
    # History is whole in every store.
    without(store, parent)
    assert parent.hex() in {error.name for error in errors_of(store, complete=False)}


def record(store: Store, make: Callable[[ChunkWriter], Digest], *files: bytes) -> Digest:
    """A commit of a dataset that is made by hand."""
    writer = store.writer()
    for data in files:
        writer.add_file(data)
    dataset = make(writer)
    tip = writer.add_meta(encode_commit(Commit(dataset, (), "Ada", START, "by hand")))
    store.publish(writer.finish(), lambda root: replace(root, branches={"main": tip}))
    return dataset


PATHS = [f"{n:04d}" for n in range(600)]


def by_hand(
    ends: list[int], said: Callable[[int, list[list[object]]], None] = lambda *_: None
) -> Callable[[ChunkWriter], Digest]:
    """Two levels of nodes, cut where we like, of which the upper says what we like."""

    def make(writer: ChunkWriter) -> Digest:
        entries = entry_table([Entry(path, FILE, 1, digest_of(b"x")) for path in PATHS])
        rows = pa.RecordBatch.from_arrays(
            [column.combine_chunks() for column in entries.columns], schema=ENTRY_SCHEMA
        )
        leaves = [writer.add_meta(node) for node in encode_nodes(rows, 0, ends)]
        starts = [0, *ends[:-1]]
        sizes = [end - start for start, end in zip(starts, ends, strict=True)]
        columns: list[list[object]] = [
            [PATHS[start] for start in starts],
            [*sizes],
            [*sizes],
            [*leaves],
        ]
        said(len(leaves), columns)
        if len(leaves) == 1:
            return leaves[0]
        upper = pa.RecordBatch.from_arrays(
            [
                pa.array(values, field.type)
                for values, field in zip(columns, INNER_SCHEMA, strict=True)
            ],
            schema=INNER_SCHEMA,
        )
        (root,) = (writer.add_meta(node) for node in encode_nodes(upper, 1, [len(leaves)]))
        return root

    return make


def true_ends() -> list[int]:
    ends = node_ends([path.encode() for path in PATHS], 0)
    return ends if ends[-1:] == [len(PATHS)] else [*ends, len(PATHS)]


def test_a_manifest_made_by_hand_is_sound() -> None:
    store = new_store()
    record(store, by_hand(true_ends()), b"x")
    assert len(true_ends()) > 1
    assert errors_of(store) == []


@pytest.mark.parametrize(
    ("column", "value"), [(0, "0000x"), (1, 999_999), (2, 999_999)], ids=["path", "count", "bytes"]
)
def test_an_upper_node_that_says_something_else_than_the_lower_is_found(
    column: int, value: object
) -> None:
    def lie(_: int, columns: list[list[object]]) -> None:
        columns[column][0] = value

    store = new_store()
    record(store, by_hand(true_ends(), lie), b"x")
    assert {error.kind for error in errors_of(store)} == {"node"}


@pytest.mark.parametrize("wrong", ["cut too early", "not cut", "one child"])
def test_a_node_that_ends_elsewhere_is_found(wrong: str) -> None:
    ends = {
        "cut too early": sorted({*true_ends(), true_ends()[0] + 1}),
        "not cut": true_ends()[1:],
        "one child": [len(PATHS)],
    }[wrong]
    store = new_store()
    record(store, by_hand(ends), b"x")
    assert {error.kind for error in errors_of(store)} == {"node"}


def test_an_entry_with_another_size_is_found() -> None:
    def make(writer: ChunkWriter) -> Digest:
        entries = [Entry("a", FILE, 7, writer.add_file(b"eight by"))]
        return write_manifest(writer, entry_table(entries))

    store = new_store()
    record(store, make)
    (error,) = errors_of(store)
    assert error.kind == "node"
    assert "'a'" in error.problem


def test_a_recipe_that_makes_another_file_is_found() -> None:
    def make(writer: ChunkWriter) -> Digest:
        pieces = [writer.add_file(noise(5000, n)) for n in (1, 2)]
        data = encode_recipe(Recipe(tuple(pieces), (5000, 5000)))
        file = digest_of(b"not what these make")
        writer.add_encoded(file, 2, data, len(data), METADATA)
        return write_manifest(writer, entry_table([Entry("a", FILE, 10_000, file)]))

    store = new_store()
    record(store, make)
    (error,) = errors_of(store)
    assert (error.kind, error.name) == ("recipe", digest_of(b"not what these make").hex())


def test_a_sample_reads_a_part_and_its_seed_says_which() -> None:
    store = new_store()
    for n in range(20):
        commit(store, {"a": noise(10_000, n)}, [], f"b{n}", step=n)
    total = sum(pack.size for pack in store.index.packs)
    read = [inspect_objects(store, Sample(0.25, seed)) for seed in (1, 1, 2)]
    for found in read:
        assert total * 0.25 <= found.bytes < total * 0.25 + 11_000
        assert found.checked["index"] == len(store.root().indexes)
    drawn = [Sample(0.25, seed).of(store.index.packs) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_affected_paths_are_named_with_their_versions(store: Store) -> None:
    tip = store.root().branches["main"]
    (first,) = read_commit(store, tip).parents
    commits = {each: read_commit(store, each).dataset for each in (tip, first)}
    index = store.index
    places = [place for pack in index.packs for place in index.places_in(pack)]
    piece = max(places, key=lambda place: place.stored).digest

    def paths(*lost: Digest) -> list[tuple[str, bool, int]]:
        found = affected_paths(store, index, commits, set(lost))
        return [(each.path, each.is_list, len(each.commits)) for each in found]

    assert paths() == []
    assert paths(digest_of(b"300")) == [("0300", False, 1)]
    assert paths(digest_of(b"301")) == [("0301", False, 2)]
    assert paths(piece) == [("video", False, 2)]
    assert paths(commits[tip]) == [("", True, 1)]
    assert paths(digest_of(b"never")) == []


def test_a_pack_that_the_disk_cannot_read_is_found_and_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map of it would end the process."""
    broken = pack_of(store, DATA)
    stream = MemoryBackend.stream

    def failing(self: MemoryBackend, name: str, start: int = 0) -> Iterator[Buffer]:
        if name != broken:
            return stream(self, name, start)
        error = OSError(errno.EIO, "bad sector")
        raise translated(error, "read", Path(name)) from error

    monkeypatch.setattr(MemoryBackend, "stream", failing)

    found = inspect_objects(store)

    (finding,) = [each for each in found.findings if each.kind == "pack"]
    assert finding.name in broken
    assert "bad sector" in finding.problem
    (pack,) = [each for each in found.index.packs if pack_name(each.digest) == broken]
    assert found.bad == {place.digest for place in found.index.places_in(pack)}


def test_a_pack_that_may_not_be_read_is_no_damaged_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: MemoryBackend, name: str, start: int = 0) -> Iterator[Buffer]:
        raise translated(PermissionError(errno.EACCES, "no"), "read", Path(name))

    monkeypatch.setattr(MemoryBackend, "stream", refused)

    with pytest.raises(UnreadableFileError, match="permission denied"):
        inspect_objects(store)
