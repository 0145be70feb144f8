"""Merge, revert, cherry-pick: one three-way merge with different bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from datasets_vc.config import Head
from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, InvalidInputError
from datasets_vc.format.commit import Commit
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.history.bases import commits_merged, merge_bases, merge_commits
from datasets_vc.history.commits import is_ancestor, read_commit
from datasets_vc.history.manifest import write_manifest
from datasets_vc.history.merge import Merge, merge_datasets
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.bringing import ensure_nodes
from datasets_vc.repository.context import Context
from datasets_vc.repository.exchange import ensure
from datasets_vc.repository.results import CheckoutResult, MergeResult
from datasets_vc.repository.threeway import carry_out
from datasets_vc.repository.unfinished import Recorder, abort, begin, go_on, resolve
from datasets_vc.workspace.mergestate import Kind, MergeState, Side, remove_state


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


class Merging:
    """Bring the changes of other versions into the workspace's, and settle what both changed.

    What is merged is recorded at once unless both sides changed the same. Then the files are merged
    as far as they can be, conflicts have what is ours, and `resolve` and `resume`, or `abort`,
    follow. Where an author is asked for, it is the one that the new commit names; `time` is now if
    not given; `prefer` settles all conflicts beforehand.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def state(self) -> MergeState | None:
        """What is unfinished; conflicts whose files somebody has changed are resolved."""
        state = self._context.unfinished
        return self._context.looked_at(state) if state else None

    def merge(
        self,
        revision: str,
        *,
        author: str,
        message: str | None = None,
        no_ff: bool = False,
        ff_only: bool = False,
        prefer: Side | None = None,
        unrelated: bool = False,
        time: datetime | None = None,
        progress: Progress = SILENT,
    ) -> MergeResult:
        """Bring in all commits of a revision that the workspace's version does not have.

        Args:
            no_ff: make a commit even if the branch could just go forward.
            ff_only: refuse if it cannot.
            unrelated: merge histories that have no commit in common.

        Raises:
            ConflictError: another one is unfinished, or it cannot go forward as asked for.
            UnsavedChangesError: it would touch files with uncommitted changes; nothing was done.
            InvalidInputError: the histories have nothing in common.
            MissingDataError: bytes that are needed are neither here nor at a remote.
        """
        context = self._context
        with context.workspace.lock():
            context.store.refresh()
            other = context.commit_of(revision)
            into = f" into {context.head.branch}" if context.head.branch else ""
            request = Request(
                "merge",
                revision,
                other,
                message or f"Merge {revision}{into}",
                Recorder(author, time),
                prefer=prefer,
            )
            return merge_commit(
                context, request, progress, no_ff=no_ff, ff_only=ff_only, unrelated=unrelated
            )

    def revert(
        self,
        revision: str,
        *,
        author: str,
        message: str | None = None,
        mainline: int | None = None,
        prefer: Side | None = None,
        time: datetime | None = None,
        progress: Progress = SILENT,
    ) -> MergeResult:
        """Take back what one commit changed, in a new commit.

        Args:
            mainline: which parent of a merge, from 1, it is to be compared with.

        Raises:
            InvalidInputError: it is a merge and no parent was named; or nothing would change.
            ConflictError, UnsavedChangesError, MissingDataError: see `merge`.
        """
        context = self._context
        with context.workspace.lock():
            context.store.refresh()
            other = context.commit_of(revision)
            commit = read_commit(context.store, other)
            subject = commit.message.partition("\n")[0]
            default = f'Revert "{subject}"\n\nThis reverts commit {other.hex()}.'
            request = Request(
                "revert",
                revision,
                other,
                message or default,
                Recorder(author, time),
                prefer=prefer,
            )
            parent = _parent_dataset(context, revision, commit, mainline)
            return _apply(context, request, commit.dataset, parent, progress)

    def cherry_pick(
        self,
        revision: str,
        *,
        author: str,
        message: str | None = None,
        mainline: int | None = None,
        prefer: Side | None = None,
        time: datetime | None = None,
        progress: Progress = SILENT,
    ) -> MergeResult:
        """Do what one commit changed here, too; the new commit has its author and message.

        Args:
            author: who is named if anything is to be named beside the author of the commit.
            mainline: see `revert`.

        Raises:
            InvalidInputError, ConflictError, UnsavedChangesError, MissingDataError: see `revert`.
        """
        context = self._context
        with context.workspace.lock():
            context.store.refresh()
            other = context.commit_of(revision)
            commit = read_commit(context.store, other)
            request = Request(
                "cherry-pick",
                revision,
                other,
                message or commit.message,
                Recorder(author, time),
                commit.author,
                prefer,
            )
            parent = _parent_dataset(context, revision, commit, mainline)
            return _apply(context, request, parent, commit.dataset, progress)

    def resolve(self, paths: Sequence[str] = (), side: Side | None = None) -> MergeState:
        """Settle conflicts at or below some paths, or all that are open, by one side.

        In a table only the fields in conflict are that side's. Without a side, what the files of
        the workspace are now is right.

        Raises:
            NotFoundError: there is no conflict at one of the paths.
            InvalidInputError: nothing is unfinished; or the sides taken do not fit together.
        """
        with self._context.workspace.lock():
            return resolve(self._context, paths, side)

    def resume(
        self,
        *,
        author: str,
        message: str | None = None,
        time: datetime | None = None,
        progress: Progress = SILENT,
    ) -> MergeResult:
        """Record what was unfinished, unless there are conflicts that nobody has resolved.

        Args:
            message: instead of the one given at first.

        Raises:
            InvalidInputError: nothing is unfinished, or nothing would change.
            ConflictError: another workspace on this store moved the branch meanwhile.
        """
        context = self._context
        with context.workspace.lock():
            context.store.refresh()
            state = context.unfinished
            if state is None:
                remove_state(context.folder)
                raise InvalidInputError(
                    "There is no unfinished merge, revert or cherry-pick to go on with.",
                    "`dsvc status` shows where the workspace stands.",
                )
            state = replace(state, message=message or state.message)
            return go_on(context, state, Recorder(author, time), progress)

    def abort(self, *, progress: Progress = SILENT) -> CheckoutResult:
        """Put all files that were touched back as HEAD has them, and forget what was unfinished.

        Uncommitted changes in other files stay.

        Raises:
            InvalidInputError: nothing is unfinished.
            UnsavedChangesError: untracked files are where files have to come back; nothing is done.
        """
        with self._context.workspace.lock():
            return abort(self._context, progress)


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
        moved = head != before
        return MergeResult("merge", head.branch, ours, context.dataset_of(ours), updated=moved)
    if ours is None or (is_ancestor(store, ours, other) and not no_ff):
        return _advance(context, head, other, progress)
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
    return _go_to(context, head, tip, progress)[0]


def _advance(context: Context, head: Head, target: Digest, progress: Progress) -> MergeResult:
    """Let the branch go forward; as after any checkout, doing it again finishes what was cut."""
    dataset = read_commit(context.store, target).dataset
    if context.has_files:
        ensure(context, dataset, progress)
    else:
        ensure_nodes(context, [dataset])
    there, written, removed = _go_to(context, head, target, progress)
    return MergeResult(
        "merge",
        there.branch,
        target,
        dataset,
        fast_forward=True,
        updated=True,
        written=written,
        removed=removed,
    )


def _go_to(
    context: Context, head: Head, target: Digest, progress: Progress
) -> tuple[Head, int, int]:
    counts = (0, 0)
    if context.has_files:
        entries = context.entries_of(target)
        counts = context.write_files(head.commit, entries, progress=progress)
    if head.branch and context.tip != target:
        context.branches.move(head.branch, context.tip, target)
    context.workspace.set_head(Head(head.branch, target))
    return context.head, *counts


def _apply(
    context: Context, request: Request, base: Digest, theirs: Digest, progress: Progress
) -> MergeResult:
    """Bring what leads from one dataset to another into the workspace's version."""
    unfinished = _same_unfinished(context, request)
    if unfinished:
        return go_on(context, unfinished, request.recorder, progress)
    head = catch_up(context, progress)
    ours = head.commit or context.commit_of("HEAD")
    dataset = read_commit(context.store, ours).dataset
    ensure_nodes(context, [base, dataset, theirs])
    merge = merge_datasets(context.store, base, dataset, theirs)
    return _begin(context, request, ours, merge, progress)


def _begin(
    context: Context, request: Request, ours: Digest, merge: Merge, progress: Progress
) -> MergeResult:
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
    if not same or (state.written and state.conflicts and not state.commit):
        context.refuse_unfinished()
    return state


def _parent_dataset(
    context: Context, revision: str, commit: Commit, mainline: int | None
) -> Digest:
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
    if count:
        return read_commit(context.store, commit.parents[(mainline or 1) - 1]).dataset
    with context.store.writer() as writer:
        nothing = write_manifest(writer, ENTRY_SCHEMA.empty_table())
        context.store.publish(writer.finish())
    return nothing


def _datasets(context: Context, commits: Sequence[Digest]) -> list[Digest]:
    return [read_commit(context.store, commit).dataset for commit in commits]
