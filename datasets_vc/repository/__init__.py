"""The facade: what the rooms do, wired together. The command line calls nothing else."""

from datasets_vc.history.depth import ENDLESS
from datasets_vc.repository.choice import RefChoice
from datasets_vc.repository.differences import Difference, TableDiff
from datasets_vc.repository.following import PinStatus
from datasets_vc.repository.merging import Merging
from datasets_vc.repository.pinning import Pin, PinResult
from datasets_vc.repository.repository import Repository
from datasets_vc.repository.results import (
    CheckoutResult,
    CloneResult,
    CommitInfo,
    CommitResult,
    MergeResult,
    Status,
    SyncResult,
    Transfer,
    Version,
)
from datasets_vc.runs.arguments import Overrides, TrainRequest
from datasets_vc.runs.record import RunRecord
from datasets_vc.runs.runs import Reproduction
from datasets_vc.sync.updates import RefUpdate
from datasets_vc.workspace.part import Part, pattern_of

__all__ = [
    "ENDLESS",
    "CheckoutResult",
    "CloneResult",
    "CommitInfo",
    "CommitResult",
    "Difference",
    "MergeResult",
    "Merging",
    "Overrides",
    "Part",
    "Pin",
    "PinResult",
    "PinStatus",
    "RefChoice",
    "RefUpdate",
    "Repository",
    "Reproduction",
    "RunRecord",
    "Status",
    "SyncResult",
    "TableDiff",
    "TrainRequest",
    "Transfer",
    "Version",
    "pattern_of",
]
