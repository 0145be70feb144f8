"""Fetch: bring history, datasets and refs from a remote store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from datasets_vc.digest import Digest
from datasets_vc.format.node import Node
from datasets_vc.format.pack import METADATA
from datasets_vc.format.root import Refs, Root
from datasets_vc.history.commits import read_commit
from datasets_vc.history.manifest import read_nodes
from datasets_vc.history.tagobjects import peeled, tag_objects
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import Store
from datasets_vc.store.compact import HISTORY_BELOW
from datasets_vc.sync.closure import dataset_chunks, file_chunks
from datasets_vc.sync.transfer import Moved, receive


def fetch_history(local: Store, remote: Store, tips: Sequence[Digest]) -> Moved:
    """Bring commits and all before them, without their datasets; and tag objects with theirs."""
    moved = Moved()
    if not local.index.contains(tips).all():
        # One commit says which come before it, and nothing but its size which chunks are commits.
        # What else is as short costs little: else each commit would be a request of its own.
        moved += receive(local, remote, remote.index.short(METADATA, HISTORY_BELOW))
    moved += receive(local, remote, tips)
    tags = tag_objects(local, tips)
    todo = list(dict.fromkeys(tags[tip].object if tip in tags else tip for tip in tips))
    seen: set[Digest] = set()
    while todo:
        moved += receive(local, remote, todo)
        seen.update(todo)
        parents = [parent for tip in todo for parent in read_commit(local, tip).parents]
        todo = [parent for parent in dict.fromkeys(parents) if parent not in seen]
    return moved


def fetch_dataset(
    local: Store, remote: Store, dataset: Digest, progress: Progress = SILENT
) -> Moved:
    """Bring all of a dataset that the local store does not have."""
    moved = Moved()

    def prepare(digests: Sequence[Digest]) -> None:
        nonlocal moved
        moved += receive(local, remote, digests)

    chunks = dataset_chunks(local, dataset, remote.index, prepare=prepare)
    return moved + receive(local, remote, chunks, progress)


def fetch_nodes(local: Store, remote: Store, dataset: Digest) -> Moved:
    """Bring the nodes of a dataset without its files: enough to list it, to compare and merge."""
    moved = Moved()
    level = [dataset]
    while level:
        moved += receive(local, remote, level)
        nodes = read_nodes(local, level)
        inner = [node.rows.column("digest").to_pylist() for node in nodes if node.level]
        level = [digest for digests in inner for digest in digests]
    return moved


def fetch_parts(
    local: Store,
    remote: Store,
    datasets: Iterable[Digest],
    children: Callable[[Node], Iterable[Digest]],
) -> Moved:
    """Bring nodes of many datasets in a few requests: of each node, those that `children` picks."""
    moved = Moved()
    level = list(dict.fromkeys(datasets))
    while level:
        moved += receive(local, remote, level)
        nodes = read_nodes(local, level)
        level = list(dict.fromkeys(child for node in nodes for child in children(node)))
    return moved


def fetch_files(
    local: Store, remote: Store, files: Sequence[Digest], progress: Progress = SILENT
) -> Moved:
    """Bring files whole, with the pieces that they are made of."""
    moved = receive(local, remote, files, progress)
    return moved + receive(local, remote, file_chunks(local, files), progress)


def update_tracking(local: Store, name: str, seen: Root) -> Root:
    """Remember where the branches of the remote `name` were; take over tags that are new here.

    What was not fetched stays as it was: a push looks at the whole root and brings nothing.
    """
    prefix = f"{name}/"
    branches, tags = (_held(local, refs) for refs in (seen.branches, seen.tags))

    def change(root: Root) -> Root:
        kept: Refs = {
            ref: commit
            for ref, commit in root.tracking.items()
            if not ref.startswith(prefix) or ref.removeprefix(prefix) in seen.branches
        }
        theirs = {prefix + branch: commit for branch, commit in branches.items()}
        return replace(root, tracking=dict(kept) | theirs, tags=tags | dict(root.tags))

    held = {*branches.values(), *tags.values()}
    return local.swap_root(change, local.counting_on(held))


def _held(local: Store, refs: Refs) -> dict[str, Digest]:
    """Those refs whose commits are here."""
    names = list(refs)
    commits = list(peeled(local, refs).values())
    here = local.index.contains(commits) & local.index.contains(list(refs.values()))
    return {name: refs[name] for name, found in zip(names, here.tolist(), strict=True) if found}
