"""Snapshots: one dataset, read wherever it is taken."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from datasets_vc import Access, Snapshot
from datasets_vc.backends import LocalBackend, open_backend
from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import DatasetError, IntegrityError, MissingDataError, NotFoundError
from datasets_vc.history.commits import read_commit
from datasets_vc.store import Store
from tests.sync.stores import commit, noise, tag

FILES = {f"train/{n % 3}/{n:04d}.bin": noise(200 + n, n) for n in range(600)} | {
    "big.bin": noise(3 << 20)
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    store = Store.create(LocalBackend(folder, durable=False))
    first = commit(store, {"only": b"one"})
    tag(store, "v1", first)
    commit(store, FILES, [first], step=1)
    return folder


def test_what_a_snapshot_says(folder: Path) -> None:
    snapshot = Snapshot.open(folder)
    store = Store.open(LocalBackend(folder))
    tip = store.root().branches["main"]
    assert snapshot.commit == tip.hex()
    assert snapshot.digest == read_commit(store, tip).dataset.hex()
    assert snapshot.url == str(folder)
    assert len(snapshot) == len(FILES)
    assert snapshot.bytes == sum(map(len, FILES.values()))
    assert snapshot.entries().column("path").to_pylist() == sorted(FILES)
    assert len(snapshot.entries("train/1")) == 200
    assert {path: bytes(snapshot.read(path)) for path in list(FILES)[::50]} == {
        path: FILES[path] for path in list(FILES)[::50]
    }
    for revision in ("v1", "main~1", store.root().tags["v1"].hex()[:12]):
        assert bytes(Snapshot.open(folder, revision).read("only")) == b"one"
    assert Snapshot.open(f"file://{folder}", snapshot.digest).commit is None


def test_files_by_their_digests_in_the_order_asked_for(folder: Path) -> None:
    snapshot = Snapshot.open(folder)
    paths = sorted(FILES)[::7][::-1] * 2
    digests = [digest_of(FILES[path]) for path in paths]
    assert [bytes(data) for data in snapshot.read_many(digests)] == [FILES[path] for path in paths]
    with pytest.raises(MissingDataError):
        snapshot.read_many([digest_of(b"absent")])


@pytest.mark.parametrize("path", ["", "train", "train/0", "nothing", "big.bin/", "../big.bin"])
def test_paths_that_are_not_there(folder: Path, path: str) -> None:
    with pytest.raises(NotFoundError):
        Snapshot.open(folder).read(path)


def test_places_without_a_store(tmp_path: Path, folder: Path) -> None:
    for location in (tmp_path, tmp_path / "absent", f"memory://{tmp_path.name}-absent"):
        with pytest.raises(DatasetError):
            Snapshot.open(location)
    with pytest.raises(NotFoundError):
        Snapshot.open(folder, "v9")


def test_a_snapshot_pickles_as_its_address(folder: Path) -> None:
    snapshot = Snapshot.open(folder)
    snapshot.entries()
    data = pickle.dumps(snapshot)
    assert len(data) < 350 + len(snapshot.url)
    again = pickle.loads(data)
    assert (again.url, again.digest, again.commit) == (
        snapshot.url,
        snapshot.digest,
        snapshot.commit,
    )
    assert bytes(again.read("big.bin")) == FILES["big.bin"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_other_processes_read_the_same(folder: Path, method: str) -> None:
    snapshot = Snapshot.open(folder)
    snapshot.read("big.bin")
    with get_context(method).Pool(2) as pool:
        found = pool.map(_Read(snapshot), ["big.bin", "train/0/0000.bin"])
    assert found == [digest_of(FILES["big.bin"]), digest_of(FILES["train/0/0000.bin"])]


class _Read:
    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def __call__(self, path: str) -> Digest:
        return digest_of(self.snapshot.read(path))


def test_threads_read_the_same(folder: Path) -> None:
    snapshot = pickle.loads(pickle.dumps(Snapshot.open(folder)))
    paths = sorted(FILES)[::5]
    with ThreadPoolExecutor(8) as pool:
        assert [bytes(data) for data in pool.map(snapshot.read, paths)] == [
            FILES[path] for path in paths
        ]


def test_reading_by_path_and_by_digest_is_verified(tmp_path: Path) -> None:
    store = Store.create(LocalBackend(tmp_path, durable=False))
    commit(store, {"a": b"hello world"})
    place = store.find(digest_of(b"hello world"))
    assert place
    pack = tmp_path / "packs" / place.pack.digest.hex()
    data = bytearray(pack.read_bytes())
    data[place.offset] ^= 1
    pack.write_bytes(data)
    snapshot = Snapshot.open(tmp_path)
    with pytest.raises(IntegrityError, match=place.pack.digest.hex()):
        snapshot.read("a")
    with pytest.raises(IntegrityError, match=place.pack.digest.hex()):
        snapshot.read_many([place.digest])
    assert pack.with_name(pack.name + ".damaged").exists()


def test_how_to_get_to_the_store_goes_along(
    s3_url: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(open_backend(s3_url))
    commit(store, {"only": b"one"})
    store.backend.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    snapshot = Snapshot.open(s3_url, access=Access(s3_endpoint))
    copy = pickle.loads(pickle.dumps(snapshot))
    assert copy.access == Access(s3_endpoint)
    assert bytes(copy.read("only")) == b"one"
