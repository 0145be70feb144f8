"""Splits: the names that people give them, and splits made by hash where none are given."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from datasets_vc.errors import InvalidInputError

FRACTIONS: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}

_NAMES = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}


def canonical_split(name: str) -> str:
    """The one name of a split that has several: `val` for `valid`, `validation` and `dev`."""
    return _NAMES.get(name.lower(), name)


def is_split(name: str) -> bool:
    """Whether a folder or file of this name is taken for a split."""
    return name.lower() in _NAMES


def canonical_splits(names: pa.ChunkedArray) -> pa.ChunkedArray:
    """`canonical_split` of each; empty names become null."""
    import pyarrow.compute as pc

    found = pc.index_in(pc.utf8_lower(names), value_set=pa.array(list(_NAMES)))
    known = pc.take(pa.array(list(_NAMES.values())), found)
    return empty_to_null(pc.coalesce(known, names))


def empty_to_null(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """`texts` with null in place of the empty ones."""
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Refuse fractions that do not make up a whole.

    Raises:
        InvalidInputError: one is negative, or they do not add up to 1.
    """
    values = list(fractions.values())
    if not values or min(values) < 0 or abs(sum(values) - 1) > 1e-9:
        raise InvalidInputError(
            f"The fractions of the splits {dict(fractions)} do not add up to 1."
        )


def hash_keys(paths: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """XXH3-64 of each path: what decides on a sample's split where none is given."""
    keys = (xxh3_64_intdigest(path) for path in paths.cast(pa.binary()).to_pylist())
    return np.fromiter(keys, np.uint64, len(paths))


def splits_by_hash(
    keys: np.ndarray[tuple[int], np.dtype[np.uint64]], fractions: Mapping[str, float]
) -> pa.Array:
    """A split for each key: the unit interval is cut by the fractions, a key falls into one part.

    A sample's split depends on its key and the fractions alone, so that adding samples moves none.
    """
    bounds = np.cumsum(list(fractions.values()))[:-1]
    place = np.searchsorted(bounds, keys / 2.0**64, side="right")
    return pa.array([canonical_split(name) for name in fractions]).take(pa.array(place))
