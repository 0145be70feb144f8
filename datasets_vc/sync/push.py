"""Push: give a remote store what it lacks, then move its refs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, DatasetError
from datasets_vc.format.location import DigestKeys, Digests, as_keys, joined, unique
from datasets_vc.format.root import Root
from datasets_vc.history.commits import is_ancestor, read_commit
from datasets_vc.history.cut import CutHistoryError, is_beyond
from datasets_vc.history.tagobjects import peeled, tag_objects
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import Store, Written
from datasets_vc.store.compact import SMALL_AT_REMOTE, compact
from datasets_vc.store.counted import CollectedError, whole_tables
from datasets_vc.store.index import ChunkIndex
from datasets_vc.sync.closure import dataset_chunks
from datasets_vc.sync.keys import KeySet
from datasets_vc.sync.sending import send
from datasets_vc.sync.transfer import Moved
from datasets_vc.sync.updates import PushedRefs, RefUpdate, apply_updates, plan_updates

_ATTEMPTS = 8

_WORTH_KEEPING = 1 << 20
"""Bytes sent that are listed although their push came too late."""


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
    refs, updates, wanted = to_push(local, remote, root, refs, extra)
    if not len(wanted) and all(update.outcome == "unchanged" for update in updates):
        return Pushed(Moved(), updates, root)

    def missing() -> DigestKeys:
        return _missing_there(local, remote, refs, extra or Extra())

    def change(root: Root) -> Root:
        return apply_updates(root, updates, refs.default, remote.url)

    written, root = _deliver(local, remote, wanted, missing, change, progress)
    with suppress(DatasetError):  # The push is done, whatever comes of tidying up.
        compact(remote, SMALL_AT_REMOTE, source=local)
    return Pushed(Moved(len(written.packs), written.chunks), updates, root)


def to_push(
    local: Store, remote: Store, root: Root, refs: PushedRefs, extra: Extra | None
) -> tuple[PushedRefs, Sequence[RefUpdate], DigestKeys]:
    """The refs that a push moves, what becomes of each, and the chunks that it sends.

    Args:
        root: the remote's.

    Raises: as `push_refs`.
    """
    new = _new_tags(local, remote, root, refs.branches.values())
    refs = replace(refs, tags=new | dict(refs.tags))
    updates = plan_updates(local, root, refs, remote.url)
    return refs, updates, _missing_there(local, remote, refs, extra or Extra())


def _deliver(
    local: Store,
    remote: Store,
    wanted: Digests,
    missing: Callable[[], DigestKeys],
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
            wanted = lacking[~ChunkIndex(written.tables).contains(lacking)]
        except ConflictError:
            _keep(remote, written)
            raise
    raise CollectedError(f"Collections go on at {remote.url} all the time.")


def _keep(remote: Store, written: Written) -> None:
    """List what was sent for a branch that somebody else has moved meanwhile.

    Who pulls and pushes again need not send it again, and would lose again for having much to send.
    Who does not leaves garbage, which the next collections find.
    """
    if written.bytes >= _WORTH_KEEPING:
        with suppress(DatasetError):
            remote.publish(written)


def _missing_there(local: Store, remote: Store, refs: PushedRefs, extra: Extra) -> DigestKeys:
    """All chunks of the history up to branches and tags, and of `extra`, that are not there.

    A remote that has a commit or a node has all that lies below it: it was published as a whole.
    """
    going = KeySet()

    def present(keys: DigestKeys) -> NDArray[np.bool_]:
        return remote.index.contains(keys) | going.contains(keys)

    tags = list(refs.tags.values())
    commits = _new_commits(local, remote, _commits_of(local, refs))
    wanted = [as_keys(commits)]
    datasets = [read_commit(local, commit).dataset for commit in commits]
    for dataset in dict.fromkeys([*datasets, *extra.datasets]):
        chunks = dataset_chunks(local, dataset, present=present)
        going.add(chunks)
        wanted.append(chunks)
    going.add(as_keys(commits))
    # Tags name commits, which are among those above or there, or tag objects.
    rest = unique([*extra.chunks, *tags])
    wanted.append(rest[~present(rest)])
    return joined(wanted)


def new_datasets(local: Store, remote: Store, refs: PushedRefs) -> set[Digest]:
    """The datasets of the commits that a push of some refs brings to a remote.

    Raises:
        CutHistoryError: see `push_refs`.
    """
    commits = _new_commits(local, remote, _commits_of(local, refs))
    return {read_commit(local, commit).dataset for commit in commits}


def _commits_of(local: Store, refs: PushedRefs) -> list[Digest]:
    tags = list(refs.tags.values())
    objects = tag_objects(local, tags)
    tagged = [objects[tag].object if tag in objects else tag for tag in tags]
    return [*refs.branches.values(), *tagged]


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


def _new_tags(local: Store, remote: Store, root: Root, tips: Iterable[Digest]) -> dict[str, Digest]:
    """The tags of `tips` and what lies before them that are not there; annotated ones by object.

    History that the remote has is looked at for tags only that it does not have.

    Args:
        root: the remote's.
    """
    theirs = root.tags
    tags = {name: to for name, to in local.root().tags.items() if theirs.get(name) != to}
    if not tags:
        return {}
    tips = list(tips)
    going = set(_new_commits(local, remote, tips))
    return {
        name: tags[name]
        for name, commit in peeled(local, tags).items()
        if commit in going
        or (remote.find(commit) and any(is_ancestor(local, commit, tip) for tip in tips))
    }
