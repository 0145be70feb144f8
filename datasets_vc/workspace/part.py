"""The part of a version that a workspace has, named by patterns (docs/decisions/0007)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.format.columns import Mask
from datasets_vc.paths import inherited
from datasets_vc.workspace.ignore import IGNORE_FILE, as_bytes, compile_pattern

EVERYTHING = "/*"
"""The pattern of all there is."""

_AT_ONCE = 1 << 16
_NOT_COVERED = -1
_SPECIAL = re.compile(r"[\\*?\[\]]| $")


class Part:
    """Which files of a version belong into a workspace.

    A pattern, in the syntax of gitignore, speaks for what it matches and all that lies below; of
    several the last one decides, and with a `!` in front it is what does not belong. Files of
    ignore rules always do: they say what else is data.

    Args:
        patterns: none at all: no file; None: the whole version.

    Raises:
        InvalidInputError: one of them is no pattern.
    """

    def __init__(self, patterns: Iterable[str] | None = None) -> None:
        self.patterns = None if patterns is None else tuple(patterns)
        compiled = [_compile(pattern) for pattern in self.patterns or ()]
        self._regexes = [regex for regex, _ in compiled]
        # The last one is for what no pattern covers: its place is _NOT_COVERED.
        self._belongs = [*(belongs for _, belongs in compiled), False]
        self._any = re.compile("|".join(f"(?:{regex.pattern})" for regex in self._regexes), re.S)
        self._folders = {"": _NOT_COVERED}

    @property
    def whole(self) -> bool:
        return self.patterns is None

    def has(self, path: str) -> bool:
        """Whether the file at `path` belongs to the part."""
        if self.whole or path.rpartition("/")[2] == IGNORE_FILE:
            return True
        return self._belongs[self._cover(path)]

    def mask(self, paths: pa.StringArray) -> Mask:
        """Which of some files belong to the part."""
        if self.whole:
            return np.ones(len(paths), np.bool_)
        found = np.zeros(len(paths), np.bool_)
        found[list(_rules_among(paths))] = True
        for start in range(0, len(paths) if self._regexes else 0, _AT_ONCE):
            piece = paths.slice(start, _AT_ONCE)
            covers = np.fromiter(map(self._cover, piece.to_pylist()), np.int64, len(piece))
            found[start : start + len(piece)] |= np.array(self._belongs)[covers]
        return found

    def without(self, paths: Sequence[str]) -> Part:
        """This part less what lies at some paths; no paths, or ".", are everything."""
        if not paths or "." in paths or self.patterns == ():
            return NOTHING
        base = (EVERYTHING,) if self.patterns is None else self.patterns
        more = dict.fromkeys(f"!{pattern_of(path)}" for path in paths)
        return Part((*base, *(pattern for pattern in more if pattern not in base)))

    def _cover(self, path: str) -> int:
        """The number of the last pattern that speaks for a file."""
        folder = path.rpartition("/")[0]
        above = self._folders.get(folder)
        if above is None:
            above = inherited(folder, self._folders, self._cover_folder)
        return max(above, self._match(path))

    def _cover_folder(self, folder: str, above: int) -> int:
        return max(above, self._match(folder + "/"))

    def _match(self, path: str) -> int:
        """The number of the last pattern that matches a path itself."""
        text = as_bytes(path)
        if self._any.fullmatch(text):
            for number in range(len(self._regexes) - 1, -1, -1):
                if self._regexes[number].fullmatch(text):
                    return number
        return _NOT_COVERED


WHOLE = Part()
NOTHING = Part(())
"""No files but those of ignore rules."""


def pattern_of(path: str) -> str:
    """The pattern of one path, and all that lies below it; "." is everything."""
    return EVERYTHING if path == "." else f"/{_SPECIAL.sub(_escaped, path)}"


def _compile(pattern: str) -> tuple[re.Pattern[str], bool]:
    try:
        pattern.encode()  # it is to be written down
        compiled = compile_pattern(as_bytes(pattern))
    except (ValueError, re.error) as error:
        raise _refused(pattern) from error
    if compiled is None:
        raise _refused(pattern)
    return compiled


def _refused(pattern: str) -> InvalidInputError:
    return InvalidInputError(
        f"{pattern!a} is no pattern that a path could match.",
        "The syntax is that of gitignore: 'train/**', '*.json', '!*.raw'.",
    )


def _escaped(special: re.Match[str]) -> str:
    return f"\\{special[0]}"


def _rules_among(paths: pa.StringArray) -> Iterator[int]:
    """The rows of files of ignore rules, found in the text of the whole column."""
    _, offsets, text = paths.buffers()
    if not len(paths) or text is None:
        return
    ends = np.frombuffer(offsets, np.int32)[paths.offset : paths.offset + len(paths) + 1]
    for hit in re.finditer(re.escape(IGNORE_FILE.encode()), memoryview(text)):
        row = int(np.searchsorted(ends, hit.end())) - 1
        if 0 <= row < len(paths) and ends[row + 1] == hit.end():
            start = int(ends[row])
            if hit.start() == start or bytes(text[hit.start() - 1 : hit.start()]) == b"/":
                yield row
