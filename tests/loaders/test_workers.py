"""Workers that run out of something or die: the loop ends in one sentence, and never hangs."""

from __future__ import annotations

import errno
import os
import resource
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datasets_vc import Snapshot
from datasets_vc.errors import InvalidInputError, WorkerError
from loaders import DataLoader, ImageDataset, collate
from loaders.workers import worker_failure

MakeSnapshot = Callable[..., Snapshot]
Sample = dict[str, Any]

# Python 3.12 and later warn of forks that torch makes by default.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def images(make_snapshot: MakeSnapshot, image_file: Callable[..., bytes]) -> Snapshot:
    pixels: NDArray[np.uint8] = np.zeros((64, 64), np.uint8)
    return make_snapshot({f"{n:02}.png": image_file(pixels + n) for n in range(12)})


def no_shared_memory(_worker: int) -> None:
    """No file of more than 10 kB can be made in /dev/shm any more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


def as_they_are(samples: list[Sample]) -> list[torch.Tensor]:
    return [sample["image"].expand(3, 64, 64).clone() for sample in samples]


@pytest.mark.parametrize("collate_fn", [collate, as_they_are])
@pytest.mark.parametrize("workers", [1, 2])
def test_no_room_in_shared_memory(images: Snapshot, collate_fn: Any, workers: int) -> None:
    loader = DataLoader(
        ImageDataset(images),
        4,
        num_workers=workers,
        collate_fn=collate_fn,
        worker_init_fn=no_shared_memory,
    )
    for _ in range(2):
        with pytest.raises(
            WorkerError, match=r"^A worker .* shared memory for its batch\.$"
        ) as told:
            list(loader)
        assert "--shm-size" in told.value.hint


def die(sample: Sample, number: int) -> Sample:
    if sample["path"] == "05.png":
        os.kill(os.getpid(), number)
        threading.Event().wait()
    return sample


@pytest.mark.parametrize(
    ("number", "message", "hint"),
    [
        (signal.SIGKILL, r"^The system has killed a worker .* memory ran out\.$", "fewer workers"),
        (signal.SIGBUS, "no room left in shared memory", "--shm-size"),
        (signal.SIGSEGV, r"^A worker .* has died \(Segmentation fault\)\.$", "num_workers=0"),
    ],
)
def test_a_worker_that_is_killed(images: Snapshot, number: int, message: str, hint: str) -> None:
    dataset = ImageDataset(images, transform=lambda sample, _: die(sample, number))
    with pytest.raises(WorkerError, match=message) as told:
        list(DataLoader(dataset, 4, num_workers=2))
    assert hint in told.value.hint
    assert "\n" not in str(told.value)


def test_what_torch_says_of_dead_children_names_the_signal() -> None:
    told = worker_failure(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "))
    assert isinstance(told, WorkerError)
    assert "memory ran out" in told.message


def test_no_room_to_start_workers() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "to start the loader's workers" in str(worker_failure(full))
    assert worker_failure(OSError(errno.ENOSPC, "No space left on device", "/scratch/x")) is None


def exhaust(sample: Sample, _rng: object) -> Sample:
    raise MemoryError


def exhaust_torch(sample: Sample, _rng: object) -> Sample:
    return sample | {"large": torch.empty(1 << 60, dtype=torch.uint8)}


@pytest.mark.parametrize("transform", [exhaust, exhaust_torch])
def test_a_worker_without_memory(images: Snapshot, transform: Any) -> None:
    loader = DataLoader(ImageDataset(images, transform=transform), 4, num_workers=1)
    with pytest.raises(WorkerError, match=r"^A worker of the loader has run out of memory\.$"):
        list(loader)


def test_a_batch_that_cannot_be_sent(images: Snapshot) -> None:
    loader = DataLoader(
        ImageDataset(images), 4, num_workers=1, collate_fn=lambda samples: threading.Lock()
    )
    with pytest.raises(InvalidInputError, match=r"^A batch cannot be sent .*cannot pickle") as told:
        list(loader)
    assert "num_workers=0" in told.value.hint


def test_errors_of_the_users_own_code_stay_as_they_are(images: Snapshot) -> None:
    def full_disk(sample: Sample, _rng: object) -> Sample:
        raise OSError(28, "No space left on device", "/scratch/x")

    with pytest.raises(OSError, match="No space left on device"):
        list(DataLoader(ImageDataset(images, transform=full_disk), 4, num_workers=1))
    assert worker_failure(RuntimeError("shapes differ")) is None
    assert worker_failure(ValueError("DataLoader worker (pid 3) exited")) is None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what a process has open")
def test_a_batch_that_nobody_takes_gives_its_memory_back(images: Snapshot) -> None:
    loader = DataLoader(ImageDataset(images), 2, num_workers=1, collate_fn=as_they_are)
    next(iter(loader))
    (worker,) = torch.multiprocessing.active_children()

    def open_files() -> int:
        return len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))

    # Each loop leaves batches of two files each that were read ahead and that nobody takes.
    few = open_files()
    for _ in range(20):
        next(iter(loader))
    assert open_files() <= few + 12
