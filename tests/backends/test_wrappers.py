from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets_vc.backends import CountingBackend, LocalBackend, RetryingBackend, RetryPolicy
from datasets_vc.backends.base import Versioned
from datasets_vc.backends.layered import LayeredBackend
from datasets_vc.digest import Buffer
from datasets_vc.errors import ConflictError, NotFoundError, RemoteError
from tests.fault.faults import FailingBackend, LosingAnswersBackend


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    backend = LocalBackend(tmp_path, durable=False)
    backend.put("packs/a", b"data")
    backend.swap("root.json", b"1", None)
    return backend


def policy(waited: list[float], attempts: int = 3) -> RetryPolicy:
    return RetryPolicy(attempts, 1.0, 3.0, sleep=waited.append, uniform=lambda: 0.5)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("get", ("packs/a",)),
        ("put", ("packs/b", b"x")),
        ("stat", ("packs/a",)),
        ("list", ("packs/",)),
        ("delete", ("packs/a",)),
        ("read_root", ("root.json",)),
    ],
)
def test_passing_failures_are_tried_again(
    local: LocalBackend, verb: str, arguments: tuple[object, ...]
) -> None:
    waited: list[float] = []
    failing = FailingBackend(local, verb, times=2)
    getattr(RetryingBackend(failing, policy(waited)), verb)(*arguments)
    assert failing.calls == 3
    assert waited == [0.75, 1.5]


def test_it_gives_up_at_last(local: LocalBackend) -> None:
    waited: list[float] = []
    failing = FailingBackend(local, "get", times=99)
    with pytest.raises(RemoteError):
        RetryingBackend(failing, policy(waited, attempts=5)).get("packs/a")
    assert failing.calls == 5
    assert waited == [0.75, 1.5, 2.25, 2.25]


@pytest.mark.parametrize("error", [RemoteError("refused"), NotFoundError("none")])
def test_lasting_failures_are_not_tried_again(local: LocalBackend, error: Exception) -> None:
    waited: list[float] = []
    failing = FailingBackend(local, "get", error=error)
    with pytest.raises(type(error)):
        RetryingBackend(failing, policy(waited)).get("packs/a")
    assert (failing.calls, waited) == (1, [])


def test_a_swap_is_tried_once(local: LocalBackend) -> None:
    waited: list[float] = []
    losing = LosingAnswersBackend(local)
    with pytest.raises(RemoteError) as caught:
        RetryingBackend(losing, policy(waited)).swap("root.json", b"2", b"1")
    assert caught.value.transient
    assert waited == []
    assert local.get("root.json") == b"2"


def test_waits_are_random_between_half_and_all() -> None:
    default = RetryPolicy(base_delay=1.0, max_delay=4.0)
    for failures, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (9, 4.0)):
        assert longest / 2 <= default.delay(failures) <= longest


def test_a_retrying_backend_can_be_pickled(local: LocalBackend) -> None:
    copy = pickle.loads(pickle.dumps(RetryingBackend(local)))
    assert copy.get("packs/a") == b"data"


def test_counts(local: LocalBackend) -> None:
    counting = CountingBackend(local)
    counting.get("packs/a", 1, 3)
    counting.put("packs/b", b"12345", memoryview(b"67"))
    counting.read_root("root.json")
    counting.read_root("none.json")
    counting.swap("root.json", b"22", b"1")
    assert (counting.requests, counting.bytes_received, counting.bytes_sent) == (5, 3, 9)
    counting.stat("packs/a")
    list(counting.list(""))
    counting.delete("packs/b")
    assert (counting.requests, counting.bytes_received, counting.bytes_sent) == (8, 3, 9)


def test_maps_are_not_counted(local: LocalBackend) -> None:
    counting = CountingBackend(local)
    counting.map("packs/a")
    assert (counting.requests, counting.bytes_received) == (0, 0)


def test_failed_requests_are_counted(local: LocalBackend) -> None:
    counting = CountingBackend(local)
    with pytest.raises(NotFoundError):
        counting.get("none")
    with pytest.raises(ConflictError):
        counting.swap("root.json", b"2", b"0")
    assert counting.requests == 2


def test_counts_from_many_threads(local: LocalBackend) -> None:
    counting = CountingBackend(local)
    threads = [
        threading.Thread(target=lambda: [counting.get("packs/a") for _ in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (counting.requests, counting.bytes_received) == (800, 3200)


def test_a_pickled_copy_counts_from_zero(local: LocalBackend) -> None:
    counting = CountingBackend(local)
    counting.get("packs/a")
    copy = pickle.loads(pickle.dumps(counting))
    assert copy.requests == 0
    copy.get("packs/a")
    assert (copy.requests, counting.requests) == (1, 1)


class BreakingBackend(LocalBackend):
    """Streams two bytes, and then the connection breaks, for so many times."""

    breaks = 2

    def stream(self, name: str, start: int = 0) -> Iterator[Buffer]:
        self.starts.append(start)
        data = self.get(name, start)
        if self.breaks:
            self.breaks -= 1
            yield data[:2]
            raise RemoteError("The connection broke.", transient=True)
        yield data

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.starts: list[int] = []


def test_a_stream_that_breaks_goes_on_where_it_was(tmp_path: Path) -> None:
    breaking = BreakingBackend(tmp_path)
    breaking.put("packs/a", b"0123456789")
    waited: list[float] = []
    counting = CountingBackend(RetryingBackend(breaking, policy(waited)))
    assert b"".join(counting.stream("packs/a")) == b"0123456789"
    assert breaking.starts == [0, 2, 4]
    assert (counting.stumbles, counting.requests, counting.bytes_received) == (2, 3, 10)


def test_a_stream_that_brings_nothing_is_given_up(tmp_path: Path) -> None:
    failing = FailingBackend(LocalBackend(tmp_path), "get", times=99)
    waited: list[float] = []
    with pytest.raises(RemoteError):
        list(RetryingBackend(failing, policy(waited)).stream("packs/a"))
    assert failing.calls == 3


def test_a_file_is_sent_from_its_beginning_each_time(local: LocalBackend) -> None:
    failing = FailingBackend(local, "put_from", times=2)
    counting = CountingBackend(RetryingBackend(failing, policy([])))
    file = io.BytesIO(b"data of a file")
    file.read(5)
    counting.put_from("packs/b", file)
    assert local.get("packs/b") == b"data of a file"
    assert (counting.requests, counting.bytes_sent) == (3, 14)


def test_layers_leave_what_is_below_as_it_was(tmp_path: Path, local: LocalBackend) -> None:
    upper = LocalBackend(tmp_path / "upper", create=True, durable=False)
    both = LayeredBackend(upper, local)
    root = both.read_root("root.json")
    assert root
    both.put("packs/b", b"new")
    both.swap("root.json", b"2", root.token)
    assert (both.get("packs/a"), both.get("packs/b")) == (b"data", b"new")
    assert [info.name for info in both.list("packs/")] == ["packs/a", "packs/b"]
    assert both.read_root("root.json") == Versioned(b"2", b"2")
    with pytest.raises(ConflictError):
        both.swap("root.json", b"3", root.token)
    assert [info.name for info in local.list("packs/")] == ["packs/a"]
    assert local.get("root.json") == b"1"
    with pytest.raises(NotFoundError):
        both.map("packs/c")
