"""Reading CSV, JSON lines and Parquet that people wrote, with errors that name the file."""

from __future__ import annotations

import pyarrow as pa

from datasets_vc.digest import Buffer
from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.splits import empty_to_null

# Read as text whatever they look like: the label "01" is not the number 1.
TEXTUAL = ("file_name", "text", "label", "split")


def read_csv(data: Buffer, name: str) -> pa.Table:
    """The table in a CSV file; `TEXTUAL` columns are strings, the types of others are inferred.

    Raises:
        InvalidInputError: it cannot be read; `name` says which file.
    """
    import pyarrow.csv

    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(data),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(TEXTUAL, pa.string())
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _unreadable(name, error) from error


def read_json_lines(data: Buffer, name: str, longest: int = 0) -> pa.Table:
    """The table in a file of JSON objects, one a line.

    Args:
        data: the bytes of the file.
        name: how to call it in an error.
        longest: bytes of the longest line, if known.

    Raises:
        InvalidInputError: it cannot be read; `name` says which file.
    """
    block = max(1 << 20, 2 * (longest or len(data)))
    textual = pa.schema([(column, pa.string()) for column in TEXTUAL])
    try:
        table = _json(data, block, textual)
    except pa.ArrowInvalid:
        # Numbers cannot be read as text at once: infer their type here, convert them later.
        try:
            return _json(data, block, None)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise _unreadable(name, error) from error
    absent = [name for name in TEXTUAL if table.column(name).null_count == table.num_rows]
    return table.drop_columns(absent)


def read_parquet(data: Buffer, name: str) -> pa.Table:
    """The table in a Parquet file.

    Raises:
        InvalidInputError: it cannot be read; `name` says which file.
    """
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
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


def check_columns(table: pa.Table, name: str) -> pa.Table:
    """Return `table` if no column comes twice.

    Raises:
        InvalidInputError: one does; `name` says which file.
    """
    twice = {column for column in table.column_names if table.column_names.count(column) > 1}
    if twice:
        raise InvalidInputError(f"'{name}' has the column '{min(twice)}' more than once.")
    return table


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


def _json(data: Buffer, block: int, schema: pa.Schema | None) -> pa.Table:
    import pyarrow.json

    return pyarrow.json.read_json(
        pa.BufferReader(data),
        read_options=pyarrow.json.ReadOptions(block_size=block),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=schema),
    )


def _unreadable(name: str, error: Exception) -> InvalidInputError:
    return InvalidInputError(f"'{name}' cannot be read: {_first_line(error)}.")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
