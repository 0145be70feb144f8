"""What lies in a workspace, and what is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.errors import NotFoundError
from datasets_vc.workspace.columns import Rows
from datasets_vc.workspace.listing import Listing
from datasets_vc.workspace.remembered import Remembered
from datasets_vc.workspace.selection import Selection
from datasets_vc.workspace.statcache import StatCache
from datasets_vc.workspace.status import Comparison


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A workspace as it was listed after `moment`, by the clock of its own file system."""

    selection: Selection
    listing: Listing
    cache: Remembered
    moment: int

    def known(self, comparison: Comparison, gone: Rows | None = None) -> StatCache:
        """What is known now of the listed files but for the rows `gone`, and of those unselected.

        Args:
            comparison: of this listing.
        """
        known = comparison.known.copy()
        if gone is not None:
            known[gone] = False
        cache = StatCache(comparison.listing, comparison.digest)
        cache = cache.picked(known).older_than(self.moment)
        return self.cache.outside(self.selection, cache)

    def check_matched(self, *columns: pa.StringArray) -> None:
        """Check that each selected path occurs in one of these columns of paths.

        Raises:
            NotFoundError: one does not.
        """
        unmatched = self.selection.unmatched(*columns)
        if unmatched:
            raise NotFoundError(
                f"There is no '{unmatched[0]}' here, neither now nor in that version.",
                "Paths are relative to the workspace; 'dsvc ls' shows what a version has.",
            )
