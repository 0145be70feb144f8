"""Where two lines of history parted."""

from __future__ import annotations

from datasets_vc.digest import Digest
from datasets_vc.history.merge import Merge
from datasets_vc.store import Store


def merge_bases(store: Store, a: Digest, b: Digest) -> list[Digest]:
    """The best common ancestors of two commits, by digest: those before no other one.

    None for unrelated histories; several where the two lines were merged crosswise.
    """
    raise NotImplementedError


def merge_base(store: Store, a: Digest, b: Digest) -> Digest | None:
    """The best common ancestor; of several the first by digest, so that no side is preferred."""
    return next(iter(merge_bases(store, a, b)), None)


def merge_commits(store: Store, ours: Digest, theirs: Digest) -> Merge:
    """Merge the datasets of two commits from where their histories parted.

    Of several best common ancestors, a base is made by merging them; where they disagree, it
    agrees with neither side.
    """
    raise NotImplementedError


def commits_merged(store: Store, ours: Digest, theirs: Digest) -> list[Digest]:
    """The commits whose datasets `merge_commits` reads: a partial store may lack their nodes."""
    raise NotImplementedError
