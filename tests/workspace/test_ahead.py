from __future__ import annotations

import itertools
import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.workspace import waiting
from datasets_vc.workspace.ahead import LARGE, ahead, busy_threads, spans
from datasets_vc.workspace.waiting import Disk


@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_results_come_in_order(count: int) -> None:
    with ahead(lambda number: number * 2, range(count), threads=3) as results:
        assert list(results) == [number * 2 for number in range(count)]


def test_work_goes_ahead_but_not_far() -> None:
    begun: list[int] = []
    with ahead(lambda number: begun.append(number), range(100), threads=2) as results:
        next(results)
    assert len(begun) <= 4


def test_a_failure_comes_in_its_place() -> None:
    def work(number: int) -> int:
        return 10 // (3 - number)

    with ahead(work, range(10), threads=2) as results:
        assert [next(results) for _ in range(3)] == [3, 5, 10]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_on_leaving_nothing_is_at_work_any_more() -> None:
    before = threading.active_count()
    with ahead(abs, range(100), threads=4) as results:
        next(results)
    assert threading.active_count() == before


@given(
    st.lists(st.integers(0, 2 * LARGE), max_size=300) | st.lists(st.integers(0, 9), min_size=500)
)
def test_spans_are_all_files_in_order(sizes: list[int]) -> None:
    found = list(spans(np.array(sizes, np.int64)))
    assert [row for span in found for row in range(*span)] == list(range(len(sizes)))
    for start, stop in found:
        some = sizes[start:stop]
        assert len(some) == 1 or all(size < LARGE for size in some)
        assert 0 < len(some) <= 256
        assert sum(some) <= LARGE or len(some) == 1


def test_small_files_share_a_span() -> None:
    assert list(spans(np.full(600, 10))) == [(0, 256), (256, 512), (512, 600)]


def test_who_waits_for_a_disk_gets_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = itertools.count(0, 1000)
    monkeypatch.setattr(waiting, "blocks_read", lambda: next(blocks))
    disk = Disk()
    told: list[bool] = []
    with ahead(lambda _: told.append(disk.waits), range(100), threads=3, disk=disk) as results:
        list(results)
    assert told[-1]


def test_who_reads_from_memory_is_not_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "blocks_read", lambda: 7)
    disk = Disk()
    with ahead(abs, range(100), disk=disk) as results:
        list(results)
    assert not disk.waits


def test_small_files_are_worth_one_thread_and_large_ones_all_cores() -> None:
    assert busy_threads(np.array([], np.int64)) == 1
    assert busy_threads(np.full(10, 1000)) == 1
    assert busy_threads(np.full(10, 1 << 30)) == (os.cpu_count() or 1)
