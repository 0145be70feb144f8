"""Several at one store: processes that pull the same, one that dies, one that reads meanwhile."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from datasets_vc.backends import LocalBackend
from datasets_vc.backends.base import Backend
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.digest import Buffer, Digest, digest_of
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import Manifest
from datasets_vc.store import Store
from datasets_vc.store.compact import compact
from datasets_vc.store.names import pack_name
from datasets_vc.sync.transfer import TransferConfig, receive
from tests.fault.faults import Crash
from tests.sync.stores import commit, contents, new_store, noise, pull

KIB = 1 << 10
SPAWN = multiprocessing.get_context("spawn")


class LoggingBackend(Wrapper):
    """Writes down what is read of packs, for all processes in one file."""

    def __init__(self, inner: Backend, log: Path) -> None:
        super().__init__(inner)
        self._log = log

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        if name.startswith("packs/"):
            with self._log.open("a") as file:
                file.write(f"{name} {start}\n")
        return super().get(name, start, end)

    def map(self, name: str) -> memoryview | None:
        return None


def read_log(log: Path) -> Counter[str]:
    return Counter(log.read_text().split("\n")[:-1])


@pytest.fixture
def many_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, bytes]]:
    """A remote of which versions come in many packs."""
    monkeypatch.setattr("datasets_vc.store.packing.TARGET_SIZE", 600 * KIB)
    store = Store.create(LocalBackend(tmp_path / "remote", create=True, durable=False))
    files = {f"{number:02d}": noise(300 * KIB, number) for number in range(40)}
    commit(store, files)
    assert len(store.index.packs) >= 20
    return tmp_path / "remote", files


def _pull(remote: Path, local: Path, log: Path, start: Barrier) -> None:
    source = LoggingBackend(LocalBackend(remote), log)
    place = LocalBackend(local, durable=False)
    start.wait(60)
    pull(Store.open(place), Store.open(source, index_cache=place))


def test_processes_that_pull_into_one_store_fetch_nothing_twice(
    many_packs: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    remote, files = many_packs
    local = Store.create(LocalBackend(tmp_path / "local", create=True, durable=False))
    log = tmp_path / "log"
    start = SPAWN.Barrier(3)
    arguments = (remote, tmp_path / "local", log, start)
    processes = [SPAWN.Process(target=_pull, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    fetched = read_log(log)
    assert len(fetched) >= 20
    assert set(fetched.values()) == {1}
    assert contents(local, local.root().branches["main"]) == files
    assert not list((tmp_path / "local/packs").glob("*.lock"))


def _hold(local: Path, name: str, held: Event) -> None:
    with LocalBackend(local).exclusive(name) as mine:
        assert mine
        held.set()
        threading.Event().wait()


def test_a_process_that_dies_stands_in_nobodys_way(
    many_packs: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    remote, files = many_packs
    source = Store.open(LocalBackend(remote))
    backend = LocalBackend(tmp_path / "local", create=True, durable=False)
    local = Store.create(backend)
    name = pack_name(max(source.index.packs, key=lambda pack: pack.size).digest)
    held = SPAWN.Event()
    other = SPAWN.Process(target=_hold, args=(tmp_path / "local", name, held))
    other.start()
    assert held.wait(60)
    with backend.exclusive(name) as mine:
        assert not mine
    waiting = threading.Thread(target=pull, args=(local, source))
    waiting.start()
    other.kill()
    other.join(60)
    waiting.join(60)
    assert contents(local, local.root().branches["main"]) == files
    assert backend.stat(name).size


class CrashingBackend(LoggingBackend):
    """Dies after so many packs."""

    def __init__(self, inner: Backend, log: Path, left: int) -> None:
        super().__init__(inner, log)
        self.left = left
        self._lock = threading.Lock()

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        with self._lock:
            self.left -= name.startswith("packs/")
            if self.left < 0:
                raise Crash
        return super().get(name, start, end)


@pytest.mark.parametrize("published_by", [1 << 30, 2000 * KIB])
@pytest.mark.parametrize("left", [1, 5, 17])
def test_a_transfer_that_died_loses_no_more_than_what_was_in_flight(
    many_packs: tuple[Path, dict[str, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left: int,
    published_by: int,
) -> None:
    monkeypatch.setattr("datasets_vc.sync.transfer._PUBLISH_BYTES", published_by)
    remote, files = many_packs
    place = LocalBackend(tmp_path / "local", create=True, durable=False)
    names = [digest_of(data) for data in files.values()]
    config = TransferConfig(connections=2, most_connections=2)
    logs = tmp_path / "first", tmp_path / "second"
    crashing = CrashingBackend(LocalBackend(remote), logs[0], left)
    with pytest.raises(Crash):
        receive(Store.create(place), Store.open(crashing), names, config=config)
    local = Store.open(place)
    receive(local, Store.open(LoggingBackend(LocalBackend(remote), logs[1])), names)
    first, second = map(read_log, logs)
    assert first.total() == left
    again = first & second
    assert again.total() <= 1  # the other one was in flight, and may have been cut short
    assert all(digest_of(local.read(name)) == name for name in names)
    assert local.index.contains(names).all()


def test_readers_go_on_while_versions_arrive(tmp_path: Path) -> None:
    """As a training does that reads the packs which a pull adds to, and merges."""
    source = new_store()
    place = LocalBackend(tmp_path / "local", create=True, durable=False)
    local = Store.create(place)
    files = {f"{number:02d}": noise(3000, number) for number in range(30)}
    tip = commit(source, files)
    pull(local, source)
    reading = Store.open(LocalBackend(tmp_path / "local"))
    dataset = read_commit(local, tip).dataset
    problems: list[BaseException] = []
    rounds = 0
    begun, done = threading.Event(), threading.Event()

    def read() -> None:
        nonlocal rounds
        try:
            while not done.is_set() or not rounds:
                table = Manifest(reading, dataset).entries()
                digests = [Digest(each) for each in table.column("digest").to_pylist()]
                for digest, data in zip(digests, reading.read_files(digests), strict=True):
                    assert digest_of(data) == digest
                rounds += 1
                begun.set()
        except BaseException as error:
            problems.append(error)
            begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(60)
    for step in range(1, 25):
        files |= {f"more/{step}": noise(3000, 100 + step)}
        tip = commit(source, files, [tip], step=step)
        pull(local, source)
        compact(local, delete=True)
        local.delete_replaced()
    done.set()
    reader.join(60)
    assert not problems
    assert rounds
    assert contents(local, tip) == files


def test_a_lock_is_held_once_and_leaves_nothing(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, durable=False)
    with backend.exclusive("packs/a") as first, backend.exclusive("packs/a") as second:
        assert (first, second) == (True, False)
        with backend.exclusive("packs/b") as other:
            assert other
        assert list(backend.list("")) == []
    with backend.exclusive("packs/a") as again:
        assert again
    assert not list((tmp_path / "packs").iterdir())


class _Pieces(Wrapper):
    """Streams an object in pieces, of which one is too many."""

    streams = True

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        yield self.get(name, start)
        yield b"more"


def test_a_pack_that_does_not_end_is_refused(tmp_path: Path) -> None:
    source, local = new_store(), new_store()
    commit(source, {"a": noise(2000 * KIB)})
    with pytest.raises(Exception, match="does not match its digest"):
        pull(local, Store.open(_Pieces(source.backend)))
    assert "main" not in local.root().branches
