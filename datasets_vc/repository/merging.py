"""Merge, revert, cherry-pick: one three-way merge with different bases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from datasets_vc.errors import InvalidInputError
from datasets_vc.history.commits import read_commit
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.context import Context
from datasets_vc.repository.results import CheckoutResult, MergeResult
from datasets_vc.repository.signing import admission
from datasets_vc.repository.starting import Request, apply_commit, merge_commit, parent_dataset
from datasets_vc.repository.unfinished import Recorder, abort, go_on, resolve
from datasets_vc.signing import Signer
from datasets_vc.workspace.mergestate import MergeState, Side, remove_state


class Merging:
    """Bring the changes of other versions into the workspace's, and settle what both changed.

    What is merged is recorded at once unless both sides changed the same. Then the files are merged
    as far as they can be, conflicts have what is ours, and `resolve` and `resume`, or `abort`,
    follow. Where an author is asked for, it is the one that the new commit names; `time` is now if
    not given; `signer` signs it; `prefer` settles all conflicts beforehand.
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
        verify: bool | None = None,
        time: datetime | None = None,
        signer: Signer | None = None,
        progress: Progress = SILENT,
    ) -> MergeResult:
        """Bring in all commits of a revision that the workspace's version does not have.

        Args:
            no_ff: make a commit even if the branch could just go forward.
            ff_only: refuse if it cannot.
            unrelated: merge histories that have no commit in common.
            verify: refuse a revision that nobody who is trusted signed; None: as configured.

        Raises:
            UntrustedError, IntegrityError: it is not signed so; nothing was done.
            ConflictError: another one is unfinished, or it cannot go forward as asked for.
            UnsavedChangesError: it would touch files with uncommitted changes; nothing was done.
            InvalidInputError: the histories have nothing in common.
            MissingDataError: bytes that are needed are neither here nor at a remote.
        """
        context = self._context
        with context.workspace.lock():
            context.store.refresh()
            other = context.commit_of(revision)
            tag = context.resolve(revision).tag
            admission(context, verify, "merge")(revision, other, tag)
            into = f" into {context.head.branch}" if context.head.branch else ""
            request = Request(
                "merge",
                revision,
                other,
                message or f"Merge {revision}{into}",
                _recorder(author, time, signer),
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
        signer: Signer | None = None,
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
                _recorder(author, time, signer),
                prefer=prefer,
            )
            parent = parent_dataset(context, revision, commit, mainline)
            return apply_commit(context, request, commit.dataset, parent, progress)

    def cherry_pick(
        self,
        revision: str,
        *,
        author: str,
        message: str | None = None,
        mainline: int | None = None,
        prefer: Side | None = None,
        time: datetime | None = None,
        signer: Signer | None = None,
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
                _recorder(author, time, signer),
                commit.author,
                prefer,
            )
            parent = parent_dataset(context, revision, commit, mainline)
            return apply_commit(context, request, parent, commit.dataset, progress)

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
        signer: Signer | None = None,
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
            return go_on(context, state, _recorder(author, time, signer), progress)

    def abort(self, *, progress: Progress = SILENT) -> CheckoutResult:
        """Put all files that were touched back as HEAD has them, and forget what was unfinished.

        Uncommitted changes in other files stay.

        Raises:
            InvalidInputError: nothing is unfinished.
            UnsavedChangesError: untracked files are where files have to come back; nothing is done.
        """
        with self._context.workspace.lock():
            return abort(self._context, progress)


def _recorder(author: str, time: datetime | None, signer: Signer | None) -> Recorder:
    """Who records; refuses a signer that cannot sign before anything is merged."""
    if signer:
        signer.check()
    return Recorder(author, time, signer)
