from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.workspace.ahead import LARGE, ahead, batches, spans


@dataclass(frozen=True)
class File:
    size: int


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


@given(st.lists(st.integers(0, 2 * LARGE).map(File), max_size=300))
def test_batches_keep_all_files_in_order(files: list[File]) -> None:
    found = list(batches(files))
    assert [file for batch in found for file in batch] == files
    assert all(batch for batch in found)
    for batch in found:
        assert len(batch) == 1 or all(file.size < LARGE for file in batch)
        assert len(batch) <= 256
        assert sum(file.size for file in batch) <= LARGE or len(batch) == 1


@given(
    st.lists(st.integers(0, 2 * LARGE), max_size=300) | st.lists(st.integers(0, 9), min_size=500)
)
def test_spans_are_the_same_batches(sizes: list[int]) -> None:
    lengths = [len(batch) for batch in batches(map(File, sizes))]
    found = list(spans(np.array(sizes, np.int64)))
    assert [stop - start for start, stop in found] == lengths
    assert [start for start, _ in found] == [sum(lengths[:row]) for row in range(len(lengths))]


def test_small_files_share_a_batch() -> None:
    assert [len(batch) for batch in batches([File(10)] * 600)] == [256, 256, 88]
