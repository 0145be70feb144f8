"""What of a version the local store has to hold: all of it, or what a partial workspace has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datasets_vc.digest import Digest
from datasets_vc.history.manifest import Manifest
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.context import Context
from datasets_vc.store import Store
from datasets_vc.sync.closure import lacking, lacking_files, lacks_nodes
from datasets_vc.sync.fetch import fetch_dataset, fetch_files, fetch_nodes
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
    return moved + fetch_files(context.store, remote, files, progress)


def needed_files(context: Context, dataset: Digest, need: Need) -> list[Digest]:
    """The files that are needed of a dataset, whose nodes are here."""
    entries = Manifest(context.store, dataset).entries()
    wanted = context.workspace.wanted(entries, need.paths, need.part)
    files: list[Digest] = wanted.column("digest").to_pylist()
    return files
