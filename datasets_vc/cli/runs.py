"""Verbs for recorded trainings: train, runs, reproduce."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.failure import DIFFERS, DONE, FAILED, INTERRUPTED, NOT_RESTORABLE
from datasets_vc.cli.options import keep_options
from datasets_vc.cli.render import moment, number, short, shown, table
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.errors import InvalidInputError
from datasets_vc.repository import Overrides, TrainRequest

if TYPE_CHECKING:
    from datasets_vc.repository import Reproduction, RunInfo, RunRecord

app = new_app()
runs = new_app(help="Look at recorded runs.", callback=keep_options)
app.add_typer(runs, name="runs")


class Model(StrEnum):
    cnn = "cnn"
    rnn = "rnn"
    crnn = "crnn"


class BadSample(StrEnum):
    """What a sample that cannot be decoded does to the run."""

    raise_ = "raise"
    skip = "skip"


Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated."),
]
Workers = Annotated[int | None, typer.Option(min=0, help="Processes that read samples.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads that compute.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run, or the first digits of its id.")]


@verb(
    app,
    "train",
    "dsvc train cnn --data v1.1\ndsvc train rnn --data main:texts --set hidden=128 --epochs 3",
)
def train(
    session: Session,
    model: Annotated[Model, typer.Argument(metavar="MODEL", help="cnn, rnn or crnn.")],
    data: Annotated[str, typer.Option(metavar="REV[:PATH]", help="A version, or a folder in it.")],
    settings: Settings = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings, as TOML or JSON.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set seed=N.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="The same as --set epochs=N.")] = None,
    workers: Workers = None,
    threads: Threads = None,
    on_bad_sample: Annotated[
        BadSample, typer.Option(help="What a sample that cannot be decoded does.")
    ] = BadSample.raise_,
) -> int:
    """Train a model on a version and record the run.

    Samples are read from the store: no checkout is needed. 'dsvc reproduce' trains it again.
    """
    revision, _, under = data.partition(":")
    record = session.repository.train(
        TrainRequest(
            model=model.value,
            revision=revision or "HEAD",
            under=under.strip("/"),
            config=session.folder / config if config else None,
            settings=_settings(settings, seed=seed, epochs=epochs),
            workers=workers,
            threads=threads,
            on_bad_sample=on_bad_sample.value,
        ),
        session.progress,
    )
    session.answer(record, _record_json, _result_lines)
    return {"done": DONE, "interrupted": INTERRUPTED}.get(record.status, FAILED)


def _settings(given: list[str] | None, **named: int | None) -> dict[str, str]:
    settings = {key: str(value) for key, value in named.items() if value is not None}
    for setting in given or ():
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise InvalidInputError(
                f"'{setting}' is not KEY=VALUE.", "For example: --set rate=0.01"
            )
        settings[key] = value
    return settings


def _record_json(record: RunRecord) -> dict[str, Any]:
    return {
        "run": record.id,
        "dataset": record.dataset,
        "status": record.status,
        "metrics": dict(record.metrics),
        "started": record.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "reproduces": record.reproduces,
        "input": dict(record.input),
    }


def _result_lines(record: RunRecord) -> Iterator[str]:
    yield f"run     {record.id}"
    yield f"dataset {record.dataset}"
    yield f"status  {record.status}"
    if record.metrics:
        yield f"metrics {_metrics(record.metrics)}"


def _metrics(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{shown(name)} {number(value)}" for name, value in metrics.items())


@verb(runs, "list", "dsvc runs list")
def list_(session: Session) -> None:
    """List the runs, newest first."""
    session.answer(
        session.repository.runs.list(),
        lambda found: {"runs": [_info_json(info) for info in found]},
        _info_lines,
    )


def _info_json(info: RunInfo) -> dict[str, Any]:
    return {
        "run": info.id,
        "dataset": info.dataset,
        "model": info.model,
        "status": info.status,
        "metrics": dict(info.metrics),
        "started": info.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "reproduces": info.reproduces,
    }


def _info_lines(found: list[RunInfo]) -> Iterator[str]:
    head = ("RUN", "MODEL", "DATASET", "STARTED", "STATUS", "METRICS")
    rows = [
        (
            short(info.id),
            info.model,
            short(info.dataset),
            moment(info.started),
            info.status,
            _metrics(info.metrics),
        )
        for info in found
    ]
    return table(head, rows) if rows else iter(["No runs."])


@verb(runs, "show", "dsvc runs show 3f9a1c20")
def show(session: Session, run: Run) -> None:
    """Show one run: what went in and what came out."""
    session.answer(session.repository.runs.show(run), _record_json, _record_lines)


def _record_lines(record: RunRecord) -> Iterator[str]:
    yield from _result_lines(record)
    yield f"started {moment(record.started)}"
    if record.reproduces:
        yield f"repeats {record.reproduces}"
    for part in ("command", "config", "seeds", "plan", "environment", "packages"):
        value = record.input.get(part)
        if not value:
            continue
        yield ""
        yield f"{part}:"
        yield from _tree_lines(value, "  ")


def _tree_lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        yield indent + shown(" ".join(map(str, value)))
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict):
                yield f"{indent}{shown(key)}:"
                yield from _tree_lines(item, indent + "  ")
            else:
                yield f"{indent}{shown(key)} = {shown(str(item))}"
    else:
        yield indent + shown(str(value))


@verb(
    app,
    "reproduce",
    "dsvc reproduce 3f9a1c20\ndsvc reproduce 3f9a1c20 --steps 50",
)
def reproduce(
    session: Session,
    run: Run,
    steps: Annotated[int | None, typer.Option(min=1, help="Compare only so many steps.")] = None,
    workers: Workers = None,
    threads: Threads = None,
    settings: Settings = None,
    data: Annotated[
        str | None, typer.Option(metavar="REV", help="Another version than the recorded one.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(min=0, help="Call it equivalent if the metrics differ by no more than this."),
    ] = None,
) -> int:
    """Train a recorded run again and say whether it is the same.

    Data, code and settings are those of the record, but for what the options change. The verdict
    is BIT-IDENTICAL, TRACE-IDENTICAL(n), EQUIVALENT, DIVERGED or NOT-RESTORABLE; whatever differs
    first is named.
    """
    overrides = Overrides(
        steps=steps,
        workers=workers,
        threads=threads,
        settings=_settings(settings),
        data=data,
        tolerance=tolerance,
    )
    result = session.repository.reproduce(run, overrides, session.progress)
    session.answer(result, _reproduction_json, _reproduction_lines)
    if result.verdict.startswith(("BIT-IDENTICAL", "TRACE-IDENTICAL", "EQUIVALENT")):
        return DONE
    return NOT_RESTORABLE if result.verdict == "NOT-RESTORABLE" else DIFFERS


def _reproduction_json(result: Reproduction) -> dict[str, Any]:
    return {
        "run": result.run,
        "reproduction": result.reproduction,
        "verdict": result.verdict,
        "first_difference": result.first_difference,
    }


def _reproduction_lines(result: Reproduction) -> Iterator[str]:
    yield result.verdict
    if result.first_difference:
        yield f"first difference: {shown(str(result.first_difference))}"
    if result.reproduction:
        yield f"recorded as run {short(result.reproduction)}"
