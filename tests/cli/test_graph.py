"""The drawing of a history says what its commits say: read back, line by line."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.cli.graph import Drawn, draw

History = Sequence[tuple[int, Sequence[int]]]


@st.composite
def histories(draw_: st.DrawFn) -> History:
    """Commits 0, 1, ... with parents among those that come later."""
    count = draw_(st.integers(1, 14))
    return [
        (n, draw_(st.lists(st.integers(n + 1, min(n + 6, count - 1)), max_size=2, unique=True)))
        if n + 1 < count
        else (n, [])
        for n in range(count)
    ]


@dataclass
class Strand:
    """A line on its way down, from one commit, by the way it came into its column."""

    child: int
    came: str  # "*": it begins here; "/" or "\\": from the right or the left; "|": from above


Columns = dict[int, list[Strand]]


def read_back(history: History, drawing: Sequence[Drawn]) -> set[tuple[int, int]]:
    """The (child, parent) pairs that lines join."""
    columns: Columns = defaultdict(list)
    joined: set[tuple[int, int]] = set()
    for (commit, parents), drawn in zip(history, drawing, strict=True):
        first, *others = drawn.lines
        place, column = first.index("*"), first.index("*") // 2
        assert place % 2 == 0
        joined |= {(strand.child, commit) for strand in columns[column]}
        assert set(first.replace("*", "|")[::2].rstrip()) <= {"|"}
        assert not first[1::2].strip()
        # A line for every strand, and a strand for every line.
        drawn_at = {at // 2 for at, mark in enumerate(first) if mark == "|"}
        assert drawn_at == {at for at, strands in columns.items() if strands} - {column}
        columns[column] = [Strand(commit, "*")] if parents else []
        for line in others:
            columns = follow(columns, line)
        assert {at // 2 for at, mark in enumerate(drawn.rest) if mark == "|"} == {
            at for at, strands in columns.items() if strands
        }
    return joined


def follow(columns: Columns, line: str) -> Columns:
    """Where strands are after a line of the drawing; every mark must carry one."""
    after: Columns = defaultdict(list)
    ways: dict[int, dict[str, int]] = defaultdict(dict)  # column -> mark -> column
    for at, mark in enumerate(line):
        if mark == "|":
            assert at % 2 == 0
            ways[at // 2]["|"] = at // 2
        elif mark == "\\":
            assert at % 2 == 1
            ways[at // 2]["\\"] = at // 2 + 1
        elif mark == "/":
            assert at % 2 == 1
            start = at
            while start > 1 and line[start - 2] == "_":
                start -= 2
            ways[at // 2 + 1]["/"] = start // 2
        else:
            assert mark in " _"
    for column, strands in columns.items():
        for strand in strands:
            marks = chosen(strand, ways[column], alone=len(strands) == 1)
            for mark in marks:
                after[ways[column][mark]].append(Strand(strand.child, mark))
    carried = {column for column, strands in columns.items() if strands}
    assert {column for column, marks in ways.items() if marks} == carried
    return after


def chosen(strand: Strand, ways: dict[str, int], *, alone: bool) -> list[str]:
    """The marks that a strand follows out of its column."""
    if strand.came == "*" or len(ways) == 1:
        return list(ways)  # several from a merge only
    assert not alone, "a line parts where no commit is"
    # One that has just crossed goes on as it came; what it crosses goes straight down.
    return [strand.came if strand.came in ways else "|"]


@given(histories())
def test_every_commit_is_joined_to_its_parents_and_no_others(history: History) -> None:
    drawing = list(draw(history))
    assert len(drawing) == len(history)
    assert all(len(drawn.lines[0].replace("*", "")) + 1 == len(drawn.lines[0]) for drawn in drawing)
    expected = {(commit, parent) for commit, parents in history for parent in parents}
    assert read_back(history, drawing) == expected


@given(histories())
def test_text_stands_in_one_column_beside_a_commit(history: History) -> None:
    for drawn in draw(history):
        assert len({len(line) for line in (*drawn.lines, drawn.rest)}) == 1
        assert all(line.endswith(" ") for line in drawn.lines)


def test_parents_that_do_not_come_keep_their_lanes() -> None:
    (first, second) = draw([("a", ["x"]), ("b", ["y", "x"])])
    assert first == Drawn(("* ",), "| ")
    assert second.lines == ("| *   ", "| |\\  ", "| |/  ", "|/|   ")
    assert second.rest == "| |   "


SHAPES = {
    "a line": [[], [0], [1]],
    "a merge": [[], [0], [0], [2, 1], [3]],
    "a merge in a merge": [[], [0], [0], [1], [2, 3], [1, 4]],
    "three lines": [[], [0], [0], [0]],
    "two roots": [[], [], [1, 0]],
    "a merge from the left": [[], [0], [1], [1, 2], [0, 3]],
    "the newest of two": [[], [0], [0, 1], [1]],
    "across two lanes": [[], [0], [1], [0], [2], [0, 1], [2, 5]],
    "several merges of one": [[], [0], [0, 1], [2, 1], [3, 1]],
}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("parents", SHAPES.values(), ids=SHAPES)
def test_common_shapes_are_drawn_as_git_draws_them(
    parents: list[list[int]], tmp_path: Path
) -> None:
    stream = ""
    for number, before in enumerate(parents):
        stream += f"commit refs/heads/b{number}\nmark :{number + 1}\n"
        stream += f"committer Ada <ada> {10**9 + number} +0000\ndata 1\n{number}\n"
        stream += "".join(f"{'merge' if n else 'from'} :{p + 1}\n" for n, p in enumerate(before))
    for command in (["init", "--quiet"], ["fast-import", "--quiet"]):
        subprocess.run(["git", *command], cwd=tmp_path, input=stream.encode(), check=True)
    command = ["git", "log", "--all", "--graph", "--format=%s"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    order = [int(line.split()[-1]) for line in shown.splitlines() if "*" in line]
    ours = [
        (line + (str(commit) if line is drawn.lines[0] else "")).rstrip()
        for commit, drawn in zip(order, draw((n, parents[n]) for n in order), strict=True)
        for line in drawn.lines
    ]
    assert ours == [line.rstrip() for line in shown.splitlines()]
