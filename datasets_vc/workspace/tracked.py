"""Which files a version has already: as in git, patterns of what to ignore do not concern these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from datasets_vc.format.columns import row_of, rows_below, whole_column

_EACH = 32


class Tracked:
    """The paths of versions, asked for by folder.

    Args:
        columns: of each version, in byte order.
    """

    def __init__(self, *columns: pa.StringArray) -> None:
        self._columns = columns

    @classmethod
    def of(cls, *versions: pa.Table) -> Tracked:
        """The paths of tables of entries."""
        return cls(*(whole_column(version, "path") for version in versions))

    def any_below(self, folder: str) -> bool:
        """Whether a version has a file below a folder."""
        bounds = (rows_below(column, folder) for column in self._columns)
        return any(start < stop for start, stop in bounds)

    def among(self, prefix: str, names: Sequence[str]) -> set[str]:
        """Those of some names in a folder that a version has; `prefix` ends with "/" or is ""."""
        found: set[str] = set()
        for column in self._columns:
            found.update(_among(column, prefix, names))
        return found


def _among(paths: pa.StringArray, prefix: str, names: Sequence[str]) -> Iterator[str]:
    if prefix:
        start, stop = rows_below(paths, prefix[:-1])
        paths = paths.slice(start, stop - start)
    if len(names) * _EACH < len(paths):
        return (name for name in names if row_of(prefix + name, paths) >= 0)
    here = set(paths.to_pylist())
    return (name for name in names if prefix + name in here)


NOTHING_TRACKED = Tracked()
