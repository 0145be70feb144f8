"""Which entries are samples of which media: by suffix, whatever the case."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import FILE

MEDIA = ("image", "video", "text")
ROW_SUFFIXES = ("jsonl", "csv")
METADATA_SUFFIXES = ("csv", "jsonl", "parquet")

_SUFFIXES = {
    "image": ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff"),
    "video": ("mp4", "mov", "mkv", "webm", "avi"),
    "text": ("txt", *ROW_SUFFIXES),
}
_PLURALS = {"image": "images", "video": "videos", "text": "texts"}
_HIDDEN = r"(?:^|/)\."
_METADATA = rf"(?i)(?:^|/)metadata\.(?:{'|'.join(METADATA_SUFFIXES)})$"
# Files that describe a folder for people are no texts to learn from.
_ABOUT = r"(?i)(?:^|/)(?:readme|licen[cs]e|notice|changelog|requirements)[^/]*\.txt$"


def check_media(media: str) -> str:
    """Return `media` if it is one of `MEDIA`.

    Raises:
        InvalidInputError: it is anything else.
    """
    if media not in MEDIA:
        raise InvalidInputError(
            f"'{media}' is no kind of media.", f"Choose of: {', '.join(MEDIA)}."
        )
    return media


def visible_files(entries: pa.Table, under: str = "") -> pa.Table:
    """The files at or below the folder `under`, without hidden ones (`.name`, or in such a folder).

    Links are not followed: what they lead to is in the dataset under its own path, or is not in it.
    """
    import pyarrow.compute as pc

    path = entries.column("path")
    keep = pc.and_(pc.equal(entries.column("kind"), FILE), pc.invert(_matches(path, _HIDDEN)))
    if under:
        inside = pc.or_(pc.equal(path, under), pc.starts_with(path, under + "/"))
        keep = pc.and_(keep, inside)
    return entries.filter(keep)


def media_files(files: pa.Table, media: str) -> pa.Table:
    """Those of `files` that hold samples of `media`."""
    import pyarrow.compute as pc

    path = files.column("path")
    keep = with_suffix(path, _SUFFIXES[media])
    if media == "text":
        keep = pc.and_not(pc.and_not(keep, _matches(path, _METADATA)), _matches(path, _ABOUT))
    return files.filter(keep)


def metadata_files(files: pa.Table) -> pa.Table:
    """Those of `files` that are named `metadata.csv`, `metadata.jsonl` or `metadata.parquet`."""
    return files.filter(_matches(files.column("path"), _METADATA))


def with_suffix(path: pa.ChunkedArray, suffixes: tuple[str, ...]) -> pa.ChunkedArray:
    """For each path whether it ends with one of `suffixes`."""
    return _matches(path, rf"(?i)\.(?:{'|'.join(suffixes)})$")


def nothing_found(files: pa.Table, media: str, under: str) -> InvalidInputError:
    """The error that says that there is no sample of `media`, and what there is instead."""
    place = f"under '{under}'" if under else "in this dataset"
    if not files.num_rows:
        what = f"Nothing lies {place}." if under else "This dataset has no files."
        return InvalidInputError(what, "`dsvc ls REV` shows the paths of a version.")
    message = f"There are no {_PLURALS[media]} {place}: it holds {_inventory(files)}."
    hint = (
        f"Suffixes of {_PLURALS[media]}: {', '.join('.' + suffix for suffix in _SUFFIXES[media])}"
    )
    rows = "; .jsonl and .csv need a column 'text'." if media == "text" else "."
    return InvalidInputError(message, hint + rows)


def _inventory(files: pa.Table, most: int = 4) -> str:
    names = (path.rsplit("/", 1)[-1] for path in files.column("path").to_pylist())
    counts = Counter(
        "." + name.rsplit(".", 1)[1].lower() if "." in name else "no suffix" for name in names
    )
    parts = [f"{count} x {suffix}" for suffix, count in counts.most_common(most)]
    return ", ".join(parts) + (", ..." if len(counts) > most else "")


def _matches(path: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.match_substring_regex(path, pattern)
