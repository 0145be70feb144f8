"""`python -m models MODEL --data URL --dataset REV --out DIR`: train a model on a dataset version.

Writes log.jsonl, checkpoints and curve.png to DIR. Says how it goes on stderr, nothing on stdout.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from datasets_vc import Snapshot
from datasets_vc.errors import DatasetError
from models.baselines import bag_of_words_accuracy, majority_accuracy
from models.config import MODELS, resolve
from models.curve import draw_curve
from models.determinism import (
    CUBLAS_VARIABLE,
    CUBLAS_WORKSPACE,
    find_device,
    make_deterministic,
)
from models.interrupts import Interrupts
from models.record import Log, inputs
from models.task import Selection, build_task
from models.train import TrainConfig, Training

FAILED, INTERRUPTED = 1, 130


class Terminal:
    """Tells people on stderr how it goes: a line an epoch, and a live one if it is a terminal."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._live = sys.stderr.isatty()
        self._shown = 0.0

    def step(self, epoch: int, step: int, loss: float, samples: int) -> None:
        now = time.monotonic()
        if self._live and now - self._shown > 0.1:
            self._shown = now
            text = f"epoch {epoch + 1:>3}/{self._epochs}  step {step:>6}  loss {loss:.4f}"
            print(f"\r\033[K{text}  {samples:,} samples", end="", file=sys.stderr, flush=True)

    def epoch(self, epoch: int, step: int, metrics: dict[str, float], rate: float) -> None:
        _say(
            f"epoch {epoch + 1:>3}/{self._epochs}  step {step:>6}"
            f"  loss {metrics['train_loss']:.4f}"
            f"  train {metrics['train_accuracy']:6.1%}  test {metrics['test_accuracy']:6.1%}"
            f"  {rate:,.0f} samples/s"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the arguments say; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        log = Log(options.out)
    except DatasetError as error:
        _tell(error)
        return FAILED
    started = time.monotonic()
    try:
        with Interrupts().held() as interrupts:
            metrics, params = _train(options, log, interrupts)
    except DatasetError as error:
        told = {"kind": error.kind, "message": error.message, "hint": error.hint}
        log.write("end", status="failed", error=told, seconds=time.monotonic() - started)
        if not options.recorded:
            _tell(error)
        return FAILED
    except KeyboardInterrupt:
        log.write("end", status="interrupted", seconds=time.monotonic() - started)
        if not options.recorded:
            _say(f"Interrupted; what there is lies in {options.out}.")
        return INTERRUPTED
    else:
        seconds = time.monotonic() - started
        log.write("end", status="done", metrics=metrics, params=params, seconds=seconds)
        return 0
    finally:
        log.close()


def _train(
    options: argparse.Namespace, log: Log, interrupts: Interrupts
) -> tuple[dict[str, float], str]:
    """Returns the final metrics and the digest of the final parameters."""
    config = resolve(options.model, options.config, options.set)
    settings = TrainConfig.of(config)
    _prepare(options.threads, settings.deterministic)
    device = find_device(settings.device)
    snapshot = Snapshot.open(options.data, options.dataset)
    torch.manual_seed(settings.seed)
    selection = Selection(snapshot, options.under, options.on_bad_sample)
    task = build_task(options.model, selection, config)
    training = Training(
        task,
        config,
        device,
        log,
        options.out,
        workers=options.workers,
        listener=Terminal(settings.epochs),
        interrupts=interrupts,
    )
    log.write("inputs", **inputs(config, training.plan, task.train, device, os.environ))
    if options.resume:
        training.resume(options.resume)
    try:
        metrics = training.run(options.steps)
    finally:
        if training.history.losses:
            title = f"{options.model} on {snapshot.name}"
            draw_curve(training.history, title, options.out / "curve.png")
    metrics["majority_accuracy"] = majority_accuracy(task.train, task.test)
    if task.vocabulary:
        metrics["bag_of_words_accuracy"] = bag_of_words_accuracy(task.train, task.test)
    metrics["skipped"] = len(training.skipped)
    return metrics, training.params()


def _prepare(threads: int, deterministic: bool) -> None:
    # Before CUDA starts, which is when the first tensor goes there.
    os.environ.setdefault(CUBLAS_VARIABLE, CUBLAS_WORKSPACE)
    torch.set_num_threads(threads)
    if deterministic:
        make_deterministic()


def _tell(error: DatasetError) -> None:
    _say(f"error: {error.message}")
    if error.hint:
        _say(f"hint: {error.hint}")


def _say(line: str) -> None:
    """A line on stderr, in place of the live one if there is one."""
    start = "\r\033[K" if sys.stderr.isatty() else ""
    print(start + line, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models", description="Train a model on a version of a dataset."
    )
    add: Any = parser.add_argument
    add("model", choices=MODELS, metavar="MODEL", help="cnn (images), rnn (texts), crnn (clips)")
    add("--data", required=True, metavar="URL", help="a store, or the folder of a workspace")
    add("--dataset", required=True, metavar="REV", help="a commit or dataset digest, or a name")
    add("--out", required=True, type=Path, metavar="DIR", help="log, checkpoints and curve go here")
    add("--under", default="", metavar="PATH", help="only samples below this folder")
    add("--config", type=Path, metavar="FILE", help="TOML or JSON that replaces defaults")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="replaces both")
    add("--workers", type=_count, default=0, metavar="N", help="processes that read; default 0")
    add("--threads", type=_above_zero, default=1, metavar="N", help="of the processor; default 1")
    add("--steps", type=_above_zero, metavar="N", help="stop after N steps")
    add("--resume", type=Path, metavar="FILE", help="go on from a checkpoint")
    add("--on-bad-sample", choices=("raise", "skip"), default="raise", help="default: raise")
    add("--recorded", action="store_true", help="somebody reads the log: say errors only there")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def _above_zero(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


if __name__ == "__main__":
    sys.exit(main())
