"""What every backend has to do, in the same words for all of them."""

from __future__ import annotations

import io
import os
import pickle
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasets_vc.addresses import Access
from datasets_vc.backends import (
    Backend,
    CountingBackend,
    FsspecBackend,
    LocalBackend,
    RetryingBackend,
    probe,
)
from datasets_vc.backends.wrappers import Wrapper
from datasets_vc.digest import Buffer
from datasets_vc.errors import ConflictError, InvalidInputError, NotFoundError
from tests.servers.web import web

ROOT = "root.json"
NAME = "packs/ab12"
DATA = bytes(range(256)) * 4


def _local(request: pytest.FixtureRequest) -> Backend:
    return LocalBackend(request.getfixturevalue("tmp_path") / "store", create=True)


def _memory(_: pytest.FixtureRequest) -> Backend:
    return FsspecBackend(f"memory://{secrets.token_hex(8)}/store")


def _file(request: pytest.FixtureRequest) -> Backend:
    folder: Path = request.getfixturevalue("tmp_path") / "store"
    return FsspecBackend(folder.as_uri())


def _s3(request: pytest.FixtureRequest) -> Backend:
    return FsspecBackend(request.getfixturevalue("s3_url"))


def _rclone(request: pytest.FixtureRequest) -> Backend:
    # A read that meets a write breaks off there, and is tried again.
    url = request.getfixturevalue("rclone_url")
    return RetryingBackend(FsspecBackend(url, single_writer=True))


def _azure(request: pytest.FixtureRequest) -> Backend:
    return FsspecBackend(request.getfixturevalue("azure_url"))


def _gcs(request: pytest.FixtureRequest) -> Backend:
    url = request.getfixturevalue("gcs_url")
    return FsspecBackend(url, access=Access(anonymous=True))


def _sftp(request: pytest.FixtureRequest) -> Backend:
    folder: Path = request.getfixturevalue("tmp_path") / "store"
    return FsspecBackend(request.getfixturevalue("ssh_home").url(folder))


def _web(request: pytest.FixtureRequest) -> Backend:
    return request.getfixturevalue("published")


def _wrapped(request: pytest.FixtureRequest) -> Backend:
    return CountingBackend(RetryingBackend(_local(request)))


MAKERS: dict[str, Callable[[pytest.FixtureRequest], Backend]] = {
    "local": _local,
    "memory": _memory,
    "file": _file,
    "s3": _s3,
    "rclone": _rclone,
    "azure": _azure,
    "gcs": _gcs,
    "sftp": _sftp,
    "web": _web,
    "wrapped": _wrapped,
}


# Where a request takes so long that a long race proves no more than a short one.
FAR = {"rclone", "azure", "gcs", "sftp"}


class Published(Wrapper):
    """A folder that is read through a web server, and written as a folder."""

    def __init__(self, folder: LocalBackend, reader: Backend) -> None:
        super().__init__(reader)
        self._folder = folder
        self.conditional_writes = self.writable = True

    def __reduce__(self) -> tuple[type[Published], tuple[LocalBackend, Backend]]:
        return Published, (self._folder, self.inner)

    def put(self, name: str, *parts: Buffer) -> None:
        self._folder.put(name, *parts)

    def delete(self, name: str) -> None:
        self._folder.delete(name)

    def swap(self, name: str, data: bytes, expected: object | None) -> None:
        self._folder.swap(name, data, expected)


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Backend]:
    folder = LocalBackend(tmp_path / "some folder" / "store", create=True)
    with web(tmp_path) as url:
        yield Published(folder, FsspecBackend(f"{url}/some folder/store"))


@pytest.fixture(params=MAKERS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    made = MAKERS[request.param](request)
    yield made
    made.close()


def names(backend: Backend, prefix: str) -> list[str]:
    return [found.name for found in backend.list(prefix)]


def test_put_then_get_whole(backend: Backend) -> None:
    backend.put(NAME, DATA)
    assert backend.get(NAME) == DATA


def test_parts_lie_end_to_end(backend: Backend) -> None:
    backend.put(NAME, b"ab", bytearray(b"cd"), memoryview(b"xefx")[1:3])
    assert backend.get(NAME) == b"abcdef"


def test_put_replaces(backend: Backend) -> None:
    backend.put(NAME, DATA)
    backend.put(NAME, b"short")
    assert backend.get(NAME) == b"short"
    assert backend.stat(NAME).size == 5


def test_an_empty_object_is_an_object(backend: Backend) -> None:
    backend.put(NAME)
    assert backend.get(NAME) == b""
    assert backend.get(NAME, 0, 10) == b""
    assert backend.stat(NAME).size == 0
    assert bytes(backend.map(NAME) or b"") == b""


# A backend a test: making one costs more than reading from it.
RANGES = [(0, None), (0, 1), (0, 1024), (3, 7), (1023, 1024), (1000, None), (5, 5), (0, 0)]
BEYOND = [(1000, 5000), (1024, 1030), (2000, 3000), (2000, None)]


def test_ranges_end_where_the_object_ends(backend: Backend) -> None:
    backend.put(NAME, DATA)
    for start, end in RANGES + BEYOND:
        assert backend.get(NAME, start, end) == DATA[start:end], (start, end)


def test_ranges_count_from_the_beginning(backend: Backend) -> None:
    backend.put(NAME, DATA)
    for start, end in [(-1, None), (-5, -1), (4, 2)]:
        with pytest.raises(InvalidInputError):
            backend.get(NAME, start, end)


def test_absent_objects(backend: Backend) -> None:
    backend.put(NAME, DATA)
    for absent in ("packs/none", "none/ab12", "packs"):
        with pytest.raises(NotFoundError):
            backend.get(absent)
        with pytest.raises(NotFoundError):
            backend.get(absent, 2, 2)
        with pytest.raises(NotFoundError):
            backend.stat(absent)


def test_stat(backend: Backend) -> None:
    backend.put(NAME, DATA)
    found = backend.stat(NAME)
    assert (found.name, found.size) == (NAME, len(DATA))
    assert found.modified > 1.6e9


def test_map_is_read_only_and_whole_where_there_is_one(backend: Backend) -> None:
    backend.put(NAME, DATA)
    view = backend.map(NAME)
    assert view is None or (view.readonly and bytes(view) == DATA)


def test_list_by_prefix_in_order(backend: Backend) -> None:
    written = ["runs/b/head.json", "packs/b", "index/a", "packs/a", ROOT, "runs/a/head.json"]
    for name in written:
        backend.put(name, name.encode())
    assert names(backend, "packs/") == ["packs/a", "packs/b"]
    assert names(backend, "runs/a/") == ["runs/a/head.json"]
    assert names(backend, "") == sorted(written)
    assert [found.size for found in backend.list("packs/")] == [7, 7]


def test_list_takes_a_prefix_for_a_folder(backend: Backend) -> None:
    backend.put("packs/a", b"")
    backend.put("packs2/a", b"")
    assert names(backend, "packs/") == ["packs/a"]
    assert names(backend, "pack/") == []
    with pytest.raises(InvalidInputError):
        list(backend.list("packs"))


def test_list_of_nothing(backend: Backend) -> None:
    assert names(backend, "") == []
    assert names(backend, "packs/") == []


def test_listings_and_stat_agree_on_when_an_object_was_written(backend: Backend) -> None:
    before = time.time()
    backend.put(NAME, DATA)
    after = time.time()
    [listed] = backend.list("packs/")
    assert abs(listed.modified - backend.stat(NAME).modified) < 1
    # Some servers tell whole seconds, and each has a clock of its own: here it is the same one.
    assert before - 2 <= listed.modified <= after + 2


def test_many_objects_are_listed_page_by_page(backend: Backend) -> None:
    written = [f"packs/{number:02}" for number in range(7)]
    for name in reversed(written):
        backend.put(name, b"")
    assert names(backend, "packs/") == written


def test_list_is_never_stale(backend: Backend) -> None:
    backend.put("packs/a", b"1")
    assert names(backend, "packs/") == ["packs/a"]
    other = pickle.loads(pickle.dumps(backend))
    other.put("packs/b", b"1")
    other.put("packs/a", b"123")
    other.close()
    assert [(found.name, found.size) for found in backend.list("packs/")] == [
        ("packs/a", 3),
        ("packs/b", 1),
    ]
    assert backend.stat("packs/a").size == 3


def test_list_leaves_out_temporaries_and_locks(backend: Backend) -> None:
    backend.put("packs/.tmp-1234", b"left by a crash")
    backend.put("root.json.lock", b"")
    backend.put("packs/a", b"")
    assert names(backend, "") == ["packs/a"]


def test_writing_leaves_nothing_else_behind(backend: Backend) -> None:
    backend.put(NAME, DATA)
    backend.swap(ROOT, b"1", None)
    assert names(backend, "") == [NAME, ROOT]


def test_delete(backend: Backend) -> None:
    backend.put(NAME, DATA)
    backend.delete(NAME)
    backend.delete(NAME)
    backend.delete("none/at/all")
    assert names(backend, "") == []
    with pytest.raises(NotFoundError):
        backend.get(NAME)


BAD_NAMES = ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "a\\b", ".", "a/./b", "a\0b"]


def test_names_are_checked(backend: Backend) -> None:
    for name in BAD_NAMES:
        for act in _acts(backend, name):
            with pytest.raises(InvalidInputError):
                act()


def _acts(backend: Backend, name: str) -> list[Callable[[], object]]:
    return [
        lambda: backend.get(name),
        lambda: backend.put(name, b""),
        lambda: backend.stat(name),
        lambda: backend.delete(name),
        lambda: backend.map(name),
        lambda: backend.read_root(name),
        lambda: backend.swap(name, b"", None),
    ]


def test_no_root_at_first(backend: Backend) -> None:
    assert backend.read_root(ROOT) is None


def test_swap_makes_the_first_root_once(backend: Backend) -> None:
    backend.swap(ROOT, b"1", None)
    with pytest.raises(ConflictError):
        backend.swap(ROOT, b"2", None)
    root = backend.read_root(ROOT)
    assert root
    assert root.data == b"1"


def test_swap_replaces_the_state_it_names(backend: Backend) -> None:
    backend.swap(ROOT, b"1", None)
    first = backend.read_root(ROOT)
    assert first
    backend.swap(ROOT, b"2", first.token)
    with pytest.raises(ConflictError):
        backend.swap(ROOT, b"3", first.token)
    second = backend.read_root(ROOT)
    assert second
    assert second.data == b"2"
    assert second.token != first.token


def test_swap_of_a_root_that_is_gone(backend: Backend) -> None:
    backend.swap(ROOT, b"1", None)
    root = backend.read_root(ROOT)
    assert root
    backend.delete(ROOT)
    with pytest.raises(ConflictError):
        backend.swap(ROOT, b"2", root.token)
    assert backend.read_root(ROOT) is None


def test_no_update_is_lost_in_a_race(backend: Backend, request: pytest.FixtureRequest) -> None:
    far = request.node.callspec.params["backend"] in FAR
    threads, increments = (3, 4) if far else (8, 10)
    backend.swap(ROOT, b"0", None)
    failures: list[BaseException] = []

    def increment() -> None:
        root = backend.read_root(ROOT)
        assert root
        backend.swap(ROOT, b"%d" % (int(root.data) + 1), root.token)

    def work() -> None:
        done = 0
        try:
            while done < increments:
                try:
                    increment()
                except ConflictError:
                    continue
                done += 1
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    root = backend.read_root(ROOT)
    assert root
    assert int(root.data) == threads * increments


def test_reads_from_many_threads(backend: Backend) -> None:
    backend.put(NAME, DATA)
    wrong: list[int] = []

    def read(start: int) -> None:
        reads = [backend.get(NAME, start, start + 100) for _ in range(20)]
        wrong.extend(start for data in reads if data != DATA[start : start + 100])

    readers = [threading.Thread(target=read, args=(start,)) for start in (0, 17, 300, 900)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_a_pickled_copy_reaches_the_same_objects(backend: Backend) -> None:
    backend.put(NAME, DATA)
    copy = pickle.loads(pickle.dumps(backend))
    assert copy.url == backend.url
    assert copy.get(NAME, 3, 9) == DATA[3:9]
    copy.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_reads_and_leaves_its_parent_alone(backend: Backend) -> None:
    backend.put(NAME, DATA)
    assert backend.get(NAME, 0, 4) == DATA[:4]
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = backend.get(NAME, 4, 8) == DATA[4:8]
        finally:
            os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert backend.get(NAME, 8, 12) == DATA[8:12]


def test_a_closed_backend_opens_anew(backend: Backend) -> None:
    backend.put(NAME, DATA)
    backend.close()
    assert backend.get(NAME) == DATA


def test_probe_finds_what_is_there_and_cleans_up(backend: Backend) -> None:
    result = probe(backend)
    assert result.reachable
    assert result.readable
    assert result.writable
    assert result.ranges
    assert result.conditional_writes == backend.conditional_writes
    assert bool(result.problem) == (not backend.conditional_writes)
    assert names(backend, "") == []


@pytest.mark.parametrize("size", [0, 5, (2 << 20) + 1])
def test_an_object_is_streamed_as_it_is(backend: Backend, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    file = io.BytesIO(data)
    file.read(3)
    backend.put_from("packs/a", file)
    assert backend.get("packs/a") == data
    for start in {0, size // 3, size}:
        assert b"".join(backend.stream("packs/a", start)) == data[start:]


def test_a_stream_of_nothing_says_so(backend: Backend) -> None:
    with pytest.raises(NotFoundError):
        list(backend.stream("packs/none"))


def test_a_stream_may_be_left_before_its_end(backend: Backend) -> None:
    backend.put("packs/a", bytes(3 << 20))
    for piece in backend.stream("packs/a"):
        assert piece[:10] == bytes(10)
        break
    assert backend.get("packs/a", 0, 5) == bytes(5)


def test_whoever_makes_an_object_may_be_the_only_one(backend: Backend) -> None:
    with backend.exclusive("packs/a") as mine:
        assert mine
        backend.put("packs/a", b"data")
        assert [info.name for info in backend.list("")] == ["packs/a"]
