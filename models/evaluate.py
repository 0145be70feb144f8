"""How good a model is on the test split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F

from loaders import DataLoader
from models.interrupts import Interrupts
from models.task import Task, arguments_of


class Evaluation:
    """The test split in batches of a fixed size, which is part of what makes the result's bits."""

    def __init__(self, task: Task, device: torch.device, batch_size: int, workers: int) -> None:
        self.skipped: list[tuple[str, str]] = []
        self._task = task
        self._device = device
        self._loader = DataLoader(task.test, batch_size, shuffle=False, num_workers=workers)

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
        batches = iter(self._loader)
        while True:
            with interrupts.waiting():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch
