"""The training loop, one for all models."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F

from datasets_vc.errors import InvalidInputError
from loaders import DataLoader
from loaders.workers import worker_failure
from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import Config
from models.curve import History
from models.evaluate import Evaluation
from models.interrupts import Interrupted, Interrupts
from models.record import Log, loss_bits, params_digest
from models.task import Task, arguments_of

_WARM_UP = 0.1  # of all steps


@dataclass(frozen=True)
class TrainConfig:
    """The settings of [train] in defaults.toml, which says what they mean."""

    seed: int
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float
    eval_batch_size: int
    checkpoint_every: int
    params_every: int
    device: str
    deterministic: bool
    train_split: str
    test_split: str

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "eval_batch_size", "checkpoint_every", "params_every"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"'{name}' must be above 0, not {getattr(self, name)}.")
        for name in ("learning_rate", "gradient_clip", "weight_decay"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise InvalidInputError(f"'{name}' must be 0 or more, not {value}.")

    @classmethod
    def of(cls, config: Config) -> TrainConfig:
        values: dict[str, Any] = {field.name: config[field.name] for field in fields(cls)}
        return cls(**values)


class Listener(Protocol):
    """Who wants to see how it goes."""

    def step(self, epoch: int, step: int, loss: float, samples: int) -> None:
        """A step is done; `step` counts from the start of the training."""

    def epoch(self, epoch: int, step: int, metrics: dict[str, float], rate: float) -> None:
        """An epoch is done, at `rate` samples a second."""


@dataclass
class Running:
    """Sums over the epoch so far."""

    loss: float = 0.0
    correct: int = 0
    samples: int = 0

    def metrics(self) -> dict[str, float]:
        if not self.samples:
            return {}
        loss, accuracy = self.loss / self.samples, self.correct / self.samples
        return {"train_loss": loss, "train_accuracy": accuracy}


class Training:
    """A model on its way; `run` goes on from wherever it is.

    Args:
        task: the model and its data.
        config: all settings; kept in checkpoints, and must be the same when resuming.
        out: the folder for checkpoints.
        workers: processes that read and decode; they change no bit.
    """

    def __init__(
        self,
        task: Task,
        config: Config,
        device: torch.device,
        log: Log,
        out: Path,
        *,
        workers: int = 0,
        listener: Listener | None = None,
        interrupts: Interrupts | None = None,
    ) -> None:
        self.config = TrainConfig.of(config)
        self.history = History()
        self.skipped: set[str] = set()
        self._all_settings = config
        self._task = task
        self._model = task.model.to(device)
        self._device = device
        self._log = log
        self._out = out
        self._listener = listener
        self._interrupts = interrupts or Interrupts()
        self._loader = DataLoader(
            task.train, self.config.batch_size, seed=self.config.seed, num_workers=workers
        )
        self._evaluation = Evaluation(task, device, self.config.eval_batch_size, workers)
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        self._running = Running()
        self._saved_at = -1
        # Done since the start. The loader counts batches handed out, of which one may not be done.
        self.step = 0

    @property
    def plan(self) -> dict[str, Any]:
        """The order of samples, for records."""
        return self._loader.plan.describe()

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            InvalidInputError: it is that of a training with other settings or data.
        """
        state = load_checkpoint(path, self._model, self._optimizer)
        differing = sorted(
            key
            for key in state["config"].keys() | self._all_settings.keys()
            if state["config"].get(key) != self._all_settings.get(key)
        )
        if differing:
            raise InvalidInputError(
                f"The checkpoint '{path}' was written with another {', '.join(differing)}.",
                "Resume with the settings of the training that wrote it.",
            )
        # Refuses the state of another order.
        self._loader.load_state_dict(state["loader"])
        self._running = Running(**state["running"])
        batches = self._loader.plan.batches
        self.step = state["loader"]["epoch"] * batches + state["loader"]["step"]
        self._saved_at = self.step

    def run(self, steps: int | None = None) -> dict[str, float]:
        """Train to the end, or until `steps` steps are done; returns the final metrics.

        Raises:
            DatasetError: a sample cannot be had, or the loss is no longer a number.
            Interrupted: there is a checkpoint of where it was.
        """
        self._log.write("init", params=params_digest(self._model))
        end = self.config.epochs * self._loader.plan.batches
        end = end if steps is None else min(steps, end)
        metrics: dict[str, float] | None = None
        try:
            while self.step < end:
                metrics = self._train_epoch(end)
        except Interrupted:
            self._checkpoint()
            raise
        except RuntimeError as error:
            # torch's handler of dead children raises wherever the loop is just then.
            failure = worker_failure(error)
            if failure is None:
                raise
            raise failure from error
        if metrics is None:
            metrics = self._running.metrics() | self._evaluate()
        self._checkpoint()
        return metrics

    def params(self) -> str:
        """The digest of the parameters as they are now."""
        return params_digest(self._model)

    def _train_epoch(self, end: int) -> dict[str, float] | None:
        """Train from the present step to the end of its epoch, or to step `end`.

        Returns:
            The metrics, if the epoch is complete.
        """
        epoch, step = divmod(self.step, self._loader.plan.batches)
        self._loader.load_state_dict(self._loader_state())
        before = self._running.samples
        started = time.perf_counter()
        self._model.train()
        for batch in self._batches():
            self._train_step(epoch, step, batch)
            step += 1
            if self.step == end:
                break
        self._log_skipped(self._loader.skipped)
        if step < self._loader.plan.batches:
            return None
        rate = (self._running.samples - before) / (time.perf_counter() - started)
        metrics = self._running.metrics() | self._evaluate()
        self._running = Running()
        self._log.write("epoch", epoch=epoch, metrics=metrics)
        self.history.metrics.append((self.step, metrics))
        if self._listener:
            self._listener.epoch(epoch, self.step, metrics, rate)
        if (epoch + 1) % self.config.checkpoint_every == 0:
            self._checkpoint()
        return metrics

    def _loader_state(self) -> dict[str, Any]:
        """The loader's state after the steps that are done; it counts those handed out."""
        epoch, step = divmod(self.step, self._loader.plan.batches)
        return {"plan": self._loader.plan.digest, "epoch": epoch, "step": step}

    def _batches(self) -> Iterator[dict[str, Any]]:
        batches = iter(self._loader)
        while True:
            with self._interrupts.waiting():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _train_step(self, epoch: int, step: int, batch: dict[str, Any]) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate(self.step)
        labels = batch["label"].to(self._device)
        logits = self._model(*arguments_of(self._task, batch, self._device))
        loss = F.cross_entropy(logits, labels)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self.config.gradient_clip)
        self._optimizer.step()

        self.step += 1
        value = loss.item()
        if not math.isfinite(value):
            raise InvalidInputError(
                f"The loss is no longer a number in step {step} of epoch {epoch}.",
                "Train with a smaller learning_rate.",
            )
        self._running.loss += value * len(labels)
        self._running.correct += int((logits.argmax(1) == labels).sum())
        self._running.samples += len(labels)
        self.history.losses.append((self.step, value))
        self._log_step(epoch, step, value)
        if self._listener:
            self._listener.step(epoch, self.step, value, self._running.samples)

    def _log_step(self, epoch: int, step: int, loss: float) -> None:
        members = {
            "epoch": epoch,
            "step": step,
            "batch": self._loader.batch_digest(epoch, step),
            "loss": loss_bits(loss),
        }
        last = step + 1 == self._loader.plan.batches
        if last or self.step % self.config.params_every == 0:
            members["params"] = self.params()
        self._log.write("step", **members)

    def _learning_rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine to 0: a function of the step, so it has no state."""
        total = self.config.epochs * self._loader.plan.batches
        rise = max(1, round(_WARM_UP * total))
        if step < rise:
            return self.config.learning_rate * (step + 1) / rise
        done = (step - rise) / max(1, total - rise)
        return self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

    def _evaluate(self) -> dict[str, float]:
        metrics = self._evaluation.run(self._interrupts)
        self._log_skipped(self._evaluation.skipped)
        return metrics

    def _log_skipped(self, skipped: list[tuple[str, str]]) -> None:
        """Log each bad sample once, though it is met in every epoch."""
        for path, reason in skipped:
            if path not in self.skipped:
                self.skipped.add(path)
                self._log.write("skipped", path=path, reason=reason)

    def _checkpoint(self) -> None:
        if self._saved_at == self.step:
            return
        task = self._task
        state = {
            "config": self._all_settings,
            "loader": self._loader_state(),
            "running": vars(self._running),
            "classes": task.classes,
            "vocabulary": list(task.vocabulary.tokens) if task.vocabulary else None,
        }
        path = self._out / f"step-{self.step:06d}.safetensors"
        written = save_checkpoint(path, self._model, self._optimizer, state)
        self._log.write("checkpoint", **vars(written))
        self._saved_at = self.step
