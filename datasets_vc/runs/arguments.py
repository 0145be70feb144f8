"""What to train, as a value and as the arguments of the training process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from datasets_vc.errors import IntegrityError

_MOST, _LONGEST = 10_000, 32_768
_FILLED = {"--data": "{data}", "--out": "{out}", "--dataset": None, "--config": None, "--set": None}
_COUNTS = {"--workers": (0, 1024), "--threads": (1, 4096), "--steps": (1, 10**9 - 1)}
"""The least and the most of what a record may ask of a machine."""


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


def check_arguments(arguments: Sequence[str], what: str) -> None:
    """Check that recorded arguments can be repeated.

    Args:
        what: how to call the record in messages.

    Raises:
        IntegrityError: they cannot be, or ask for what no machine has.
    """
    if len(arguments) > _MOST or any(len(each) > _LONGEST or "\0" in each for each in arguments):
        raise IntegrityError(f"{what} is malformed: its command is none.")
    for option, only in _FILLED.items():
        values = _values(arguments, option, what)
        if only is not None and values != [only]:
            raise IntegrityError(f"{what} is malformed: its command has no '{option} {only}'.")
    _check_options(arguments, what)
    for option, (least, most) in _COUNTS.items():
        for value in _values(arguments, option, what):
            plain = value.isascii() and value.isdigit() and len(value) < 10
            if not plain or not least <= int(value) <= most:
                raise IntegrityError(
                    f"{what} is malformed: '{option} {value[:20]}' is not a number from "
                    f"{least} to {most:,}."
                )
    if "--workers" not in arguments:
        raise IntegrityError(f"{what} is malformed: its command has no '--workers'.")


def _check_options(arguments: Sequence[str], what: str) -> None:
    """Check that what is filled in and changed is said once, as `train` says it.

    An option that is given again, shortened or with `=` counts for the process, and not for us.
    """
    ours = {**_FILLED, **_COUNTS}
    for argument in arguments:
        name = argument.partition("=")[0]
        if argument.startswith("--") and argument not in ours:
            meant = next((option for option in ours if option.startswith(name)), None)
            if meant:
                raise IntegrityError(
                    f"{what} is malformed: its command says '{meant}' as {argument[:40]!a}."
                )
    for option in ours:
        if option != "--set" and arguments.count(option) > 1:
            raise IntegrityError(f"{what} is malformed: its command says '{option}' twice.")


def _values(arguments: Sequence[str], option: str, what: str) -> list[str]:
    places = [place for place, argument in enumerate(arguments) if argument == option]
    if places and places[-1] + 1 == len(arguments):
        raise IntegrityError(f"{what} is malformed: in its command '{option}' has no value.")
    return [arguments[place + 1] for place in places]


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
