"""The verdict on a reproduction: identical, equivalent or diverged, and where first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import IntegrityError
from datasets_vc.format.run import RunHead
from datasets_vc.runs.compare import (
    BIT_IDENTICAL,
    DIVERGED,
    EQUIVALENT,
    Comparison,
    compare,
    input_differences,
)
from datasets_vc.runs.record import RunRecord

INPUT: Mapping[str, Any] = {
    "code": "c0",
    "command": ["cnn"],
    "commit": "1",
    "config": {"lr": "0.1", "layers": {"first": 8}},
    "dataset": "d0",
    "environment": {"threads": 1},
    "packages": {"torch": "2.6"},
    "plan": {"digest": "p0"},
    "probes": {"png": "aa"},
    "seeds": {"model": 0},
    "topology": {"workers": 0},
}


def run(
    changes: Mapping[tuple[str, int | None], str] | None = None,
    *,
    steps: int = 6,
    status: str = "done",
    metrics: Mapping[str, str] | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> RunRecord:
    """A run of some steps, parameters told at every second; `changes` by (part, step)."""
    told = {**(changes or {})}

    def value(part: str, step: int | None) -> str:
        return told.pop((part, step), f"{part} {step}")

    events: list[dict[str, Any]] = [{"event": "inputs"}]
    events.append({"event": "init", "params": value("init", None)})
    for step in range(steps):
        event = {"event": "step", "batch": value("batch", step), "loss": value("loss", step)}
        if step % 2:
            event["params"] = value("params", step)
        events.append(event)
    events.append({"event": "epoch", "epoch": 0, "metrics": {}})
    if status != "unfinished":
        end = {"event": "end", "status": status, "metrics": metrics or {"accuracy": "0.9"}}
        events.append(end | ({"params": value("end", None)} if status == "done" else {}))
    assert not told
    head = RunHead(digest_of(b"input"), datetime(2026, 1, 1, tzinfo=UTC), "0")
    return RunRecord("ab" * 32, head, {**INPUT, **(inputs or {})}, events)


def names(found: Comparison) -> Sequence[str]:
    return [difference.name for difference in found.inputs]


def test_the_same_run() -> None:
    found = compare(run(), run())
    assert (found.verdict, found.steps, found.first_difference) == (BIT_IDENTICAL, 6, None)
    assert not found.inputs


@pytest.mark.parametrize("part", ["batch", "loss"])
def test_logs_that_say_nothing_are_not_called_identical(part: str) -> None:
    mute = run()
    for event in mute.events:
        if event["event"] == "step":
            del event[part]  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError, match=part):
        compare(mute, mute)


def test_a_part_that_is_the_same() -> None:
    assert compare(run(), run(steps=3), steps=3).verdict == "TRACE-IDENTICAL(3)"
    assert compare(run(), run(), steps=3).verdict == "TRACE-IDENTICAL(3)"
    assert compare(run(), run(), steps=3).steps == 3
    other = run({("loss", 3): "other", ("end", None): "other"})
    assert compare(run(), other, steps=3).verdict == "TRACE-IDENTICAL(3)"


@pytest.mark.parametrize("status", ["failed", "interrupted", "unfinished"])
def test_a_run_that_did_not_end_well_is_never_bit_identical(status: str) -> None:
    found = compare(run(status=status), run(status=status))
    assert found.verdict == "TRACE-IDENTICAL(6)"


PARTS: Sequence[tuple[str, int | None]] = [
    ("init", None),
    ("batch", 0),
    ("loss", 0),
    ("params", 1),
    ("batch", 4),
    ("loss", 5),
    ("params", 5),
    ("end", None),
]


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_the_first_of_all_differences_is_told(number: int) -> None:
    changes = {part: f"other {part}" for part in PARTS[number:]}
    found = compare(run(), run(changes))
    part, step = PARTS[number]
    assert found.verdict == DIVERGED
    assert found.first_difference
    difference = found.first_difference
    assert (difference.part, difference.step) == (part, step)
    assert (difference.was, difference.now) == (f"{part} {step}", f"other {PARTS[number]}")


def test_every_part_has_a_meaning_of_its_own() -> None:
    meanings = set()
    for part in PARTS:
        difference = compare(run(), run({part: "other"})).first_difference
        assert difference
        assert difference.meaning
        meanings.add(difference.meaning)
    assert len(meanings) == len({part for part, _ in PARTS})


@pytest.mark.parametrize(("was", "now"), [(6, 4), (4, 6), (6, 5), (0, 6), (6, 0)])
@pytest.mark.parametrize("status", ["done", "failed"])
def test_one_ended_earlier(was: int, now: int, status: str) -> None:
    found = compare(run(steps=was), run(steps=now, status=status))
    assert found.verdict == DIVERGED
    assert found.first_difference
    assert found.first_difference.part == "length"
    assert found.steps == now


@pytest.mark.parametrize(
    ("part", "changed", "first"),
    [
        (("init", None), ("config", "dataset", "seeds"), "seeds.model"),
        (("batch", 2), ("code", "dataset", "environment", "seeds"), "dataset"),
        (("batch", 2), ("code", "plan", "environment"), "plan.digest"),
        (("loss", 2), ("config", "dataset", "environment"), "environment.threads"),
        (("loss", 2), ("code", "probes", "topology"), "probes.png"),
        (("params", 3), ("packages", "dataset", "code"), "packages.torch"),
        (("end", None), ("code", "topology"), "code"),
    ],
)
def test_likeliest_cause_comes_first(
    part: tuple[str, int | None], changed: Sequence[str], first: str
) -> None:
    other: dict[str, Any] = {
        "code": "c1",
        "config": {**INPUT["config"], "lr": "0.2"},
        "dataset": "d1",
        "environment": {"threads": 2},
        "packages": {"torch": "2.7"},
        "plan": {"digest": "p1"},
        "probes": {"png": "bb"},
        "seeds": {"model": 1},
        "topology": {"workers": 2},
    }
    found = compare(run(), run({part: "other"}, inputs={name: other[name] for name in changed}))
    assert names(found)[0] == first
    assert len(names(found)) == len(changed)
    if "topology" in changed:
        assert names(found)[-1] == "topology.workers"


def test_workers_and_commits_may_differ_in_runs_that_are_bit_identical() -> None:
    inputs = {"topology": {"workers": 2}, "commit": "2", "command": ["cnn", "--workers", "2"]}
    found = compare(run(), run(inputs=inputs))
    assert found.verdict == BIT_IDENTICAL
    assert found.first_difference is None
    assert "topology.workers" in names(found)


@pytest.mark.parametrize(
    ("metrics", "tolerance", "verdict"),
    [
        ({"accuracy": "0.899"}, 0.01, EQUIVALENT),
        ({"accuracy": "0.899"}, 0.001, DIVERGED),
        ({"accuracy": "0.899"}, None, DIVERGED),
        ({"accuracy": "0.9"}, 0.0, EQUIVALENT),
        ({"accuracy": "-0.9"}, 0.5, DIVERGED),
        ({"accuracy": "nan"}, 0.5, DIVERGED),
        ({"accuracy": "0.9", "loss": "1"}, 0.5, DIVERGED),
        ({"loss": "0.9"}, 0.5, DIVERGED),
    ],
)
def test_equivalent_within_a_tolerance(
    metrics: Mapping[str, str], tolerance: float | None, verdict: str
) -> None:
    found = compare(run(), run({("loss", 2): "other"}, metrics=metrics), tolerance=tolerance)
    assert found.verdict == verdict
    assert found.first_difference
    assert (found.first_difference.part, found.first_difference.step) == ("loss", 2)


def test_a_tolerance_does_not_hide_that_runs_are_identical() -> None:
    assert compare(run(), run(), tolerance=0.1).verdict == BIT_IDENTICAL


def test_runs_that_did_not_end_are_not_equivalent() -> None:
    other = run({("loss", 2): "other"}, status="unfinished")
    assert compare(run(), other, tolerance=0.9).verdict == DIVERGED


def test_differences_of_inputs_are_named_by_dots() -> None:
    was = {"a": {"b": {"c": 1, "d": 2}}, "e": [1], "gone": 0, "same": {"x": 1}}
    now = {"a": {"b": {"c": 1, "d": 3}}, "e": [2], "new": {"y": 1}, "same": {"x": 1}}
    found = [(each.name, each.was, each.now) for each in input_differences(was, now)]
    assert found == [("a.b.d", 2, 3), ("e", [1], [2]), ("gone", 0, None), ("new", None, {"y": 1})]
