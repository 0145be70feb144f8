"""Labels and splits that folders give: `split/label/file`, `label/file`, or plain files."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.paths import folders_of
from datasets_vc.samples.splits import (
    canonical_split,
    canonical_splits,
    empty_to_null,
    is_split,
)

_FIRST_TWO = r"^(?:(?P<first>[^/]*)/)?(?:(?P<second>[^/]*)/)?"


@dataclass(frozen=True)
class Folders:
    """What folders say of each path: `label` and `split` are null where they say nothing."""

    label: pa.ChunkedArray
    split: pa.ChunkedArray
    convention: str


def read_folders(paths: pa.ChunkedArray) -> Folders:
    """The label and split of each of the sorted `paths`.

    The folder common to all is stripped first, but for a split at its end, so that a lone
    `digits/train/3/1.png` still is split `train`, label `3`. Then:

    - the first folders all are splits: `split/label/file`, or `split/file`; a file beside them is
      in no split;
    - other first folders: `label/file`, the label being the first folder; a file beside them has
      no label;
    - no folders: plain files.

    Raises:
        InvalidInputError: beside `train` there are folders that are no splits.
    """
    import pyarrow.compute as pc

    common = common_folder(paths)
    relative = pc.utf8_slice_codeunits(paths, len(common) + 1) if common else paths
    parts = pc.extract_regex(relative, _FIRST_TWO)
    first, second = (empty_to_null(pc.struct_field(parts, name)) for name in ("first", "second"))
    names = {name for name in pc.unique(first).to_pylist() if name}
    stripped = common.split("/")

    if names and all(map(is_split, names)):
        return _named(second, canonical_splits(first))
    if is_split(stripped[-1]):
        return _named(first, _constant(canonical_split(stripped[-1]), len(paths)))
    if len(stripped) > 1 and is_split(stripped[-2]) and not names:
        label = _constant(stripped[-1], len(paths))
        return _named(label, _constant(canonical_split(stripped[-2]), len(paths)))
    if "train" in map(str.lower, names):
        raise _unclear(common, names)
    convention = "label/file" if names else "file"
    return Folders(first, _constant(None, len(paths)), convention)


def common_folder(paths: pa.ChunkedArray) -> str:
    """The deepest folder that all of the sorted `paths` lie in, or an empty string."""
    # What the first and the last of sorted strings begin with, all between them begin with.
    first, last = (paths[row].as_py().split("/")[:-1] for row in (0, -1))
    depth = next(
        (depth for depth, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    return "/".join(first[:depth])


def folders_above(paths: pa.ChunkedArray) -> set[str]:
    """Every folder that some of `paths` lie in, at any depth, and the top, which is empty."""
    import pyarrow.compute as pc

    parents = pc.unique(pc.replace_substring_regex(paths, r"/?[^/]*$", "")).to_pylist()
    return {""} | folders_of(f"{parent}/" for parent in parents if parent)


def _named(label: pa.ChunkedArray, split: pa.ChunkedArray) -> Folders:
    convention = "split/file" if label.null_count == len(label) else "split/label/file"
    return Folders(label, split, convention)


def _constant(value: str | None, length: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.repeat(pa.scalar(value, pa.string()), length)])


def _unclear(common: str, names: set[str]) -> InvalidInputError:
    splits = ", ".join(sorted(filter(is_split, names)))
    others = ", ".join(sorted(name for name in names if not is_split(name)))
    place = f"The folders under '{common}'" if common else "The top folders"
    return InvalidInputError(
        f"{place} are partly splits ({splits}) and partly not ({others}).",
        "Select the folder that has the samples, or name samples in a metadata.csv.",
    )
