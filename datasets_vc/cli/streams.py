"""The three standard streams, on whatever machine: closed, full, or read by nobody any more.

Writing to them never raises. A command that has done its work has done it, whoever hears of it;
one that was only asked something looks at `answer_lost`, and `settle` makes an exit code of it.
"""

from __future__ import annotations

import errno
import io
import locale
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO, cast

from datasets_vc.errors import InvalidInputError

# 128 + SIGPIPE, as the shell reports programs whose reader went away.
PIPE_CLOSED = 141

_READER_GONE = (errno.EPIPE, errno.ECONNRESET)
_UTF8_OPTION = ("-X", "utf8")


class _Descriptor(io.RawIOBase):
    """A standard descriptor that takes all that is written, and notes if it was lost.

    Args:
        problem: why nothing can be written from the beginning.
    """

    def __init__(self, number: int, problem: OSError | None) -> None:
        self._number = number
        self._problem = problem
        self.lost: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return self._problem is None and os.isatty(self._number)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        if size and self.lost is None:
            self.lost = self._problem
        try:
            while len(view) and self.lost is None:
                view = view[os.write(self._number, view) :]
        except OSError as error:
            self.lost = error
        return size


class Stream(io.TextIOWrapper):
    """A standard stream over a `_Descriptor`."""

    def __init__(self, descriptor: _Descriptor, encoding: str, errors: str) -> None:
        self.descriptor = descriptor
        self.work_done = False
        buffer = io.BufferedWriter(descriptor)
        lines = descriptor.fileno() == 2 or descriptor.isatty()
        super().__init__(buffer, encoding=encoding, errors=errors, line_buffering=lines)


def need_utf8() -> None:
    """Begin anew, with names read as UTF-8, where the locale would have them read otherwise.

    A name is the file system's bytes; read by the locale it would be another name, and the same
    files another dataset. The option, not a variable: what is started from here is to have the
    environment that it was given.
    """
    as_utf8 = sys.getfilesystemencoding().lower() in ("utf-8", "utf8")
    if as_utf8 or "utf8" in sys._xoptions or not sys.executable:
        return
    os.execv(sys.executable, [sys.executable, *_UTF8_OPTION, *sys.orig_argv[1:]])


def prose(text: str) -> str:
    """Text that somebody typed or set, given as the bytes that it came as, which may not be UTF-8.

    Unlike a name, a message is read in the encoding of the locale then: it is what was meant.

    Raises:
        InvalidInputError: it is no text in that encoding either.
    """
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        encoding = locale.getencoding()
    try:
        return os.fsencode(text).decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise InvalidInputError(
            f"{text!a} is text neither in UTF-8 nor in the locale's encoding, {encoding}.",
            "Type it in UTF-8, or set LC_ALL to the locale that it is written in.",
        ) from error


def open_standard_streams() -> None:
    """Have descriptors 0, 1 and 2 open, and streams over them that never raise.

    A descriptor that is closed is the number of the next file that is opened: what is printed would
    end in that file.
    """
    closed = [number for number in (0, 1, 2) if not _is_open(number)]
    for number in closed:
        _open_nothing(number)
    if 0 in closed or sys.stdin is None:
        sys.stdin = open(0, closefd=False, encoding="utf-8", errors="replace")  # noqa: SIM115
    sys.stdout = _stream(1, sys.stdout, closed)
    sys.stderr = _stream(2, sys.stderr, closed)


def answer_lost() -> bool:
    """Whether something that was written to stdout has been lost."""
    return isinstance(sys.stdout, Stream) and sys.stdout.descriptor.lost is not None


def work_is_done() -> None:
    """What stdout hears from now on is news of work that was done, not the work itself."""
    if isinstance(sys.stdout, Stream):
        sys.stdout.work_done = True


def is_work_done() -> bool:
    """Whether `work_is_done` was said."""
    return isinstance(sys.stdout, Stream) and sys.stdout.work_done


def settle(code: int) -> int:
    """The exit code of a command that would have ended with `code`, all told.

    Work that was done keeps its code. What was only asked for and could not be said has failed; if
    it is the reader who went away, in silence and as the shell puts it, as with git.
    """
    if not isinstance(sys.stdout, Stream):
        return code
    sys.stdout.flush()
    lost = sys.stdout.descriptor.lost
    if lost is None:
        return code
    asked = code == 0 and not sys.stdout.work_done
    if lost.errno in _READER_GONE:
        return PIPE_CLOSED if asked else code
    what = "error: the answer" if asked else "warning: what this command has to say"
    sys.stderr.write(f"{what} could not be written to stdout: {lost.strerror}.\n")
    return 1 if asked else code


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_nothing(number: int) -> None:
    handle = os.open(os.devnull, os.O_RDWR)
    if handle != number:
        os.dup2(handle, number)
        os.close(handle)
    os.set_inheritable(number, True)


def _stream(number: int, given: TextIO | None, closed: Sequence[int]) -> TextIO:
    encoding = given.encoding if given is not None else "utf-8"
    problem = None
    if number in closed or given is None:
        problem = OSError(errno.EBADF, "it is closed")
    # A terminal that lacks a letter of a file's name is no reason to fail.
    return cast(TextIO, Stream(_Descriptor(number, problem), encoding, "backslashreplace"))
