"""From what is asked for to what is merged: go forward, or a three-way merge with some base."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from datasets_vc.config import Head
from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, InvalidInputError
from datasets_vc.format.commit import Commit
from datasets_vc.history.bases import commits_merged, merge_bases, merge_commits
from datasets_vc.history.commits import is_ancestor, read_commit
from datasets_vc.history.merge import Merge, merge_datasets
from datasets_vc.progress import Progress
from datasets_vc.repository.bringing import ensure_nodes
from datasets_vc.repository.context import Context
from datasets_vc.repository.files import write_files
from datasets_vc.repository.results import MergeResult
from datasets_vc.repository.switching import arrive, note, turn_forward
from datasets_vc.repository.threeway import carry_out
from datasets_vc.repository.unfinished import Recorder, begin, go_on, unforced
from datasets_vc.workspace.mergestate import Kind, MergeState, Side


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be merged into the workspace's version, and by whom.

    Attributes:
        kind: what is being done.
        revision: what was asked for, in the words that were used.
        other: the commit that this names.
        message: what the new commit says.
        recorder: who records it.
        author: whom the commit names, if not the recorder.
        prefer: the side that is right wherever both changed the same; None: ask.
    """

    kind: Kind
    revision: str
    other: Digest
    message: str
    recorder: Recorder
    author: str | None = None
    prefer: Side | None = None


def merge_commit(
    context: Context,
    request: Request,
    progress: Progress,
    *,
    no_ff: bool = False,
    ff_only: bool = False,
    unrelated: bool = False,
) -> MergeResult:
    """Merge the commit of a request, or go forward to it; see `Merging.merge`."""
    unfinished = _same_unfinished(context, request)
    if unfinished:
        return go_on(context, unfinished, request.recorder, progress)
    store, before = context.store, context.head
    head = catch_up(context, progress)
    ours, other = head.commit, request.other
    if ours and is_ancestor(store, other, ours):
        dataset, moved = context.dataset_of(ours), head != before
        return MergeResult("merge", request.revision, head.branch, ours, dataset, updated=moved)
    if ours is None or (is_ancestor(store, ours, other) and not no_ff):
        return _advance(context, head, request, progress)
    if ff_only:
        raise ConflictError(
            f"'{request.revision}' has gone another way than this version: each has commits that "
            "the other lacks.",
            f"Merge them: dsvc merge {request.revision}",
        )
    if not unrelated and not merge_bases(store, ours, other):
        raise InvalidInputError(
            f"'{request.revision}' and this version have no commit in common.",
            f"If both belong together: dsvc merge --allow-unrelated-histories {request.revision}",
        )
    ensure_nodes(context, _datasets(context, commits_merged(store, ours, other)))
    return _begin(context, request, ours, merge_commits(store, ours, other), progress)


def catch_up(context: Context, progress: Progress) -> Head:
    """Bring the workspace to where its branch is, if another one on this store has moved it."""
    head, tip = context.head, context.tip
    if tip == head.commit or tip is None:
        return head
    go_to(context, head, tip, tip, progress, shlex.join(["dsvc", "checkout", head.branch or ""]))
    return context.head


def _advance(context: Context, head: Head, request: Request, progress: Progress) -> MergeResult:
    """Let the branch go forward; as after any checkout, doing it again finishes what was cut."""
    target = request.other
    dataset = read_commit(context.store, target).dataset
    ensure_nodes(context, [dataset])
    again = shlex.join(["dsvc", "merge", request.revision])
    written, removed = go_to(context, head, head.commit, target, progress, again)
    return MergeResult(
        "merge",
        request.revision,
        head.branch,
        target,
        dataset,
        fast_forward=True,
        updated=True,
        written=written,
        removed=removed,
    )


def go_to(
    context: Context,
    head: Head,
    tip: Digest | None,
    target: Digest,
    progress: Progress,
    command: str,
) -> tuple[int, int]:
    """Bring files, branch and HEAD to a later commit; returns how many were written and removed.

    Args:
        tip: where the branch is.
        command: the command line that goes on if this is cut short.

    Raises:
        ConflictError: a checkout that leads elsewhere was cut short.
    """
    counts = (0, 0)
    turn_forward(context, target, progress)
    if target != head.commit and context.has_files:
        dataset = read_commit(context.store, target).dataset
        with unforced(context):
            begin = note(context, Head(head.branch, target), None, command)
            done = write_files(context, head.commit, dataset, progress=progress, begin=begin)
        counts = done.written, done.removed
    if head.branch and tip != target:
        context.branches.move(head.branch, tip, target)
    context.workspace.set_head(Head(head.branch, target))
    arrive(context)
    return counts


def apply_commit(
    context: Context,
    request: Request,
    base: Digest | None,
    theirs: Digest | None,
    progress: Progress,
) -> MergeResult:
    """Bring what leads from one dataset to another into the workspace's version."""
    unfinished = _same_unfinished(context, request)
    if unfinished:
        return go_on(context, unfinished, request.recorder, progress)
    head = catch_up(context, progress)
    ours = head.commit or context.commit_of("HEAD")
    dataset = read_commit(context.store, ours).dataset
    ensure_nodes(context, [each for each in (base, dataset, theirs) if each])
    merge = merge_datasets(context.store, base, dataset, theirs)
    return _begin(context, request, ours, merge, progress)


def _begin(
    context: Context, request: Request, ours: Digest, merge: Merge, progress: Progress
) -> MergeResult:
    context.refuse_cut_short()
    before = read_commit(context.store, ours).dataset
    outcome = carry_out(context, merge, before, request.prefer, progress)
    if request.kind != "merge" and outcome.dataset == before and not outcome.conflicts:
        raise InvalidInputError(
            f"The {request.kind} of '{request.revision}' changes nothing: the version has that "
            "already.",
            "`dsvc log` shows what was done.",
        )
    state = MergeState(
        kind=request.kind,
        revision=request.revision,
        other=request.other,
        ours=ours,
        dataset=outcome.dataset,
        message=request.message,
        author=request.author,
        conflicts=outcome.conflicts,
    )
    return begin(context, state, outcome, request.recorder, progress)


def _same_unfinished(context: Context, request: Request) -> MergeState | None:
    """What the same request has begun, if it was cut short; then it goes on from there.

    Raises:
        ConflictError: something else is unfinished, or this has conflicts to be resolved.
    """
    state = context.unfinished
    if state is None:
        return None
    same = (state.kind, state.other) == (request.kind, request.other)
    if not same or state.waits:
        context.refuse_unfinished()
    return state


def parent_dataset(
    context: Context, revision: str, commit: Commit, mainline: int | None
) -> Digest | None:
    """What a commit is compared with: its parent, the one named of a merge, or nothing."""
    count = len(commit.parents)
    if count > 1 and mainline is None:
        raise InvalidInputError(
            f"'{revision}' is a merge: what it changed depends on which parent one looks from.",
            "Name it: --mainline 1 is the branch that was merged into.",
        )
    if mainline is not None and not 1 <= mainline <= count:
        raise InvalidInputError(
            f"'{revision}' has no parent {mainline}.", f"It has {count}; see: dsvc show {revision}"
        )
    if not count:
        return None
    return read_commit(context.store, commit.parents[(mainline or 1) - 1]).dataset


def _datasets(context: Context, commits: Sequence[Digest]) -> list[Digest]:
    return [read_commit(context.store, commit).dataset for commit in commits]
