"""Every error that datasets-vc raises on purpose, grouped by what a caller can do about it.

    DatasetError
    ├── InvalidInputError          the request is wrong: change it                    (ValueError)
    ├── NotFoundError              the named thing does not exist: name another        (LookupError)
    │   └── NotARepositoryError    there is no repository here: init, clone, or go there
    ├── AlreadyExistsError         the name is taken: choose another or remove it
    ├── UnsavedChangesError        it would overwrite uncommitted work: commit, or force
    ├── ConflictError              somebody else was first, or a merge waits: settle it, try again
    ├── LockedError                another process is at work: wait, then try again
    ├── UnreadableFileError        a file could not be read whole: mend it, then try again
    ├── BadSampleError             a sample cannot be decoded: mend it, or skip bad samples
    ├── WorkerError                a worker of a loader has died: give it more memory
    ├── IntegrityError             bytes do not match their digest: fetch them anew
    ├── UntrustedError             nobody who is trusted signed it: ask who made it
    ├── UnsafeFolderError          a folder by which others decide: list it, or only look
    ├── FormatError                written by a newer version: upgrade
    ├── MissingDataError           known by digest, but not held here: fetch it
    ├── RemoteError                the remote cannot be used now: `transient` says if to retry
    ├── NotRestorableError         a run's inputs cannot be brought back
    └── CommandFailedError         another program ended with an error, or is not there

`kind` is stable and meant for programs; the message and the hint are meant for people.
"""

from __future__ import annotations

import errno
from typing import ClassVar


class DatasetError(Exception):
    """Base of all errors of this library.

    Args:
        message: one sentence that says what is wrong and where.
        hint: what to do about it, or empty.
    """

    kind: ClassVar[str] = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class InvalidInputError(DatasetError, ValueError):
    kind = "invalid_input"


class NotFoundError(DatasetError, LookupError):
    kind = "not_found"


class NotARepositoryError(NotFoundError):
    kind = "no_repository"


class AlreadyExistsError(DatasetError):
    kind = "already_exists"


class UnsavedChangesError(DatasetError):
    kind = "unsaved_changes"


class ConflictError(DatasetError):
    kind = "conflict"


class LockedError(DatasetError):
    kind = "locked"


class UnreadableFileError(DatasetError):
    kind = "unreadable_file"


class BadSampleError(DatasetError):
    kind = "bad_sample"


class WorkerError(DatasetError):
    kind = "worker_failed"


class IntegrityError(DatasetError):
    kind = "corrupt_data"


class UntrustedError(DatasetError):
    kind = "untrusted"


class UnsafeFolderError(DatasetError):
    kind = "unsafe_folder"


class FormatError(DatasetError):
    kind = "unknown_format"


class MissingDataError(DatasetError):
    kind = "missing_data"


class RemoteError(DatasetError):
    kind = "remote_unreachable"

    def __init__(self, message: str, hint: str = "", *, transient: bool = False) -> None:
        super().__init__(message, hint)
        self.transient = transient


class NotRestorableError(DatasetError):
    kind = "not_restorable"


class CommandFailedError(DatasetError):
    kind = "command_failed"


def error_of(kind: str, message: str, hint: str = "") -> DatasetError:
    """The error of a kind, as another process has told of it."""
    todo: list[type[DatasetError]] = [DatasetError]
    while todo:
        found = todo.pop()
        if found.kind == kind:
            return found(message, hint)
        todo += found.__subclasses__()
    return DatasetError(message, hint)


def hint_about(error: OSError, otherwise: str) -> str:
    """What to do about a path that the system refuses: other things if it is too long."""
    if error.errno != errno.ENAMETOOLONG:
        return otherwise
    return (
        "It is too long for this system, which takes at most 255 bytes a name and 4,095 a path "
        "with all folders from the root: go nearer to the root, or shorten its names."
    )
