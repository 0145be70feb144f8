"""From the outcome of a merge to its commit: files, conflicts, the new commit, or back again.

Each step leaves `.dsvc/merge.json` such that the next command knows how far it came; see
`workspace.mergestate`. All of this happens under the workspace's lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from datasets_vc.config import Head
from datasets_vc.digest import Digest
from datasets_vc.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnsavedChangesError,
)
from datasets_vc.format.commit import Commit, check_texts, encode_commit
from datasets_vc.format.entries import ENTRY_SCHEMA, FILE, Entry, rows_of
from datasets_vc.format.signed import signed
from datasets_vc.history.diff import differing_rows
from datasets_vc.history.manifest import Manifest, write_manifest
from datasets_vc.history.merge import with_changes
from datasets_vc.paths import is_under
from datasets_vc.progress import Progress
from datasets_vc.repository.again import once_more
from datasets_vc.repository.bringing import ensure_files
from datasets_vc.repository.context import Context
from datasets_vc.repository.files import write_files
from datasets_vc.repository.results import CheckoutResult, MergeResult
from datasets_vc.repository.threeway import Outcome, table_of_side
from datasets_vc.signing import Signer
from datasets_vc.store import ChunkWriter, Written
from datasets_vc.store.counted import CollectedError
from datasets_vc.workspace.cloning import read_note
from datasets_vc.workspace.exact import found_at, put_at
from datasets_vc.workspace.mergestate import (
    MergeState,
    OpenConflict,
    Side,
    remove_state,
    write_state,
)
from datasets_vc.workspace.tracked import Tracked

_SHOWN = 10
_MOVE_AWAY = "Commit them or move them away, then try again."


@dataclass(frozen=True, slots=True)
class Recorder:
    """Who records, when if not now, and who signs if anybody does."""

    author: str
    time: datetime | None = None
    signer: Signer | None = None

    @property
    def moment(self) -> datetime:
        return (self.time or datetime.now(UTC)).replace(microsecond=0)


@contextmanager
def committable(context: Context) -> Iterator[None]:
    """Do not send to a commit who has uncommitted work in the way where nobody can commit."""
    try:
        yield
    except UnsavedChangesError as error:
        if context.unfinished or context.cut_short or read_note(context.folder):
            raise UnsavedChangesError(error.message, "Move them away, then try again.") from error
        raise


@contextmanager
def unforced(context: Context) -> Iterator[None]:
    """Say what to do about uncommitted work in the way where there is no --force."""
    with committable(context):
        try:
            yield
        except UnsavedChangesError as error:
            raise UnsavedChangesError(error.message, _MOVE_AWAY) from error


def begin(
    context: Context, state: MergeState, outcome: Outcome, recorder: Recorder, progress: Progress
) -> MergeResult:
    """Write the files of an outcome, and record it if nothing is left to decide."""
    if context.has_files:
        _bring_left_out(context, state.conflicts)
        _refuse_edited(context, state.conflicts)
    context.store.publish(outcome.written)
    return _write(context, state, recorder, progress)


def go_on(
    context: Context, state: MergeState, recorder: Recorder, progress: Progress
) -> MergeResult:
    """Take up an unfinished merge where it is, and record it if nothing is left to decide."""
    if state.commit and context.tip == state.commit:
        return _note(context, state, state.commit)
    if not state.written:
        return _write(context, state, recorder, progress)
    conflicts = context.looked_at(state).open
    if conflicts:
        branch = context.head.branch
        return MergeResult(state.kind, state.revision, branch, None, None, conflicts=conflicts)
    return _record(context, state, recorder, progress)


def resolve(context: Context, paths: Sequence[str], side: Side | None) -> MergeState:
    """Settle conflicts by a side, or, without one, by what the workspace has.

    Args:
        paths: conflicts at or below these; none: all that are open.
    """
    state = _needed(context, "resolve")
    if not state.written:
        raise ConflictError(
            "Not all merged files are written yet.", f"Do that: dsvc {state.kind} --continue"
        )
    chosen = _chosen(context.looked_at(state), paths)
    if side is None and not context.has_files:
        raise InvalidInputError(
            "This workspace has no files in which conflicts could be resolved.",
            f"Take a side: dsvc {state.kind} --ours PATH, or --theirs PATH",
        )
    if side is not None:
        chosen = _with_side(context, state, chosen, side)
    state = state.with_conflicts([replace(conflict, resolved=True) for conflict in chosen])
    write_state(context.folder, state)
    return context.looked_at(state)


def abort(context: Context, progress: Progress) -> CheckoutResult:
    """Put the files that a merge has touched back as HEAD has them, and forget the merge."""
    state = _needed(context, "take back")
    if state.commit and context.tip == state.commit:
        _note(context, state, state.commit)
        raise InvalidInputError(
            f"The {state.kind} of '{state.revision}' is recorded already.", "See it: dsvc show"
        )
    counts = _take_back(context, state, progress) if context.has_files else (0, 0)
    remove_state(context.folder)
    return CheckoutResult(context.head.branch, context.head.commit, *counts)


def _write(
    context: Context, state: MergeState, recorder: Recorder, progress: Progress
) -> MergeResult:
    counts = (0, 0)
    if context.has_files:
        with unforced(context):
            done = write_files(
                context,
                state.ours,
                state.dataset,
                progress=progress,
                ready=lambda: write_state(context.folder, state),
            )
        counts = done.written, done.removed
    state = replace(state, written=True)
    write_state(context.folder, state)
    result = go_on(context, state, recorder, progress)
    return replace(result, written=counts[0], removed=counts[1])


def _record(
    context: Context, state: MergeState, recorder: Recorder, progress: Progress
) -> MergeResult:
    commit = once_more(
        context.store, lambda needed: _commit(context, state, recorder, progress, needed)
    )
    return _note(context, state, commit)


def _commit(
    context: Context, state: MergeState, recorder: Recorder, progress: Progress, needed: bytes
) -> Digest:
    check_texts(state.author or recorder.author, state.message)
    with context.store.writer(needed=needed) as writer:
        dataset = _resolved_dataset(context, state, writer, progress)
        if state.kind != "merge" and dataset == context.dataset_of(state.ours):
            raise InvalidInputError(
                f"The {state.kind} of '{state.revision}' leaves everything as it is: there is "
                "nothing to record.",
                f"Forget it: dsvc {state.kind} --abort",
            )
        author = state.author or recorder.author
        made = Commit(dataset, state.parents, author, recorder.moment, state.message)
        writer.count_on(b"".join([dataset, *state.parents]))
        commit = writer.add_meta(signed(encode_commit(made), recorder.signer))
        written = writer.finish()
    write_state(context.folder, replace(state, commit=commit))
    _publish(context, state, commit, written)
    return commit


def _publish(context: Context, state: MergeState, commit: Digest, written: Written) -> None:
    branch = context.head.branch
    if branch is None:
        context.store.publish(written)
        return
    try:
        context.branches.move(branch, state.ours, commit, written)
    except CollectedError:
        raise
    except ConflictError as error:
        raise ConflictError(
            error.message,
            f"Take this {state.kind} back (dsvc {state.kind} --abort), then do it again.",
        ) from error


def _note(context: Context, state: MergeState, commit: Digest) -> MergeResult:
    """A commit is recorded: nothing is left but to say so."""
    branch = context.head.branch
    context.workspace.set_head(Head(branch, commit))
    remove_state(context.folder)
    context.tidy()
    dataset = context.dataset_of(commit)
    return MergeResult(state.kind, state.revision, branch, commit, dataset, updated=True)


def _resolved_dataset(
    context: Context, state: MergeState, writer: ChunkWriter, progress: Progress
) -> Digest:
    """The merged dataset with all conflicts as they were resolved."""
    if not state.conflicts:
        return state.dataset
    changes = {conflict.path: conflict.here for conflict in state.conflicts}
    if context.has_files:
        found = sorted(found_at(context.workspace, changes))
        changes = dict.fromkeys(changes)
        if found:
            none = ENTRY_SCHEMA.empty_table()
            tracked = Tracked(pa.array(found))
            made = context.workspace.ingest(none, writer, found, tracked=tracked, progress=progress)
            changes |= {entry.path: entry for entry in rows_of(made.entries)}
    entries = Manifest(context.store, state.dataset).entries()
    return write_manifest(writer, with_changes(entries, changes))


def _take_back(context: Context, state: MergeState, progress: Progress) -> tuple[int, int]:
    before, merged = _touched(context, state)
    touched = before.keys() | merged.keys()
    touched -= context.workspace.left_out(touched)
    if not state.written:
        # Some are untouched yet: what is not of the merge is somebody's work since.
        found = found_at(context.workspace, touched)
        touched = {path for path in touched if found.get(path) == merged.get(path)}
    wanted = {path: before.get(path) for path in touched}
    wanted |= {conflict.path: conflict.ours for conflict in state.conflicts if state.written}
    files = [entry.digest for entry in wanted.values() if entry]
    ensure_files(context, files, "files of the version before", progress)
    with unforced(context):
        done = put_at(context.workspace, wanted, context.store, progress=progress)
    return done.written, done.removed


def _touched(context: Context, state: MergeState) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """What the merge changes: the entries that go, and those that come."""
    ours = context.dataset_of(state.ours)
    assert ours is not None
    gone, come = map(rows_of, differing_rows(context.store, ours, state.dataset))
    return {entry.path: entry for entry in gone}, {entry.path: entry for entry in come}


def _with_side(
    context: Context, state: MergeState, chosen: Sequence[OpenConflict], side: Side
) -> list[OpenConflict]:
    """The chosen conflicts with what a side has; the workspace's files, too, are that."""
    ours = context.dataset_of(state.ours)
    assert ours is not None
    taken = []
    with context.store.writer() as writer:
        for conflict in chosen:
            entry = conflict.ours if side == "ours" else conflict.theirs
            if conflict.fields:
                data = table_of_side(context, conflict, ours, side)
                entry = Entry(conflict.path, FILE, len(data), writer.add_file(data))
            taken.append(replace(conflict, here=entry))
        context.store.publish(writer.finish())
    after = {each.path: each.here for each in state.with_conflicts(taken).conflicts}
    # Refuses a file from one side where the other's folder stays.
    with_changes(Manifest(context.store, state.dataset).entries(), after)
    if context.has_files:
        wanted = {conflict.path: conflict.here for conflict in taken}
        files = [entry.digest for entry in wanted.values() if entry]
        ensure_files(context, files, "files of that side")
        with unforced(context):
            put_at(context.workspace, wanted, context.store)
    return taken


def _chosen(state: MergeState, paths: Sequence[str]) -> list[OpenConflict]:
    """The conflicts at or below some paths; without paths those that are open."""
    if not paths:
        return list(state.open)
    chosen: dict[str, OpenConflict] = {}
    for path in paths:
        below = [each for each in state.conflicts if path == "." or is_under(each.path, path)]
        if not below:
            raise NotFoundError(
                f"There is no conflict at '{path}'.", "`dsvc status` lists those there are."
            )
        chosen |= {conflict.path: conflict for conflict in below}
    return list(chosen.values())


def _needed(context: Context, what: str) -> MergeState:
    state = context.unfinished
    if state is None:
        remove_state(context.folder)
        raise InvalidInputError(
            f"There is no unfinished merge, revert or cherry-pick to {what}.",
            "`dsvc status` shows where the workspace stands.",
        )
    return state


def _bring_left_out(context: Context, conflicts: Iterable[OpenConflict]) -> None:
    """Write our side of conflicts in files that a partial workspace does not have."""
    ours = {each.path: each.ours for each in conflicts if each.ours}
    left_out = context.workspace.left_out(ours)
    if left_out:
        wanted = {path: entry for path, entry in ours.items() if path in left_out}
        files = [entry.digest for entry in wanted.values()]
        ensure_files(context, files, "files with conflicts")
        put_at(context.workspace, wanted, context.store)


def _refuse_edited(context: Context, conflicts: Iterable[OpenConflict]) -> None:
    """Refuse to start while there is uncommitted work where a conflict is to be resolved."""
    ours = {conflict.path: conflict.ours for conflict in conflicts}
    found = found_at(context.workspace, ours)
    edited = sorted(path for path, entry in ours.items() if found.get(path) != entry)
    if not edited:
        return
    shown = ", ".join(f"'{path}'" for path in edited[:_SHOWN])
    more = f" and {len(edited) - _SHOWN} more" if len(edited) > _SHOWN else ""
    raise UnsavedChangesError(
        f"Uncommitted changes stand where both sides changed the same: {shown}{more}.",
        _MOVE_AWAY,
    )
