"""From one version to another: noted before the first file changes, taken back if it is cut short.

See `workspace.switching`. All of this happens under the workspace's lock.
"""

from __future__ import annotations

from collections.abc import Callable

from datasets_vc.config import Head
from datasets_vc.digest import Digest
from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import Entry, rows_of
from datasets_vc.history.commits import is_ancestor
from datasets_vc.history.diff import differing_rows
from datasets_vc.history.manifest import Manifest
from datasets_vc.progress import Progress
from datasets_vc.repository.bringing import ensure_files, ensure_nodes
from datasets_vc.repository.context import Context
from datasets_vc.repository.results import CheckoutResult
from datasets_vc.repository.unfinished import unforced
from datasets_vc.workspace.exact import found_at, put_at
from datasets_vc.workspace.part import Part
from datasets_vc.workspace.switching import Switching, remove_switching, write_switching


def note(context: Context, goal: Head, part: Part | None, command: str) -> Callable[[], None]:
    """What puts down where the workspace goes, to be called before the first file changes.

    Args:
        part: what it is to have there, if that changes.
        command: the command line that goes on.
    """
    only = (part or context.workspace.part).patterns
    head = context.head
    if goal.commit is None or (goal.commit == head.commit and part is None):
        return lambda: None
    switching = Switching(head.commit, goal.commit, goal.branch, only, command)
    return lambda: write_switching(context.folder, switching)


def arrive(context: Context) -> None:
    """HEAD is where the files are."""
    remove_switching(context.folder)


def turn(context: Context, target: Digest | None, part: Part | None, progress: Progress) -> None:
    """Take back what was cut short, unless it led to where the workspace is to go now."""
    cut = context.cut_short
    if cut and not _leads(cut, target, part or context.workspace.part):
        _take_back(context, cut, progress)


def turn_forward(context: Context, target: Digest, progress: Progress) -> None:
    """The same for a branch that goes forward: what was on its way elsewhere stays in the way.

    Raises:
        ConflictError: a checkout was cut short.
    """
    cut, head = context.cut_short, context.head
    if cut is None or _leads(cut, target, context.workspace.part):
        return
    forward = cut.branch == head.branch and (
        head.commit is None or is_ancestor(context.store, head.commit, cut.after)
    )
    if not forward:
        context.refuse_cut_short()
    _take_back(context, cut, progress)


def abort(context: Context, progress: Progress) -> CheckoutResult:
    """Put the files that were changed on the way back as HEAD has them."""
    cut, head = context.cut_short, context.head
    if cut is None:
        remove_switching(context.folder)
        raise InvalidInputError(
            "No checkout was cut short here, so there is none to take back.",
            "`dsvc status` shows where the workspace stands.",
        )
    counts = _take_back(context, cut, progress)
    return CheckoutResult(head.branch, head.commit, *counts)


def _leads(cut: Switching, target: Digest | None, part: Part) -> bool:
    return (cut.after, cut.only) == (target, part.patterns)


def _take_back(context: Context, cut: Switching, progress: Progress) -> tuple[int, int]:
    """Make what is as it is in the new version as it is in HEAD; all else is somebody's work."""
    before, after = _touched(context, cut)
    touched = before.keys() | after.keys()
    touched -= context.workspace.left_out(touched)
    found = found_at(context.workspace, touched)
    wanted = {path: before.get(path) for path in touched if found.get(path) == after.get(path)}
    files = [entry.digest for entry in wanted.values() if entry]
    ensure_files(context, files, "files of the version before", progress)
    with unforced(context):
        done = put_at(context.workspace, wanted, context.store, progress=progress)
    remove_switching(context.folder)
    return done.written, done.removed


def _touched(context: Context, cut: Switching) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """What HEAD has where the workspace was to be changed, and what it was to have there."""
    here, there = context.dataset_of(context.head.commit), context.dataset_of(cut.after)
    assert there is not None
    ensure_nodes(context, [each for each in (here, there) if each])
    if here is None:
        come = rows_of(Manifest(context.store, there).entries())
        return {}, {entry.path: entry for entry in come}
    gone, come = map(rows_of, differing_rows(context.store, here, there))
    before = {entry.path: entry for entry in gone}
    after = {entry.path: entry for entry in come}
    part = Part(cut.only)
    if cut.only != context.workspace.part.patterns:
        entries = rows_of(Manifest(context.store, here).entries())
        before |= {entry.path: entry for entry in entries if not part.has(entry.path)}
        after = {path: entry for path, entry in after.items() if part.has(path)}
    return before, after
