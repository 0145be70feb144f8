"""The table `[signing]` of `.dsvc/config.toml`:

    [signing]
    key = "~/.ssh/id_ed25519.pub"         # or "key::ssh-ed25519 AAAA…", which is in the SSH agent
    commits = true                        # sign every commit, merges too
    tags = true                           # sign every tag with a message
    allowed_signers = ".dsvc/allowed"     # whose signatures count; never a file of the dataset
    revoked_keys = "/etc/ssh/revoked"     # keys that count no more
    verify = true                         # pull and merge only what one of them signed

Paths count from the workspace; `~/` is the home folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from datasets_vc.config import edit_config
from datasets_vc.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class SigningSettings:
    """What the table says; paths as they are written."""

    key: str | None = None
    commits: bool = False
    tags: bool = False
    allowed_signers: str | None = None
    revoked_keys: str | None = None
    verify: bool = False


def trust_only(folder: Path, allowed_signers: Path) -> None:
    """Write into the configuration of a new workspace that nothing else is to be taken."""
    table = {"allowed_signers": str(allowed_signers), "verify": True}
    edit_config(folder, lambda document: document.update({"signing": table}))


def parse_settings(table: Mapping[str, Any]) -> SigningSettings:
    """The settings in a table; keys that this version does not know are left alone.

    Raises:
        InvalidInputError: a value has a wrong type.
    """
    known = {field.name: field.default for field in fields(SigningSettings)}
    given = {name: table[name] for name in known if name in table}
    for name, value in given.items():
        flag = isinstance(known[name], bool)
        if not (isinstance(value, bool) if flag else isinstance(value, str) and value):
            wanted = "true or false" if flag else "text"
            raise InvalidInputError(f"The key 'signing.{name}' must be {wanted}, not {value!r}.")
    return SigningSettings(**given)
