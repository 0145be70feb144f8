"""`.dsvcignore`: which paths are no part of the dataset, with the syntax and rules of gitignore.

As in git, a file of rules speaks for its folder and those below, the rule nearest to a path wins,
of one file's rules the last, and nothing below an ignored folder is looked at. And as in git the
rules say what is not added: a file that the version before has stays in it until it is removed.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from datasets_vc.errors import InvalidInputError, UnreadableFileError
from datasets_vc.paths import parents_of, without_retries

IGNORE_FILE = ".dsvcignore"

_OTHER_TEXT = (b"\xff\xfe", b"\xfe\xff")
"""How text begins that is UTF-16; no pattern begins so that is meant."""

MAX_RULES = 1 << 20
"""Bytes of a file of rules."""


class Rule(NamedTuple):
    """A line of a file of rules: what it matches, whether that is ignored, and where it stands."""

    regex: re.Pattern[str]
    ignores: bool
    source: Path
    line: int
    text: str


class IgnoreRules:
    """The rules of one file, for the paths below its folder, and those above it.

    Args:
        prefix: the folder of the file, with a final "/", empty at the top.
        data: what the file says.
        source: the file, for messages.
        above: the rules of the nearest folder above that has any.

    Raises:
        InvalidInputError: a line is no pattern, or the file is no text that rules could be in.
    """

    def __init__(
        self, prefix: str, data: bytes, source: Path, above: IgnoreRules | None = None
    ) -> None:
        if len(data) > MAX_RULES:
            raise InvalidInputError(
                f"'{source}' has more than the {MAX_RULES:,} bytes that a file of rules can have.",
                "Say it in fewer patterns.",
            )
        self._start = len(prefix)
        self._above = above
        patterns = _patterns(data, source)
        self._patterns = tuple(reversed(patterns))
        # Most paths match no rule at all: one look tells.
        self._any = _compiled("|".join(f"(?:{rule.regex.pattern})" for rule in patterns))

    def ignores(self, path: str, *, folder: bool) -> bool:
        """Whether `path`, whose own folder is not ignored, is."""
        rule = self.deciding(path, folder=folder)
        return rule is not None and rule.ignores

    def deciding(self, path: str, *, folder: bool) -> Rule | None:
        """The rule that says whether `path` is ignored, if there is one."""
        # As many may lie above each other as a path has folders, more than Python's stack has room.
        rules: IgnoreRules | None = self
        while rules is not None:
            found = rules._own(path, folder=folder)
            if found is not None:
                return found
            rules = rules._above
        return None

    def _own(self, path: str, *, folder: bool) -> Rule | None:
        """The rule of this file alone that speaks of a path."""
        own = as_bytes(path[self._start :] + "/" if folder else path[self._start :])
        if not self._patterns or not self._any.fullmatch(own):
            return None
        return next((rule for rule in self._patterns if rule.regex.fullmatch(own)), None)


def is_ignored(workspace: Path, path: str) -> bool:
    """Whether the rules in a workspace leave a file at `path` out; raises what `rule_for` does."""
    return rule_for(workspace, path) is not None


def rule_for(workspace: Path, path: str, *, folder: bool = False) -> Rule | None:
    """The rule in a workspace that leaves `path` out, be it there or not.

    Args:
        folder: whether it is a folder.

    Raises:
        InvalidInputError: a line of a file of rules is no pattern.
        UnreadableFileError: such a file cannot be read.
    """
    rules: IgnoreRules | None = None
    for above in ("", *parents_of(path)):
        found = rules.deciding(above, folder=True) if above and rules else None
        if found and found.ignores:
            return found
        source = workspace / above / IGNORE_FILE
        if source.is_file() and not source.is_symlink():
            rules = IgnoreRules(f"{above}/" if above else "", _read(source), source, rules)
    found = rules.deciding(path, folder=folder) if rules else None
    return found if found and found.ignores else None


def _read(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            return file.read(MAX_RULES + 1)
    except OSError as error:
        raise UnreadableFileError(f"'{source}' cannot be read: {error.strerror}.") from error


def as_bytes(path: str) -> str:
    """A character for each byte of `path`: git matches bytes, and a name need not be UTF-8."""
    return path if path.isascii() else os.fsencode(path).decode("latin-1")


def _patterns(data: bytes, source: Path) -> Sequence[Rule]:
    if data.startswith(_OTHER_TEXT) or b"\0" in data:
        raise InvalidInputError(
            f"'{source}' is not UTF-8 text, so that none of its rules would count.",
            "Save it as UTF-8.",
        )
    text = data.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            pattern = compile_pattern(line.removesuffix("\r"))
        except (ValueError, re.error) as error:
            raise InvalidInputError(
                f"'{source}', line {number}: {line!a} is not an ignore pattern.",
                "The syntax is that of gitignore.",
            ) from error
        if pattern:
            shown = line.strip().encode("latin-1").decode(errors="backslashreplace")
            found.append(Rule(*pattern, source, number, shown))
    return found


def compile_pattern(line: str) -> tuple[re.Pattern[str], bool] | None:
    """A pattern, for a whole path as `as_bytes` has it, and whether it is one without `!`.

    The path of a folder ends with "/". None: the line is empty, or a comment.

    Raises:
        ValueError, re.error: it is no pattern.
    """
    # Takes 60 ms to import, and few workspaces have rules.
    from pathspec import GitIgnoreSpec

    # `a/**` is what is below `a`, not `a`; pathspec's expression for it matches `a/` as well.
    wanted = re.sub(r"/\*\*(/?)$", r"/**/*\1", line)
    with _unwarned():
        pattern = next(iter(GitIgnoreSpec.from_lines([wanted]).patterns), None)
    if pattern is None or pattern.include is None or pattern.regex is None:
        return None  # a comment, or nothing
    return _compiled(_for_whole_path(pattern.regex.pattern)), pattern.include


def _compiled(expression: str) -> re.Pattern[str]:
    with _unwarned():
        return re.compile(expression, re.DOTALL)


@contextmanager
def _unwarned() -> Iterator[None]:
    """What sets such as `[a--b]` may mean to a later Python concerns nobody who wrote a pattern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _for_whole_path(expression: str) -> str:
    """Turns pathspec's expression for a path and all below it into one for the path alone."""
    expression = expression.replace("(?P<ps_d>", "(?:")
    if expression in (".", "(?:/)"):
        return ".*" + expression
    # What is in brackets never means the separator.
    return without_retries(expression.replace("[^", "[^/"))
