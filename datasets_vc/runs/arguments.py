"""What to train, as a value and as the arguments of the training process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets_vc.digest import Digest


@dataclass(frozen=True)
class TrainRequest:
    """What to train, on what, and how.

    Attributes:
        model: `cnn`, `rnn` or `crnn`.
        under: only samples at or below this path.
        config: a TOML or JSON file whose values replace the defaults.
        settings: `key=value` texts that replace both.
        workers: processes that load data; they do not change a bit of the result.
        threads: of the processor, per operation; None for the model's default.
        steps: stop after that many.
        on_bad_sample: `raise` or `skip`.
    """

    model: str
    dataset: Digest
    commit: Digest | None = None
    under: str = ""
    config: Path | None = None
    settings: Sequence[str] = ()
    workers: int = 0
    threads: int | None = None
    steps: int | None = None
    on_bad_sample: str = "raise"
    quiet: bool = False


@dataclass(frozen=True)
class Changes:
    """What a reproduction does differently on purpose; None and empty change nothing."""

    dataset: Digest | None = None
    settings: Sequence[str] = ()
    workers: int | None = None
    threads: int | None = None
    steps: int | None = None


def train_arguments(request: TrainRequest) -> list[str]:
    version = (request.commit or request.dataset).hex()
    arguments = [request.model, "--data", "{data}", "--dataset", version, "--out", "{out}"]
    arguments += ["--workers", str(request.workers), "--on-bad-sample", request.on_bad_sample]
    if request.config:
        arguments += ["--config", "{config}"]
    if request.under:
        arguments += ["--under", request.under]
    for option, value in (("--threads", request.threads), ("--steps", request.steps)):
        if value is not None:
            arguments += [option, str(value)]
    for setting in request.settings:
        arguments += ["--set", setting]
    return [*arguments, "--recorded"]


def repeat_arguments(arguments: Sequence[str], changes: Changes, dataset: Digest) -> list[str]:
    """The arguments that repeat a run: its resolved configuration, then what is to change."""
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--set":
            next(rest)
        else:
            kept.append(argument)
    kept = _with_option(kept, "--config", "{config}")
    if changes.dataset:
        kept = _with_option(kept, "--dataset", dataset.hex())
    for option, value in (
        ("--workers", changes.workers),
        ("--threads", changes.threads),
        ("--steps", changes.steps),
    ):
        if value is not None:
            kept = _with_option(kept, option, str(value))
    for setting in changes.settings:
        kept += ["--set", setting]
    return kept


def _with_option(arguments: Sequence[str], option: str, value: str) -> list[str]:
    if option not in arguments:
        return [*arguments, option, value]
    at = arguments.index(option)
    return [*arguments[: at + 1], value, *arguments[at + 2 :]]


def option_of(arguments: Sequence[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]
