"""Samples named by `metadata.{csv,jsonl,parquet}` files that lie beside the media.

As in Hugging Face's imagefolder: the column `file_name` is a path relative to the metadata file's
folder, and the other columns are fields of the sample. `label` and `split` have a meaning of their
own.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.digest import Buffer
from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.tabular import (
    concat,
    read_csv,
    read_json_lines,
    read_parquet,
    text_column,
)

# Columns that a sample has in any case: a field of the same name gets "_" appended.
RESERVED = ("path", "digest", "size", "row", "row_start", "row_end")

_READERS = {"csv": read_csv, "jsonl": read_json_lines, "parquet": read_parquet}


@dataclass(frozen=True)
class MetadataFile:
    """A metadata file at `path` and its bytes."""

    path: str
    data: Buffer

    @property
    def folder(self) -> str:
        """The folder that `file_name` is relative to, with a slash at its end unless empty."""
        return self.path[: self.path.rfind("/") + 1]


def read_metadata(file: MetadataFile) -> pa.Table | None:
    """The rows of a metadata file: whole `path`, `label`, `split`, `_row` (from 1) and fields.

    Returns:
        None if it has no column `file_name`, which makes it some other table of the user's.

    Raises:
        InvalidInputError: it cannot be read, or a `file_name` is missing or climbs out of the
        folder.
    """
    import pyarrow.compute as pc

    table = _READERS[file.path.rsplit(".", 1)[1].lower()](file.data, file.path)
    if "file_name" not in table.column_names:
        return None
    names = text_column(table, "file_name", file.path)
    # "./a.png" and Windows' "images\a.png" are what tools write for paths of a dataset.
    names = pc.replace_substring_regex(pc.replace_substring(names, "\\", "/"), r"^(?:\./)+", "")
    _refuse(names, pc.is_null(names), file.path, "has no file_name")
    climbs = pc.match_substring_regex(names, r"^/|(?:^|/)\.\.(?:/|$)")
    _refuse(names, climbs, file.path, "names a file outside of its folder:")
    columns = {
        "path": pc.binary_join_element_wise(file.folder, names, ""),
        "label": text_column(table, "label", file.path),
        "split": text_column(table, "split", file.path),
        "_row": pa.array(range(1, table.num_rows + 1), pa.int64()),
    }
    return pa.table(columns | fields_of(table, drop=("file_name", "label", "split")))


def fields_of(table: pa.Table, drop: tuple[str, ...]) -> dict[str, pa.ChunkedArray]:
    """The columns of `table` but for `drop`, under names that clash with no column of a sample."""
    return {
        name + "_" * (name in RESERVED or name.startswith("_")): _plain(table.column(name))
        for name in table.column_names
        if name not in drop
    }


def join_metadata(media: pa.Table, files: pa.Table, tables: dict[str, pa.Table]) -> pa.Table:
    """The samples that metadata files name: rows of `media` (path, digest, size) with their fields.

    Args:
        media: the files of the media, sorted by path.
        files: all files of the dataset: rows may name other media, but not what is absent.
        tables: what `read_metadata` gives, by the metadata file's path.

    Raises:
        InvalidInputError: a row names an absent file, or two metadata files name the same one.
    """
    import pyarrow.compute as pc

    known = files.column("path").combine_chunks()
    wanted = media.column("path").combine_chunks()
    parts = []
    for name, table in tables.items():
        absent = pc.invert(pc.is_in(table.column("path"), value_set=known))
        _refuse(table.column("path"), absent, name, "names a file that is not in the dataset:")
        row = pc.index_in(table.column("path"), value_set=wanted)
        part = table.append_column("_media", row).filter(pc.is_valid(row))
        parts.append(part.append_column("_from", pa.repeat(name, part.num_rows)))
    rows = concat(parts)
    if len(tables) > 1:
        _refuse_overlap(rows)
    rows = rows.sort_by([("_media", "ascending"), ("_row", "ascending")])
    found = media.select(["path", "digest", "size"]).take(rows.column("_media"))
    for name in rows.column_names:
        if name not in ("path", "_row", "_media", "_from"):
            found = found.append_column(name, rows.column(name))
    return found


def _refuse(values: pa.ChunkedArray, bad: pa.ChunkedArray, name: str, what: str) -> None:
    import pyarrow.compute as pc

    row = pc.index(bad, True).as_py()
    if row < 0:
        return
    value = values[row].as_py()
    shown = f" '{value}'" if value else ""
    raise InvalidInputError(
        f"Row {row + 1} of '{name}' {what}{shown}.",
        "Correct the row, or add the file; file_name is relative to the metadata file's folder.",
    )


def _refuse_overlap(rows: pa.Table) -> None:
    """Two metadata files that name one file leave open which is right."""
    import pyarrow.compute as pc

    sources = rows.group_by("path").aggregate(
        [("_from", "count_distinct"), ("_from", "min"), ("_from", "max")]
    )
    doubtful = sources.filter(pc.greater(sources.column("_from_count_distinct"), 1))
    if doubtful.num_rows:
        path, one, other = (
            doubtful.column(name)[0].as_py() for name in ("path", "_from_min", "_from_max")
        )
        raise InvalidInputError(
            f"'{path}' is named by two metadata files, '{one}' and '{other}'.", "Keep one of them."
        )


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dictionary-encoded columns decoded: files of one dataset may differ in it."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column
