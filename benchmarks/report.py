"""What came out: rows, as a Markdown table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.measure import Contest, Measured, Series

Unit = Literal["s", "B", ""]

_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True, slots=True)
class Aim:
    """What should be: in words, and whether it holds of our figure and the other one."""

    words: str
    holds: Callable[[float, float], bool]


def times(limit: float) -> Aim:
    return Aim(f"≤ {limit:.2f} ×", lambda ours, theirs: ours <= limit * theirs)


def at_most(limit: float, unit: Unit) -> Aim:
    return Aim(f"≤ {_limit(limit, unit)}", lambda ours, _: ours <= limit)


def more(limit: float, unit: Unit, what: str) -> Aim:
    """At most so much more than the other figure."""
    words = f"≤ {what} + {_limit(limit, unit)}"
    return Aim(words, lambda ours, theirs: ours <= theirs + limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value in seconds, bytes or a count; peak bytes of memory, where it has any."""

    values: Series
    unit: Unit = "s"
    memory: int | None = None

    @classmethod
    def of(cls, value: float, unit: Unit = "") -> Figure:
        """A value that is the same every time."""
        return cls(Series([value]), unit)

    @property
    def median(self) -> float:
        return self.values.median

    def __str__(self) -> str:
        low, median, high = (
            figure(value, self.unit) for value in (self.values.low, self.median, self.values.high)
        )
        if low == high:
            return median
        unit = median.partition(" ")[2]
        return f"{median} ({low.removesuffix(f' {unit}')}–{high.removesuffix(f' {unit}')})"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Args:
        case: the case that measured it.
        what: what was done.
        cache: WARM, COLD or nothing.
        ours: what was measured of dsvc.
        against: what it is compared with.
        theirs: what was measured of that; in words, why nothing was.
        aim: what should be.
    """

    case: str
    what: str
    cache: str
    ours: Figure | None
    against: str
    theirs: Figure | str
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        if self.ours is None or isinstance(self.theirs, str):
            return None
        return self.ours.median / self.theirs.median if self.theirs.median else float("inf")

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without an aim or without a comparison."""
        if self.aim is None or self.ours is None or isinstance(self.theirs, str):
            return None
        return self.aim.holds(self.ours.median, self.theirs.median)


def _limit(value: float, unit: Unit) -> str:
    """A figure as whoever set the aim said it: in MiB, if that is round."""
    if unit == "B" and value % (1 << 20) == 0:
        return f"{value / (1 << 20):g} MiB"
    return figure(value, unit)


def figure(value: float, unit: Unit) -> str:
    if unit == "s":
        return f"{value:.3g} s" if value < 100 else f"{value:.0f} s"
    if unit == "":
        return f"{value:,.0f}"
    for size, name in _SIZES:
        if value >= size:
            return (
                f"{value / size:.3g} {name}" if value < 100 * size else f"{value / size:.0f} {name}"
            )
    return f"{value:.0f} B"


def timed(contest: Contest, name: str, steps: int | None = None) -> Figure:
    """The seconds of a contender, and its memory."""
    series = contest.series(name, lambda step: step.seconds, steps)
    return Figure(series, "s", contest.memory(name, steps))


def theirs(contest: Contest, name: str) -> Figure | str:
    """The seconds of a contender, or why there are none."""
    failure = contest.failures.get(name)
    return f"failed: {failure}" if failure else timed(contest, name)


def compared(
    case: str,
    what: str,
    cache: str,
    contest: Contest,
    ours: str,
    aims: Mapping[str, Aim | None],
) -> list[Row]:
    """Our seconds against those of each contender in `aims`."""
    return [
        Row(
            case,
            what,
            cache,
            timed(contest, ours),
            name,
            theirs(contest, name),
            aim,
        )
        for name, aim in aims.items()
    ]


def peer_rows(
    case: str,
    what: str,
    cache: str,
    contest: Contest,
    ours: str,
    peer: str,
    steps: Sequence[str],
    aim: Aim | None = None,
) -> list[Row]:
    """Our seconds against the first step of a tool, which the aim is said of, and all of them."""
    own = timed(contest, ours)
    if peer in contest.failures:
        return [Row(case, what, cache, own, steps[0], f"failed: {contest.failures[peer]}", aim)]
    return [
        Row(
            case,
            what,
            cache,
            own,
            ", ".join(steps[:count]),
            timed(contest, peer, count),
            aim if count == 1 else None,
        )
        for count in range(1, len(steps) + 1)
    ]


def missing(case: str, what: str, tools: Sequence[str]) -> list[Row]:
    """Rows for tools that are not here."""
    return [Row(case, what, "", None, tool, "not installed") for tool in tools]


def markdown(
    rows: Sequence[Row], header: Mapping[str, str], notes: Sequence[str], *, judged: bool
) -> str:
    """The whole report; if `judged`, with a word on whether aims are met."""
    lines = [f"- {name}: {words}" for name, words in header.items()]
    lines += [f"- {note}" for note in notes]
    lines += [
        "",
        "| case | what | cache | dsvc | against | theirs | ratio | aim | met | peak memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row, judged) for row in rows]
    return "\n".join(lines) + "\n"


def _line(row: Row, judged: bool) -> str:
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
    met = "–" if row.met is None or not judged else "yes" if row.met else "**no**"
    cells = [
        row.case,
        row.what,
        row.cache,
        "–" if row.ours is None else str(row.ours),
        row.against,
        str(row.theirs),
        ratio,
        row.aim.words if row.aim else "",
        met,
        _memory(row),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _memory(row: Row) -> str:
    sides = [side for side in (row.ours, row.theirs) if isinstance(side, Figure)]
    if not any(side.memory for side in sides):
        return ""
    return " / ".join(figure(side.memory, "B") if side.memory else "–" for side in sides)


def raw(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON has them; all values that were measured, in seconds and bytes."""
    return [
        {
            "case": row.case,
            "what": row.what,
            "cache": row.cache,
            "ours": _values(row.ours),
            "against": row.against,
            "theirs": _values(row.theirs),
            "ratio": row.ratio,
            "aim": row.aim.words if row.aim else None,
            "met": row.met,
        }
        for row in rows
    ]


def _values(side: Figure | str | None) -> Any:
    if not isinstance(side, Figure):
        return side
    return {"values": list(side.values.values), "unit": side.unit, "memory": side.memory}


def written(step: Measured) -> float:
    return step.written
