"""What to train, as a value and as the arguments of the training process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class TrainRequest:
    """What to train, on what, and how.

    Attributes:
        model: `cnn`, `rnn` or `crnn`.
        revision: the version to train on.
        under: only samples at or below this path.
        config: a TOML or JSON file whose values replace the defaults.
        settings: replace both.
        workers: processes that load data; they do not change a bit of the result.
        threads: of the processor, per operation; None for the model's default.
        steps: stop after that many.
        on_bad_sample: `raise` or `skip`.
        quiet: throw away what the training process says to people.
    """

    model: str
    revision: str = "HEAD"
    under: str = ""
    config: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    threads: int | None = None
    steps: int | None = None
    on_bad_sample: str = "raise"
    quiet: bool = False


@dataclass(frozen=True)
class Overrides:
    """What a reproduction does differently on purpose; None and empty change nothing.

    Attributes:
        data: another revision to train on.
        tolerance: how far, relatively, final metrics may differ in an equivalent run.
    """

    data: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: int | None = None
    threads: int | None = None
    steps: int | None = None
    tolerance: float | None = None
    quiet: bool = False


def train_arguments(request: TrainRequest, version: str) -> list[str]:
    """The arguments for a request.

    Args:
        version: the digest of the commit or dataset to train on.
    """
    arguments = [request.model, "--data", "{data}", "--dataset", version, "--out", "{out}"]
    arguments += ["--workers", str(request.workers or 0)]
    arguments += ["--on-bad-sample", request.on_bad_sample]
    if request.config:
        arguments += ["--config", "{config}"]
    if request.under:
        arguments += ["--under", request.under]
    for option, value in (("--threads", request.threads), ("--steps", request.steps)):
        if value is not None:
            arguments += [option, str(value)]
    return [*arguments, *_settings(request.settings), "--recorded"]


def repeat_arguments(arguments: Sequence[str], overrides: Overrides, version: str) -> list[str]:
    """The arguments that repeat a run: its resolved configuration, then what is to change.

    Args:
        arguments: of the run.
        version: the digest of the dataset to train on.
    """
    kept = _without_settings(arguments)
    kept = _with_option(kept, "--config", "{config}")
    for option, value in (
        ("--dataset", version),
        ("--workers", overrides.workers),
        ("--threads", overrides.threads),
        ("--steps", overrides.steps),
    ):
        if value is not None:
            kept = _with_option(kept, option, str(value))
    return [*kept, *_settings(overrides.settings)]


def option_of(arguments: Sequence[str], option: str) -> str:
    """The value that `arguments` give to an option that they have."""
    return arguments[arguments.index(option) + 1]


def _settings(settings: Mapping[str, str]) -> list[str]:
    pairs = (("--set", f"{name}={value}") for name, value in settings.items())
    return [argument for pair in pairs for argument in pair]


def _without_settings(arguments: Sequence[str]) -> list[str]:
    rest = iter(arguments)
    kept = []
    for argument in rest:
        if argument == "--set":
            next(rest)
        else:
            kept.append(argument)
    return kept


def _with_option(arguments: Sequence[str], option: str, value: str) -> list[str]:
    if option not in arguments:
        return [*arguments, option, value]
    at = arguments.index(option)
    return [*arguments[: at + 1], value, *arguments[at + 2 :]]
