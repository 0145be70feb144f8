"""A set of very many digests that grows, as columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datasets_vc.format.location import DigestKeys


class KeySet:
    """Digests in sorted columns, each at most half as long as the one before: few to search."""

    def __init__(self) -> None:
        self._columns: list[DigestKeys] = []

    def add(self, keys: DigestKeys) -> None:
        if not len(keys):
            return
        self._columns.append(np.sort(keys))
        while len(self._columns) > 1 and len(self._columns[-2]) < 2 * len(self._columns[-1]):
            last = self._columns.pop()
            self._columns[-1] = np.sort(np.concatenate([self._columns[-1], last]))

    def contains(self, keys: DigestKeys) -> NDArray[np.bool_]:
        """Which of `keys` are in the set."""
        found = np.zeros(len(keys), bool)
        for column in self._columns:
            at = np.searchsorted(column, keys)
            at[at == len(column)] = 0
            found |= column[at] == keys
        return found
