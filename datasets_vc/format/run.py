"""Heads of runs (docs/format.md, section 10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from datasets_vc.digest import Buffer, Digest
from datasets_vc.format.commit import decode_time, encode_time
from datasets_vc.format.json import RUN, decode_object, encode_object, hex_digest, text


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
