"""Git for training data. The names below are the library's public surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Access", "Repository", "Snapshot", "__version__"]

if TYPE_CHECKING:
    from datasets_vc.addresses import Access
    from datasets_vc.history.snapshot import Snapshot
    from datasets_vc.repository import Repository


def __getattr__(name: str) -> object:
    # `dsvc --version` imports this package and needs neither of these, nor the 0.3 s they take.
    if name == "Access":
        from datasets_vc.addresses import Access

        return Access
    if name == "Snapshot":
        from datasets_vc.history.snapshot import Snapshot

        return Snapshot
    if name == "Repository":
        from datasets_vc.repository import Repository

        return Repository
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
