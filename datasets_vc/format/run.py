"""Heads, inputs and logs of runs (docs/format.md, section 10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datasets_vc.decoding import load_json
from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import IntegrityError
from datasets_vc.format.commit import decode_time, encode_time
from datasets_vc.format.json import (
    CHECK,
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
)

_CHECK_LINE = b'{"check":'
_LONGEST_LINE = 16 << 20
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
    return RunHead(
        input=hex_digest(members.get("input"), what),
        started=decode_time(members.get("started"), what),
        nonce=text(members.get("nonce"), what),
        reproduces=hex_digest(repeated, what) if repeated else None,
    )


def encode_run_input(members: Mapping[str, object]) -> bytes:
    return encode_object(RUN_INPUT, members)


def decode_run_input(data: Buffer, what: str) -> dict[str, Any]:
    """What went into a run; see docs/format.md for the members.

    Raises:
        IntegrityError: the bytes are not a well-formed input.
        FormatError: they need a newer version.
    """
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
    lines = bytes(data).split(b"\n")
    if max(map(len, lines)) > _LONGEST_LINE:
        raise IntegrityError(f"{what} is damaged: a line is longer than any event.")
    try:
        events = [load_json(line) for line in lines[:-1] if line]
    except ValueError as error:
        raise IntegrityError(f"{what} is damaged: a line is not valid JSON.") from error
    for event in events:
        _check_event(event, what)
    if events and (events[-1]["event"] == CHECK or CHECK in events[-1]):
        _verify_log(events.pop(), lines, what)
    if lines[-1].startswith(_CHECK_LINE) or any(CHECK in event for event in events):
        raise _wrong_log(what)
    return events


def _verify_log(check: Mapping[str, Any], lines: list[bytes], what: str) -> None:
    before = b"".join(line + b"\n" for line in lines[:-2])
    if lines[-1] or check != {"event": CHECK, CHECK: check_of(before)}:
        raise _wrong_log(what)


def _wrong_log(what: str) -> IntegrityError:
    return IntegrityError(f"{what} is damaged: it does not match its checksum.")


def _check_event(event: object, what: str) -> None:
    """An event, as far as anybody counts on what it says."""
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise IntegrityError(f"{what} is damaged: a line is not an event.")
    for name, kind in _EVENT_MEMBERS.items():
        if name in event and not isinstance(event[name], kind):
            raise IntegrityError(f"{what} is damaged: the {name} of an event is none.")
    try:
        for metric in event.get("metrics", {}).values():
            float(metric)
    except (TypeError, ValueError, OverflowError) as error:
        raise IntegrityError(f"{what} is damaged: a metric is no number.") from error
    told = event.get("error", {}).values()
    if not all(isinstance(word, str) for word in told):
        raise IntegrityError(f"{what} is damaged: the error of an event is none.")
