"""Names of a store's objects (docs/format.md, section 2)."""

from __future__ import annotations

from datasets_vc.digest import DIGEST_SIZE, Digest, is_hex

ROOT = "root.json"
PACKS = "packs/"
INDEX = "index/"
RUNS = "runs/"
GARBAGE = "garbage/"
QUARANTINE = "quarantine/"
FOLDERS = (PACKS, INDEX, RUNS, GARBAGE, QUARANTINE)
"""The folders of a store."""

RUN_HEAD = "head.json"
RUN_LOG = "log.jsonl"

MAX_HEAD = 1 << 16
"""Bytes of the head of a run."""

MAX_LOG = 1 << 29
"""Bytes of the log of a run."""

RUN_PACKS = "packs.json"
DAMAGED = ".damaged"
PROBE = ".probe"


def pack_name(digest: Digest) -> str:
    return PACKS + digest.hex()


def index_name(digest: Digest) -> str:
    return INDEX + digest.hex()


def garbage_name(digest: Digest) -> str:
    """The note of a collection."""
    return GARBAGE + digest.hex()


def quarantine_name(pack: Digest) -> str:
    """Where what is left of a damaged pack is kept."""
    return QUARANTINE + pack.hex()


def run_part(run: str, part: str) -> str:
    """A part of a run, such as "log.jsonl"."""
    return f"{RUNS}{run}/{part}"


def quarantined_run_part(run: str, part: str) -> str:
    """Where a damaged part of a run is kept."""
    return f"{QUARANTINE}{run}.{part}"


def probe_name(nonce: str) -> str:
    """An object that is written by one way and looked for by another; see `sync.identity`."""
    return f"{PACKS}{nonce}{PROBE}"


def digest_in(name: str, folder: str) -> Digest | None:
    """The digest that an object of a folder is named by; None for others."""
    text = name.removeprefix(folder)
    known = len(text) == 2 * DIGEST_SIZE and is_hex(text) and name == folder + text
    return Digest(bytes.fromhex(text)) if known else None


def run_of(name: str, part: str) -> str | None:
    """The id of the run that an object is that part of, such as "log.jsonl"; None for others."""
    run = name.removeprefix(RUNS).removesuffix(f"/{part}")
    known = len(run) == 2 * DIGEST_SIZE and is_hex(run) and name == f"{RUNS}{run}/{part}"
    return run if known else None


def damaged_name(digest: Digest) -> str:
    """The mark that says that this pack was found damaged."""
    return pack_name(digest) + DAMAGED
