"""Who commits."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path

from datasets_vc.cli.streams import prose
from datasets_vc.config import read_config

VARIABLE = "DSVC_AUTHOR"


def author_of(given: str | None, workspace: Path) -> str:
    """The author as given, else of the environment, the workspace's config, git, the login.

    Raises:
        InvalidInputError: it is no text.
    """
    return prose(
        given
        or os.environ.get(VARIABLE)
        or read_config(workspace).author
        or _git_author(workspace)
        or f"{_login()}@{socket.gethostname()}"
    )


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # in a container, a user may be a number only
        return str(os.getuid())


def _git_author(folder: Path) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    name, mail = (_git_value(git, folder, key) for key in ("user.name", "user.email"))
    return f"{name} <{mail}>" if name and mail else name or mail


def _git_value(git: str, folder: Path, key: str) -> str:
    command = [git, "-C", str(folder), "config", "--get", key]
    result = subprocess.run(command, capture_output=True, check=False)
    return os.fsdecode(result.stdout.strip())
