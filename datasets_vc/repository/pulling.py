"""Pull: fetch, then go forward or merge, then write the files if there are any."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TypeVar

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, InvalidInputError, NotFoundError
from datasets_vc.format.root import Refs
from datasets_vc.history.commits import is_ancestor
from datasets_vc.progress import Progress
from datasets_vc.repository.context import Context
from datasets_vc.repository.deepening import with_enough_history
from datasets_vc.repository.exchange import Fetched, fetch_all
from datasets_vc.repository.needed import Need
from datasets_vc.repository.results import MergeResult, SyncResult
from datasets_vc.repository.signing import admission
from datasets_vc.repository.starting import Request, go_to, merge_commit
from datasets_vc.repository.unfinished import Recorder
from datasets_vc.repository.working import checkout
from datasets_vc.workspace.part import Part

Result = TypeVar("Result")


def pull(
    context: Context,
    remote: str,
    recorder: Recorder | None,
    progress: Progress,
    *,
    verify: bool | None,
    part: Part | None,
) -> SyncResult:
    admit = admission(context, verify, "pull")
    if part and context.has_files and context.head.branch:
        checkout(context, None, force=False, create=None, part=part, progress=progress)
    need = Need(part=None if context.has_files else part)
    with context.workspace.lock():
        branch = context.head.branch
        if branch is None:
            raise InvalidInputError(
                "The workspace is on no branch, so there is nothing to pull into.",
                "Go to one: dsvc checkout BRANCH",
            )
        unfinished = context.unfinished
        if unfinished and (unfinished.waits or recorder is None):
            context.refuse_unfinished()
        connection = context.remotes.connect(remote)

        def check(branches: Refs) -> None:
            if branch in branches:
                admit(f"{remote}/{branch}", branches[branch])

        fetched = fetch_all(context, connection, remote, [branch], progress, check, need=need)
        theirs = connection.root.branches.get(branch)
        if theirs is None:
            raise NotFoundError(
                f"The remote '{remote}' has no branch '{branch}'.",
                f"Push it there: dsvc push {remote}",
            )
        head, tip = context.head, context.tip

        def enough(act: Callable[[], Result]) -> Result:
            return with_enough_history(context, connection, remote, act)

        target = enough(lambda: _forward(context, tip, theirs))
        if unfinished or target is None:
            return enough(
                lambda: _merged(context, remote, branch, theirs, recorder, fetched, progress)
            )
        go_to(context, head, tip, target, progress, shlex.join(["dsvc", "pull", remote]))
    return _result(context, target, fetched, updated=target != head.commit)


def _forward(context: Context, ours: Digest | None, theirs: Digest) -> Digest | None:
    """The later of two commits, or None if each side has commits that the other lacks."""
    if ours is None or is_ancestor(context.store, ours, theirs):
        return theirs
    return ours if is_ancestor(context.store, theirs, ours) else None


def _merged(
    context: Context,
    remote: str,
    branch: str,
    theirs: Digest,
    recorder: Recorder | None,
    fetched: Fetched,
    progress: Progress,
) -> SyncResult:
    name = f"{remote}/{branch}"
    if recorder is None:
        raise ConflictError(
            f"Branch '{branch}' and '{name}' have gone different ways: each has commits that the "
            "other lacks.",
            f"Merge them: dsvc pull, or dsvc merge {name}",
        )
    request = Request("merge", name, theirs, f"Merge {name} into {branch}", recorder)
    merge = merge_commit(context, request, progress)
    commit = merge.commit or context.tip
    return _result(context, commit, fetched, updated=merge.updated, merge=merge)


def _result(
    context: Context,
    commit: Digest | None,
    fetched: Fetched,
    *,
    updated: bool,
    merge: MergeResult | None = None,
) -> SyncResult:
    return SyncResult(
        branch=context.head.branch,
        commit=commit,
        dataset=context.dataset_of(commit),
        transfer=fetched.transfer,
        updated=updated,
        runs=fetched.runs,
        merge=merge,
        refs=fetched.refs,
        damaged=fetched.damaged,
        incomplete=fetched.incomplete,
    )
