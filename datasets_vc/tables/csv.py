"""CSV tables (RFC 4180: commas, quotes doubled in quotes); an empty cell is no value."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.tables.lines import BOM, csv_ranges
from datasets_vc.tables.records import RecordTable, end_to_end
from datasets_vc.tables.table import (
    Merge,
    Rows,
    check_columns,
    checked_keys,
    column_of,
    fields_at,
)

_NEWLINE, _RETURN, _QUOTE, _COMMA = b'\n\r",'
_BEFORE_QUOTE, _AFTER_QUOTE = np.zeros((2, 256), np.bool_)
_BEFORE_QUOTE[[_NEWLINE, _COMMA, _QUOTE]] = True
_AFTER_QUOTE[[_NEWLINE, _RETURN, _COMMA, _QUOTE]] = True
_ROWS_AT_ONCE = 1 << 16
# A record must not be longer than a block.
_LARGEST_BLOCK = (1 << 31) - 1


class CsvTable(RecordTable):
    """A CSV with a header, every record as long as it."""

    def __init__(self, name: str, key: str, data: bytes) -> None:
        starts, ends = csv_ranges(data)
        if not len(starts):
            raise InvalidInputError(f"'{name}' has no header.")
        _check_quoting(data, name)
        super().__init__(name, data, starts[1:])
        try:
            header = data[int(starts[0]) : int(ends[0])].decode()
            names = next(csv.reader(io.StringIO(header, newline=""), strict=True))
        except csv.Error as error:
            raise InvalidInputError(f"The header of '{name}' cannot be read: {error}.") from error
        self.columns = check_columns(names, key, name)
        body = memoryview(data)[int(starts[1]) :] if len(starts) > 1 else b""
        found = self._read(pa.py_buffer(body), len(starts) - 1, [key])
        self.keys = checked_keys(found.column(key), key, name)

    def fields(self, rows: Rows) -> pa.Table:
        import pyarrow.compute as pc

        pieces = self.pieces.take(rows)
        table = self._read(end_to_end(pieces), len(rows), self.columns)
        nothing = pa.scalar(None, pa.large_string())
        columns = [pc.if_else(pc.equal(cells, ""), nothing, cells) for cells in table.columns]
        return pa.table(columns, names=table.column_names)

    def head_for(self, columns: tuple[str, ...]) -> bytes:
        bom = BOM if self.head.startswith(BOM) else b""
        return bom + self._lines([columns])[0]

    def encode(self, theirs: Self, merge: Merge, rows: Rows) -> list[bytes]:
        lines: list[bytes] = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            batch = rows[first : first + _ROWS_AT_ONCE]
            lines += self._lines(self._merged(theirs, merge, batch))
        return lines

    def _merged(self, theirs: Self, merge: Merge, rows: Rows) -> Iterable[Sequence[str]]:
        """The cells of rows of a merged table."""
        import pyarrow.compute as pc

        left, right = fields_at(self, merge.ours[rows]), fields_at(theirs, merge.theirs[rows])
        columns = []
        for column in merge.columns:
            from_theirs = pa.array(merge.from_theirs(column)[rows])
            cells = pc.if_else(from_theirs, column_of(right, column), column_of(left, column))
            columns.append(pc.fill_null(cells, "").to_pylist())
        return zip(*columns, strict=True)

    def _lines(self, rows: Iterable[Sequence[str]]) -> list[bytes]:
        file = io.StringIO(newline="")
        # With this line end cells are quoted that hold either of its characters.
        writer = csv.writer(file, lineterminator="\r\n")
        lines = []
        for row in rows:
            writer.writerow(row)
            lines.append(file.getvalue()[:-2].encode() + self.line_end)
            file.seek(0)
            file.truncate()
        return lines

    def _read(self, body: pa.Buffer, count: int, columns: Sequence[str]) -> pa.Table:
        """Columns of `count` records as strings, as they are."""
        import pyarrow.csv

        if not count:
            return pa.table({name: pa.array([], pa.large_string()) for name in columns})
        block = max(1 << 20, 2 * int(self.sizes.max()))
        if block > _LARGEST_BLOCK:
            raise InvalidInputError(f"'{self.name}' has a record that is too long.")
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(body),
                read_options=pyarrow.csv.ReadOptions(
                    column_names=list(self.columns), block_size=block
                ),
                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(
                    include_columns=list(columns),
                    column_types=dict.fromkeys(columns, pa.large_string()),
                ),
            )
        except pa.ArrowInvalid as error:
            raise InvalidInputError(
                f"'{self.name}' cannot be read: {_first_line(error)}"
            ) from error
        if table.num_rows != count:
            raise InvalidInputError(f"'{self.name}' has lines that are no records.")
        return table


def _check_quoting(data: bytes, name: str) -> None:
    """Refuse what readers of CSV understand differently.

    Quotes stand around whole cells only, and a carriage return outside of quotes is part of a line
    end. Every reader then finds the same records in it.
    """
    octets = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(octets == _QUOTE)
    # A quote that opens comes after, and one that closes before, the border of a cell or another
    # quote: a doubled one.
    opening, closing = quotes[::2], quotes[1::2]
    opens = _BEFORE_QUOTE[octets[opening - 1]]
    if len(opening) and opening[0] == (len(BOM) if data.startswith(BOM) else 0):
        opens[0] = True
    closes = _AFTER_QUOTE[octets[closing[closing + 1 < len(octets)] + 1]]
    returns = np.flatnonzero(octets == _RETURN)
    outside = returns[np.searchsorted(quotes, returns) % 2 == 0]
    lone = len(outside) and outside[-1] + 1 == len(octets)
    if (
        lone
        or len(quotes) % 2
        or not (opens.all() and closes.all() and (octets[outside + 1] == _NEWLINE).all())
    ):
        raise InvalidInputError(
            f"'{name}' has a quote inside of a cell without quotes, or a lone carriage return.",
            "Quote such cells, and double the quotes in them.",
        )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
