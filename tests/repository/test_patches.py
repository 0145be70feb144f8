"""Unified diffs: applied to the old text they give the new one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.digest import digest_of
from datasets_vc.errors import MissingDataError
from datasets_vc.format.entries import Entry
from datasets_vc.repository.patches import LARGEST_TEXT, patch_of, unified

LINES = st.lists(st.sampled_from(["a", "b", "c\r", "d\u2028d", ""]), max_size=30)


@given(LINES, LINES, st.booleans(), st.booleans())
def test_a_diff_makes_the_old_text_the_new_one(
    old: list[str], new: list[str], open_old: bool, open_new: bool
) -> None:
    before = "\n".join(old) + "\n" * (not open_old)
    after = "\n".join(new) + "\n" * (not open_new)
    lines = list(unified(before, after))

    assert _applied(before, lines) == after
    assert bool(lines) == (before != after)


def test_three_lines_around_a_change_are_shown() -> None:
    old = "".join(f"{number}\n" for number in range(100))
    new = old.replace("50\n", "fifty\n")

    assert list(unified(old, new)) == [
        "@@ -48,7 +48,7 @@",
        " 47",
        " 48",
        " 49",
        "-50",
        "+fifty",
        " 51",
        " 52",
        " 53",
    ]


@pytest.mark.parametrize(
    ("data", "size", "problem"),
    [
        (b"\xff", 1, "binary"),
        (b"a\0b", 3, "binary"),
        (b"", LARGEST_TEXT + 1, "larger than 1 MiB"),
        (None, 1, "its bytes are not here; dsvc fetch REMOTE REV brings them"),
    ],
)
def test_what_is_no_text_has_no_lines(data: bytes | None, size: int, problem: str) -> None:
    def read(_: Entry) -> bytes:
        if data is None:
            raise MissingDataError("It is away.")
        return data

    entry = Entry("a", 0, size, digest_of(b""))
    for pair in ((entry, None), (None, entry), (entry, entry)):
        found = patch_of(*pair, read, read)
        assert (found.lines, found.problem) == (None, problem)


def _applied(text: str, lines: Sequence[str]) -> str:
    """A text after a patch, as the program `patch` would have it."""
    left = text.split("\n")
    ends = [line + "\n" for line in left[:-1]] + [left[-1]] * bool(left[-1])
    result: list[str] = []
    at = 0
    for place, line in enumerate(lines):
        if line.startswith("@@"):
            match = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line)
            assert match is not None
            start = int(match[1]) - (match[2] != "0")
            result += ends[at:start]
            at = start
        elif not line.startswith("\\"):
            is_open = place + 1 < len(lines) and lines[place + 1].startswith("\\")
            whole = line[1:] + "\n" * (not is_open)
            if line[0] in " -":
                assert ends[at] == whole
                at += 1
            if line[0] in " +":
                result.append(whole)
    return "".join(result + ends[at:])
