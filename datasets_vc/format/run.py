"""Heads, inputs and logs of runs (docs/format.md, section 10)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datasets_vc.decoding import load_json
from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import IntegrityError, InvalidInputError
from datasets_vc.format.commit import decode_time, encode_time
from datasets_vc.format.json import (
    CHECK,
    MOST_VALUES,
    RUN,
    RUN_INPUT,
    RUN_PACKS,
    canonical,
    check_of,
    decode_object,
    encode_checked,
    encode_object,
    hex_digest,
    text,
    values_in,
)

_CHECK_LINE = b'{"check":'
_LONGEST_LINE = 16 << 20
_MOST_EVENTS = 1 << 22
_MOST_LOGGED = 1 << 25
_DIVERGED = "DIVERGED"
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_NONCE = re.compile("[0-9a-f]{16}")
_MOST_PROCESSES = 1 << 20
_INPUT_MEMBERS = (
    "topology",
    "config",
    "seeds",
    "plan",
    "packages",
    "environment",
    "probes",
)
_EVENT_MEMBERS: Mapping[str, type] = {
    "status": str,
    "metrics": dict,
    "error": dict,
    "verdict": str,
    "name": str,
    "path": str,
    "reason": str,
}


MAX_INPUT = 4 << 20
"""Bytes of what went into a run."""


@dataclass(frozen=True, slots=True)
class RunHead:
    """What names a run: its input, when it started, and which run it repeats, if any."""

    input: Digest
    started: datetime
    nonce: str
    reproduces: Digest | None = None


def encode_run_head(head: RunHead) -> bytes:
    return encode_object(
        RUN,
        {
            "input": head.input.hex(),
            "started": encode_time(head.started),
            "nonce": head.nonce,
            "reproduces": head.reproduces.hex() if head.reproduces else None,
        },
    )


def decode_run_head(data: Buffer, what: str) -> RunHead:
    """The head that `data` encodes.

    Raises:
        IntegrityError: the bytes are not a well-formed head.
        FormatError: they need a newer version.
    """
    members = decode_object(data, RUN, what)
    repeated = members.get("reproduces")
    nonce = text(members.get("nonce"), what)
    if not _NONCE.fullmatch(nonce):
        raise IntegrityError(f"{what} is malformed: its nonce {nonce[:20]!a} is not 16 hex digits.")
    return RunHead(
        input=hex_digest(members.get("input"), what),
        started=decode_time(members.get("started"), what),
        nonce=nonce,
        reproduces=hex_digest(repeated, what) if repeated else None,
    )


def encode_run_input(members: Mapping[str, object]) -> bytes:
    """Canonical bytes of what went into a run.

    Raises:
        InvalidInputError: it is more than any reader takes.
    """
    data = encode_object(RUN_INPUT, members)
    if len(data) > MAX_INPUT or values_in(data) > MOST_VALUES:
        raise InvalidInputError(
            f"What went into this run is too much to be recorded: {len(data):,} bytes of JSON; at "
            f"most {MAX_INPUT:,} bytes and {MOST_VALUES:,} values can be.",
            "Give long lists in a file of the dataset, not in the settings.",
        )
    return data


def decode_run_input(data: Buffer, what: str) -> dict[str, Any]:
    """What went into a run; see docs/format.md for the members.

    Raises:
        IntegrityError: the bytes are not a well-formed input.
        FormatError: they need a newer version.
    """
    if len(data) > MAX_INPUT:
        raise IntegrityError(f"{what} has {len(data):,} bytes; {MAX_INPUT:,} are the most.")
    members = decode_object(data, RUN_INPUT, what)
    for name in ("dataset", "code"):
        hex_digest(members.get(name), what)
    if members.get("commit") is not None:
        hex_digest(members["commit"], what)
    command = members.get("command")
    if not isinstance(command, list) or not command:
        raise IntegrityError(f"{what} is malformed: it has no command.")
    for argument in command:
        text(argument, what)
    return members


def check_run_input(members: Mapping[str, Any], what: str) -> None:
    """Check the members of an input that say how it went, as far as anybody counts on them.

    Raises:
        IntegrityError: one is not what it should be.
    """
    for name in _INPUT_MEMBERS:
        if not isinstance(members.get(name, {}), dict):
            raise IntegrityError(f"{what} is malformed: its {name} is no object.")
    if any("\0" in argument for argument in members["command"]):
        raise IntegrityError(f"{what} is malformed: an argument of its command has a NUL in it.")
    for name, count in members.get("topology", {}).items():
        if type(count) is not int or not 0 <= count < _MOST_PROCESSES:
            raise IntegrityError(
                f"{what} is malformed: {name[:100]!a} of its topology is no count."
            )


def digests_in(data: Buffer) -> list[Digest]:
    """All that could be a digest in a text that nobody can read as what it should be."""
    return [Digest(bytes.fromhex(found.decode())) for found in set(_DIGEST.findall(bytes(data)))]


def encode_run_packs(packs: Iterable[Digest]) -> bytes:
    return encode_checked(RUN_PACKS, {"packs": sorted(pack.hex() for pack in packs)})


def decode_run_packs(data: Buffer, what: str) -> list[Digest]:
    """The packs that a run pinned.

    Raises:
        IntegrityError: the bytes are not a well-formed list of packs.
        FormatError: they need a newer version.
    """
    packs = decode_object(data, RUN_PACKS, what).get("packs")
    if not isinstance(packs, list):
        raise IntegrityError(f"{what} is malformed: it lists no packs.")
    return [hex_digest(pack, what) for pack in packs]


def encode_run_log(events: Iterable[Mapping[str, object]]) -> bytes:
    """The log of a run that has ended."""
    lines = b"".join(canonical(event) + b"\n" for event in events)
    return lines + canonical({"event": CHECK, CHECK: check_of(lines)}) + b"\n"


def decode_run_log(data: Buffer, what: str) -> list[dict[str, Any]]:
    """The events of a run, oldest first; a last line that was cut short is left out.

    Raises:
        IntegrityError: a line is not an event, or the log does not match its checksum.
    """
    return list(read_run_log(data, what))


def read_run_log(data: Buffer, what: str) -> Iterator[dict[str, Any]]:
    """The same, one event at a time; until the last one was given nothing is known of the checksum.

    Raises:
        IntegrityError: as `decode_run_log`.
    """
    log = bytes(data)
    start, values = 0, 0
    for _ in range(_MOST_EVENTS + 1):
        end = log.find(b"\n", start)
        _check_line(log, start, end, what)
        if end < 0:
            break
        line = log[start:end]
        more = values_in(line)
        values += more
        if more > MOST_VALUES or values > _MOST_LOGGED:
            raise IntegrityError(f"{what} is damaged: it has more values than any that we write.")
        event = _event(line, what)
        if event["event"] == CHECK or CHECK in event:
            before = memoryview(log)[:start]
            if end + 1 < len(log) or event != {"event": CHECK, CHECK: check_of(before)}:
                raise _wrong_log(what)
            return
        yield event
        start = end + 1
    else:
        raise IntegrityError(f"{what} is damaged: it has more than {_MOST_EVENTS:,} lines.")
    if log.startswith(_CHECK_LINE, start):
        raise _wrong_log(what)


def told_by(
    log: Buffer, head: RunHead, members: Mapping[str, Any], what: str
) -> Iterator[dict[str, Any]]:
    """The events of the log of a run, as `read_run_log` gives them.

    Args:
        members: of its input.

    Raises:
        IntegrityError: as `decode_run_log`; or the training process said to have read another
            dataset than the run names, and it is no reproduction that is known to differ.
    """
    stated = stated_dataset(members)
    judged = False
    for event in read_run_log(log, what):
        if event["event"] == "inputs":
            stated = stated if stated not in (None, members["dataset"]) else stated_dataset(event)
        judged = judged or (event["event"] == "verdict" and event.get("verdict") == _DIVERGED)
        yield event
    if stated not in (None, members["dataset"]) and not (head.reproduces and judged):
        raise IntegrityError(
            f"{what} is malformed: the run names the dataset {members['dataset']}, and its "
            f"training read another, {stated[:64] if stated else None!a}."
        )


def stated_dataset(said: Mapping[str, Any]) -> str | None:
    """The dataset that a training process said to have read, in its plan; None if it did not."""
    plan = said.get("plan", {})
    found = plan.get("dataset") if isinstance(plan, Mapping) else None
    return None if found is None else str(found)


def _check_line(log: bytes, start: int, end: int, what: str) -> None:
    if end == start:
        raise IntegrityError(f"{what} is damaged: a line is empty.")
    if (len(log) if end < 0 else end) - start > _LONGEST_LINE:
        raise IntegrityError(f"{what} is damaged: a line is longer than any event.")


def _event(line: bytes, what: str) -> dict[str, Any]:
    try:
        event = load_json(line.decode())
    except ValueError as error:
        raise IntegrityError(f"{what} is damaged: a line is not valid JSON.") from error
    _check_event(event, what)
    found: dict[str, Any] = event
    return found


def _wrong_log(what: str) -> IntegrityError:
    return IntegrityError(f"{what} is damaged: it does not match its checksum.")


def _check_event(event: object, what: str) -> None:
    """An event, as far as anybody counts on what it says."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise IntegrityError(f"{what} is damaged: a line is not an event.")
    if event["event"] == "step":
        return  # what a step says is compared and no more
    for name, kind in _EVENT_MEMBERS.items():
        if name in event and not isinstance(event[name], kind):
            raise IntegrityError(f"{what} is damaged: the {name} of an event is none.")
    if event["event"] == "checkpoint":
        hex_digest(event.get("digest"), what)
    try:
        for metric in event.get("metrics", {}).values():
            float(metric)
    except (TypeError, ValueError, OverflowError) as error:
        raise IntegrityError(f"{what} is damaged: a metric is no number.") from error
    told = event.get("error", {}).values()
    if not all(isinstance(word, str) for word in told):
        raise IntegrityError(f"{what} is damaged: the error of an event is none.")
