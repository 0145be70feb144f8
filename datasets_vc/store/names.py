"""Names of a store's objects (docs/format.md, section 2)."""

from __future__ import annotations

from datasets_vc.digest import Digest

ROOT = "root.json"
PACKS = "packs/"
INDEX = "index/"
RUNS = "runs/"
DAMAGED = ".damaged"


def pack_name(digest: Digest) -> str:
    return PACKS + digest.hex()


def index_name(digest: Digest) -> str:
    return INDEX + digest.hex()


def damaged_name(digest: Digest) -> str:
    """The mark that says that this pack was found damaged."""
    return pack_name(digest) + DAMAGED
