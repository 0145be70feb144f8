"""Where runs come from: recorded here by who asks, or received from a remote.

Reproducing a run executes the code that it recorded, so whoever asks for that has to know whose
code it is. Nothing in a store tells: it travels. So what was recorded here is written down beside
the store, in a form that only the same user could have written.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from datasets_vc.durable import open_plain
from datasets_vc.errors import DatasetError, InvalidInputError, UnreadableFileError, hint_about

RECORDED_FILE = "recorded-runs"
RECEIVED_FILE = "received-runs"


@dataclass(frozen=True)
class ForeignRun:
    """A run that was not recorded here, as far as who is to allow it should know.

    Attributes:
        id: 64 hex digits.
        remote: what the remote is called that it came from, and its address; None if nobody noted
            it: another user of the store may have recorded it.
        code, dataset: digests.
        command: what will be executed, `{data}`, `{out}` and `{config}` still open.
        variables: of the record, that the process is to get.
        left_out: names of variables that it will not get, though the record asks for them.
    """

    id: str
    started: datetime
    remote: tuple[str, str] | None
    code: str
    dataset: str
    command: Sequence[str]
    variables: Mapping[str, str]
    left_out: Sequence[str]


def refuse(run: ForeignRun) -> None:
    """Allow no run that was not recorded here.

    Raises:
        InvalidInputError: always.
    """
    raise InvalidInputError(
        f"Run {run.id} was not recorded here: to reproduce it is to execute code that came "
        f"{_whence(run)}.",
        f"See what it is: dsvc runs show {run.id}; if you trust it: dsvc reproduce {run.id} --yes",
    )


@dataclass(frozen=True)
class Caller:
    """Who asks for a run to be recorded or reproduced.

    Attributes:
        secret: known to this user alone; by it the runs that were recorded here are known again.
            Without one none is.
        environment: the variables around, of which a reproduced run gets few.
        passed: names of those that it gets besides.
        user_packages: where Python keeps what this user has installed, if it looks there.
        allow: called with a run that was not recorded here; raises if it is not to be executed.
    """

    secret: bytes | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    passed: Sequence[str] = ()
    user_packages: str | None = None
    allow: Callable[[ForeignRun], None] = refuse


NOBODY = Caller()


class RecordedRuns:
    """The runs that a user recorded in one workspace.

    Args:
        meta: the `.dsvc` of the workspace.
    """

    def __init__(self, meta: Path, secret: bytes | None) -> None:
        self._file = meta / RECORDED_FILE
        self._secret = secret

    def add(self, run: str) -> None:
        """Note that a run was recorded here, of code that its user had."""
        if self._secret is not None:
            _append(self._file, [f"{run} {self._mark(run)}"])

    def known(self) -> frozenset[str]:
        """The ids of all runs that are noted so."""
        if self._secret is None:
            return frozenset()
        words = (line.split(" ") for line in _lines(self._file))
        pairs = (pair for pair in words if len(pair) == 2)
        return frozenset(run for run, mark in pairs if _fits(mark, self._mark(run)))

    def __contains__(self, run: str) -> bool:
        if self._secret is None:
            return False
        marks = (line.partition(" ")[2] for line in _lines(self._file) if line.startswith(run))
        return any(_fits(mark, self._mark(run)) for mark in marks)

    def _mark(self, run: str) -> str:
        assert self._secret is not None
        return _mark(self._secret, f"recorded here: {run}")


def note_received(
    meta: Path, secret: bytes | None, remote: str, url: str, runs: Iterable[str]
) -> None:
    """Note which remote some runs came from, if there is a secret to mark it with."""
    if secret is None:
        return
    url = " ".join(url.splitlines())
    marked = ((run, _mark(secret, f"received: {run} {remote} {url}")) for run in runs)
    _append(meta / RECEIVED_FILE, [f"{run} {mark} {remote} {url}" for run, mark in marked])


def received_from(meta: Path, secret: bytes | None, run: str) -> tuple[str, str] | None:
    """The remote that a run came from, and its address, if this user has noted that."""
    if secret is None:
        return None
    for line in _lines(meta / RECEIVED_FILE):
        words = line.split(" ", 3)
        if len(words) == 4 and words[0] == run:
            _, mark, remote, url = words
            if _fits(mark, _mark(secret, f"received: {run} {remote} {url}")):
                return remote, url
    return None


def _whence(run: ForeignRun) -> str:
    if run.remote is None:
        return (
            "from where nobody noted: a remote, another user of this store, whoever gave you this "
            "folder, or you before that was noted"
        )
    name, url = run.remote
    return f"from the remote '{name}', {url}"


def _mark(secret: bytes, said: str) -> str:
    return hmac.digest(secret, said.encode(errors="surrogateescape"), "sha256").hex()


def _fits(mark: str, right: str) -> bool:
    return hmac.compare_digest(mark.encode(errors="replace"), right.encode())


def _lines(file: Path) -> Iterator[str]:
    try:
        with open_plain(file) as lines:
            yield from (line.decode(errors="surrogateescape").rstrip("\n") for line in lines)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UnreadableFileError(f"'{file}' cannot be read: {error.strerror or error}.") from error


def _append(file: Path, lines: Sequence[str]) -> None:
    if lines:
        data = "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")
        try:
            with open_plain(file, "ab") as notes:
                # In one write: who appends at the same time must not come between.
                notes.write(data)
        except OSError as error:
            message = f"'{file}' cannot be written: {error.strerror or error}."
            raise DatasetError(message, hint_about(error, "Mend its permissions.")) from error
