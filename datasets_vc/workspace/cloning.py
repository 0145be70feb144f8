"""A clone that is not done yet: `.dsvc/cloning.json`.

The file is canonical JSON with a checksum (docs/format.md, section 3), `format` "dsvc-cloning",
with what was asked for as its members: those of `Cloning`, with those of `access` among them. It is
the first file of a new workspace and removed last, so that after a crash at any write the same
command can be told from another, and goes on. It holds no secret, as no URL and no access of ours
may. Its member `mark` is what only the user who began the clone could have written, for this
folder: what came with an archive or with code is not gone on with.
"""

from __future__ import annotations

import hmac
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from datasets_vc.addresses import PLAIN, Access
from datasets_vc.durable import read_plain, replace_file
from datasets_vc.errors import IntegrityError
from datasets_vc.format.json import decode_object, encode_checked, encode_object
from datasets_vc.paths import META_DIR

NOTE_FILE = "cloning.json"
FORM = "dsvc-cloning"


@dataclass(frozen=True, slots=True)
class Cloning:
    """What a clone was asked for; see `Repository.clone`.

    Attributes:
        lock: the `dataset.lock` whose version it brings, if it is one, and
        commit: which commit that pins.
    """

    url: str
    revision: str | None = None
    checkout: bool = True
    only: tuple[str, ...] | None = None
    depth: int | None = None
    allowed_signers: str | None = None
    access: Access = PLAIN
    lock: str | None = None
    commit: str | None = None

    def mark(self, folder: Path, secret: bytes) -> str:
        """What says that who has this secret began this clone there."""
        said = encode_object(FORM, _members(self) | {"folder": str(folder.resolve())})
        return hmac.digest(secret, b"begun here: " + said, "sha256").hex()

    def command(self, folder: Path) -> str:
        """The command line that asks for it."""
        return shlex.join(["dsvc", "clone", *self._words(folder)])

    def _words(self, folder: Path) -> Iterator[str]:
        yield from ("--from", self.lock, str(folder)) if self.lock else (self.url, str(folder))
        given: list[tuple[str, object]] = [("--rev", self.revision)]
        given += [("--only", pattern) for pattern in self.only or ()]
        given += [("--depth", self.depth), ("--allowed-signers", self.allowed_signers)]
        given += [(f"--{name}", getattr(self.access, name)) for name in _TEXTS]
        for option, value in given:
            if value is not None:
                yield from (option, str(value))
        if not self.checkout:
            yield "--no-checkout"
        if self.access.anonymous:
            yield "--anonymous"


_TEXTS = ("endpoint", "region", "profile")
_ACCESS = frozenset(field.name for field in fields(Access))


def read_note(folder: Path) -> Cloning | None:
    """What is being cloned into `folder`; None if nothing is.

    Raises:
        IntegrityError: the note is damaged.
        FormatError: it was written by a newer version.
    """
    found = _read(folder)
    return found[0] if found else None


def is_marked(folder: Path, secret: bytes | None) -> bool:
    """Whether the note in a folder was written by who has this secret; raises as `read_note`."""
    found = _read(folder)
    if found is None or secret is None:
        return False
    noted, mark = found
    return hmac.compare_digest(mark.encode(), noted.mark(folder, secret).encode())


def write_note(folder: Path, cloning: Cloning, secret: bytes | None = None) -> None:
    """Put down what is being cloned, durably; without a secret nobody can go on with it."""
    members = _members(cloning)
    if secret is not None:
        members |= {"mark": cloning.mark(folder, secret)}
    replace_file(folder / META_DIR / NOTE_FILE, encode_checked(FORM, members))


def remove_note(folder: Path) -> None:
    """The clone is done."""
    with suppress(FileNotFoundError):
        (folder / META_DIR / NOTE_FILE).unlink()


def _members(cloning: Cloning) -> dict[str, Any]:
    own = {name: value for name, value in asdict(cloning).items() if name != "access"}
    return own | asdict(cloning.access)


def _read(folder: Path) -> tuple[Cloning, str] | None:
    """The note in a folder and its mark."""
    path = folder / META_DIR / NOTE_FILE
    try:
        data = read_plain(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        members = decode_object(data, FORM, f"'{path}'")
        return _decode(members), str(members.get("mark", ""))
    except (KeyError, TypeError, AttributeError) as error:
        hint = f"Remove '{folder / META_DIR}' and clone again."
        raise IntegrityError(f"'{path}' is malformed: {error!r}.", hint) from error


def _decode(members: Mapping[str, Any]) -> Cloning:
    own = {field.name: members[field.name] for field in fields(Cloning) if field.name != "access"}
    only = own["only"]
    own["only"] = None if only is None else tuple(only)
    return Cloning(**own, access=Access(**{name: members[name] for name in _ACCESS}))
