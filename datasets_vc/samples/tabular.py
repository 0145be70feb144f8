"""Reading CSV, JSON lines and Parquet that people wrote, with errors that name the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from datasets_vc.decoding import load_json
from datasets_vc.digest import Buffer
from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.splits import empty_to_null
from datasets_vc.tables.lines import csv_ranges, line_ranges
from datasets_vc.tables.parquet import check_claims

# Read as text whatever they look like: the label "01" is not the number 1.
_TEXTUAL = ("file_name", "text", "label", "split")
_LINES_AT_ONCE = 1 << 16


def read_csv(data: Buffer, name: str) -> pa.Table:
    """The table in a CSV file; `file_name`, `text`, `label` and `split` are strings.

    Raises:
        InvalidInputError: it cannot be read, or a column comes twice; `name` says which file.
    """
    try:
        return _check_columns(_csv(data, _TEXTUAL), name)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _unreadable(name, error) from error


def csv_record(text: str) -> list[str]:
    """The values of one CSV record.

    Raises:
        ValueError: it is none.
    """
    try:
        return next(csv.reader(io.StringIO(text, newline="")))
    except csv.Error:
        # Values of more than 128 KiB: a limit that can only be lifted for the whole process.
        names = [f"f{column}" for column in range(text.count(",") + 1)]
        table = _csv(f"{text}\n".encode(), names, autogenerate_column_names=True)
    return [column[0].as_py() for column in table.columns]


def read_json_lines(data: Buffer, name: str, unread: str = "") -> pa.Table:
    """The table in a file of JSON objects, one a line; blank lines are no rows.

    Not by Arrow's reader of JSON: a line `null` kills the process in it
    (https://github.com/apache/arrow/issues/47409), and lists that begin with null come out wrong
    (https://github.com/apache/arrow/issues/51305).

    Args:
        data: the bytes of the file.
        name: how to call it in an error.
        unread: a column of which to keep no more than that it is there.

    Raises:
        InvalidInputError: it cannot be read; `name` says which file, and a number which row.
    """
    view = memoryview(data)
    ranges = [offsets.tolist() for offsets in line_ranges(data)]
    lines = [bytes(view[start:end]) for start, end in zip(*ranges, strict=True)]
    columns: dict[str, list[Any]] = {}
    for first in range(0, len(lines), _LINES_AT_ONCE):
        rows = _json_objects(lines[first : first + _LINES_AT_ONCE], first, name)
        for key in dict.fromkeys(chain(columns, *rows)):
            column = columns.setdefault(key, [None] * first)
            column += [None] * len(rows) if key == unread else [row.get(key) for row in rows]
    try:
        return pa.table({key: _column(values) for key, values in columns.items()})
    except ValueError as error:
        # Halves of surrogate pairs, which JSON can escape and UTF-8 cannot hold.
        raise _unreadable(name, error) from error


def read_parquet(data: Buffer, name: str) -> pa.Table:
    """The table in a Parquet file.

    Raises:
        InvalidInputError: it cannot be read, or a column comes twice; `name` says which file.
    """
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(data))
        check_claims(file.metadata, len(data), name)
        return _check_columns(file.read(), name)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(name, error) from error


def text_column(table: pa.Table, column: str, name: str) -> pa.ChunkedArray:
    """A column as strings, the empty ones null; all null if the table has no such column.

    Raises:
        InvalidInputError: its values have no text; `name` says which file.
    """
    if column not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
    try:
        return empty_to_null(table.column(column).cast(pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        kind = table.schema.field(column).type
        message = f"The column '{column}' of '{name}' holds {kind}, which cannot be read as text."
        raise InvalidInputError(message) from error


def concat(tables: list[pa.Table]) -> pa.Table:
    """Tables end to end; a column that some lack is null there.

    Raises:
        InvalidInputError: a column's types have nothing in common.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidInputError(
            f"The files that describe the samples disagree on a column: {_first_line(error)}.",
            "Give the column the same type in all of them.",
        ) from error


def _csv(data: Buffer, textual: Sequence[str], **options: bool) -> pa.Table:
    import pyarrow.csv

    starts, ends = csv_ranges(data)
    # A record must not be longer than a block.
    block = max(1 << 20, 2 * int((ends - starts).max(initial=0)))
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(block_size=block, **options),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(textual, pa.string())
        ),
    )


def _json_objects(lines: list[bytes], first: int, name: str) -> list[dict[str, Any]]:
    """The objects in `lines`, of which the first is row `first` + 1 of the file."""
    try:
        # All lines as one array: three times as fast as each on its own.
        rows: list[dict[str, Any]] = load_json(b"[%b]" % b",".join(lines))
        if len(rows) == len(lines) and all(type(row) is dict for row in rows):
            return rows
    except ValueError:
        pass
    return [_json_object(line, f"{name}:{row}") for row, line in enumerate(lines, first + 1)]


def _json_object(line: bytes, name: str) -> dict[str, Any]:
    try:
        value = load_json(line)
    except ValueError as error:
        raise _unreadable(name, error) from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"'{name}' cannot be read: it is no JSON object.")
    return value


def _column(values: list[Any]) -> pa.Array:
    """Values of one type as they are; others as the JSON that they were, but for strings."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ValueError):
        return pa.array([value if value is None else _text(value) for value in values], pa.string())


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check_columns(table: pa.Table, name: str) -> pa.Table:
    names = table.column_names
    twice = [column for column in names if names.count(column) > 1]
    if twice:
        raise InvalidInputError(f"'{name}' has the column '{twice[0]}' more than once.")
    return table


def _unreadable(name: str, error: Exception) -> InvalidInputError:
    return InvalidInputError(f"'{name}' cannot be read: {_first_line(error)}.")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
