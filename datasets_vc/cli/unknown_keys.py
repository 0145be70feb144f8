"""What `.dsvc/config.toml` says that nothing reads."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets_vc.config import CONFIG_FILE, read_config
from datasets_vc.durable import read_plain
from datasets_vc.paths import META_DIR

_KEYS = ("author", "store", "files", "only", "remote", "tables", "signing")
_REMOTE_KEYS = ("url", "single_writer", "endpoint", "region", "profile", "anonymous", "id")
_SIGNING_KEYS = ("key", "commits", "tags", "allowed_signers", "revoked_keys", "verify")


def unknown_keys(folder: Path) -> dict[str, str]:
    """The keys and tables of `config.toml` that nothing reads, each with what may be meant, or "".

    Raises:
        InvalidInputError, UnreadableFileError: see `read_config`.
    """
    read_config(folder)
    try:
        document = tomllib.loads(read_plain(folder / META_DIR / CONFIG_FILE).decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    found = _unknown(document, _KEYS)
    for name, table in document.get("remote", {}).items():
        found |= _unknown(table, _REMOTE_KEYS, f"remote.{name}.")
    return found | _unknown(document.get("signing", {}), _SIGNING_KEYS, "signing.")


def _unknown(table: Mapping[str, Any], known: Sequence[str], prefix: str = "") -> dict[str, str]:
    unknown = [key for key in table if key not in known]
    if not unknown:
        return {}
    # Hardly ever needed, and start-up counts.
    from difflib import get_close_matches

    near = {key: get_close_matches(key.lower().replace("-", "_"), known, 1) for key in unknown}
    return {prefix + key: prefix + near[key][0] if near[key] else "" for key in unknown}
