"""What lies in a workspace, and what is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from datasets_vc.format.columns import Rows
from datasets_vc.workspace.listing import Listing
from datasets_vc.workspace.remembered import Remembered, save_cache
from datasets_vc.workspace.selection import Selection
from datasets_vc.workspace.statcache import StatCache
from datasets_vc.workspace.status import Comparison
from datasets_vc.workspace.unmatched import unmatched_path


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """The workspace `folder` as it was listed after `moment`, by the clock of its own file system.

    One that is not `writable` is not remembered.
    """

    folder: Path
    selection: Selection
    listing: Listing
    cache: Remembered
    moment: int
    writable: bool = True

    def known(self, comparison: Comparison, gone: Rows | None = None) -> StatCache:
        """What is known now of the listed files, but for the rows `gone`.

        Args:
            comparison: of this listing.
        """
        known = comparison.known.copy()
        if gone is not None:
            known[gone] = False
        cache = StatCache(comparison.listing, comparison.digest)
        return cache.picked(known).older_than(self.moment)

    def save(self, folder: Path, known: StatCache) -> None:
        """Remember what is known of the files that were selected."""
        if self.writable:
            save_cache(folder, known, self.cache, self.selection)

    def check_matched(self, *columns: pa.StringArray) -> None:
        """Check that each selected path occurs in one of these columns of paths.

        Raises:
            NotFoundError: one does not.
        """
        unmatched = self.selection.unmatched(*columns)
        if unmatched:
            raise unmatched_path(self.folder, unmatched[0], self.listing.skipped)
