"""Tables of people's that have a key: read losslessly, compared and merged by row and by field."""

from __future__ import annotations

from datasets_vc.tables.difference import (
    FieldChange,
    Row,
    RowChange,
    RowDiff,
    compare_tables,
    diff_tables,
)
from datasets_vc.tables.keyed import KEYS_FILE, check_keys, declared_keys, is_table, key_of
from datasets_vc.tables.merge import FieldConflict, MergedTable, merge_tables

__all__ = [
    "KEYS_FILE",
    "FieldChange",
    "FieldConflict",
    "MergedTable",
    "Row",
    "RowChange",
    "RowDiff",
    "check_keys",
    "compare_tables",
    "declared_keys",
    "diff_tables",
    "is_table",
    "key_of",
    "merge_tables",
]
