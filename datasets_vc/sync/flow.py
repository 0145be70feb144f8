"""How much of a transfer is under way at once: connections that adapt, memory that is bounded."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")

_GROWN = 1.1
_SHRUNK = 0.8


class StoppedError(Exception):
    """The rest of the work is not wanted any more: something else has failed."""


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """What a transfer may take.

    Args:
        memory: bytes of objects that are held at once, over all connections; a single object that
            is larger goes alone.
        connections: at first.
        most_connections: as long as more of them bring more.
    """

    memory: int = 256 << 20
    connections: int = 4
    most_connections: int = 16


class Pace:
    """How many connections to use: more while they bring more, half of them when one stumbles.

    It looks at rounds of as many requests as run at once. The rule is TCP's in spirit: grow by
    steps, back off by halves (Jacobson and Karels, "Congestion avoidance and control", 1988).
    """

    def __init__(self, config: TransferConfig, now: float) -> None:
        self.connections = min(config.connections, config.most_connections)
        self._most = config.most_connections
        self._rate = 0.0
        self._stumbles = 0
        self._begin(now)

    def note(self, amount: int, now: float, stumbles: int) -> None:
        """A request has ended.

        Args:
            amount: bytes that it moved.
            now: in seconds, of a clock that never goes back.
            stumbles: how many requests had to be tried again since the beginning.
        """
        self._amount += amount
        self._requests += 1
        if stumbles > self._stumbles:
            self._stumbles = stumbles
            # What the larger number brought counts no more: growing is tried anew from here.
            self._rate = 0.0
            self.connections = max(1, self.connections // 2)
            self._begin(now)
        elif self._requests >= self.connections and now > self._since:
            self._adapt(self._amount / (now - self._since))
            self._begin(now)

    def _adapt(self, rate: float) -> None:
        if rate > _GROWN * self._rate:
            self.connections = min(self._most, self.connections + max(1, self.connections // 2))
        elif rate < _SHRUNK * self._rate:
            self.connections = max(1, self.connections - 1)
        else:
            return
        self._rate = rate

    def _begin(self, now: float) -> None:
        self._since, self._amount, self._requests = now, 0, 0


class Flow:
    """Runs the requests of one command, as many at once as pace and memory allow.

    Args:
        stumbles: tells how many requests had to be tried again so far.
        clock: in seconds.
    """

    def __init__(
        self,
        config: TransferConfig,
        stumbles: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stopped = threading.Event()
        self._config = config
        self._clock = clock
        self._stumbled_before = stumbles()
        self._stumbles = stumbles
        self._pace = Pace(config, clock())

    def go_on(self, after: float = 0.0) -> None:
        """Whoever does a long job asks this now and then.

        Args:
            after: seconds to wait before.

        Raises:
            StoppedError: another job has failed, or there was an interrupt.
        """
        if self._stopped.wait(after) if after else self._stopped.is_set():
            raise StoppedError

    def run(
        self,
        act: Callable[[Job], Result],
        jobs: Iterable[Job],
        take: Callable[[Job, Result], object],
        *,
        size: Callable[[Job], int],
        memory: Callable[[Job], int],
    ) -> None:
        """Do all jobs; after an error or an interrupt those that have not begun are dropped.

        Args:
            act: does one, in a thread of its own; a long one calls `go_on` now and then.
            take: gets the results as they come, in the thread of the caller.
            size: bytes that a job moves.
            memory: bytes that it holds meanwhile.
        """
        waiting = deque(jobs)
        running: dict[Future[Result], Job] = {}
        with ThreadPoolExecutor(self._config.most_connections) as pool:
            try:
                while waiting or running:
                    while waiting and self._has_room(
                        memory(waiting[0]), map(memory, running.values())
                    ):
                        job = waiting.popleft()
                        running[pool.submit(act, job)] = job
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        job = running.pop(future)
                        result = future.result()
                        stumbles = self._stumbles() - self._stumbled_before
                        self._pace.note(size(job), self._clock(), stumbles)
                        take(job, result)
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _has_room(self, more: int, held: Iterable[int]) -> bool:
        sizes = list(held)
        if not sizes:
            return True
        return len(sizes) < self._pace.connections and sum(sizes) + more <= self._config.memory
