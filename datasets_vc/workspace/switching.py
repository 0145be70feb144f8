"""A move to another version whose files are not all there yet: `.dsvc/checkout.json`.

The file is canonical JSON with a checksum (docs/format.md, section 3), `format` "dsvc-checkout",
with the members of `Switching`: digests in hex. It is written before the first file of the
workspace is touched, and removed once HEAD is at the new version; where no file changes there is
none. So after a crash at any write it says between which versions the files are.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets_vc.digest import Digest
from datasets_vc.durable import replace_file
from datasets_vc.errors import IntegrityError
from datasets_vc.format.json import decode_object, encode_checked, hex_digest, text
from datasets_vc.paths import META_DIR

NOTE_FILE = "checkout.json"
FORM = "dsvc-checkout"


@dataclass(frozen=True, slots=True)
class Switching:
    """Where the workspace goes.

    Attributes:
        before: the commit that its files come from; None before the first.
        after: the commit whose files it is to have.
        branch: which HEAD is to name then, if any.
        only: what of that version it is to have: the patterns of a part; None: all.
        command: the command line that goes on.
    """

    before: Digest | None
    after: Digest
    branch: str | None
    only: tuple[str, ...] | None
    command: str

    @property
    def told(self) -> str:
        """What happened, in words."""
        if self.before == self.after:
            return "Changing which part of the version is here was cut short"
        on = f" of '{self.branch}'" if self.branch else ""
        return f"Going to commit {self.after.hex()[:12]}{on} was cut short"


def read_switching(folder: Path) -> Switching | None:
    """What the workspace `folder` is in the middle of, by its note.

    Raises:
        IntegrityError: the note is damaged.
        FormatError: it was written by a newer version.
    """
    path = folder / META_DIR / NOTE_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    what = f"'{path}'"
    try:
        return _decode(decode_object(data, FORM, what), what)
    except (KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{what} is malformed: {error!r}.", "Move it away.") from error


def write_switching(folder: Path, switching: Switching) -> None:
    """Put down where the workspace `folder` goes, durably."""
    members = {
        "before": switching.before.hex() if switching.before else None,
        "after": switching.after.hex(),
        "branch": switching.branch,
        "only": None if switching.only is None else list(switching.only),
        "command": switching.command,
    }
    replace_file(folder / META_DIR / NOTE_FILE, encode_checked(FORM, members))


def remove_switching(folder: Path) -> None:
    """It is there."""
    with suppress(FileNotFoundError):
        (folder / META_DIR / NOTE_FILE).unlink()


def _decode(members: Mapping[str, Any], what: str) -> Switching:
    before, branch, only = members["before"], members["branch"], members["only"]
    return Switching(
        before=None if before is None else hex_digest(before, what),
        after=hex_digest(members["after"], what),
        branch=None if branch is None else text(branch, what),
        only=None if only is None else tuple(text(each, what) for each in only),
        command=text(members["command"], what),
    )
