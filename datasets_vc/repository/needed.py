"""What of a version the local store has to hold: all of it, or what a partial workspace has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datasets_vc.digest import Digest
from datasets_vc.format.columns import whole_column
from datasets_vc.format.limits import check_paths
from datasets_vc.history.manifest import Manifest
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.context import Context
from datasets_vc.store import Store
from datasets_vc.sync.closure import lacking, lacking_files, lacks_nodes
from datasets_vc.sync.fetch import (
    fetch_dataset,
    fetch_files,
    fetch_nodes,
    plan_dataset,
    plan_files,
)
from datasets_vc.sync.plan import Receiving
from datasets_vc.sync.transfer import Moved
from datasets_vc.workspace.part import WHOLE, Part


@dataclass(frozen=True, slots=True)
class Need:
    """Which files of a version are needed: those that a checkout with these arguments may write.

    See `Workspace.checkout`. Nodes are needed always.
    """

    paths: Sequence[str] = ()
    part: Part | None = None


EVERYTHING = Need(part=WHOLE)
AS_WORKSPACE = Need()
"""What the workspace has, or is to have, of a version."""


def lacks_needed(context: Context, dataset: Digest, need: Need) -> bool:
    """Whether the local store lacks any of what is needed of a dataset."""
    store = context.store
    if (need.part or context.part).whole:
        return lacking(store, dataset)
    return lacks_nodes(store, dataset) or bool(
        lacking_files(store, needed_files(context, dataset, need))
    )


def fetch_needed(
    context: Context, remote: Store, dataset: Digest, need: Need, progress: Progress = SILENT
) -> Moved:
    """Bring what is needed of a dataset and not here from a remote that has it."""
    if (need.part or context.part).whole:
        return fetch_dataset(context.store, remote, dataset, progress)
    moved = fetch_nodes(context.store, remote, dataset)
    files = needed_files(context, dataset, need)
    return moved + fetch_files(context.store, remote, files, progress, dataset=dataset)


def plan_needed(
    context: Context, remote: Store, dataset: Digest, need: Need
) -> tuple[Moved, Receiving]:
    """Bring the lists of files of a dataset, and say what else `fetch_needed` would bring."""
    if (need.part or context.part).whole:
        return plan_dataset(context.store, remote, dataset)
    moved = fetch_nodes(context.store, remote, dataset)
    recipes, plan = plan_files(context.store, remote, needed_files(context, dataset, need))
    return moved + recipes, plan


def needed_files(context: Context, dataset: Digest, need: Need) -> list[Digest]:
    """The files that are needed of a dataset, whose nodes are here.

    Raises:
        InvalidInputError: a path is too long to be written here.
    """
    entries = Manifest(context.store, dataset).entries()
    check_paths(whole_column(entries, "path"))
    wanted = context.workspace.wanted(entries, need.paths, need.part)
    files: list[Digest] = wanted.column("digest").to_pylist()
    return files
