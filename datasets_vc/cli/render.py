"""Values as people read them."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

SHORT = 12

_WIDEST = 256

# What Python takes for printable and shows nothing, or alters what is beside it: of Unicode's
# property Default_Ignorable_Code_Point what is assigned or stays so (DerivedCoreProperties.txt:
# fillers of Hangul and Khmer, joiners, variation selectors), and letters that are blank or join by
# their names (Braille, music, Khitan, joiners). A test holds it against the data of Python.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u2d7f\u3164\ufe00-\ufe0f\uffa0"
    "\ufff0-\ufff8\U0001107f\U00011a47\U00011a99\U00016fe4\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Says of a colour that it is ours, and of one in a store that it is not.
_OURS = secrets.token_hex(8)
_COLOUR = re.compile(f"\x1b{_OURS}(\\[[0-9;]*m)")


def shown(text: str) -> str:
    """`text` with whatever a terminal would obey or hide written as an escape.

    That is all that Python does not take for printable: control characters, marks that turn the
    direction of text around, blanks but the common one; and letters that nobody sees, with those
    that join or vary others. So names that look alike are not shown alike; of an emoji that is made
    of several the parts are shown. Accents stay, however they are composed.
    """
    if _is_plain(text):
        return text
    return "".join(map(_escaped, text))


def guarded(line: str) -> str:
    """A line as it may go to a terminal: whoever made it forgot `shown` at worst, not safety.

    Tabs and the colours of `painted` stay.
    """
    if _is_plain(line):
        return line
    pieces = _COLOUR.split(line)
    pieces[::2] = ("\t".join(map(shown, piece.split("\t"))) for piece in pieces[::2])
    pieces[1::2] = (f"\x1b{colour}" for colour in pieces[1::2])
    return "".join(pieces)


def painted(text: str, colour: int) -> str:
    """`text` in a colour of the terminal, for a line that goes through `guarded`."""
    return f"\x1b{_OURS}[{colour}m{text}\x1b{_OURS}[0m"


def _is_plain(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not _UNSEEN.search(text))


def _escaped(letter: str) -> str:
    if not letter.isprintable():
        return repr(letter)[1:-1]
    return ascii(letter)[1:-1] if _UNSEEN.match(letter) else letter


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
    # Not strftime alone, which does not pad the year everywhere.
    return f"{time.year:04}-{time:%m-%d %H:%M:%S} UTC"


def number(value: float) -> str:
    """A metric: four significant digits."""
    return f"{value:.4g}"


def numbers_as_json(value: object) -> object:
    """`value` with the numbers that JSON has no words for as text: `nan`, `inf`, `-inf`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {name: numbers_as_json(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [numbers_as_json(member) for member in value]
    return value


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], widest: int = _WIDEST
) -> Iterator[str]:
    """The lines of a table; columns as wide as need be, cells of digits to the right.

    Args:
        widest: letters of a cell, four times as many in the last column; a longer one is cut, so
            that it does not drown the others.
    """
    cells = [_fitting(row, widest) for row in (head, *rows)]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [len(cells) > 1 and all(map(_is_quantity, column[1:])) for column in columns]
    for row in cells:
        line = (
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(row, widths, right, strict=True)
        )
        yield "  ".join(line).rstrip()


def _fitting(row: Sequence[str], widest: int) -> list[str]:
    return [*(_cut(cell, widest) for cell in row[:-1]), _cut(row[-1], 4 * widest)]


def _cut(cell: str, most: int) -> str:
    # What is escaped takes up to ten letters for one, so that it is cut as it will be shown.
    known = shown(cell[: most + 1])
    return known if len(cell) <= most and len(known) <= most else known[: most - 1] + "…"


def _is_quantity(cell: str) -> bool:
    return (
        cell == "-"
        or cell.removesuffix("B").rstrip(" KMGTi").replace(",", "").replace(".", "").isdigit()
    )
