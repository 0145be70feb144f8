"""The history drawn beside its commits, as `git log --graph` draws it.

Every commit that is drawn and not yet met by its children's lines has a column, its lane. A line of
the drawing takes each lane on by at most one column, or a single one of them far to the left:

    *   a merge        column 0
    |\\                 the second parent's lane leaves for column 1
    | * its commit
    |/                 both wait for the same parent now: column 1 joins column 0
    * their parent
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drawn:
    """What stands beside one commit.

    Attributes:
        lines: the first has the star; the others lead on to the next commit, and stand beside
            further lines of text as far as there are any.
        rest: what stands beside still further lines.
    """

    lines: tuple[str, ...]
    rest: str


@dataclass(slots=True)
class _Strand:
    """A line on its way down to the commit `to`, now in a column."""

    to: Hashable
    column: int


Move = tuple[int, int]  # from a column to a column


def draw(commits: Iterable[tuple[Hashable, Sequence[Hashable]]]) -> Iterator[Drawn]:
    """Draw commits, each given with its parents, children before parents.

    A parent that never comes keeps its lane to the end.
    """
    lanes: list[Hashable] = []
    for commit, parents in commits:
        if commit not in lanes:
            lanes.append(commit)
        column = lanes.index(commit)
        stars = " ".join("*" if lane == commit else "|" for lane in lanes)
        before, after = lanes[:column], lanes[column + 1 :]
        lanes = list(dict.fromkeys([*before, *parents, *after]))
        strands = [_Strand(lane, place) for place, lane in enumerate(before)]
        strands += [_Strand(lane, place) for place, lane in enumerate(after, column + 1)]
        own = [_Strand(parent, column) for parent in dict.fromkeys(parents)]
        moves = [*_parted(own, strands, column), *_joined([*strands, *own], lanes)]
        lines = [stars, *map(_line, moves)]
        width = max(map(len, lines)) + 1
        width += width % 2
        rest = " ".join("|" * len(lanes))
        yield Drawn(tuple(line.ljust(width) for line in lines), rest.ljust(width))


def _parted(own: list[_Strand], others: list[_Strand], column: int) -> Iterator[list[Move]]:
    """Take the lines to several parents apart, which all begin in `column`."""
    waiting = list(own)
    if len(waiting) > 1 and any(s.to == waiting[0].to for s in others if s.column < column):
        first = waiting.pop(0)
        yield _step([*own, *others], {id(first): column - 1})
    while len(waiting) > 1:
        last = waiting.pop()
        goals = {id(last): column + 1}
        if not any(s.to == last.to and s.column == column + 1 for s in others):
            right = [s for s in (*own, *others) if s.column > column]
            goals |= {id(s): s.column + 1 for s in right}
        yield _step([*own, *others], goals)


def _joined(strands: list[_Strand], lanes: Sequence[Hashable]) -> Iterator[list[Move]]:
    """Take every line to the lane of its commit, which lies nowhere to the right of it."""
    goal = {lane: place for place, lane in enumerate(lanes)}
    while True:
        moving = [s for s in strands if s.column != goal[s.to]]
        if not moving:
            return
        goals = {id(s): s.column - 1 for s in moving}
        far = [s for s in moving if s.column - goal[s.to] > 2]
        if far and all(s.column > far[0].column for s in moving if s is not far[0]):
            goals[id(far[0])] = goal[far[0].to] + 1
        yield _step(strands, goals)


def _step(strands: Iterable[_Strand], goals: dict[int, int]) -> list[Move]:
    """Move strands; returns the moves of all of them."""
    moves = []
    for strand in strands:
        goal = goals.get(id(strand), strand.column)
        moves.append((strand.column, goal))
        strand.column = goal
    return moves


def _line(moves: Iterable[Move]) -> str:
    marks: dict[int, str] = {}
    for old, new in moves:
        if new < old:
            marks |= dict.fromkeys(range(2 * new + 1, 2 * old - 1), "_")
            marks[2 * old - 1] = "/"
        elif new > old:
            marks[2 * old + 1] = "\\"
    marks |= {2 * old: "|" for old, new in moves if new == old}
    return "".join(marks.get(place, " ") for place in range(max(marks, default=-1) + 1))
