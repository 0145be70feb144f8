"""Push: give a remote store what it lacks, then move its refs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError
from datasets_vc.format.root import Root
from datasets_vc.history.commits import read_commit, walk
from datasets_vc.history.cut import CutHistoryError, is_beyond
from datasets_vc.history.tagobjects import peeled, tag_objects
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import Store, Written
from datasets_vc.store.compact import SMALL_AT_REMOTE, compact
from datasets_vc.store.counted import CollectedError, whole_tables
from datasets_vc.store.index import ChunkIndex
from datasets_vc.sync.closure import dataset_chunks
from datasets_vc.sync.transfer import Moved, send
from datasets_vc.sync.updates import PushedRefs, RefUpdate, apply_updates, plan_updates

_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Extra:
    """What a push takes along beside a branch: whole datasets, and chunks (for runs)."""

    datasets: Sequence[Digest] = ()
    chunks: Sequence[Digest] = ()


def push_branch(
    local: Store,
    remote: Store,
    branch: str,
    tip: Digest,
    *,
    extra: Extra | None = None,
    progress: Progress = SILENT,
) -> tuple[Moved, Root]:
    """Make `branch` of the remote name `tip`, and push the tags that lie before it.

    Returns:
        What was moved, and the remote's root afterwards.

    Raises:
        ConflictError: see `push_refs`.
    """
    refs = PushedRefs({branch: tip}, default=branch)
    pushed = push_refs(local, remote, refs, extra=extra, progress=progress)
    return pushed.moved, pushed.root


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push has moved, what came of each ref, and the remote's root afterwards."""

    moved: Moved
    updates: Sequence[RefUpdate]
    root: Root


def push_refs(
    local: Store,
    remote: Store,
    refs: PushedRefs,
    *,
    extra: Extra | None = None,
    progress: Progress = SILENT,
) -> Pushed:
    """Bring refs to a remote with all that they reach, and the tags that lie before its branches.

    All of them move in one swap of the remote's root, or none does.

    Raises:
        ConflictError, NotFoundError, InvalidInputError, CutHistoryError: see `plan_updates`.
        CutHistoryError: the remote lacks commits that lie beyond where our history is cut.
    """
    root = remote.refresh()
    refs = replace(refs, tags=_tags_before(local, refs.branches.values()) | dict(refs.tags))
    updates = plan_updates(local, root, refs, remote.url)

    def missing() -> list[Digest]:
        return _missing_there(
            local, remote, refs.branches.values(), extra or Extra(), refs.tags.values()
        )

    wanted = missing()
    if not wanted and all(update.outcome == "unchanged" for update in updates):
        return Pushed(Moved(), updates, root)

    def change(root: Root) -> Root:
        return apply_updates(root, updates, refs.default, remote.url)

    written, root = _deliver(local, remote, wanted, missing, change, progress)
    with suppress(DatasetError):  # The push is done, whatever comes of tidying up.
        compact(remote, SMALL_AT_REMOTE, source=local)
    return Pushed(Moved(len(written.packs), written.chunks), updates, root)


def _deliver(
    local: Store,
    remote: Store,
    wanted: Sequence[Digest],
    missing: Callable[[], Sequence[Digest]],
    change: Callable[[Root], Root],
    progress: Progress,
) -> tuple[Written, Root]:
    """Send chunks and publish them; if a collection was there meanwhile, what it has taken, too.

    Args:
        missing: finds out anew what the remote lacks, by its index.
    """
    written = Written()
    for _ in range(_ATTEMPTS):
        generation = remote.seen.gc_generation
        sent = send(local, remote, wanted, progress)
        written = replace(
            sent,
            tables=(*written.tables, *sent.tables),
            bytes=written.bytes + sent.bytes,
            chunks=written.chunks + sent.chunks,
        )

        def unless_collected(root: Root, generation: int = generation) -> Root:
            if root.gc_generation != generation:
                raise CollectedError(f"A collection went on at {remote.url} meanwhile.")
            return change(root)

        try:
            return written, remote.publish(written, unless_collected)
        except CollectedError:
            root = remote.refresh()
            tables = whole_tables(remote.backend, root, written.tables)
            written = replace(written, tables=tables)
            lacking = missing()
            wanted = ChunkIndex(written.tables).locate(lacking).missing() if lacking else []
    raise CollectedError(f"Collections go on at {remote.url} all the time.")


def _missing_there(
    local: Store,
    remote: Store,
    branches: Iterable[Digest],
    extra: Extra,
    tags: Collection[Digest],
) -> list[Digest]:
    """All chunks of the history up to `branches` and `tags`, and of `extra`, that are not there.

    A remote that has a commit or a node has all that lies below it: it was published as a whole.
    """
    going: set[Digest] = set()

    def present(digests: Sequence[Digest]) -> NDArray[np.bool_]:
        there = remote.index.contains(digests)
        there |= np.array([digest in going for digest in digests], bool)
        return there

    objects = tag_objects(local, tags)
    tagged = [objects[tag].object if tag in objects else tag for tag in tags]
    commits = _new_commits(local, remote, [*branches, *tagged])
    datasets = [read_commit(local, commit).dataset for commit in commits]
    wanted = list(commits)
    for dataset in dict.fromkeys([*datasets, *extra.datasets]):
        new = dataset_chunks(local, dataset, local.index, present=present)
        going.update(new)
        wanted += new
    # Tags name commits, which are among those above or there, or tag objects.
    chunks = list(dict.fromkeys([*extra.chunks, *tags]))
    known = present(chunks).tolist()
    wanted += [chunk for chunk, there in zip(chunks, known, strict=True) if not there]
    return wanted


def _new_commits(local: Store, remote: Store, tips: Iterable[Digest]) -> list[Digest]:
    new: dict[Digest, None] = {}
    todo = list(tips)
    while todo:
        commit = todo.pop()
        if commit in new or remote.find(commit):
            continue
        if is_beyond(local, commit):
            raise CutHistoryError(
                f"The history of this store is cut, and {remote.url} lacks what lies beyond, such "
                f"as commit {commit.hex()[:12]}: it would not be complete there."
            )
        new[commit] = None
        todo.extend(read_commit(local, commit).parents)
    return list(new)


def _tags_before(local: Store, tips: Iterable[Digest]) -> dict[str, Digest]:
    """The tags of `tips` and what lies before them, as the root has them: annotated by object."""
    tags = local.root().tags
    before = {commit for commit, _ in walk(local, tips)} if tags else set()
    return {name: tags[name] for name, commit in peeled(local, tags).items() if commit in before}
