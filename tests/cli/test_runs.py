"""Verbs for runs, over records that are made up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import NotRestorableError
from datasets_vc.format.run import RunHead
from datasets_vc.repository import Pin
from datasets_vc.runs.arguments import Overrides, TrainRequest
from datasets_vc.runs.compare import Comparison, Difference, InputDifference
from datasets_vc.runs.record import RunRecord
from datasets_vc.runs.runs import RunList

DATASET, RUN, OTHER = (digest_of(word) for word in (b"dataset", b"run", b"other"))
STARTED = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)


def _record(run: bytes = RUN, reproduces: bytes | None = None, status: str = "done") -> RunRecord:
    head = RunHead(digest_of(b"input"), STARTED, "0" * 16, reproduces)
    members = {
        "dataset": DATASET.hex(),
        "command": ["cnn", "--data", "{data}"],
        "config": {"train": {"rate": "0.1"}, "seed": 3},
    }
    end = {"event": "end", "status": status, "metrics": {"test accuracy": "0.98765"}}
    return RunRecord(run.hex(), head, members, [end])


@pytest.fixture
def runs(repository) -> SimpleNamespace:
    repository.asked = []
    repository.runs = SimpleNamespace(
        outputs=lambda _: None,
        look=lambda: RunList([_record()]),
        train=lambda request, *_: repository.asked.append(request) or _record(),
    )
    return repository


def test_train_passes_on_what_was_asked_for(dsvc, runs) -> None:
    Path("my.toml").touch()
    outcome = dsvc(
        *("train", "rnn", "--data", "v1:texts/", "--set", "hidden=8", "--set", "rate=0.1"),
        *("--config", "my.toml", "--seed", "3", "--epochs", "2", "--workers", "2"),
        *("--threads", "1", "--steps", "9", "--on-bad-sample", "skip", "-q", "--json"),
    )

    assert outcome.code == 0
    assert runs.asked == [
        TrainRequest(
            model="rnn",
            revision="v1",
            under="texts",
            config=Path.cwd() / "my.toml",
            settings={"seed": "3", "epochs": "2", "hidden": "8", "rate": "0.1"},
            workers=2,
            threads=1,
            steps=9,
            on_bad_sample="skip",
            quiet=True,
        )
    ]


def test_train_by_default(dsvc, runs) -> None:
    dsvc("train", "cnn", "--data", "v1")

    assert runs.asked == [TrainRequest("cnn", "v1")]
    assert dsvc("train", "cnn", "--data", "v1", "--config", "no.toml").code == 1


def test_train_on_what_a_lock_file_pins(dsvc, runs, monkeypatch, tmp_path) -> None:
    pin = SimpleNamespace(folder=tmp_path / "data", fetch=lambda _: SimpleNamespace(commit=OTHER))
    asked = []
    monkeypatch.setattr(Pin, "find", lambda *given, **_: asked.append(given) or pin)

    assert dsvc("train", "cnn", "--data", "code/dataset.lock:digits").code == 0
    assert asked == [(tmp_path, tmp_path / "code" / "dataset.lock")]
    assert runs.opened == [tmp_path / "data"]
    assert runs.asked == [TrainRequest("cnn", OTHER.hex(), "digits")]


@pytest.mark.parametrize("lies_here", [False, True])
def test_the_usual_name_means_the_lock_file_that_counts_here(
    dsvc, runs, monkeypatch, tmp_path, lies_here: bool
) -> None:
    pin = SimpleNamespace(folder=tmp_path / "data", fetch=lambda _: SimpleNamespace(commit=OTHER))
    asked = []
    monkeypatch.setattr(Pin, "find", lambda *given, **_: asked.append(given) or pin)
    place = tmp_path / "dataset.lock"
    if lies_here:
        place.touch()

    assert dsvc("train", "cnn", "--data", "dataset.lock").code == 0
    assert asked == [(tmp_path, place if lies_here else None)]


def test_trained_run(dsvc, runs) -> None:
    data = dsvc("train", "cnn", "--data", "v1", "--json").data

    assert data["run"] == RUN.hex()
    assert data["dataset"] == DATASET.hex()
    assert data["status"] == "done"
    assert data["metrics"] == {"test accuracy": 0.98765}
    assert dsvc("train", "cnn", "--data", "v1").out.splitlines() == [
        f"run     {RUN.hex()}",
        f"dataset {DATASET.hex()}",
        "status  done",
        "metrics test accuracy 0.9877",
    ]


def test_list_of_runs(dsvc, runs) -> None:
    assert dsvc("runs", "list", "--json").data["runs"][0]["run"] == RUN.hex()
    head, line = dsvc("runs", "list").out.splitlines()
    assert head.split() == ["RUN", "MODEL", "DATASET", "STARTED", "STATUS", "METRICS"]
    assert line.split()[:3] == [RUN.hex()[:12], "cnn", DATASET.hex()[:12]]

    runs.runs.look = lambda: RunList([])
    assert dsvc("runs", "list").out == dsvc("runs").out == "No runs.\n"


def test_one_run(dsvc, runs) -> None:
    runs.runs.show = lambda prefix: _record(reproduces=OTHER)

    data = dsvc("runs", "show", RUN.hex()[:8], "--json").data

    assert data["reproduces"] == OTHER.hex()
    assert data["input"]["config"] == {"train": {"rate": "0.1"}, "seed": 3}
    lines = dsvc("runs", "show", RUN.hex()[:8]).out.splitlines()
    assert f"repeats {OTHER.hex()}" in lines
    assert lines[-4:] == ["config:", "  train:", "    rate = 0.1", "  seed = 3"]


SEED = InputDifference("seeds.init", 1, 2)
DIVERGED = Comparison("DIVERGED", 7, Difference("init", None, "the seed", "a", "b"), [SEED])


@pytest.mark.parametrize(
    ("comparison", "code"),
    [
        (Comparison("BIT-IDENTICAL", 7), 0),
        (Comparison("TRACE-IDENTICAL(3)", 3), 0),
        (Comparison("EQUIVALENT", 7, DIVERGED.first_difference), 0),
        (DIVERGED, 15),
    ],
)
def test_reproduce_says_its_verdict(dsvc, runs, comparison, code) -> None:
    asked = []

    def reproduce(prefix, overrides, *_):
        asked.append((prefix, overrides))
        return SimpleNamespace(run=_record(), again=_record(OTHER, RUN), comparison=comparison)

    runs.runs.reproduce = reproduce
    options = ("--steps", "3", "--workers", "0", "--set", "seed=2", "--data", "v2")
    outcome = dsvc("reproduce", "12345678", *options, "--tolerance", "0.1", "--json")

    assert outcome.code == code
    assert outcome.data["run"] == RUN.hex()
    assert outcome.data["verdict"] == comparison.verdict
    first = outcome.data["first_difference"]
    assert (first and first["part"]) == (comparison.first_difference and "init")
    overrides = Overrides("v2", {"seed": "2"}, workers=0, steps=3, tolerance=0.1)
    assert asked == [("12345678", overrides)]
    assert dsvc("reproduce", "12345678").out.splitlines()[0] == comparison.verdict


def test_reproduce_names_what_differs_first(dsvc, runs) -> None:
    runs.runs.reproduce = lambda *_, **__: SimpleNamespace(
        run=_record(), again=_record(OTHER, RUN), comparison=DIVERGED
    )

    assert dsvc("reproduce", "12345678").out.splitlines() == [
        "DIVERGED",
        "first difference: init: the seed",
        "  was a, now b",
        "input that differs: seeds.init: was 1, now 2",
        f"7 steps compared; recorded as run {OTHER.hex()}.",
    ]


def test_run_that_cannot_be_restored(dsvc, runs) -> None:
    def reproduce(*_, **__):
        raise NotRestorableError("The dataset is nowhere.")

    runs.runs.reproduce = reproduce

    outcome = dsvc("reproduce", "12345678", "--json")

    assert outcome.code == 16
    assert outcome.data["verdict"] == "NOT-RESTORABLE"
    assert outcome.data["error"]["kind"] == "not_restorable"
    outcome = dsvc("reproduce", "12345678")
    assert (outcome.code, outcome.out) == (16, "NOT-RESTORABLE\n")
    assert outcome.err == "error: The dataset is nowhere.\n"
