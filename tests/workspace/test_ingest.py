from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.errors import InvalidInputError, NotFoundError, UnreadableFileError
from datasets_vc.format.location import RAW
from datasets_vc.store.packing import Encoded
from datasets_vc.store.writer import Prepared
from datasets_vc.workspace import reading, waiting
from datasets_vc.workspace.ingest import read_order
from datasets_vc.workspace.listing import Listing
from datasets_vc.workspace.remembered import load_cache
from tests.workspace.bench import CLEAN, Bench, table_from

MIB = 1 << 20


class Recorder:
    """A sink that remembers what came, in which order."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.streams: list[bytes] = []
        self.metas: list[bytes] = []

    def prepare(self, files: Sequence[Buffer]) -> Prepared:
        chunks = [Encoded(digest_of(data), RAW, data, len(data), 0) for data in files]
        return Prepared(tuple(chunk.digest for chunk in chunks), tuple(chunks))

    def add_prepared(self, files: Prepared) -> Sequence[Digest]:
        self.files += [bytes(chunk.payload) for chunk in files.new]
        return files.digests

    def add_stream(self, read: Callable[[int], bytes], size: int, source: int | None) -> Digest:
        data = b"".join(iter(lambda: read(100_000), b""))
        assert len(data) == size
        self.streams.append(data)
        return digest_of(data)

    def add_meta(self, data: Buffer) -> Digest:
        self.metas.append(bytes(data))
        return digest_of(data)


class Listener:
    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.ended = False

    def begin(self, label: str, total: int | None, unit: str) -> None:
        assert label
        assert unit == "B"
        self.total = total

    def advance(self, amount: int) -> None:
        self.done += amount

    def end(self) -> None:
        self.ended = True


def after_read(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something once, after the first bytes have been read."""
    real = os.read
    todo = [act]

    def read(handle: int, size: int) -> bytes:
        data = real(handle, size)
        while todo:
            todo.pop()()
        return data

    monkeypatch.setattr(os, "read", read)


def replace_by_pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


@pytest.fixture(params=[False, True], ids=["in memory", "on disk"], autouse=True)
def where_files_are(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files whose disk one waits for are read in another way, to the same end."""
    waits = request.param

    def init(disk: waiting.Disk) -> None:
        disk.waits = waits
        disk._before = waiting.blocks_read()

    monkeypatch.setattr(waiting.Disk, "__init__", init)


def test_the_version_is_what_lies_there(bench: Bench) -> None:
    bench.put("a", b"1")
    bench.put("b/empty")
    bench.put("b/large", os.urandom(3 * MIB + 7))
    bench.put("b/edge", bytes(MIB))
    bench.put("b/below", bytes(MIB - 1))
    bench.link("l", "b/large")
    bench.link("dangling", "not/there")
    result = bench.ingest()
    assert result.entries.equals(table_from(bench.tree()))
    assert (result.files, result.added, result.modified, result.deleted) == (7, 7, 0, 0)
    assert result.bytes == sum(len(data) for _, data in bench.tree().values())
    for row in result.entries.to_pylist():
        assert bytes(bench.store.read_file(row["digest"])) == bench.tree()[row["path"]][1]


def test_an_empty_workspace_is_an_empty_version(bench: Bench) -> None:
    result = bench.ingest()
    assert (result.files, result.bytes, result.changed) == (0, 0, False)


def test_only_changes_are_counted_and_read(
    bench: Bench, read_paths: list[str], trusting: None
) -> None:
    for name in ("same", "longer", "other", "gone"):
        bench.put(name, b"1")
    bench.commit()
    read_paths.clear()
    bench.put("longer", b"22")
    bench.put("other", b"2")
    bench.put("new", b"3")
    (bench.folder / "gone").unlink()
    result = bench.ingest()
    assert (result.files, result.added, result.modified, result.deleted) == (4, 1, 2, 1)
    assert result.changed
    assert sorted(read_paths) == ["longer", "new", "other"]
    assert result.entries.equals(table_from(bench.tree()))


def test_a_touched_file_is_no_change(bench: Bench) -> None:
    place = bench.put("a", b"1")
    bench.commit()
    os.utime(place, ns=(5, 5))
    place.chmod(0o444)
    result = bench.ingest()
    assert not result.changed
    assert result.entries.equals(bench.version)


def test_a_change_that_a_status_has_hashed_is_stored_all_the_same(
    bench: Bench, trusting: None
) -> None:
    bench.put("a", b"1")
    bench.commit()
    bench.put("a", b"2")
    assert bench.status() == ([], ["a"], [])
    digest = bench.commit().column("digest")[0].as_py()
    assert bytes(bench.store.read_file(digest)) == b"2"


def test_files_come_in_read_order_and_large_ones_in_pieces(bench: Bench) -> None:
    names = [f"{folder}/{name}" for folder in "xy" for name in ("a.jpg", "a.json", "b.jpg", "b")]
    for name in names:
        bench.put(name, name.encode())
    bench.put("large", bytes(range(256)) * 8192)
    bench.link("l", "x/b")
    sink = Recorder()
    bench.workspace.ingest(bench.version, sink)
    came = [data.decode() for data in sink.files]
    assert sorted(came) == sorted(names)
    assert came != names
    for sample in ("x/a", "y/a"):
        at = came.index(f"{sample}.jpg")
        assert came[at + 1] == f"{sample}.json"
    assert [len(data) for data in sink.streams] == [2 * MIB]
    assert sink.metas == [b"x/b"]


def test_the_read_order_is_that_of_the_hash_without_suffix() -> None:
    def order(*paths: str) -> list[str]:
        none = np.zeros(len(paths), np.int64)
        listing = Listing(pa.array(paths, pa.string()), none, none, none, none, none)
        return [paths[row] for row in read_order(listing, np.arange(len(paths)))]

    paths = [f"d/{number}.txt" for number in range(50)]
    assert order(*paths) != paths
    # `.a` has no suffix, and a dot in a folder's name begins none.
    assert order("d.x/.a", "d.x/.b", "d.x/.c", "d.x/.d") != ["d.x/.a", "d.x/.b", "d.x/.c", "d.x/.d"]
    assert order("k", "k.jpg", "k.json") == ["k", "k.jpg", "k.json"]


def test_progress_is_told_in_bytes(bench: Bench) -> None:
    bench.put("a", b"123")
    bench.put("large", bytes(2 * MIB))
    bench.link("l", "a")
    listener = Listener()
    bench.workspace.ingest(bench.version, Recorder(), progress=listener)
    assert listener.total == listener.done == 2 * MIB + 4
    assert listener.ended


@pytest.mark.parametrize("size", [5, 2 * MIB])
@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda place: place.unlink(), "vanished"),
        (lambda place: os.truncate(place, place.stat().st_size + 1), "grew"),
        (lambda place: os.truncate(place, 1), "shrank"),
        (lambda place: os.utime(place, ns=(7, 7)), "was changed"),
    ],
)
def test_a_file_that_changes_meanwhile_stops_the_commit(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    act: Callable[[Path], object],
    words: str,
) -> None:
    place = bench.put("sub/a", b"x" * size)
    place.chmod(0o644)
    after_read(monkeypatch, lambda: act(place))
    with pytest.raises(UnreadableFileError, match=f"'sub/a' {words}"):
        bench.ingest()
    monkeypatch.undo()
    assert len(load_cache(bench.folder).base) == 0
    assert list((bench.folder / ".dsvc" / "store" / "packs").glob("*")) == []


@pytest.mark.parametrize("size", [5, 2 * MIB])
@pytest.mark.parametrize(
    "act",
    [
        lambda place: place.chmod(0o600),
        lambda place: place.with_name("other name").hardlink_to(place),
    ],
)
def test_another_mode_or_name_is_no_change(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, size: int, act: Callable[[Path], object]
) -> None:
    place = bench.put("sub/a", b"x" * size)
    place.chmod(0o644)
    after_read(monkeypatch, lambda: act(place))

    bench.commit()

    monkeypatch.undo()
    assert bench.version.column("size").to_pylist() == [size]
    assert bench.status()[1:] == ([], [])


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda place: place.unlink(), "vanished"),
        (lambda place: place.write_bytes(b"other"), "was changed"),
        (lambda place: place.write_bytes(b"longer than before"), "grew"),
        (lambda place: (place.unlink(), place.mkdir()), "was changed or replaced"),
        (lambda place: (place.unlink(), place.symlink_to("x")), "cannot be read"),
        (replace_by_pipe, "was changed or replaced"),
    ],
)
def test_a_file_that_is_not_what_was_listed_stops_the_commit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], object], words: str
) -> None:
    place = bench.put("a", b"first")
    real = reading._open

    def late(root: str, file: reading.Listed) -> int:
        act(place)
        return real(root, file)

    monkeypatch.setattr(reading, "_open", late)
    with pytest.raises(UnreadableFileError, match=f"'a' {words}"):
        bench.ingest()


def test_a_link_that_changes_meanwhile_stops_the_commit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = bench.link("l", "a")
    real = os.readlink

    def late(path: bytes) -> bytes:
        place.unlink()
        place.symlink_to("b")
        return real(path)

    monkeypatch.setattr(os, "readlink", late)
    with pytest.raises(UnreadableFileError, match="'l' was changed"):
        bench.ingest()


def test_a_file_that_cannot_be_opened_stops_the_commit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("a", b"1")
    bench.put("closed", b"1")
    real = os.open

    def refuse(path: object, *rest: int, **named: int) -> int:
        if str(path).endswith("/closed"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableFileError, match="'closed' cannot be read: Permission denied"):
        bench.ingest()


def test_a_disk_that_fails_stops_the_commit(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put("a", b"1")

    def fail(*_: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(UnreadableFileError, match="'a' cannot be read: Input/output error"):
        bench.ingest()


def test_many_files_are_read_and_no_descriptor_stays_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        bench.put(f"{number:03}", b"%d" % number)
    opened: set[int] = set()
    real_open, real_close = reading._open, os.close

    def note(root: str, file: reading.Listed) -> int:
        handle = real_open(root, file)
        opened.add(handle)
        return handle

    def close(handle: int) -> None:
        opened.discard(handle)
        real_close(handle)

    monkeypatch.setattr(reading, "_open", note)
    monkeypatch.setattr(os, "close", close)
    sink = Recorder()
    bench.workspace.ingest(bench.version, sink)
    assert sorted(sink.files) == sorted(b"%d" % number for number in range(200))
    assert not opened
    (bench.folder / "100").unlink()
    bench.put("100", b"new")
    monkeypatch.setattr(reading, "check_same", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.ingest()
    assert not opened


def test_short_reads_are_completed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(100_000)
    bench.put("a", data)
    real = os.read
    monkeypatch.setattr(os, "read", lambda handle, size: real(handle, min(size, 1000)))
    sink = Recorder()
    bench.workspace.ingest(bench.version, sink)
    assert sink.files == [data]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside"])
def test_links_that_leave_the_workspace_stop_the_commit(bench: Bench, target: str) -> None:
    bench.put("sub/a", b"1")
    bench.link("l", target)
    with pytest.raises(InvalidInputError) as caught:
        bench.ingest()
    assert "'l'" in caught.value.message
    assert target in caught.value.message


def test_paths_narrow_it(bench: Bench) -> None:
    for name in ("a/x", "a/y", "b", "c"):
        bench.put(name, b"1")
    first = bench.commit()
    for name in ("a/x", "a/new", "b", "z"):
        bench.put(name, b"2")
    (bench.folder / "a" / "y").unlink()
    (bench.folder / "c").unlink()
    result = bench.ingest(["a", "c"])
    assert (result.files, result.added, result.modified, result.deleted) == (3, 1, 1, 2)
    assert result.entries.column("path").to_pylist() == ["a/new", "a/x", "b"]
    assert result.entries.column("digest")[2] == first.column("digest")[2]
    bench.version = result.entries
    assert bench.status() == (["z"], ["b"], [])


def test_a_folder_in_place_of_a_file_takes_the_file_with_it(bench: Bench) -> None:
    bench.put("a", b"1")
    bench.commit()
    (bench.folder / "a").unlink()
    bench.put("a/b", b"2")
    result = bench.ingest(["a/b"])
    assert result.entries.column("path").to_pylist() == ["a/b"]
    assert (result.added, result.deleted) == (1, 1)


def test_a_file_above_a_path_stays_if_it_is_there(bench: Bench) -> None:
    bench.put("a", b"1")
    bench.put("b", b"1")
    bench.commit()
    bench.put("b", b"2")
    with pytest.raises(NotFoundError, match="'a/x'"):
        bench.ingest(["b", "a/x"])


def test_the_same_tree_is_the_same_version_whatever_the_way(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    for name in ("b", "a/c", "a/d"):
        other.put(name, name.encode())
        other.put("passing", name.encode())
        other.commit([name, "passing"])
    (other.folder / "passing").unlink()
    for name in ("a/d", "b", "a/c"):
        bench.put(name, name.encode())
    assert bench.commit().equals(other.commit())
    assert bench.status() == CLEAN
