"""Values as people read them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

SHORT = 12

# Control characters, marks that turn the direction of text around, and letters that nobody sees.
_UNSAFE = re.compile(
    "\x1b([0-9a-f]{16}\\[[0-9;]*m)|[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Says of a colour that it is ours, and of one in a store that it is not.
_OURS = secrets.token_hex(8)


def shown(text: str) -> str:
    """`text` with whatever a terminal would obey or hide written as an escape."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def guarded(line: str) -> str:
    """A line as it may go to a terminal: whoever made it forgot `shown` at worst, not safety.

    Tabs and the colours of `painted` stay; other control characters, marks that turn the direction
    of text around, and what nobody sees, are written as escapes.
    """
    if line.isprintable():
        return line
    return _UNSAFE.sub(_escaped, line)


def painted(text: str, colour: int) -> str:
    """`text` in a colour of the terminal, for a line that goes through `guarded`."""
    return f"\x1b{_OURS}[{colour}m{text}\x1b{_OURS}[0m"


def _escaped(found: re.Match[str]) -> str:
    colour: str = found[1] or ""
    if colour.startswith(_OURS):
        return "\x1b" + colour.removeprefix(_OURS)
    return repr(found[0][0])[1:-1] + found[0][1:]


def short(digest: bytes | str) -> str:
    """The beginning of a digest: enough to name it."""
    return (digest if isinstance(digest, str) else digest.hex())[:SHORT]


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 file`, `2,000 files`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: float) -> str:
    """Bytes in the unit that suits: `512 B`, `1.4 MiB`."""
    if abs(number) < 1024:
        return f"{number:.0f} B"
    units = iter(("KiB", "MiB", "GiB"))
    unit, number = next(units), number / 1024
    while abs(number) >= 1023.95 and unit != "GiB":
        unit, number = next(units), number / 1024
    return f"{number:.1f} {unit}"


def moment(time: datetime) -> str:
    """A time in UTC, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float) -> str:
    """A metric: four significant digits."""
    return f"{value:.4g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; columns as wide as need be, cells of digits to the right."""
    cells = [list(head), *(list(row) for row in rows)]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [len(cells) > 1 and all(map(_is_quantity, column[1:])) for column in columns]
    for row in cells:
        line = (
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        )
        yield "  ".join(line).rstrip()


def _is_quantity(cell: str) -> bool:
    return (
        cell == "-"
        or cell.removesuffix("B").rstrip(" KMGTi").replace(",", "").replace(".", "").isdigit()
    )
