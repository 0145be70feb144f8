"""A torch `DataLoader` whose order is a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch.utils import data as torch_data

from datasets_vc.digest import Hasher
from datasets_vc.errors import BadSampleError, DatasetError, InvalidInputError
from loaders.batch import Failure, Skipped
from loaders.collate import collate
from loaders.datasets import SampleDataset
from loaders.order import Epochs, Order, Position
from loaders.plan import Plan
from loaders.workers import ready_to_send, worker_failure

Collate: TypeAlias = Callable[[list[Any]], Any]

_OURS = ("sampler", "batch_sampler", "generator")


class DataLoader(torch_data.DataLoader[Any]):
    """Batches of a dataset in the order of a plan, whatever the number of workers and ranks.

    Each `iter(loader)` is an epoch from its start, as torch's are: the next one that no iterator
    has given a batch of. Iterators may be nested, left early, and at work in several threads.
    Loops that count epochs themselves call `set_epoch`; one that resumes calls `load_state_dict`.

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
        self._ranks = rank, world_size
        self._collate = collate_fn or collate
        self._options: dict[str, Any] = {
            "num_workers": num_workers,
            "persistent_workers": num_workers > 0,
        } | options
        self._epochs = Epochs()
        self._idle: list[_Reader] = []
        self._state = Position(0, 0)
        # What torch knows of this loader is for those who take it apart; iterators have readers.
        super().__init__(
            dataset,
            batch_sampler=Order(self.plan, rank, world_size, self._epochs),
            collate_fn=_CollateKept(self._collate),
            generator=self._generator(),
            **self._options,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        start = position = self._epochs.take()
        self.skipped = all_skipped = []
        reader = self._idle.pop() if self._idle else self._new_reader()
        try:
            for content, skipped in reader.batches(start):
                all_skipped += [tuple(sample) for sample in skipped]
                if isinstance(content, Failure):
                    raise content.error
                # Before the batch goes out: the state of a loop that is at work on it is "after".
                position = Position(start.epoch, position.step + 1)
                self._state = Position(*self.plan.normal(*position))
                yield content
        except GeneratorExit:
            self._idle.append(reader)
            raise
        except BaseException:
            reader.stop()
            raise
        else:
            self._idle.append(reader)
        finally:
            if position == start:
                self._epochs.give_back(start)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has workers of its own.
        return vars(self) | {"_idle": []}

    def set_epoch(self, epoch: int) -> None:
        """Let the next iterator be of `epoch`; of one that a state was loaded in, from its step on.

        Raises:
            InvalidInputError: there is no such epoch.
        """
        if epoch < 0:
            raise InvalidInputError(f"There is no epoch {epoch}: they are counted from 0.")
        self._epochs.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where the iterator is that gave the last batch, whatever workers have read ahead."""
        epoch, step = self._state
        return {"plan": self.plan.digest, "epoch": epoch, "step": step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iterator go on where another loader of the same plan was.

        It may have had any number of workers and ranks. The iterator after the next one is of the
        next epoch, from its start.

        Raises:
            InvalidInputError: the state is that of another plan.
        """
        if state.get("plan") != self.plan.digest:
            raise InvalidInputError(
                "The state belongs to another order of samples than this loader's.",
                "Use the same dataset, split, global batch_size, seed, shuffle and drop_last.",
            )
        self._state = Position(*self.plan.normal(int(state["epoch"]), int(state["step"])))
        self._epochs.go_to(self._state)

    def batch_digest(self, epoch: int, step: int) -> str:
        """What names the samples of a step over all ranks: 64 hex digits.

        BLAKE3-256 over, for each sample in order: its path in UTF-8, a zero byte, its file's digest
        (32 bytes).
        """
        hasher = Hasher()
        for path, digest in self._samples.sample_ids(self.plan.batch(epoch, step).tolist()):
            hasher.update(path.encode() + b"\0" + digest)
        return str(hasher.hexdigest())

    def _new_reader(self) -> _Reader:
        epochs = Epochs()
        loader = torch_data.DataLoader(
            self._samples,
            batch_sampler=Order(self.plan, *self._ranks, epochs),
            collate_fn=_CollateAndReport(self._collate),
            generator=self._generator(),
            **self._options,
        )
        return _Reader(loader, epochs)

    def _generator(self) -> torch.Generator:
        """torch draws a seed for its workers every epoch: not from the global generator."""
        return torch.Generator().manual_seed(self.plan.seed % 2**63)


class _Reader:
    """torch's loader with workers of its own, for one iterator at a time."""

    def __init__(self, loader: torch_data.DataLoader[Any], epochs: Epochs) -> None:
        self._loader = loader
        self._epochs = epochs

    def batches(self, start: Position) -> Iterator[tuple[Any, list[Skipped]]]:
        """The batches from `start` to the end of its epoch, each with what was skipped in it.

        Raises:
            WorkerError: a worker has ended, or has run out of memory.
        """
        self._epochs.go_to(start)
        try:
            yield from self._loader
        except (RuntimeError, OSError, MemoryError) as error:
            failure = worker_failure(error, self._signals()) if self._loader.num_workers else None
            if failure is None:
                raise
            raise failure from error

    def _signals(self) -> list[int]:
        """What ended workers: numbers of signals."""
        workers = getattr(self._loader._iterator, "_workers", [])
        return [-worker.exitcode for worker in workers if (worker.exitcode or 0) < 0]

    def stop(self) -> None:
        """End the workers now.

        The error's traceback keeps torch's iterator alive until the garbage collector comes, and by
        then it can no longer tell its workers to end: it would wait 5 s for each of them.
        """
        stop = getattr(self._loader._iterator, "_shutdown_workers", None)
        if stop is not None:
            stop()


class _CollateKept:
    """Collates what is left of a batch without the samples that were skipped."""

    def __init__(self, inner: Collate) -> None:
        self._inner = inner

    def __call__(self, samples: Sequence[Any]) -> Any:
        content, _ = _collate_kept(self._inner, samples)
        return ready_to_send(content)


class _CollateAndReport(_CollateKept):
    """The same, with what was skipped; an error takes the place of the batch."""

    def __call__(self, samples: Sequence[Any]) -> Any:
        try:
            return ready_to_send(_collate_kept(self._inner, samples))
        except DatasetError as error:
            return Failure(error), [sample for sample in samples if isinstance(sample, Skipped)]
        except Exception as error:
            failure = worker_failure(error)
            if failure is None or torch_data.get_worker_info() is None:
                raise
            return Failure(failure), []


def _collate_kept(inner: Collate, samples: Sequence[Any]) -> tuple[Any, list[Skipped]]:
    if isinstance(samples[0], Failure):
        raise samples[0].error
    skipped = [sample for sample in samples if isinstance(sample, Skipped)]
    kept = [sample for sample in samples if not isinstance(sample, Skipped)]
    if not kept:
        raise _nothing_left(skipped)
    return inner(kept), skipped


def _nothing_left(skipped: Sequence[Skipped]) -> BadSampleError:
    message = f"None of the {len(skipped)} samples of a batch can be decoded; the first: "
    return BadSampleError(message + skipped[0].reason, "Mend the samples, or use larger batches.")
