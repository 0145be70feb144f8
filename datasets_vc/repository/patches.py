"""Changes of text files line by line, as unified diffs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain

from datasets_vc.digest import Buffer
from datasets_vc.errors import MissingDataError
from datasets_vc.format.entries import Entry

LARGEST_TEXT = 1 << 20
"""Bytes of a file above which it is not compared line by line."""

NOT_HERE = "its bytes are not here; dsvc fetch REMOTE REV brings them"

_CONTEXT = 3
_NO_END = "\\ No newline at end of file"


@dataclass(frozen=True, slots=True)
class Patch:
    """One file's change; `old` and `new` are its paths, None where there is no file.

    `lines` are those of a unified diff without its two lines of names, and without line ends; they
    are None where `problem` says why there are none.
    """

    old: str | None
    new: str | None
    lines: Sequence[str] | None
    problem: str = ""


def patch_of(
    old: Entry | None,
    new: Entry | None,
    read_old: Callable[[Entry], Buffer],
    read_new: Callable[[Entry], Buffer],
) -> Patch:
    """The change from one file to the other; None is no file."""
    paths = (old.path if old else None, new.path if new else None)
    if any(entry.size > LARGEST_TEXT for entry in (old, new) if entry):
        return Patch(*paths, None, f"larger than {LARGEST_TEXT >> 20} MiB")
    try:
        before = bytes(read_old(old)) if old else b""
        after = bytes(read_new(new)) if new else b""
    except MissingDataError:
        return Patch(*paths, None, NOT_HERE)
    texts = _text(before), _text(after)
    if texts[0] is None or texts[1] is None:
        return Patch(*paths, None, "binary")
    return Patch(*paths, list(unified(texts[0], texts[1])))


def unified(old: str, new: str) -> Iterator[str]:
    """The hunks of a unified diff of two texts, three lines of context around each change.

    Like `difflib.unified_diff`, but lines end with a line feed only, what both texts begin and end
    with is passed over first, and a last line without an end is told as by diff.
    """
    left, right = _lines(old), _lines(new)
    same = _common(left, right)
    head = max(0, same - _CONTEXT)
    tail = _common(left[same:][::-1], right[same:][::-1])
    foot = max(0, tail - _CONTEXT)
    left, right = left[head : len(left) - foot], right[head : len(right) - foot]
    matcher = SequenceMatcher(None, left, right)
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        first, last = group[0], group[-1]
        spans = (first[1] + head, last[2] + head), (first[3] + head, last[4] + head)
        yield f"@@ -{_range(*spans[0])} +{_range(*spans[1])} @@"
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from chain.from_iterable(_told(" ", line) for line in left[i1:i2])
                continue
            yield from chain.from_iterable(_told("-", line) for line in left[i1:i2])
            yield from chain.from_iterable(_told("+", line) for line in right[j1:j2])


def _told(sign: str, line: str) -> tuple[str, ...]:
    if line.endswith("\n"):
        return (sign + line[:-1],)
    return sign + line, _NO_END


def _lines(text: str) -> list[str]:
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines both begin with."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def _range(start: int, stop: int) -> str:
    # As GNU diff counts: from 1, and the line before where there is none.
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _text(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
