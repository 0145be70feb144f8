"""Push: give a remote store what it lacks, then move its branch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, DatasetError
from datasets_vc.format.root import Refs, Root
from datasets_vc.history.commits import is_ancestor, read_commit, walk
from datasets_vc.history.tagobjects import peeled
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import Store, Written
from datasets_vc.store.compact import SMALL_AT_REMOTE, compact
from datasets_vc.store.counted import CollectedError, whole_tables
from datasets_vc.store.index import ChunkIndex
from datasets_vc.sync.closure import dataset_chunks
from datasets_vc.sync.transfer import Moved, send

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
        ConflictError: the remote's branch holds commits that `tip` does not build on, or one of
            the tags is another one there.
    """
    root = remote.refresh()
    expected = root.branches.get(branch)
    _check_fast_forward(local, branch, expected, tip, remote.url)
    tags = _tags_before(local, tip)
    _check_tags(root.tags, tags, remote.url)
    extra = extra or Extra()

    def missing() -> list[Digest]:
        return _missing_there(local, remote, tip, extra, tags.values())

    wanted = missing()
    if not wanted and expected == tip and tags.items() <= root.tags.items():
        return Moved(), root

    def change(root: Root) -> Root:
        if root.branches.get(branch) != expected:
            raise _moved(branch, remote.url)
        _check_tags(root.tags, tags, remote.url)
        first = not root.branches
        return replace(
            root,
            branches=dict(root.branches) | {branch: tip},
            tags=dict(root.tags) | tags,
            default_branch=branch if first else root.default_branch,
        )

    written, root = _deliver(local, remote, wanted, missing, change, progress)
    with suppress(DatasetError):  # The push is done, whatever comes of tidying up.
        compact(remote, SMALL_AT_REMOTE, source=local)
    return Moved(len(written.packs), written.chunks), root


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
    local: Store, remote: Store, tip: Digest, extra: Extra, tags: Iterable[Digest]
) -> list[Digest]:
    """All chunks of the history up to `tip`, its tags and `extra` that the remote does not have.

    A remote that has a commit or a node has all that lies below it: it was published as a whole.
    """
    going: set[Digest] = set()

    def present(digests: Sequence[Digest]) -> NDArray[np.bool_]:
        there = remote.index.contains(digests)
        there |= np.array([digest in going for digest in digests], bool)
        return there

    commits = _new_commits(local, remote, tip)
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


def _new_commits(local: Store, remote: Store, tip: Digest) -> list[Digest]:
    new: dict[Digest, None] = {}
    todo = [tip]
    while todo:
        commit = todo.pop()
        if commit in new or remote.find(commit):
            continue
        new[commit] = None
        todo.extend(read_commit(local, commit).parents)
    return list(new)


def _check_fast_forward(
    local: Store, branch: str, theirs: Digest | None, ours: Digest, url: str
) -> None:
    if theirs is None or theirs == ours:
        return
    if local.find(theirs) is None or not is_ancestor(local, theirs, ours):
        raise _moved(branch, url)


def _moved(branch: str, url: str) -> ConflictError:
    return ConflictError(
        f"Branch '{branch}' of {url} has commits that yours does not build on.",
        "Run `dsvc pull` to bring them together, then push again.",
    )


def _tags_before(local: Store, tip: Digest) -> dict[str, Digest]:
    """The tags of `tip` and what lies before it, as the root has them: annotated ones by object."""
    tags = local.root().tags
    before = {commit for commit, _ in walk(local, [tip])} if tags else set()
    return {name: tags[name] for name, commit in peeled(local, tags).items() if commit in before}


def _check_tags(theirs: Refs, ours: Refs, url: str) -> None:
    for name, target in ours.items():
        if theirs.get(name, target) != target:
            raise ConflictError(
                f"Tag '{name}' is another one at {url}.",
                f"Delete your tag (dsvc tag -d {name}) or choose another name.",
            )
