"""How a batch travels from a worker to the loop, and what is said when a worker cannot go on.

torch hands a batch to a thread of the worker that pickles it later and only prints what fails
there: no room in shared memory, something that cannot be pickled. The loop would then wait for ever
for a batch that nobody sends. So a batch is pickled where its errors can still be caught.
"""

from __future__ import annotations

import errno
import pickle
import re
import signal
from collections.abc import Callable, Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any

from torch.utils.data import get_worker_info

from datasets_vc.errors import DatasetError, InvalidInputError, WorkerError

# The words of torch and of Python's multiprocessing, which have no errors of their own for these.
_SHARED_MEMORY = re.compile(r"shared memory|\(shm\)|</torch_")
_MEMORY = re.compile(r"[Cc]an(?:'|no)t allocate memory")
_ENDED = re.compile(r"DataLoader worker \(pid.*\) (?:is killed by signal|exited unexpectedly)")
_NO_FILES = re.compile(r"Too many open files|received \d+ items of ancdata")

_MORE_SHARED_MEMORY = (
    "Give /dev/shm more room (in Docker: --shm-size=1g), or use smaller batches or fewer workers."
)
_MORE_MEMORY = "Use fewer workers, smaller batches or smaller samples."


class _Pickled:
    """A batch that is pickled already; whoever unpickles it gets the batch."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        return pickle.loads, (self._data,)


def ready_to_send(batch: Any) -> Any:
    """`batch`, or in a worker what the loop's process makes `batch` of.

    Raises:
        WorkerError: there is no room for it in shared memory.
        InvalidInputError: it cannot be pickled.
    """
    if get_worker_info() is None:
        return batch
    try:
        return _Pickled(bytes(ForkingPickler.dumps(batch)))
    except Exception as error:
        failure = worker_failure(error)
        if failure is not None:
            raise failure from error
        raise InvalidInputError(
            f"A batch cannot be sent from a worker to the loop: {_first_line(error)}.",
            "Let the dataset, its transform and the collate_fn return tensors, arrays, numbers and"
            " text, or use num_workers=0.",
        ) from error


def worker_failure(error: BaseException, signals: Sequence[int] = ()) -> DatasetError | None:
    """What `error` means, if it says that a worker has run out of something or has ended.

    Args:
        error: as the loop's process or the worker got it.
        signals: by which workers have ended, as far as that is known.
    """
    text = str(error)
    if isinstance(error, MemoryError) or _MEMORY.search(text):
        return WorkerError("A worker of the loader has run out of memory.", _MORE_MEMORY)
    if not isinstance(error, (RuntimeError, OSError)):
        return None
    if isinstance(error, OSError) and _is_about_semaphores(error):
        return WorkerError(
            "There is no room in shared memory to start the loader's workers.",
            _MORE_SHARED_MEMORY,
        )
    if _ENDED.search(text):
        return _ended_by([*signals, *_signals_in(text)])
    if _NO_FILES.search(text):
        return WorkerError(
            "The loader and its workers have too many open files.",
            "Raise the limit (ulimit -n 65536), or use fewer workers.",
        )
    return _no_shared_memory() if _SHARED_MEMORY.search(text) else None


def _is_about_semaphores(error: OSError) -> bool:
    """Of the loop's process: what it makes for its workers lies in shared memory, too."""
    full = error.errno == errno.ENOSPC and error.filename is None
    return full and get_worker_info() is None


def _ended_by(signals: Sequence[int]) -> WorkerError:
    # Writing to a page of /dev/shm that there is no room for is a bus error. It is also what a
    # damaged disk under a memory map causes, which is much rarer.
    if signal.SIGBUS in signals:
        return _no_shared_memory()
    if signal.SIGKILL in signals:
        return WorkerError(
            "The system has killed a worker of the loader, probably because memory ran out.",
            _MORE_MEMORY,
        )
    name = signal.strsignal(signals[0]) if signals else None
    return WorkerError(
        f"A worker of the loader has died{f' ({name})' if name else ''}.",
        "Use num_workers=0 to see in which sample.",
    )


def _signals_in(text: str) -> list[int]:
    """The signal that torch's handler of dead children names, if it does."""
    return [number for number in signal.valid_signals() if text.endswith(_told(number))]


def _told(number: int) -> str:
    return f"signal: {signal.strsignal(number)}. "


def _no_shared_memory() -> WorkerError:
    return WorkerError(
        "A worker of the loader has no room left in shared memory for its batch.",
        _MORE_SHARED_MEMORY,
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
