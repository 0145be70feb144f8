"""The families of verbs: each is loaded when one of its verbs is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets_vc.deferred import Deferred

__all__ = [
    "differences",
    "exchange",
    "git",
    "looking",
    "maintenance",
    "making",
    "merging",
    "pulling",
    "retrying",
    "runs",
    "signing",
    "snapshot",
    "unfinished",
    "working",
]

if TYPE_CHECKING:
    from datasets_vc.history import snapshot
    from datasets_vc.repository import (
        differences,
        exchange,
        looking,
        maintenance,
        making,
        merging,
        pulling,
        retrying,
        signing,
        unfinished,
        working,
    )
    from datasets_vc.runs import runs
    from datasets_vc.workspace import git
else:
    differences = Deferred("datasets_vc.repository.differences")
    exchange = Deferred("datasets_vc.repository.exchange")
    git = Deferred("datasets_vc.workspace.git")
    looking = Deferred("datasets_vc.repository.looking")
    maintenance = Deferred("datasets_vc.repository.maintenance")
    making = Deferred("datasets_vc.repository.making")
    merging = Deferred("datasets_vc.repository.merging")
    pulling = Deferred("datasets_vc.repository.pulling")
    retrying = Deferred("datasets_vc.repository.retrying")
    runs = Deferred("datasets_vc.runs.runs")
    signing = Deferred("datasets_vc.repository.signing")
    snapshot = Deferred("datasets_vc.history.snapshot")
    unfinished = Deferred("datasets_vc.repository.unfinished")
    working = Deferred("datasets_vc.repository.working")
