"""The facade: what the rooms do, wired together. The command line calls nothing else."""

from datasets_vc.repository.differences import Difference, TableDiff
from datasets_vc.repository.following import PinStatus
from datasets_vc.repository.merging import Merging
from datasets_vc.repository.pinning import Pin, PinResult
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
from datasets_vc.runs.record import RunRecord
from datasets_vc.runs.runs import Reproduction
from datasets_vc.workspace.part import Part

__all__ = [
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
    "Planning",
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
]
