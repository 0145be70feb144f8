"""One process at a time changes a workspace, and clears away what a killed one has left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from datasets_vc.errors import DatasetError, LockedError
from datasets_vc.paths import META_DIR
from datasets_vc.permissions import lock_file

LOCK_FILE = "lock"

TEMPORARY_DIR = "tmp"

CHECKOUT_PREFIX = "checkout-"
"""Folders of files that are on their way into place begin so; who holds the lock fills them."""


@contextmanager
def locked(folder: Path, refusal: DatasetError | None = None) -> Iterator[None]:
    """Keep other processes, and other threads, from changing the workspace `folder`.

    Args:
        refusal: raised instead, where the workspace can only be looked at.

    Raises:
        LockedError: one is at it now.
        DatasetError: the workspace cannot be written to.
    """
    if refusal:
        raise refusal
    with ExitStack() as stack:
        try:
            mine = stack.enter_context(lock_file(folder / META_DIR / LOCK_FILE, 0))
        except OSError as error:
            raise DatasetError(
                f"'{folder}' cannot be locked: {error.strerror or error}.",
                "Changing it needs permission to write to it.",
            ) from error
        if not mine:
            raise LockedError(
                f"Another dsvc is at work in '{folder}'.",
                "Wait until it is done, then try again.",
            )
        _sweep(folder / META_DIR / TEMPORARY_DIR)
        yield


def _sweep(temporary: Path) -> None:
    with suppress(OSError):  # it is in nobody's way
        for left in temporary.glob(f"{CHECKOUT_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
