"""Where the history in a store is cut (`shallow` in docs/format.md, section 9)."""

from __future__ import annotations

from datasets_vc.digest import Digest
from datasets_vc.errors import MissingDataError
from datasets_vc.format.commit import Commit
from datasets_vc.store import Store

_HINT = "Bring the rest of the history: dsvc fetch --unshallow"


class CutHistoryError(MissingDataError):
    """What was asked can only be known from commits before the place where history is cut."""

    def __init__(self, message: str) -> None:
        super().__init__(message, _HINT)


def is_beyond(store: Store, commit: Digest) -> bool:
    """Whether a commit that another one names as its parent lies beyond the cut."""
    if not store.shallow:
        return False
    # Bytes of commits come along with others, and then it is chance how far back they lead.
    return commit in store.shallow or store.find(commit) is None


def parents_here(store: Store, commit: Commit) -> tuple[Digest, ...]:
    """The parents of a commit that are not beyond the cut: all of them in most stores."""
    if not store.shallow:
        return commit.parents
    return tuple(parent for parent in commit.parents if not is_beyond(store, parent))
