"""How good a model is on the test split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from loaders import DataLoader
from models.interrupts import Interrupts
from models.task import Task, arguments_of

# A small test split is decoded once and kept, for it is the same every time.
_KEEP_BYTES = 64 << 20


class Evaluation:
    """The test split in batches of a fixed size, which is part of what makes the result's bits."""

    def __init__(self, task: Task, device: torch.device, batch_size: int, workers: int) -> None:
        self.skipped: list[tuple[str, str]] = []
        self._task = task
        self._device = device
        self._loader = DataLoader(
            task.test, batch_size, shuffle=False, num_workers=workers, persistent_workers=False
        )
        self._kept: list[dict[str, Any]] | None = None

    @torch.no_grad()
    def run(self, interrupts: Interrupts) -> dict[str, float]:
        """Mean loss and accuracy of the model as it is.

        Raises:
            BadSampleError: there is no sample that can be decoded.
        """
        self._task.model.eval()
        loss, correct, samples = 0.0, 0, 0
        for batch in self._batches(interrupts):
            labels = batch["label"].to(self._device)
            logits = self._task.model(*arguments_of(self._task, batch, self._device))
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            correct += int((logits.argmax(1) == labels).sum())
            samples += len(labels)
        self.skipped = self._loader.skipped
        return {"test_loss": loss / samples, "test_accuracy": correct / samples}

    def _batches(self, interrupts: Interrupts) -> Iterator[dict[str, Any]]:
        if self._kept is not None:
            yield from self._kept
            return
        kept, size = [], 0
        batches = iter(self._loader)
        while True:
            with interrupts.waiting():
                batch = next(batches, None)
            if batch is None:
                break
            size += sum(value.nbytes for value in batch.values() if isinstance(value, Tensor))
            if size <= _KEEP_BYTES:
                kept.append(batch)
            yield batch
        if size <= _KEEP_BYTES:
            self._kept = kept
