"""Verbs for recorded trainings: train, runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc import repository as facade
from datasets_vc.cli.asking import caller
from datasets_vc.cli.failure import DONE, PARTLY_DONE
from datasets_vc.cli.render import moment, number, short, shown, table
from datasets_vc.cli.session import Session, new_app, new_listing_app, verb
from datasets_vc.cli.streams import work_is_done
from datasets_vc.cli.synced import damaged_json, damaged_lines
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.format.commit import encode_time
from datasets_vc.format.lock import LOCK_SUFFIX
from datasets_vc.runs.arguments import TrainRequest

if TYPE_CHECKING:
    from datasets_vc.repository import Repository
    from datasets_vc.runs.record import RunRecord
    from datasets_vc.runs.runs import RunList

app = new_app()
runs = new_listing_app("Look at recorded runs.")
app.add_typer(runs, name="runs")


_WIDEST = 40


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
    "dsvc train cnn --data v1.1\n"
    "dsvc train cnn --data dataset.lock\n"
    "dsvc train rnn --data main:texts --set hidden=128 --epochs 3",
)
def train(
    session: Session,
    model: Annotated[Model, typer.Argument(metavar="MODEL", help="cnn, rnn or crnn.")],
    data: Annotated[
        str,
        typer.Option(metavar="REV[:PATH]", help="A version, or a folder in it; or a dataset.lock."),
    ],
    settings: Settings = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings, as TOML or JSON.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set seed=N.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="The same as --set epochs=N.")] = None,
    workers: Workers = None,
    threads: Threads = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many steps.")] = None,
    on_bad_sample: Annotated[
        BadSample, typer.Option(help="What a sample that cannot be decoded does.")
    ] = BadSample.raise_,
) -> None:
    """Train a model on a version and record the run.

    Samples are read from the store: no checkout is needed. 'dsvc reproduce' trains it again.
    """
    revision, _, under = data.partition(":")
    repository, version = _version(session, revision or "HEAD")
    request = TrainRequest(
        model=model.value,
        revision=version,
        under=under.strip("/"),
        config=_file(session, config) if config else None,
        settings=settings_of(settings, seed=seed, epochs=epochs),
        workers=workers,
        threads=threads,
        steps=steps,
        on_bad_sample=on_bad_sample.value,
        quiet=session.options.quiet,
    )
    record = repository.runs.train(request, session.progress, caller(session))
    work_is_done()
    session.answer(record, _record_json, lambda made: _result_lines(repository, made))


def _version(session: Session, revision: str) -> tuple[Repository, str]:
    """The repository and the version to train on; a lock file names both."""
    if not revision.endswith(LOCK_SUFFIX):
        return session.repository, revision
    pin = session.pin_to_follow(revision)
    return facade.Repository.open(pin.folder, trusted=session.trusted), pin.fetch(
        session.progress
    ).commit.hex()


def settings_of(given: list[str] | None, **named: int | None) -> dict[str, str]:
    settings = {key: str(value) for key, value in named.items() if value is not None}
    for setting in given or ():
        key, equals, value = setting.partition("=")
        if not equals or not key:
            hint = "For example: --set rate=0.01"
            raise InvalidInputError(f"'{setting}' is not KEY=VALUE.", hint)
        settings[key] = value
    return settings


def _file(session: Session, path: Path) -> Path:
    found = session.located(path)
    if not found.is_file():
        raise NotFoundError(f"There is no file '{found}'.")
    return found


def _summary_json(record: RunRecord) -> dict[str, Any]:
    repeated = record.head.reproduces
    return {
        "run": record.id,
        "model": record.model,
        "dataset": record.dataset,
        "status": record.status,
        "metrics": {name: float(value) for name, value in record.metrics.items()},
        "started": encode_time(record.started),
        "reproduces": repeated.hex() if repeated else None,
        "verdict": record.verdict,
    }


def _record_json(record: RunRecord) -> dict[str, Any]:
    return {**_summary_json(record), "input": record.input, "events": record.events}


def _result_lines(repository: Repository, record: RunRecord) -> Iterator[str]:
    yield f"run     {record.id}"
    yield f"dataset {record.dataset}"
    yield f"status  {record.status}"
    if record.metrics:
        yield f"metrics {_metrics(record.metrics)}"
    outputs = repository.runs.outputs(record)
    if outputs:
        yield f"files   {shown(str(outputs))}"


def _metrics(metrics: Mapping[str, Any]) -> str:
    return ", ".join(f"{shown(name)} {number(float(value))}" for name, value in metrics.items())


def _on_test(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics that runs are compared by; all of them if none has such a name."""
    return {name: metrics[name] for name in metrics if name.startswith("test")} or metrics


@verb(runs, "list", "dsvc runs list")
def list_(session: Session) -> int:
    """List the runs, the oldest first.

    Those that are damaged are named below; the exit code is 3 if there are any.
    """
    found = session.repository.runs.look()
    session.answer(found, _list_json, _list_lines)
    return PARTLY_DONE if found.damaged else DONE


def _list_json(found: RunList) -> dict[str, Any]:
    return {
        "runs": [_summary_json(record) for record in found.runs],
        "damaged_runs": damaged_json(found.damaged),
    }


def _list_lines(found: RunList) -> Iterator[str]:
    head = ("RUN", "MODEL", "DATASET", "STARTED", "STATUS", "METRICS")
    rows = [
        (
            short(record.id),
            record.model,
            short(record.dataset),
            moment(record.started),
            record.verdict or record.status,
            _metrics(_on_test(record.metrics)),
        )
        for record in found.runs
    ]
    if rows or not found.damaged:
        yield from table(head, rows, _WIDEST) if rows else ["No runs."]
    yield from damaged_lines(found.damaged)


@verb(runs, "show", "dsvc runs show 3f9a1c20")
def show(session: Session, run: Run) -> None:
    """Show one run: what went in and what came out."""
    session.answer(
        session.repository.runs.show(run),
        _record_json,
        lambda record: _record_lines(session.repository, record),
    )


def _record_lines(repository: Repository, record: RunRecord) -> Iterator[str]:
    yield from _result_lines(repository, record)
    yield f"started {moment(record.started)}"
    if record.head.reproduces:
        yield f"repeats {record.head.reproduces.hex()}"
    if record.verdict:
        yield f"verdict {record.verdict}"
    if record.error:
        yield f"error   {shown(record.error.get('message', ''))}"
    for part in ("command", "config", "seeds", "plan", "environment", "packages"):
        value = record.input.get(part)
        if value:
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
