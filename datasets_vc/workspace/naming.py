"""Whether a file system takes different names for one, as macOS and Windows do."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from datasets_vc.errors import InvalidInputError
from datasets_vc.paths import META_DIR, inherited

Folding = Callable[[str], str]


def folding_of(folder: Path) -> Folding | None:
    """How the file system of the workspace `folder` equates names; None if it does not."""
    probe = folder / META_DIR / f"Probe-\u00e9-{os.urandom(4).hex()}"
    try:
        probe.touch(exist_ok=False)
        other_case = probe.with_name(probe.name.swapcase()).exists()
        other_form = probe.with_name(unicodedata.normalize("NFD", probe.name)).exists()
    except OSError:
        return None  # nothing can be written: there will be a better message
    finally:
        with suppress(OSError):
            probe.unlink()
    if other_case:
        return lambda name: unicodedata.normalize("NFC", name).casefold()
    return (lambda name: unicodedata.normalize("NFC", name)) if other_form else None


def check_distinct(paths: Iterable[str], folding: Folding) -> None:
    """Refuse paths that would be one file, or their folders one folder.

    Raises:
        InvalidInputError: there are two such paths; both are named.
    """
    taken: dict[str, str] = {}

    def take(path: str, _: None) -> None:
        other = taken.setdefault(folding(path), path)
        if other != path:
            raise InvalidInputError(
                f"'{other}' and '{path}' are one name to this file system, so that they "
                "cannot both be checked out.",
                "Use a file system that tells them apart, or check out other paths.",
            )

    known: dict[str, None] = {"": None}
    for path in paths:
        inherited(path, known, take)
