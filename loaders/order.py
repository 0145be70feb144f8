"""Which epoch an iterator is, and the batches of indices that it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import NamedTuple

from torch.utils import data as torch_data

from loaders.batch import Batch
from loaders.plan import Plan


class Position(NamedTuple):
    """A moment of a training: `step` batches of `epoch` are done."""

    epoch: int
    step: int


class Epochs:
    """Where the next iterator starts: at the start of an epoch of its own.

    Iterators in nested loops and in threads share one of these. An iterator takes an epoch when it
    is asked for its first batch; one that could not give any gives the epoch back.
    """

    def __init__(self) -> None:
        self._next = Position(0, 0)
        self._lock = Lock()

    def take(self) -> Position:
        """Where an iterator that starts now begins."""
        with self._lock:
            taken = self._next
            self._next = Position(taken.epoch + 1, 0)
        return taken

    def give_back(self, taken: Position) -> None:
        """The iterator that took this gave no batch: the next one begins there, if none has."""
        with self._lock:
            if self._next == (taken.epoch + 1, 0):
                self._next = taken

    def go_to(self, position: Position) -> None:
        """Let the next iterator begin in the middle of an epoch; the one after it does not."""
        with self._lock:
            self._next = position

    def set_epoch(self, epoch: int) -> None:
        """Let the next iterator be of `epoch`, from the step on that `go_to` has said of it."""
        with self._lock:
            if self._next.epoch != epoch:
                self._next = Position(epoch, 0)

    def __getstate__(self) -> Position:
        return self._next

    def __setstate__(self, state: Position) -> None:
        self.__init__()  # type: ignore[misc]
        self._next = Position(*state)


class Order(torch_data.Sampler[list[int]]):
    """One rank's batches of indices, in the order of a plan; each iteration is an epoch.

    It is what loops that take a loader apart (accelerate) keep of it.

    Args:
        plan: the order.
        rank, world_size: whose share of each batch.
        epochs: says where an iteration starts.
    """

    def __init__(self, plan: Plan, rank: int, world_size: int, epochs: Epochs) -> None:
        self._plan = plan
        self._rank = rank
        self._world_size = world_size
        self._epochs = epochs
        self.batch_size = plan.batch_size
        self.drop_last = plan.drop_last

    def __len__(self) -> int:
        return self._plan.batches

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: the epoch is taken with the first batch, not with the iterator.
        yield from self.batches(self._epochs.take())

    def batches(self, start: Position) -> Iterator[list[int]]:
        """The batches from `start` to the end of its epoch."""
        for step in range(start.step, self._plan.batches):
            first, indices = self._plan.share(start.epoch, step, self._rank, self._world_size)
            yield Batch(indices.tolist(), self._plan.seed, start.epoch, first)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be of `epoch`, for loops that count themselves."""
        self._epochs.set_epoch(epoch)
