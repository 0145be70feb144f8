"""The facade: what the rooms do, wired together. The command line calls nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets_vc.history.depth import ENDLESS
    from datasets_vc.repository.choice import RefChoice
    from datasets_vc.repository.differences import Difference, TableDiff
    from datasets_vc.repository.following import PinStatus
    from datasets_vc.repository.merging import Merging
    from datasets_vc.repository.pinning import LOCK_FILE, Pin, PinResult
    from datasets_vc.repository.planning import Planning
    from datasets_vc.repository.repository import Repository
    from datasets_vc.repository.results import (
        CheckoutResult,
        CloneResult,
        CommitInfo,
        CommitResult,
        MergeResult,
        Status,
        SyncPlan,
        SyncResult,
        Transfer,
        Version,
    )
    from datasets_vc.runs.arguments import Overrides, TrainRequest
    from datasets_vc.runs.origin import Caller, ForeignRun
    from datasets_vc.runs.record import RunRecord
    from datasets_vc.runs.runs import Reproduction
    from datasets_vc.sync.updates import RefUpdate
    from datasets_vc.workspace.part import Part, pattern_of

__all__ = [
    "ENDLESS",
    "LOCK_FILE",
    "Caller",
    "CheckoutResult",
    "CloneResult",
    "CommitInfo",
    "CommitResult",
    "Difference",
    "ForeignRun",
    "MergeResult",
    "Merging",
    "Overrides",
    "Part",
    "Pin",
    "PinResult",
    "PinStatus",
    "Planning",
    "RefChoice",
    "RefUpdate",
    "Repository",
    "Reproduction",
    "RunRecord",
    "Status",
    "SyncPlan",
    "SyncResult",
    "TableDiff",
    "TrainRequest",
    "Transfer",
    "Version",
    "pattern_of",
]

_HOMES = {
    "ENDLESS": "history.depth",
    "LOCK_FILE": "repository.pinning",
    "Caller": "runs.origin",
    "CheckoutResult": "repository.results",
    "CloneResult": "repository.results",
    "CommitInfo": "repository.results",
    "CommitResult": "repository.results",
    "Difference": "repository.differences",
    "ForeignRun": "runs.origin",
    "MergeResult": "repository.results",
    "Merging": "repository.merging",
    "Overrides": "runs.arguments",
    "Part": "workspace.part",
    "Pin": "repository.pinning",
    "PinResult": "repository.pinning",
    "PinStatus": "repository.following",
    "Planning": "repository.planning",
    "RefChoice": "repository.choice",
    "RefUpdate": "sync.updates",
    "Repository": "repository.repository",
    "Reproduction": "runs.runs",
    "RunRecord": "runs.record",
    "Status": "repository.results",
    "SyncPlan": "repository.results",
    "SyncResult": "repository.results",
    "TableDiff": "repository.differences",
    "TrainRequest": "runs.arguments",
    "Transfer": "repository.results",
    "Version": "repository.results",
    "pattern_of": "workspace.part",
}


def __getattr__(name: str) -> object:
    # A verb needs few of them: each is loaded when somebody asks for it.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"datasets_vc.{home}"), name)
