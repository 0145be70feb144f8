"""How many requests run at once: more while that brings more, fewer when the remote stumbles."""

from __future__ import annotations

import threading

import pytest

from datasets_vc.sync.flow import Flow, Pace, StoppedError, TransferConfig

CONFIG = TransferConfig(memory=100, connections=4, most_connections=12)


def play(pace: Pace, rounds: list[tuple[int, int]], now: float = 0.0) -> list[int]:
    """Rounds of as many requests as run at once: (bytes a second, stumbles so far)."""
    seen = []
    for rate, stumbles in rounds:
        count = pace.connections
        now += 1.0
        for _ in range(count):
            pace.note(rate // count, now, stumbles)
        seen.append(pace.connections)
    return seen


def test_connections_grow_while_throughput_does() -> None:
    pace = Pace(CONFIG, 0.0)
    assert play(pace, [(1000, 0), (2000, 0), (4000, 0), (8000, 0)]) == [6, 9, 12, 12]


def test_connections_stay_where_more_bring_nothing() -> None:
    pace = Pace(CONFIG, 0.0)
    assert play(pace, [(1000, 0), (1020, 0), (1010, 0)]) == [6, 6, 6]
    assert play(pace, [(500, 0)], now=3.0) == [5]


def test_a_stumble_halves_them_and_growth_begins_anew() -> None:
    pace = Pace(CONFIG, 0.0)
    play(pace, [(1000, 0), (2000, 0)])
    pace.note(10, 2.5, 1)
    assert pace.connections == 4
    for stumbles in range(2, 9):
        pace.note(10, 2.5 + stumbles, stumbles)
    assert pace.connections == 1
    assert play(pace, [(1000, 8), (2000, 8)], now=20.0) == [2, 3]


class Watched:
    """Jobs that wait for each other, and what they hold together."""

    def __init__(self, together: int) -> None:
        self.barrier = threading.Barrier(together)
        self.held = self.most = self.running = self.most_running = 0
        self.lock = threading.Lock()

    def __call__(self, size: int) -> int:
        with self.lock:
            self.held += size
            self.running += 1
            self.most = max(self.most, self.held)
            self.most_running = max(self.most_running, self.running)
        self.barrier.wait(10)
        with self.lock:
            self.held -= size
            self.running -= 1
        return size


def run(act: object, jobs: list[int], config: TransferConfig = CONFIG) -> list[int]:
    got: list[int] = []
    # By a clock that stands still no round was slow: as many run at once as there may.
    flow = Flow(config, clock=lambda: 0.0)
    flow.run(act, jobs, lambda _, size: got.append(size), size=int, memory=int)  # type: ignore[arg-type]
    return got


def test_memory_bounds_what_runs_at_once() -> None:
    watched = Watched(2)
    assert sorted(run(watched, [50] * 8)) == [50] * 8
    assert (watched.most, watched.most_running) == (100, 2)


def test_what_is_larger_than_the_memory_goes_alone() -> None:
    watched = Watched(1)
    assert sorted(run(watched, [500, 60, 500, 60])) == [60, 60, 500, 500]
    assert watched.most == 500


def test_connections_bound_what_runs_at_once() -> None:
    watched = Watched(3)
    run(watched, [1] * 9, TransferConfig(100, 3, 3))
    assert watched.most_running == 3


def test_after_an_error_nothing_new_begins_and_long_jobs_are_told() -> None:
    config = TransferConfig(100, 2, 2)
    flow = Flow(config)
    begun: list[int] = []
    told = []
    both = threading.Barrier(2)

    def act(job: int) -> None:
        begun.append(job)
        both.wait(10)
        if job == 0:
            raise KeyError(job)
        try:
            while True:
                flow.go_on(0.01)
        except StoppedError:
            told.append(job)
            raise

    with pytest.raises(KeyError):
        flow.run(act, range(10), lambda *_: None, size=lambda _: 1, memory=lambda _: 1)
    assert sorted(begun) == [0, 1]
    assert told == [1]
