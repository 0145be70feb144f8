"""Find out what a backend can really do, by trying."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from datasets_vc.addresses import without_secrets
from datasets_vc.backends.base import LOCK_SUFFIX, TEMPORARY_PREFIX, Backend
from datasets_vc.backends.failures import is_denied
from datasets_vc.errors import ConflictError, DatasetError, InvalidInputError, RemoteError


@dataclass(frozen=True)
class ProbeResult:
    """What a remote can do.

    Attributes:
        reachable: it answers.
        readable: it lets us read.
        writable: it lets us write, and has what was written.
        conditional_writes: a swap that must be refused is refused, whoever else writes.
        ranges: parts of an object can be read, and cost no more than the part. Nobody knows where
            nothing can be written and there is nothing to read.
        problem: the first thing that went wrong, one sentence; empty if nothing did.
        made: it is a folder that was made for this.
    """

    reachable: bool
    readable: bool = False
    writable: bool = False
    conditional_writes: bool = False
    ranges: bool = False
    problem: str = ""
    made: bool = False


def probe(backend: Backend, known: str = "") -> ProbeResult:
    """Try what a store needs on objects of its own, which are removed again.

    Servers exist that take a conditional write and ignore the condition, so that conditions are
    tried out: writes that have to be refused must be refused.

    Args:
        backend: where to try.
        known: an object that may be there, to try reading on where nothing can be written.

    Raises:
        InvalidInputError: no remote can have the address of this one.
    """
    name = f"{TEMPORARY_PREFIX}probe-{os.urandom(8).hex()}"
    try:
        backend.read_root(name)
    except InvalidInputError:
        raise  # no remote can have that address
    except DatasetError as error:
        reachable = bool(error.__cause__ and is_denied(error.__cause__))
        return ProbeResult(reachable, problem=error.message)
    if not backend.writable:
        return _try_reading(backend, known)
    try:
        return _try_writing(backend, name, known)
    finally:
        # Where files make a swap safe, there is a lock file, too.
        for left in (name, f"{name}-root", f"{name}-root{LOCK_SUFFIX}"):
            with suppress(DatasetError):
                backend.delete(left)


def _try_reading(backend: Backend, known: str) -> ProbeResult:
    problem = f"'{without_secrets(backend.url)}' can only be read."
    ranges = _reads_parts(backend, known)
    return ProbeResult(reachable=True, readable=True, ranges=ranges, problem=problem)


def _reads_parts(backend: Backend, known: str) -> bool:
    """Whether parts can be read of an object that may be there."""
    try:
        return bool(known and backend.get(known, 1, 2)) and backend.ranges
    except DatasetError:
        return False


def _try_writing(backend: Backend, name: str, known: str) -> ProbeResult:
    problems: list[str] = []

    def works(check: Callable[[], bool]) -> bool:
        try:
            return check()
        except DatasetError as error:
            problems.append(error.message)
            return False

    writable = works(lambda: _writes(backend, name))
    if writable:
        ranges = works(lambda: backend.get(name, 2, 5) == b"234" and backend.ranges)
    else:  # as a folder that is mounted to be read only
        ranges = _reads_parts(backend, known)
    conditional = (
        writable
        and backend.conditional_writes
        and works(lambda: _refuses_stale_swaps(backend, f"{name}-root"))
    )
    if writable and not conditional and not problems:
        problems.append(f"'{without_secrets(backend.url)}' has no conditional writes.")
    return ProbeResult(
        reachable=True,
        readable=True,
        writable=writable,
        conditional_writes=conditional,
        ranges=ranges,
        problem=problems[0] if problems else "",
    )


def _writes(backend: Backend, name: str) -> bool:
    backend.put(name, b"0123456789")
    return backend.get(name) == b"0123456789"


def _refuses_stale_swaps(backend: Backend, name: str) -> bool:
    _swap(backend, name, b"first", None)
    if not _is_refused(backend, name, None):
        return False
    first = backend.read_root(name)
    if first is None:
        return False
    _swap(backend, name, b"second", first.token)
    if not _is_refused(backend, name, first.token):
        return False
    second = backend.read_root(name)
    return second is not None and second.data == b"second"


def _is_refused(backend: Backend, name: str, expected: object | None) -> bool:
    try:
        _swap(backend, name, b"stale", expected)
    except ConflictError:
        return True
    return False


def _swap(backend: Backend, name: str, data: bytes, expected: object | None) -> None:
    """Swap; one that happened and lost its answer, or met itself when tried again, is one."""
    try:
        backend.swap(name, data, expected)
    except (ConflictError, RemoteError):
        found = backend.read_root(name)
        if found is None or found.data != data:
            raise
