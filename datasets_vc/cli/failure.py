"""Errors and what they become: a sentence, a hint, an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping

from datasets_vc import errors
from datasets_vc.addresses import without_secrets
from datasets_vc.cli.render import guarded, shown
from datasets_vc.cli.streams import PIPE_CLOSED, answer_lost
from datasets_vc.errors import hint_about

DONE = 0
FAILED = 1
USAGE = 2
PARTLY_DONE = 3
CONFLICT = 12
CORRUPT = 13
DIFFERS = 15
NOT_RESTORABLE = 16
INTERRUPTED = 130

_LONGEST = 4000
_MOST = 1 << 20

# The most special class decides; `dsvc --help` prints the words below.
EXIT_CODES: Mapping[type[Exception], int] = {
    errors.DatasetError: FAILED,
    errors.InvalidInputError: USAGE,
    errors.NotARepositoryError: 10,
    errors.LockedError: 11,
    errors.ConflictError: CONFLICT,
    errors.UnsavedChangesError: CONFLICT,
    errors.IntegrityError: CORRUPT,
    errors.RemoteError: 14,
    errors.NotRestorableError: NOT_RESTORABLE,
    errors.MissingDataError: NOT_RESTORABLE,
}

EXIT_CODE_WORDS: Mapping[int, str] = {
    DONE: "done",
    FAILED: "failed; `diff --exit-code`, `status --lock`: there are differences; not signed by "
    "anybody who is trusted",
    USAGE: "wrong usage or input",
    PARTLY_DONE: "partly done",
    10: "no repository here",
    11: "locked by another process",
    CONFLICT: "conflict: both sides changed the same, uncommitted changes, or a lost race",
    CORRUPT: "corrupt data, or a signature that does not fit",
    14: "remote unreachable",
    DIFFERS: "the reproduction differs",
    NOT_RESTORABLE: "not restorable: data or inputs are missing",
    INTERRUPTED: "interrupted",
    PIPE_CLOSED: "nobody reads the answer any more, as in `dsvc log | head -1`",
}


class WorkInterruptedError(Exception):
    """Ctrl-C, or a signal that means the same."""


class AnswerLostError(Exception):
    """What was asked for cannot be written any more: no use to go on; `settle` says the rest."""


def exit_code_of(error: Exception) -> int:
    """The exit code that `error` ends the command with."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return INTERRUPTED if isinstance(error, WorkInterruptedError) else FAILED


def as_data(error: errors.DatasetError) -> dict[str, dict[str, str]]:
    """An error as `--json` tells it."""
    return _error(error.kind, error.message, error.hint)


def report(error: Exception, *, as_json: bool, trace: bool) -> int:
    """Tell `error` and return the exit code.

    Args:
        as_json: as an object on stdout, else as sentences on stderr.
        trace: say also where in the code an unexpected error comes from.
    """
    if isinstance(error, errors.DatasetError):
        return _tell(error.kind, error.message, error.hint, exit_code_of(error), as_json)
    if isinstance(error, WorkInterruptedError):
        message = "interrupted: stopped before the end; it is safe to run the command again."
        return _tell("interrupted", message, "", INTERRUPTED, as_json)
    if trace:
        for line in "".join(traceback.format_exception(error)).splitlines():
            sys.stderr.write(guarded(without_secrets(line)) + "\n")
    if isinstance(error, OSError) and error.strerror and error.filename:
        # Whatever we were about to do with a file, the system says what is wrong with it.
        message = f"'{os.fsdecode(error.filename)}' cannot be used: {error.strerror}."
        return _tell("error", message, hint_about(error, ""), FAILED, as_json)
    message = f"internal error, please report it: {type(error).__name__}: {error}"
    hint = "" if trace else "'-v' or DSVC_DEBUG=1 shows where it happened."
    return _tell("internal", message, hint, FAILED, as_json)


def report_usage(message: str, hint: str, *, as_json: bool) -> int:
    """Tell that the command line itself is wrong."""
    return _tell("usage", message, hint, USAGE, as_json)


def _tell(kind: str, message: str, hint: str, code: int, as_json: bool) -> int:
    message, hint = _brief(message), _brief(hint)
    if as_json:
        said = json.dumps(_error(kind, message, hint), indent=2, allow_nan=False)
        sys.stdout.write(said.replace("\x7f", "\\u007f") + "\n")
        sys.stdout.flush()
        if not answer_lost():
            return code
    prefix = "" if code == INTERRUPTED else "error: "
    sys.stderr.write(f"{prefix}{shown(message)}\n")
    if hint:
        sys.stderr.write(f"hint: {shown(hint)}\n")
    return code


def _brief(text: str) -> str:
    """A sentence that may quote a store, a server or a user, who may have said too much."""
    text = without_secrets(text[:_MOST])
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def _error(kind: str, message: str, hint: str) -> dict[str, dict[str, str]]:
    return {"error": {"kind": kind, "message": message, "hint": hint}}
