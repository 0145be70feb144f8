"""The table of samples of one media in a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from datasets_vc.digest import Buffer
from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.folders import folders_above, read_folders
from datasets_vc.samples.media import (
    ROW_SUFFIXES,
    check_media,
    media_files,
    metadata_files,
    nothing_found,
    visible_files,
    with_suffix,
)
from datasets_vc.samples.metadata import MetadataFile, join_metadata, read_metadata
from datasets_vc.samples.rows import read_rows
from datasets_vc.samples.splits import (
    FRACTIONS,
    canonical_split,
    canonical_splits,
    check_fractions,
    hash_keys,
    is_split,
    splits_by_hash,
)
from datasets_vc.samples.tabular import concat

if TYPE_CHECKING:
    from datasets_vc.history.snapshot import Snapshot


_MOST_DIGITS = 100


@dataclass(frozen=True)
class SampleTable:
    """The samples of one media, in the order of their paths.

    `table` has the columns `path`, `digest` and `size` (of the file, in bytes), `label` and `split`
    (strings, null where there is none), and the samples' other fields. If samples are rows of
    files, `row` (counted from 1), `row_start` and `row_end` (its bytes in the file) say which;
    these are null for samples that are whole files.
    """

    table: pa.Table
    media: str
    convention: str
    classes: list[str]
    """The labels over all splits, sorted: by value if all are whole numbers, else as text."""
    ignored: int
    """Files of the media without samples: not named in the metadata, or tables without texts."""

    @property
    def splits(self) -> list[str]:
        """The splits that have samples, sorted."""
        return sorted(split for split in self.table.column("split").unique().to_pylist() if split)


def sample_table(
    snapshot: Snapshot,
    media: str,
    *,
    under: str = "",
    fractions: Mapping[str, float] = FRACTIONS,
) -> SampleTable:
    """The samples of `media` in a dataset, by the first convention that fits.

    Conventions: metadata files beside the media; else folders (`split/label/file`, `label/file`, or
    plain files). Texts also are the rows of `.jsonl` and `.csv` files with a column `text`; such a
    file that is named like a split is that split.

    Args:
        snapshot: the dataset.
        media: one of `MEDIA`.
        under: the folder (or file) to look at; all of the dataset if empty.
        fractions: how samples are divided if nothing says what their split is, by hash of their
            path (of a row: of its bytes), so that adding samples moves none.

    Raises:
        InvalidInputError: there are no such samples, or what describes them is wrong.
    """
    check_media(media)
    check_fractions(fractions)
    under = under.strip("/")
    everything = visible_files(snapshot.entries())
    files = visible_files(everything, under)
    found = media_files(files, media)
    if not found.num_rows:
        raise nothing_found(files, media, under)
    named = _by_metadata(snapshot, everything, found)
    keys = None
    if named is not None:
        table, convention = named
    elif media == "text":
        table, convention, keys = _texts(snapshot, found)
    else:
        table, convention = _by_folders(found)
    if not table.num_rows:
        raise nothing_found(files, media, under)
    table = _with_splits(table, keys, fractions)
    by_file = named is None and keys is None
    ignored = 0 if by_file else found.num_rows - len(table.column("path").unique())
    return SampleTable(table, media, convention, _classes(table), ignored)


def _by_metadata(
    snapshot: Snapshot, everything: pa.Table, found: pa.Table
) -> tuple[pa.Table, str] | None:
    """The samples that metadata files in or above the media's folders name; None if none do."""
    candidates = metadata_files(everything)
    if not candidates.num_rows:
        return None
    above = folders_above(found.column("path"))
    folders = (path.rpartition("/")[0] for path in candidates.column("path").to_pylist())
    data = _read(snapshot, candidates.filter(pa.array([folder in above for folder in folders])))
    tables = {
        path: table
        for path, buffer in data.items()
        if (table := read_metadata(MetadataFile(path, buffer))) is not None
    }
    if not tables:
        return None
    table = join_metadata(found, everything, tables)
    if not table.num_rows:
        return None
    table = table.set_column(table.column_names.index("split"), "split", _split_of_named(table))
    names = sorted({path.rsplit("/", 1)[-1] for path in tables})
    return table, " and ".join(names)


def _split_of_named(table: pa.Table) -> pa.ChunkedArray:
    """The split in the metadata; if no row has one, what the folders say."""
    given = table.column("split")
    if given.null_count < len(given):
        return canonical_splits(given)
    try:
        return read_folders(table.column("path")).split
    except InvalidInputError:
        # Folders need not mean anything where metadata says what the samples are.
        return given


def _by_folders(found: pa.Table) -> tuple[pa.Table, str]:
    folders = read_folders(found.column("path"))
    table = found.select(["path", "digest", "size"])
    table = table.append_column("label", folders.label).append_column("split", folders.split)
    return table, folders.convention


def _texts(snapshot: Snapshot, found: pa.Table) -> tuple[pa.Table, str, np.ndarray | None]:
    """Texts that are files, and those that are rows of files, with what decides on their splits."""
    import pyarrow.compute as pc

    table, convention = _by_folders(found)
    in_rows = with_suffix(table.column("path"), ROW_SUFFIXES)
    row_files = table.filter(in_rows)
    if not row_files.num_rows:
        return table, convention, None
    whole = table.filter(pc.invert(in_rows))
    parts = []
    for file, data in zip(row_files.to_pylist(), _read(snapshot, row_files).values(), strict=True):
        rows = read_rows(data, file["path"])
        if rows is not None:
            parts.append(_with_file(rows, file))
    if not parts:
        return whole, convention, None
    kinds = sorted(
        {
            "." + part.column("path")[0].as_py().rsplit(".", 1)[1].lower()
            for part in parts
            if part.num_rows
        }
    )
    convention = (f"{convention} and " if whole.num_rows else "") + f"rows of {', '.join(kinds)}"
    whole = whole.append_column("_key", pa.array(hash_keys(whole.column("path"))))
    table = concat([whole, *parts])
    table = table.sort_by([("path", "ascending"), ("row", "ascending")])
    return table.drop_columns("_key"), convention, table.column("_key").to_numpy()


def _with_file(rows: pa.Table, file: Mapping[str, object]) -> pa.Table:
    """The rows of a file with its columns; label and split are the row's own, else the file's."""
    import pyarrow.compute as pc

    stem = str(file["path"]).rsplit("/", 1)[-1].rsplit(".", 1)[0]
    split = canonical_split(stem) if is_split(stem) else file["split"]
    columns = {name: rows.column(name) for name in rows.column_names}
    columns["label"] = pc.coalesce(columns["label"], pa.scalar(file["label"], pa.string()))
    columns["split"] = pc.coalesce(
        canonical_splits(columns["split"]), pa.scalar(split, pa.string())
    )
    own = {
        "path": pa.repeat(pa.scalar(file["path"], pa.string()), rows.num_rows),
        "digest": pa.repeat(pa.scalar(file["digest"], pa.binary(32)), rows.num_rows),
        "size": pa.repeat(pa.scalar(file["size"], pa.uint64()), rows.num_rows),
    }
    return pa.table(own | columns)


def _with_splits(
    table: pa.Table, keys: np.ndarray | None, fractions: Mapping[str, float]
) -> pa.Table:
    """Splits by hash if no sample has one; a sample beside those that have one is in no split."""
    column = table.column("split")
    if column.null_count < len(column):
        return table
    keys = hash_keys(table.column("path")) if keys is None else keys
    index = table.column_names.index("split")
    return table.set_column(index, "split", splits_by_hash(keys, fractions))


def _classes(table: pa.Table) -> list[str]:
    labels = [label for label in table.column("label").unique().to_pylist() if label is not None]
    if all(_is_whole_number(label) for label in labels):
        return sorted(labels, key=int)
    return sorted(labels)


def _is_whole_number(label: str) -> bool:
    short = len(label) <= _MOST_DIGITS  # Python converts no numbers of thousands of digits
    return short and label.isascii() and label.isdigit() and str(int(label)) == label


def _read(snapshot: Snapshot, files: pa.Table) -> dict[str, Buffer]:
    data = snapshot.read_many(files.column("digest").to_pylist())
    return dict(zip(files.column("path").to_pylist(), data, strict=True))
