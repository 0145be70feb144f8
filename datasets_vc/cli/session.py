"""What a verb works with: the options, the repository, and where results go."""

from __future__ import annotations

import errno
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO, TypeVar

import typer

from datasets_vc import repository as facade
from datasets_vc.cli.commands import AFTER_DASHES, Command, Group
from datasets_vc.cli.failure import AnswerLostError, WorkInterruptedError
from datasets_vc.cli.options import Options, keep_options, keep_options_or_list, options_of
from datasets_vc.cli.progress import TerminalProgress
from datasets_vc.cli.render import guarded, numbers_as_json, painted, shown
from datasets_vc.cli.secret import own_secret
from datasets_vc.cli.streams import answer_lost, is_work_done, work_is_done
from datasets_vc.cli.superuser import warning_to_root
from datasets_vc.cli.unknown_keys import unknown_keys
from datasets_vc.cli.user_settings import listed_folders
from datasets_vc.config import CONFIG_FILE
from datasets_vc.errors import DatasetError, InvalidInputError, NotFoundError, hint_about
from datasets_vc.locations import absolute_address
from datasets_vc.ownership import Trusted
from datasets_vc.paths import META_DIR, check_path_length
from datasets_vc.progress import SILENT, Progress

Result = TypeVar("Result")
Verb = Callable[..., int | None]

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "bold": 1}


class Session:
    """One call of one verb.

    Args:
        after_dashes: how many words came after `--`; None if that was not given.
    """

    def __init__(self, options: Options, after_dashes: int | None = None) -> None:
        self.options = options
        self.after_dashes = after_dashes
        self.folder = _started_in(options.folder)

    @cached_property
    def repository(self) -> facade.Repository:
        """The repository that the folder lies in."""
        found = facade.Repository.open(
            self.folder, _home(), trusted=self.trusted, secret=own_secret
        )
        if not self.options.quiet:
            self._tell_unknown_keys(found.folder)
        return found

    def _tell_unknown_keys(self, folder: Path) -> None:
        """Say once what nothing reads: who wrote it believes that it counts."""
        with suppress(DatasetError):  # whoever needs the settings says what is wrong with them
            for key, near in unknown_keys(folder).items():
                meant = f"; did you mean '{shown(near)}'?" if near else "."
                where = f"{META_DIR}/{CONFIG_FILE}"
                told = f"warning: nothing reads the key '{shown(key)}' of {where}{meant}"
                sys.stderr.write(guarded(told) + "\n")

    @cached_property
    def trusted(self) -> Trusted:
        """Whose workspaces are worked in: ours, and those that the user has listed."""
        return Trusted(_users(), listed_folders())

    @cached_property
    def progress(self) -> Progress:
        """Bars on stderr if somebody is there to see them."""
        if self.options.quiet or not _is_terminal(sys.stderr):
            return SILENT
        return TerminalProgress()

    def answer(
        self,
        result: Result,
        as_json: Callable[[Result], object],
        as_lines: Callable[[Result], Iterable[str]],
    ) -> None:
        """Print what was asked for, as data or as lines."""
        self.close_progress()
        if self.options.json:
            # A terminal may obey what is no control character to JSON.
            encoder = json.JSONEncoder(indent=2, allow_nan=False)
            for piece in encoder.iterencode(numbers_as_json(as_json(result))):
                sys.stdout.write(piece.replace("\x7f", "\\u007f"))
            sys.stdout.write("\n")
            return
        for line in as_lines(result):
            sys.stdout.write(guarded(line) + "\n")
            if not is_work_done():
                self.give_up_unheard()

    def give_up_unheard(self) -> None:
        """End a verb that only answers, as soon as nobody can hear it.

        Raises:
            AnswerLostError: something that was written has been lost.
        """
        if answer_lost():
            raise AnswerLostError

    def done(
        self,
        result: Result,
        as_json: Callable[[Result], object],
        as_lines: Callable[[Result], Iterable[str]],
    ) -> None:
        """Print what was done; `--quiet` leaves the lines out."""
        work_is_done()
        quiet = self.options.quiet and not self.options.json
        self.answer(result, as_json, (lambda _: ()) if quiet else as_lines)
        if "repository" in vars(self) and not (self.options.quiet or self.options.json):
            self._warn_root(self.repository.folder)

    def _warn_root(self, workspace: Path) -> None:
        """Say on stderr whose the files are that root has written."""
        warning = warning_to_root(workspace)
        if warning:
            with suppress(OSError):
                sys.stderr.write(f"note: {guarded(warning)}\n")

    def paint(self, text: str, colour: str) -> str:
        """`text` in a colour where the terminal shows colours and nobody objects (NO_COLOR)."""
        if os.environ.get("NO_COLOR") or not _is_terminal(sys.stdout):
            return text
        return painted(text, _COLOURS[colour])

    def dataset_paths(self, paths: Sequence[str] | None) -> list[str]:
        """Paths as typed, relative to where we are, as paths of the dataset; "." is all of it.

        Raises:
            InvalidInputError: one lies outside the workspace, or is too long.
        """
        for path in paths or ():
            check_path_length(path)
        root = self.repository.folder
        return [_inside(root, self.located(path)) for path in paths or ()]

    def located(self, path: str | Path) -> Path:
        """A path as typed, from the root of the file system."""
        return Path(os.path.normpath(self.folder / path))

    def pin(self, file: str | None = None) -> facade.Pin:
        """A lock file as typed, or the one that counts here, and the workspace that follows it."""
        located = self.located(file) if file else None
        return facade.Pin.find(self.folder, located, trusted=self.trusted, secret=own_secret)

    def pin_to_follow(self, file: str | None = None) -> facade.Pin:
        """The same, but the usual name alone means the one that counts here if none lies here."""
        usual = file == facade.LOCK_FILE and not os.path.lexists(self.located(file))
        return self.pin(None if usual else file)

    def address(self, url: str) -> str:
        """Where a store is: a URL as typed, a folder from the root of the file system.

        Raises:
            InvalidInputError: it is no address; see `parse_address`.
        """
        whole = absolute_address(url, self.folder)
        return os.path.normpath(whole) if Path(whole).is_absolute() else whole

    def close_progress(self) -> None:
        """Take bars off the screen before something else is written."""
        if isinstance(self.progress, TerminalProgress):
            self.progress.close()


def new_app(**settings: Any) -> typer.Typer:
    """A group of verbs; its help is plain text, which is fast and reads the same everywhere."""
    return typer.Typer(cls=Group, rich_markup_mode=None, **settings)


def new_listing_app(summary: str) -> typer.Typer:
    """A verb that has verbs of its own; alone it means its `list`."""
    return new_app(
        help=f"{summary}\n\nWithout a command, list them.",
        callback=keep_options_or_list,
        invoke_without_command=True,
        subcommand_metavar="[COMMAND] [ARGS]...",
    )


def verb(app: typer.Typer, name: str, example: str) -> Callable[[Verb], Verb]:
    """Make a function of a session and a verb's own parameters a command of `app`.

    The command takes the options of every verb besides. The function's docstring is its help; what
    it returns is the exit code.

    Args:
        example: command lines that the help shows, one a line.
    """

    def register(function: Verb) -> Verb:
        def command(context: typer.Context, **values: Any) -> int | None:
            given = {key: values.pop(key) for key in _SHARED}
            options = options_of(context).and_then(Options(**given))
            session = Session(options, context.meta.get(AFTER_DASHES))
            # Client libraries write pages into a log where ours is one sentence.
            logging.getLogger().addHandler(logging.NullHandler())
            try:
                return function(session, **values)
            except KeyboardInterrupt as error:
                raise WorkInterruptedError from error
            finally:
                session.close_progress()

        _give_signature(command, function)
        lines = "\n".join(f"  {line.strip()}" for line in example.strip().splitlines())
        text = f"{inspect.getdoc(function)}\n\n\b\nExample:\n{lines}"
        app.command(name, cls=Command, help=text)(command)
        return function

    return register


_SHARED = [name for name in inspect.signature(keep_options).parameters if name != "context"]


def _give_signature(command: Verb, function: Verb) -> None:
    """Let `command` look as if declared with both groups of parameters: typer reads that."""
    shared = inspect.signature(keep_options, eval_str=True).parameters
    own = inspect.signature(function, eval_str=True).parameters
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in [
            shared["context"],
            *list(own.values())[1:],
            *(shared[key] for key in _SHARED),
        ]
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _started_in(given: Path | None) -> Path:
    """Where to work, from the root of the file system.

    Raises:
        InvalidInputError: what was given is no folder, or may not be entered.
        NotFoundError: the current folder is gone.
    """
    if given is None or not given.is_absolute():
        given = _current_folder() / (given or "")
    try:
        handle = os.open(given, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        os.close(handle)
    except PermissionError as error:
        if not os.access(given, os.X_OK):
            raise _no_place(given, error) from error
    except OSError as error:
        # Any other is the disk's fault and not the name's.
        if error.errno in _NO_FOLDER:
            raise _no_place(given, error) from error
        raise
    return given


_NO_FOLDER = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise NotFoundError(
            f"The current folder is gone, or cannot be reached: {error.strerror}.",
            "Go to another one; if it was made anew under the same name: cd .",
        ) from error


def _no_place(folder: Path, error: OSError) -> InvalidInputError:
    return InvalidInputError(
        f"'{folder}' is no folder to work in: {error.strerror}.",
        hint_about(error, "Name another one with -C, or make it."),
    )


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # in a container, a user may be a number only
        return None


def _users() -> frozenset[int]:
    """Who runs this; with sudo, also who asked for it, as for git."""
    if os.name == "nt":
        return frozenset()
    asked = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    return frozenset({os.geteuid(), *([int(asked)] if asked.isdecimal() else [])})


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty()


def _inside(root: Path, path: Path) -> str:
    for candidate in (path, path.parent.resolve() / path.name):
        for folder in (root, root.resolve()):
            if candidate.is_relative_to(folder):
                return candidate.relative_to(folder).as_posix()
    raise InvalidInputError(f"'{path}' lies outside the workspace '{root}'.")
