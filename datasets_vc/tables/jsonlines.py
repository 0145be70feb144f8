"""JSON lines: an object a line, every row with columns of its own.

A cell is the JSON of its value, without space between tokens and with its strings escaped one way.
Numbers are as they are spelled: 1, 1.0 and 1.00 are three values, since readers tell the first
apart from the others, and since a digit that a float cannot hold would be lost in comparing it.
Null is a value, and no value is something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring
from typing import Any, Self, TypeAlias

import numpy as np
import pyarrow as pa

from datasets_vc.decoding import MAX_LEVELS, checked_depth
from datasets_vc.errors import InvalidInputError
from datasets_vc.tables.lines import line_ranges
from datasets_vc.tables.records import RecordTable
from datasets_vc.tables.table import Merge, Rows, checked_keys

_ROWS_AT_ONCE = 1 << 16
_MOST_CELLS = 1 << 26
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[ \t\r\n]+')
_SPACE = re.compile(r"[ \t\r\n]*")


_Scanner: TypeAlias = Callable[[str, int], tuple[Any, int]]


class _Spelled(str):
    """A number as it is spelled."""

    __slots__ = ()


# Pairs, since a name may come twice; every value that is no string is looked at as it is spelled.
_DECODER = json.JSONDecoder(
    object_pairs_hook=list, parse_int=_Spelled, parse_float=_Spelled, parse_constant=_Spelled
)
# The scanners as such, for a line a call: half as long as what is built on them.
_scan_pairs: _Scanner = _DECODER.scan_once  # type: ignore[attr-defined]
_scan: _Scanner = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_LITERALS = {True: "true", False: "false", None: "null"}


class JsonTable(RecordTable):
    """JSON lines."""

    padding = b" \t\r\n\v\f"
    columns = ()

    def __init__(self, name: str, key: str, data: bytes) -> None:
        starts, _ = line_ranges(data)
        super().__init__(name, data, starts)
        parts = [self._keys(first, key) for first in range(0, len(starts), _ROWS_AT_ONCE)]
        self.keys = checked_keys(pa.chunked_array(parts, pa.large_string()), key, name)

    def fields(self, rows: Rows) -> pa.Table:
        columns: dict[str, list[str | None]] = {}
        for place, record in enumerate(self.records(rows)):
            for column, cell in self._cells(record.decode()).items():
                cells = columns.get(column)
                if cells is None:
                    self._check_width((len(columns) + 1) * len(rows))
                    cells = columns[column] = [None] * len(rows)
                cells[place] = cell
        if not columns:
            return pa.table({"": pa.nulls(len(rows), pa.large_string())})
        return pa.table(
            {column: pa.array(cells, pa.large_string()) for column, cells in columns.items()}
        )

    def texts(self, *cells: str | None) -> tuple[str | None, ...]:
        plain = tuple([_plain(cell) for cell in cells])
        # The text "1" and the number 1 read the same.
        return plain if len(set(plain)) == len(set(cells)) else cells

    def head_for(self, columns: tuple[str, ...]) -> bytes:  # noqa: ARG002 - there is no header
        return self.head

    def encode(self, theirs: Self, merge: Merge, rows: Rows) -> list[bytes]:
        left, right = self.records(merge.ours[rows]), theirs.records(merge.theirs[rows])
        take = {column: mask[rows] for column, mask in merge.take.items()}
        lines = []
        for place, (mine, others) in enumerate(zip(left, right, strict=True)):
            taken = {column for column, mask in take.items() if mask[place]}
            line = _mixed(mine.decode(), others.decode(), taken)
            lines.append(line.encode() + self.line_end)
        return lines

    def _check_width(self, cells: int) -> None:
        """Refuse rows of which each has columns of its own: they would fill the memory."""
        if cells > _MOST_CELLS:
            raise InvalidInputError(f"'{self.name}' has too many columns.")

    def _keys(self, first: int, key: str) -> pa.LargeStringArray:
        """The keys of some rows from `first` on; every line is checked to be an object."""
        rows = np.arange(first, min(first + _ROWS_AT_ONCE, len(self.sizes)))
        keys = []
        for row, record in enumerate(self.records(rows), first + 1):
            found = _checked(record.decode(), f"{self.name}:{row}").get(key)
            if type(found) is not str and type(found) is not int:
                raise InvalidInputError(f"Row {row} of '{self.name}' has no {key}.")
            keys.append(str(found))
        try:
            return pa.array(keys, pa.large_string())
        except UnicodeEncodeError as error:
            raise InvalidInputError(f"A {key} of '{self.name}' is no text.") from error

    def _cells(self, record: str) -> Mapping[str, str]:
        """Column -> cell of one row."""
        pairs = _scan_pairs(record, 0)[0]
        cells = {}
        for column, value in pairs:
            kind = type(value)
            if kind is str and "\\" not in record:
                cells[column] = encode_basestring(value)
            elif kind is _Spelled:
                cells[column] = str(value)
            elif value is None or kind is bool:
                cells[column] = _LITERALS[value]
            else:
                return self._spelled_cells(record)
        if len(cells) < len(pairs):
            raise InvalidInputError(f"A row of '{self.name}' has a column more than once.")
        return cells

    def _spelled_cells(self, record: str) -> Mapping[str, str]:
        pairs = _pairs(record)
        cells = {column: _TOKENS.sub(_canonical, value) for column, value in pairs}
        if len(cells) < len(pairs) or any(map(_is_torn, cells)):
            raise InvalidInputError(
                f"A row of '{self.name}' has columns that cannot be told apart."
            )
        return cells


def _checked(record: str, name: str) -> dict[str, Any]:
    """The object that a line is; `name` is that of the line.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        value, end = _scan(record, 0)
        if record.count("[") + record.count("{") > MAX_LEVELS:
            checked_depth(value)
    except StopIteration:
        raise InvalidInputError(f"'{name}' is no JSON object.") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"'{name}' cannot be read: {error}.") from error
    if end != len(record) or not isinstance(value, dict):
        raise InvalidInputError(f"'{name}' is no JSON object.")
    return value


def _plain(cell: str | None) -> str | None:
    """The text that a string is; any other cell as it is."""
    if not cell or cell[0] != '"':
        return cell
    text: str = json.loads(cell) if "\\" in cell else cell[1:-1]
    return cell if _is_torn(text) else text


def _mixed(mine: str, others: str, taken: Iterable[str]) -> str:
    """The object `mine` with the values of columns `taken` from `others`, or without these."""
    ours, theirs = dict(_pairs(mine)), dict(_pairs(others))
    for column in taken:
        if column in theirs:
            ours[column] = theirs[column]
        else:
            ours.pop(column, None)
    comma, colon = _separators(mine)
    items = (f"{_encoded(column)}{colon}{value}" for column, value in ours.items())
    return "{" + comma.join(items) + "}"


def _separators(record: str) -> tuple[str, str]:
    """What stands between the items of an object, and between names and values."""
    pairs = _DECODER.decode(record)
    if not pairs:
        return ", ", ": "
    name_end = _DECODER.raw_decode(record, record.index('"'))[1]
    start = _after_space(record, _after_space(record, name_end) + 1)
    between = record[name_end:start]
    if len(pairs) == 1:
        return (", " if between != ":" else ","), between
    end = _DECODER.raw_decode(record, start)[1]
    return record[end : record.index('"', end)], between


def _pairs(record: str) -> list[tuple[str, str]]:
    """The names and values of an object, values as they are spelled."""
    pairs = []
    at = _after_space(record, _after_space(record, 0) + 1)
    while record[at] != "}":
        name, at = _DECODER.raw_decode(record, at)
        start = _after_space(record, _after_space(record, at) + 1)
        _, at = _DECODER.raw_decode(record, start)
        pairs.append((name, record[start:at]))
        at = _after_space(record, at)
        if record[at] == ",":
            at = _after_space(record, at + 1)
    return pairs


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _canonical(token: re.Match[str]) -> str:
    text = token.group()
    if text[0] != '"':
        return ""
    if "\\" not in text:
        return text
    value = json.loads(text)
    return json.dumps(value, ensure_ascii=_is_torn(value))


def _encoded(name: str) -> str:
    return json.dumps(name, ensure_ascii=_is_torn(name))


def _is_torn(text: str) -> bool:
    """Whether it has halves of surrogate pairs, which JSON can escape and UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
