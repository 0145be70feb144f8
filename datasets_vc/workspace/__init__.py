"""The folder of ordinary files: what is in it, what changed, in and out of a store."""

from __future__ import annotations

from datasets_vc.workspace.change import CheckedOut
from datasets_vc.workspace.ingest import Ingested
from datasets_vc.workspace.status import Changes
from datasets_vc.workspace.workspace import Workspace

__all__ = ["Changes", "CheckedOut", "Ingested", "Workspace"]
