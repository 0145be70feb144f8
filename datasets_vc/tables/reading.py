"""A table of any format, by the suffix of its path."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from datasets_vc.errors import InvalidInputError
from datasets_vc.tables.csv import CsvTable
from datasets_vc.tables.jsonlines import JsonTable
from datasets_vc.tables.parquet import ParquetTable
from datasets_vc.tables.table import KeyedTable

_FORMATS: Mapping[str, Callable[[str, str, bytes], KeyedTable]] = {
    "csv": CsvTable,
    "jsonl": JsonTable,
    "parquet": ParquetTable,
}


def read_table(path: str, key: str, data: bytes) -> KeyedTable:
    """The table at `path`, its rows told apart by the column `key`.

    Raises:
        InvalidInputError: it cannot be read as such: it is damaged or ambiguous, has no such
            column, or a row's key is missing or comes twice.
    """
    kind = _FORMATS.get(path.rpartition(".")[2].lower())
    if kind is None:
        raise InvalidInputError(f"'{path}' is no table: only {', '.join(_FORMATS)} are.")
    try:
        return kind(path, key, data)
    except RecursionError as error:
        raise InvalidInputError(f"'{path}' is nested too deeply.") from error
