"""Compare a run with its reproduction: where do they first differ, and what does that mean?

Each digest of the trace covers one stage of training, so the one that differs first names the
stage that differed: parameters before the first step, samples of a batch, the loss of a batch, the
parameters after a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets_vc.errors import IntegrityError
from datasets_vc.format.run import stated_dataset
from datasets_vc.runs.record import Event, RunRecord

BIT_IDENTICAL = "BIT-IDENTICAL"
EQUIVALENT = "EQUIVALENT"
DIVERGED = "DIVERGED"

_MEANING = {
    "dataset": "the training read another dataset than its run names",
    "init": "the initial parameters differ: the seed, the model's configuration or a library",
    "batch": "the batch has other samples: the dataset or the order of samples",
    "loss": "same parameters and samples but another loss: decoding, augmentation, threads, "
    "processor or a library",
    "params": "same losses so far but other parameters: the optimizer, threads or a library",
    "length": "one of the two ended earlier",
    "end": "the final parameters differ",
}

# How the run was called: what of it matters is in the other members, or may differ.
_CALLED = ("command", "commit")
# What may differ without changing a bit: told, but blamed last.
_HARMLESS = ("topology",)


@dataclass(frozen=True, slots=True)
class InputDifference:
    """One thing that went in differently, such as `config.seed`."""

    name: str
    was: Any
    now: Any


@dataclass(frozen=True)
class Difference:
    """Where two traces first differ.

    Attributes:
        part: `dataset`, `init`, `batch`, `loss`, `params`, `length` or `end`.
        step: counted from 0 over all epochs; None before and after the steps.
        meaning: what a difference there says.
        was, now: the values of the run and of its reproduction.
    """

    part: str
    step: int | None
    meaning: str
    was: Any = None
    now: Any = None


@dataclass(frozen=True)
class Comparison:
    """The verdict on a reproduction.

    Attributes:
        steps: how many were compared.
        inputs: what went in differently; the likeliest cause of the difference first.
    """

    verdict: str
    steps: int
    first_difference: Difference | None = None
    inputs: Sequence[InputDifference] = field(default=())


def compare(
    run: RunRecord, again: RunRecord, *, steps: int | None = None, tolerance: float | None = None
) -> Comparison:
    """Judge a reproduction.

    Args:
        steps: how many steps were repeated, if not all.
        tolerance: the relative difference of each final metric up to which runs that differ in
            bits count as equivalent.
    """
    inputs = input_differences(run.input, again.input)
    was, now = _trace(run.events, steps), _trace(again.events, steps)
    compared = sum(1 for part, *_ in now if part == "loss")
    found = _other_dataset(run) or _other_dataset(again) or _first_difference(was, now)
    if found is None:
        partial = steps is not None or run.status != "done"
        verdict = f"TRACE-IDENTICAL({compared})" if partial else BIT_IDENTICAL
        return Comparison(verdict, compared, None, inputs)
    part, step, old, new = found
    suspects = sorted(inputs, key=lambda difference: _rank(part, difference))
    difference = Difference(part, step, _MEANING[part], old, new)
    close = (
        part != "dataset"
        and tolerance is not None
        and _close(run.metrics, again.metrics, tolerance)
    )
    return Comparison(EQUIVALENT if close else DIVERGED, compared, difference, suspects)


def _other_dataset(run: RunRecord) -> tuple[str, int | None, Any, Any] | None:
    """The dataset that a run names, and the other one that its process says to have read."""
    stated = stated_dataset(run.input)
    return None if stated in (None, run.dataset) else ("dataset", None, run.dataset, stated)


def input_differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[InputDifference]:
    """The members of two inputs that differ, nested ones by their dotted names."""
    return [found for found in _differences(was, now, "") if found.name not in _CALLED]


def _differences(
    was: Mapping[str, Any], now: Mapping[str, Any], prefix: str
) -> Iterator[InputDifference]:
    for name in sorted(was.keys() | now.keys()):
        old, new = was.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{prefix}{name}.")
        else:
            yield InputDifference(prefix + name, old, new)


def _trace(events: Sequence[Event], steps: int | None) -> list[tuple[str, int | None, Any]]:
    trace: list[tuple[str, int | None, Any]] = []
    step = 0
    for event in events:
        kind = event["event"]
        if kind == "init":
            trace.append(("init", None, _digest_in(event, "params")))
        elif kind == "step":
            if step == steps:
                break
            trace.append(("batch", step, _digest_in(event, "batch")))
            trace.append(("loss", step, _digest_in(event, "loss")))
            if "params" in event:
                trace.append(("params", step, event["params"]))
            step += 1
        elif kind == "end" and steps is None and "params" in event:
            trace.append(("end", None, event["params"]))
    return trace


def _digest_in(event: Event, name: str) -> Any:
    if name not in event:
        # Two logs that say nothing must not pass for equal.
        raise IntegrityError(
            f"The log of a run is damaged: an event '{event['event']}' has no {name}."
        )
    return event[name]


def _first_difference(
    was: Sequence[tuple[str, int | None, Any]], now: Sequence[tuple[str, int | None, Any]]
) -> tuple[str, int | None, Any, Any] | None:
    for (part, step, old), (other, _, new) in zip(was, now, strict=False):
        if part != other:
            return "length", step, part, other
        if old != new:
            return part, step, old, new
    if len(was) != len(now):
        return "length", None, len(was), len(now)
    return None


def _rank(part: str, difference: InputDifference) -> tuple[int, str]:
    """Suspects of this part first, what cannot change a bit last."""
    name = difference.name
    likely = {
        "init": ("seeds", "config"),
        "batch": ("dataset", "plan", "seeds", "config"),
        "loss": ("environment", "probes", "config", "packages"),
        "params": ("environment", "config", "packages"),
    }.get(part, ())
    place = next((rank for rank, group in enumerate(likely) if name.startswith(group)), 5)
    return (9 if name.startswith(_HARMLESS) else place, name)


def _close(was: Mapping[str, Any], now: Mapping[str, Any], tolerance: float) -> bool:
    if not was or was.keys() != now.keys():
        return False
    pairs = [(float(was[name]), float(now[name])) for name in was]
    return all(abs(old - new) <= tolerance * max(abs(old), abs(new)) for old, new in pairs)
