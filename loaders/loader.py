"""A torch `DataLoader` whose order is a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch.utils import data as torch_data

from datasets_vc.digest import Hasher
from datasets_vc.errors import BadSampleError, DatasetError, InvalidInputError
from loaders.batch import Batch, Failure, Skipped
from loaders.collate import collate
from loaders.datasets import SampleDataset
from loaders.plan import Plan

Collate: TypeAlias = Callable[[list[Any]], Any]

_OURS = ("sampler", "batch_sampler", "generator")


class DataLoader(torch_data.DataLoader[Any]):
    """Batches of a dataset in the order of a plan, whatever the number of workers and ranks.

    Iterating yields the batches of the current epoch from the current step on; after its last one
    the next epoch is current. A loop that is left early goes on there when the loader is iterated
    again.

    Args:
        dataset: what to read.
        batch_size: samples a step over all ranks: each rank gets its share of these.
        seed: of the plan and of the transforms' random generators.
        shuffle: a new order every epoch; else the order of the samples.
        num_workers: processes that read and decode; 0 for none but this one.
        rank, world_size: which of how many equal processes this is.
        drop_last: leave out the last batch of an epoch if it is not full.
        collate_fn: makes a batch of a list of samples; `loaders.collate` if None.
        options: torch's others, such as `pin_memory` or `multiprocessing_context`. Workers are
            kept from epoch to epoch unless `persistent_workers` says otherwise.

    Raises:
        InvalidInputError: a rank would have a step without samples, or an option contradicts the
        plan.
    """

    def __init__(
        self,
        dataset: SampleDataset,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        num_workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        collate_fn: Collate | None = None,
        **options: Any,
    ) -> None:
        for name in _OURS:
            if name in options:
                raise InvalidInputError(f"'{name}' contradicts the plan, which says the order.")
        self.plan = Plan(
            dataset.digest, dataset.selection, len(dataset), batch_size, seed, shuffle, drop_last
        )
        self.plan.check_ranks(rank, world_size)
        self.skipped: list[tuple[str, str]] = []
        self._samples = dataset
        self._order = _Order(self.plan, rank, world_size)
        self._now = (0, 0)
        # torch draws a seed for its workers every epoch: from here, not from the global generator.
        generator = torch.Generator().manual_seed(seed % 2**63)
        super().__init__(
            dataset,
            batch_sampler=self._order,
            num_workers=num_workers,
            collate_fn=_CollateKept(collate_fn or collate),
            generator=generator,
            **{"persistent_workers": num_workers > 0} | options,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        epoch, step = self._now
        self._order.start = self._now
        self.skipped = []
        for content, skipped in super().__iter__():
            self.skipped += [tuple(sample) for sample in skipped]
            if isinstance(content, Failure):
                self._stop_workers()
                raise content.error
            # Before the batch goes out: the state of a loop that is at work on it is "after it".
            step += 1
            self._now = self.plan.normal(epoch, step)
            yield content

    def state_dict(self) -> dict[str, Any]:
        """Where the loop is: after the last batch yielded, whatever workers have read ahead."""
        epoch, step = self._now
        return {"plan": self.plan.digest, "epoch": epoch, "step": step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another loader of the same plan was, with any number of workers and ranks.

        Raises:
            InvalidInputError: the state is that of another plan.
        """
        if state.get("plan") != self.plan.digest:
            raise InvalidInputError(
                "The state belongs to another order of samples than this loader's.",
                "Use the same dataset, split, global batch_size, seed, shuffle and drop_last.",
            )
        self._now = self.plan.normal(int(state["epoch"]), int(state["step"]))

    def batch_digest(self, epoch: int, step: int) -> str:
        """What names the samples of a step over all ranks: 64 hex digits.

        BLAKE3-256 over, for each sample in order: its path in UTF-8, a zero byte, its file's digest
        (32 bytes).
        """
        hasher = Hasher()
        for path, digest in self._samples.sample_ids(self.plan.batch(epoch, step).tolist()):
            hasher.update(path.encode() + b"\0" + digest)
        return str(hasher.hexdigest())

    def _stop_workers(self) -> None:
        # The error's traceback keeps torch's iterator alive until the garbage collector comes, and
        # by then it can no longer tell its workers to end: it would wait 5 s for each of them.
        stop = getattr(self._iterator, "_shutdown_workers", None)
        if stop is not None:
            stop()
            self._iterator = None


class _Order(torch_data.Sampler[list[int]]):
    """One rank's batches of indices, from `start` to the end of its epoch."""

    def __init__(self, plan: Plan, rank: int, world_size: int) -> None:
        self._plan = plan
        self._rank = rank
        self._world_size = world_size
        self.start = (0, 0)

    def __len__(self) -> int:
        return self._plan.batches

    def __iter__(self) -> Iterator[list[int]]:
        epoch, first = self.start
        for step in range(first, self._plan.batches):
            start, indices = self._plan.share(epoch, step, self._rank, self._world_size)
            yield Batch(indices.tolist(), self._plan.seed, epoch, start)


class _CollateKept:
    """Collates what is left of a batch, and tells what was skipped; runs in the workers."""

    def __init__(self, inner: Collate) -> None:
        self._inner = inner

    def __call__(self, samples: Sequence[Any]) -> tuple[Any, list[Skipped]]:
        if isinstance(samples[0], Failure):
            return samples[0], []
        skipped = [sample for sample in samples if isinstance(sample, Skipped)]
        kept = [sample for sample in samples if not isinstance(sample, Skipped)]
        if not kept:
            return Failure(_nothing_left(skipped)), skipped
        try:
            return self._inner(kept), skipped
        except DatasetError as error:
            return Failure(error), skipped


def _nothing_left(skipped: Sequence[Skipped]) -> BadSampleError:
    message = f"None of the {len(skipped)} samples of a batch can be decoded; the first: "
    return BadSampleError(message + skipped[0].reason, "Mend the samples, or use larger batches.")
