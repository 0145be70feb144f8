"""What this user alone knows on this machine."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

_SECRET_BYTES = 32


def own_secret() -> bytes | None:
    """What nobody but this user on this machine knows, made when it is first needed.

    By it the runs that this user recorded are told from those that came from elsewhere. None where
    it cannot be kept.
    """
    folder = _state_folder()
    if folder is None:
        return None
    file = folder / "dsvc" / "secret"
    try:
        return _read(file) or _made(file)
    except OSError:
        return None


def _state_folder() -> Path | None:
    named = os.environ.get("XDG_STATE_HOME", "")
    if Path(named).is_absolute():
        return Path(named)
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError:  # in a container, a user may be a number only
        return None


def _read(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            data = opened.read(_SECRET_BYTES + 1)
    except FileNotFoundError:
        return None
    if os.name != "nt" and (found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077):
        raise PermissionError("others know it, or can change it")
    return data if len(data) == _SECRET_BYTES else None


def _made(file: Path) -> bytes | None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_name(f"{file.name}-{secrets.token_hex(8)}")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as opened:
            opened.write(secrets.token_bytes(_SECRET_BYTES))
        if file.exists() and _read(file) is None:
            file.unlink()  # cut short
        # Whoever is first makes it, for all.
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    return _read(file)
