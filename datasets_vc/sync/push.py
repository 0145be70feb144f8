"""Push: give a remote store what it lacks, then move its branch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, DatasetError
from datasets_vc.format.location import DigestKeys, as_keys, joined, unique
from datasets_vc.format.root import Refs, Root
from datasets_vc.history.commits import is_ancestor, read_commit
from datasets_vc.history.tagobjects import peeled
from datasets_vc.progress import SILENT, Progress
from datasets_vc.store import Store
from datasets_vc.store.compact import SMALL_AT_REMOTE, compact
from datasets_vc.sync.closure import dataset_chunks
from datasets_vc.sync.keys import KeySet
from datasets_vc.sync.sending import send
from datasets_vc.sync.transfer import Moved


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
    tags, wanted = to_push(local, remote, root, branch, tip, extra)
    if not len(wanted) and expected == tip and not tags:
        return Moved(), root
    written = send(local, remote, wanted, progress)
    del wanted

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

    root = remote.publish(written, change)
    with suppress(DatasetError):  # The push is done, whatever comes of tidying up.
        compact(remote, SMALL_AT_REMOTE, source=local)
    return Moved(len(written.packs), written.chunks), root


def to_push(
    local: Store, remote: Store, root: Root, branch: str, tip: Digest, extra: Extra | None
) -> tuple[dict[str, Digest], DigestKeys]:
    """The tags and the chunks that a push sends.

    Args:
        root: the remote's.

    Raises:
        ConflictError: see `push_branch`.
    """
    _check_fast_forward(local, branch, root.branches.get(branch), tip, remote.url)
    new = _new_commits(local, remote, tip)
    tags = _new_tags(local, remote, root.tags, tip, new)
    _check_tags(root.tags, tags, remote.url)
    return tags, _missing_there(local, remote, new, extra or Extra(), tags.values())


def _missing_there(
    local: Store, remote: Store, new: Sequence[Digest], extra: Extra, tags: Iterable[Digest]
) -> DigestKeys:
    """All chunks of new commits, tags and `extra` that the remote does not have.

    A remote that has a commit or a node has all that lies below it: it was published as a whole.
    """
    going = KeySet()

    def present(keys: DigestKeys) -> NDArray[np.bool_]:
        return remote.index.contains(keys) | going.contains(keys)

    wanted = [as_keys(new)]
    datasets = [read_commit(local, commit).dataset for commit in new]
    for dataset in dict.fromkeys([*datasets, *extra.datasets]):
        chunks = dataset_chunks(local, dataset, local.index, present=present)
        going.add(chunks)
        wanted.append(chunks)
    # Tags name commits, which are among those above or there, or tag objects.
    rest = unique([*extra.chunks, *tags])
    wanted.append(rest[~present(rest)])
    return joined(wanted)


def _new_commits(local: Store, remote: Store, tip: Digest) -> list[Digest]:
    """`tip` and what comes before it, as far as the remote lacks it."""
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


def _new_tags(
    local: Store, remote: Store, theirs: Refs, tip: Digest, new: Sequence[Digest]
) -> dict[str, Digest]:
    """The tags of `tip` and what lies before it that are not there; annotated ones by object.

    History that the remote has is looked at for tags only that it does not have.
    """
    tags = {name: to for name, to in local.root().tags.items() if theirs.get(name) != to}
    going = set(new)
    return {
        name: tags[name]
        for name, commit in peeled(local, tags).items()
        if commit in going or (remote.find(commit) and is_ancestor(local, commit, tip))
    }


def _check_tags(theirs: Refs, ours: Refs, url: str) -> None:
    for name, target in ours.items():
        if theirs.get(name, target) != target:
            raise ConflictError(
                f"Tag '{name}' is another one at {url}.",
                f"Delete your tag (dsvc tag -d {name}) or choose another name.",
            )
