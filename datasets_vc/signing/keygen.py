"""The one file that runs `ssh-keygen -Y`, of OpenSSH 8.2 or newer.

It has no time limit: somebody may be typing a passphrase or looking for a security key. Passphrases
are between it and the terminal, the agent or SSH_ASKPASS; they never come through here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datasets_vc.errors import CommandFailedError

NAMESPACE = "dsvc"
"""What keeps our signatures apart from those of git and of others with the same key."""

_PROGRAM = "ssh-keygen"
_TOO_OLD = ("usage:", "unknown option", "illegal option")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a call of `ssh-keygen` ended, and what it printed."""

    fine: bool
    out: str
    said: str


def find_program() -> str:
    """Where `ssh-keygen` is on the PATH.

    Raises:
        CommandFailedError: nowhere.
    """
    found = shutil.which(_PROGRAM)
    # One in the current folder may be a file of the dataset.
    if found is None or not Path(found).is_absolute():
        raise CommandFailedError(
            f"Signatures need the program {_PROGRAM}, and it is not on the PATH.",
            "Install OpenSSH, 8.2 or newer.",
        )
    return found


def ssh_keygen(action: str, *arguments: str | Path, stdin: bytes | None = None) -> Ran:
    """Run `ssh-keygen -Y ACTION ...` to its end.

    Args:
        stdin: what it reads there. Without it, it has our terminal to ask for a passphrase: it
            looks whether its stdin is one. If that is none it reads nothing, and waits for nobody.

    Raises:
        CommandFailedError: there is no such program, or it is too old.
    """
    command = [find_program(), "-Y", action, *map(str, arguments)]
    given: dict[str, Any] = {"input": stdin}
    if stdin is None:
        given = {"stdin": None if os.isatty(0) else subprocess.DEVNULL}
    done = subprocess.run(command, capture_output=True, check=False, **given)
    out, said = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    if done.returncode and any(word in said.lower() for word in _TOO_OLD):
        raise CommandFailedError(
            f"'{command[0]}' is too old for signatures: it does not know '-Y {action}'.",
            "Install OpenSSH, 8.2 or newer.",
        )
    return Ran(not done.returncode, out, said)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that nobody else can look into, for files of one call; then it is gone."""
    with TemporaryDirectory(prefix="dsvc-signing-") as folder:
        yield Path(folder)


def write_private(path: Path, data: bytes) -> Path:
    """Write a new file that nobody else can read."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(data)
    return path
