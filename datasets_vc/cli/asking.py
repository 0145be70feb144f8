"""Who asks: what this user alone knows, the variables around, and what is asked back."""

from __future__ import annotations

import os
import secrets
import shlex
import site
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from datasets_vc import repository as facade
from datasets_vc.cli.render import guarded, moment, shown
from datasets_vc.cli.session import Session
from datasets_vc.errors import DatasetError
from datasets_vc.runs.origin import refuse

if TYPE_CHECKING:
    from datasets_vc.repository import Caller, ForeignRun

_SECRET_BYTES = 32


def caller(session: Session, *, yes: bool = False, passed: Sequence[str] = ()) -> Caller:
    """Whoever called this command.

    Args:
        yes: runs that were not recorded here may be reproduced without asking.
        passed: names of variables that a reproduced run gets besides.
    """

    def allow(run: ForeignRun) -> None:
        if not yes:
            _ask(session, run)

    return facade.Caller(
        secret=own_secret(),
        environment=os.environ,
        passed=tuple(passed),
        user_packages=site.getuserbase() if site.ENABLE_USER_SITE else None,
        allow=allow,
    )


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


def _ask(session: Session, run: ForeignRun) -> None:
    """Ask whether a run that was not recorded here may be executed.

    Raises:
        InvalidInputError: there is no terminal to ask at.
        DatasetError: the answer was no.
    """
    if session.options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        refuse(run)
    session.close_progress()
    for line in _question(run):
        sys.stderr.write(guarded(line) + "\n")
    sys.stderr.write("Execute it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise DatasetError("Nothing was executed.")


def _question(run: ForeignRun) -> Iterator[str]:
    yield f"Run {run.id} was not recorded here."
    if run.remote is None:
        yield "It came from a remote, or another user of this store recorded it, or you did before"
        yield "that was noted."
    else:
        yield f"It came from the remote '{shown(run.remote[0])}', {shown(run.remote[1])}."
    yield "To reproduce it is to execute its code on this machine, with all that you may do here."
    yield f"  recorded {moment(run.started)}"
    yield f"  code     {run.code}"
    yield f"  dataset  {run.dataset}"
    yield f"  command  {shown(shlex.join(run.command))}"
    for name, value in sorted(run.variables.items()):
        yield f"  sets     {shown(name)}={shown(value)}"
    for name in run.left_out:
        yield f"  not set  {shown(name)}, which the record asks for"
