"""SSH keys for tests, made once, and files that say whose they are."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PASSPHRASE = "a secret of the tests"


@dataclass(frozen=True)
class Key:
    """A key pair in files; `private` may have been taken away."""

    private: Path

    @property
    def public(self) -> Path:
        return self.private.with_name(f"{self.private.name}.pub")

    @property
    def text(self) -> str:
        """The public key as one line."""
        return self.public.read_text().strip()

    def of(self, principal: str, options: str = "") -> str:
        """The line of an allowed signers file that says whose it is."""
        return f"{principal} {options} {self.text}\n"


@dataclass(frozen=True)
class Keys:
    """Those of three people, the last one protected by a passphrase; and one that is RSA."""

    ada: Key
    bob: Key
    eve: Key
    old: Key


def make_keys(folder: Path) -> Keys:
    """New ones; `folder` has a name that a shell would trip over."""
    place = folder / "k'e \"y s"
    place.mkdir()
    return Keys(
        ada=_make(place / "ada"),
        bob=_make(place / "bob"),
        eve=_make(place / "eve", passphrase=PASSPHRASE),
        old=_make(place / "old", kind=("rsa", "-b", "2048")),
    )


def problem_with_ssh() -> str:
    """Why signatures cannot be tested here; empty if they can."""
    if shutil.which("ssh-keygen") is None:
        return "there is no ssh-keygen"
    asked = subprocess.run(
        ["ssh-keygen", "-Y", "find-principals"], capture_output=True, text=True, check=False
    )
    return "" if "missing signature file" in asked.stderr else "ssh-keygen is older than 8.2"


def _make(path: Path, *, kind: Sequence[str] = ("ed25519",), passphrase: str = "") -> Key:
    command = ["ssh-keygen", "-q", "-t", *kind, "-N", passphrase, "-C", "a comment", "-f", path]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return Key(path)
