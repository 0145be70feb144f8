"""Parquet tables: typed columns; null is no value."""

from __future__ import annotations

import json
from functools import reduce
from typing import Any, Self

import numpy as np
import pyarrow as pa

from datasets_vc.digest import digest_of
from datasets_vc.errors import InvalidInputError
from datasets_vc.tables.table import (
    KeyedTable,
    Mask,
    Merge,
    Rows,
    as_numpy,
    check_columns,
    checked_keys,
)

_MANY_CELLS = 1 << 25
_CELLS_A_BYTE = 64
_MUCH = 1 << 30
_MOST_RATIO = 200


class ParquetTable(KeyedTable):
    """A Parquet file in memory."""

    def __init__(self, name: str, key: str, data: bytes) -> None:
        import pyarrow.parquet

        self.name = name
        try:
            file = pyarrow.parquet.ParquetFile(pa.BufferReader(data))
            check_claims(file.metadata, len(data), name)
            self._table = file.read().combine_chunks()
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            message = str(error).splitlines()[0]
            raise InvalidInputError(f"'{name}' cannot be read: {message}") from error
        if any(column.num_chunks > 1 for column in self._table.columns):
            raise InvalidInputError(f"'{name}' has a column that is too large.")
        groups = file.metadata.num_row_groups
        chunk = file.metadata.row_group(0).column(0) if groups else None
        self._compression = chunk.compression if chunk else "SNAPPY"
        self.columns = check_columns(self._table.column_names, key, name)
        self.kinds = {field.name: str(field.type) for field in self._table.schema}
        keys = _plain(self._column(key))
        if not _is_name(keys.type):
            raise InvalidInputError(f"The column '{key}' of '{name}' holds {keys.type}, no names.")
        self.keys = checked_keys(keys.cast(pa.large_string()), key, name)

    def same_as(self, rows: Rows, other: Self, others: Rows) -> Mask:
        if not self._table.schema.equals(other._table.schema):
            return np.zeros(len(rows), np.bool_)
        same = np.ones(len(rows), np.bool_)
        for name in self.columns:
            same &= _same(self._column(name).take(rows), other._column(name).take(others))
        return same

    def fields(self, rows: Rows) -> pa.Table:
        columns = [_cells(self._column(name).take(rows)) for name in self.columns]
        return pa.table(columns, names=list(self.columns))

    def written(self, rows: Rows) -> list[str]:
        found = self.fields(rows).to_pylist()
        rows_of_values = (
            {name: row[name] for name in row if row[name] is not None} for row in found
        )
        return [json.dumps(row, ensure_ascii=False) for row in rows_of_values]

    def assemble(self, theirs: Self, merge: Merge) -> bytes:
        import pyarrow.parquet

        fields, columns = [], []
        for name in merge.columns:
            field = (self if name in self.columns else theirs)._table.schema.field(name)
            column = self._merged(theirs, merge, name, field.type)
            fields.append(field.with_nullable(field.nullable or column.null_count > 0))
            columns.append(column)
        schema = pa.schema(fields, self._table.schema.metadata)
        sink = pa.BufferOutputStream()
        pyarrow.parquet.write_table(
            pa.table(columns, schema=schema), sink, compression=self._compression
        )
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def _merged(self, theirs: Self, merge: Merge, name: str, kind: pa.DataType) -> pa.Array:
        sides = [
            table._column(name) if name in table.columns else pa.nulls(len(table), kind)
            for table in (self, theirs)
        ]
        both = pa.chunked_array(sides).unify_dictionaries().combine_chunks()
        place = np.where(merge.from_theirs(name), len(self) + merge.theirs, merge.ours)
        return both.take(pa.array(place))

    def _column(self, name: str) -> pa.Array:
        column = self._table.column(name)
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def check_claims(metadata: Any, size: int, name: str) -> None:
    """Check that a Parquet file of `size` bytes holds no more than is likely, before it is read.

    Equal values in a row take next to no bytes in it, and as many as others in memory.

    Raises:
        InvalidInputError: it says to hold so much that it may take all memory.
    """
    cells = metadata.num_rows * metadata.num_columns
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if cells > max(_MANY_CELLS, _CELLS_A_BYTE * size) or unpacked > max(_MUCH, _MOST_RATIO * size):
        raise InvalidInputError(
            f"'{name}' says to hold {cells:,} values, {unpacked:,} bytes, in {size:,} bytes.",
            "Write it without columns that say the same in every row.",
        )


def _is_name(kind: pa.DataType) -> bool:
    types = pa.types
    checks = (types.is_string, types.is_large_string, types.is_integer)
    return any(check(kind) for check in checks)


def _plain(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return array.cast(array.type.value_type)
    return array


def _same(one: pa.Array, other: pa.Array) -> Mask:
    """Where two arrays of one type clearly have the same."""
    import pyarrow.compute as pc

    one, other = _plain(one), _plain(other)
    both_null: Mask = as_numpy(pc.and_(pc.is_null(one), pc.is_null(other)))
    if pa.types.is_struct(one.type):
        alike = as_numpy(pc.equal(pc.is_null(one), pc.is_null(other)))
        parts = map(_same, one.flatten(), other.flatten())
        same: Mask = reduce(np.logical_and, parts, alike)
        return same | both_null
    if pa.types.is_nested(one.type):
        pairs = zip(_values(one), _values(other), strict=True)
        return np.fromiter((a == b for a, b in pairs), np.bool_, len(one))
    return as_numpy(pc.fill_null(pc.equal(one, other), False)) | both_null


def _cells(array: pa.Array) -> pa.LargeStringArray:
    """What `array` has, as texts that are equal exactly where the values are."""
    array = _plain(array)
    if not (pa.types.is_nested(array.type) or _is_binary(array.type)):
        try:
            return array.cast(pa.large_string())
        except pa.ArrowException:
            pass
    texts = (value if value is None else _text(value) for value in _values(array))
    return pa.array(texts, pa.large_string())


def _values(array: pa.Array) -> list[Any]:
    try:
        found: list[Any] = array.to_pylist()
    except (ValueError, OverflowError) as error:
        # Times of which Python's types cannot hold all digits.
        raise InvalidInputError(f"Values of the type {array.type} cannot be compared.") from error
    return found


def _is_binary(kind: pa.DataType) -> bool:
    types = pa.types
    checks = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return any(check(kind) for check in checks)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return _opaque(value)
    return json.dumps(value, ensure_ascii=False, default=_opaque)


def _opaque(value: Any) -> str:
    """Bytes, such as an image in a table, by their size and digest; times and the like as text."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes {digest_of(value).hex()}"
    return str(value)
