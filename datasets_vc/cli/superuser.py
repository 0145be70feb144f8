"""What is said to root, who works in the workspace of another user."""

from __future__ import annotations

import os
from pathlib import Path

from datasets_vc.cli.render import shown
from datasets_vc.paths import META_DIR
from datasets_vc.permissions import owner_of


def warning_to_root(workspace: Path) -> str:
    """That what root writes there is root's, and how to give it back; empty if nothing is to say.

    The owner can neither change nor, under a strict umask, read it. git has the same trap.
    """
    if os.name == "nt" or os.geteuid() != 0:
        return ""
    owner = owner_of(workspace / META_DIR)
    if not owner:
        return ""
    found = (workspace / META_DIR).lstat()
    return (
        f"You are root, and the workspace is that of {owner}: what you write there, or into a "
        "folder that is its store or remote, belongs to root, and they may not be able to read or "
        f"change it. Work as them; or give it back: chown -R {found.st_uid}:{found.st_gid} "
        f"{shown(str(workspace))}"
    )
