"""How far commits lie from the tips that lead to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from datasets_vc.digest import Digest
from datasets_vc.history.commits import read_commit
from datasets_vc.history.cut import is_beyond
from datasets_vc.store import Store

ENDLESS = (1 << 31) - 1
"""A depth that no history has."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Commits that some tips lead to in so many steps, and those that the next step led to."""

    within: frozenset[Digest]
    beyond: frozenset[Digest]


def reach(store: Store, tips: Iterable[Digest], depth: int | None = None) -> Reach:
    """The commits from `tips` back, as far as a depth goes, whether history was cut before or not.

    Args:
        depth: how many commits on each way from a tip, at least 1; None: all up to the cut.
    """
    within: set[Digest] = set()
    level = set(tips)
    left = ENDLESS if depth is None else depth
    while level and left:
        within |= level
        parents = {parent for tip in level for parent in read_commit(store, tip).parents}
        if depth is None:
            parents = {parent for parent in parents if not is_beyond(store, parent)}
        level = parents - within
        left -= 1
    return Reach(frozenset(within), frozenset(level))
