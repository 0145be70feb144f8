"""The order of samples, as arithmetic.

A plan is a pure function of (dataset digest, selection, seed, epoch, step): which samples make up a
step is the same for any number of workers and ranks, can be resumed from two numbers, and can be
asked backwards.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from datasets_vc.digest import digest_of
from datasets_vc.errors import InvalidInputError
from loaders.permutation import Indices, Permutation

_VERSION = 1


@dataclass(frozen=True)
class Plan:
    """The batches of every epoch over `samples` samples.

    Args:
        dataset: the dataset digest, 64 hex digits.
        selection: says which samples of the dataset these are, in which order.
        samples: how many they are.
        batch_size: samples a step, over all ranks.
        seed: any integer.
        shuffle: a new order every epoch; else the order of the samples, always.
        drop_last: leave out the last batch of an epoch if it is not full.

    Raises:
        InvalidInputError: there would be no batch.
    """

    dataset: str
    selection: str
    samples: int
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    drop_last: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InvalidInputError(f"A batch of {self.batch_size} samples is no batch.")
        if self.samples < 1:
            raise InvalidInputError("There are no samples to make batches of.")
        if not self.batches:
            raise InvalidInputError(
                f"{self.samples} samples do not fill one batch of {self.batch_size}.",
                "Use a smaller batch_size, or drop_last=False.",
            )

    @cached_property
    def digest(self) -> str:
        """Names this order: 64 hex digits, equal exactly if all of the plan's values are."""
        return digest_of(_canonical({"plan": _VERSION} | asdict(self))).hex()

    @property
    def batches(self) -> int:
        """Steps an epoch."""
        full, rest = divmod(self.samples, self.batch_size)
        return full + bool(rest and not self.drop_last)

    def batch(self, epoch: int, step: int) -> Indices:
        """The samples of a step over all ranks: their indices, in the order of their positions."""
        self._check(epoch, step)
        start = step * self.batch_size
        return self._order(epoch, start, min(start + self.batch_size, self.samples))

    def share(self, epoch: int, step: int, rank: int, world_size: int) -> tuple[int, Indices]:
        """One rank's contiguous part of a step's batch.

        Shares differ in length by at most one: of n samples, rank r of W takes those from r*n//W up
        to (r+1)*n//W.

        Returns:
            The position in the epoch of the share's first sample, and the samples' indices.
        """
        self._check(epoch, step)
        first = step * self.batch_size
        length = min(self.batch_size, self.samples - first)
        start, end = (first + part * length // world_size for part in (rank, rank + 1))
        return start, self._order(epoch, start, end)

    def where(self, index: int, epoch: int) -> tuple[int, int] | None:
        """When a sample's turn is: step and position in the batch, or None if it is left out.

        Raises:
            InvalidInputError: there is no sample of this index.
        """
        if not 0 <= index < self.samples:
            raise InvalidInputError(f"There is no sample {index}: the plan has {self.samples}.")
        position = index
        if self.shuffle:
            position = int(self._permutation(epoch).inverse(np.array([index]))[0])
        step, place = divmod(position, self.batch_size)
        return (step, place) if step < self.batches else None

    def normal(self, epoch: int, step: int) -> tuple[int, int]:
        """The same moment with the end of an epoch written as the start of the next.

        Raises:
            InvalidInputError: the plan has no such step.
        """
        if step == self.batches:
            epoch, step = epoch + 1, 0
        self._check(epoch, step)
        return epoch, step

    def check_ranks(self, rank: int, world_size: int) -> None:
        """Refuse ranks of which one would have a step without samples.

        Raises:
            InvalidInputError: there is no such rank, or a batch has fewer samples than ranks.
        """
        if not 0 <= rank < world_size:
            raise InvalidInputError(f"There is no rank {rank} of {world_size}.")
        last = self.samples - (self.batches - 1) * self.batch_size
        if min(self.batch_size, last) < world_size:
            which = "A batch" if self.batch_size < world_size else "The last batch"
            raise InvalidInputError(
                f"{which} has {min(self.batch_size, last)} samples for {world_size} ranks.",
                "Use drop_last=True or another batch_size (it counts the samples of all ranks).",
            )

    def describe(self) -> dict[str, Any]:
        """The plan's values with its digest and length, for records."""
        return asdict(self) | {"digest": self.digest, "batches": self.batches}

    def _order(self, epoch: int, start: int, end: int) -> Indices:
        positions = np.arange(start, end, dtype=np.int64)
        return self._permutation(epoch).forward(positions) if self.shuffle else positions

    def _permutation(self, epoch: int) -> Permutation:
        key = [_VERSION, self.dataset, self.selection, self.seed, epoch]
        return Permutation(self.samples, _canonical(key))

    def _check(self, epoch: int, step: int) -> None:
        if epoch < 0 or not 0 <= step < self.batches:
            raise InvalidInputError(
                f"There is no step {step} in epoch {epoch}: an epoch has {self.batches} steps."
            )


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
