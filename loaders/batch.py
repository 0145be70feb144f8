"""What travels between a loader and its workers: indices with keys, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datasets_vc.digest import Hasher
from datasets_vc.errors import DatasetError


class Batch(list[int]):
    """Indices of samples, and what keys their random generators.

    torch hands workers the indices and nothing else, so the keys go with them.

    Attributes:
        seed, epoch: of the plan.
        start: position in the epoch of the first sample, over all ranks; the others follow it.
    """

    def __init__(self, indices: Iterable[int], seed: int, epoch: int, start: int) -> None:
        super().__init__(indices)
        self.seed = seed
        self.epoch = epoch
        self.start = start

    def __reduce__(self) -> tuple[type[Batch], tuple[list[int], int, int, int]]:
        return Batch, (list(self), self.seed, self.epoch, self.start)


def rng_keys(indices: Sequence[int]) -> list[tuple[int, int, int]]:
    """(seed, epoch, position) for each of `indices`; of plain ones, (0, 0, index)."""
    if isinstance(indices, Batch):
        ends = indices.start, indices.start + len(indices)
        return [(indices.seed, indices.epoch, position) for position in range(*ends)]
    return [(0, 0, index) for index in indices]


class Skipped(NamedTuple):
    """Takes the place of a sample that cannot be decoded."""

    path: str
    reason: str


@dataclass(frozen=True)
class Failure:
    """Takes the place of a batch: torch would make one long message of a worker's traceback."""

    error: DatasetError


def sample_rng(seed: int, epoch: int, position: int) -> np.random.Generator:
    """The generator of the sample at a position of an epoch: the same in any process.

    Philox keyed by BLAKE3, so that no two (seed, epoch, position) share a stream.
    """
    key = Hasher(f"{seed}/{epoch}/{position}".encode()).digest(length=16)
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key, "<u8")))
