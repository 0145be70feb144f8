"""How a workspace stands, as data and as lines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from datasets_vc import repository as facade
from datasets_vc.cli.conflicts import state_json, state_lines
from datasets_vc.cli.misplaced import misplaced_json, misplaced_lines
from datasets_vc.cli.render import count, short, shown
from datasets_vc.cli.session import Session

if TYPE_CHECKING:
    from datasets_vc.repository import Status
    from datasets_vc.workspace.switching import Switching

# Of each kind of change; more would hide where the workspace stands.
_LISTED = 20

Skipped = Sequence[tuple[str, str]]


def status_json(status: Status) -> dict[str, Any]:
    """The status as data."""
    return {
        "branch": status.branch,
        "commit": status.commit.hex() if status.commit else None,
        "clean": status.clean,
        "checked_out": status.files,
        "added": list(status.added),
        "modified": list(status.modified),
        "deleted": list(status.deleted),
        "skipped": skipped_json(status.skipped),
        "only": None if status.only is None else list(status.only),
        "left_out": status.left_out,
        "bad_links": skipped_json(status.bad_links),
        "merging": state_json(status.merging) if status.merging else None,
        "cut_short": _cut_short_json(status.cut_short) if status.cut_short else None,
        "misplaced": misplaced_json(status.misplaced),
        "unread_rules": list(status.unread_rules),
    }


def status_lines(
    session: Session, here: facade.Repository, status: Status, *, narrowed: bool = False
) -> Iterator[str]:
    """The status as lines; `narrowed` if it is that of some paths only."""
    place = f"On branch {status.branch}" if status.branch else "On no branch"
    unborn = "nothing of it here yet" if status.moved_on else "no commit yet"
    yield f"{place}, at {short(status.commit)}." if status.commit else f"{place}, {unborn}."
    if not here.is_safe:
        folder = shown(shlex.quote(str(here.folder)))
        yield f"It is somebody else's, or came with code: trust it by 'dsvc safe add {folder}'."
    if status.merging:
        yield from state_lines(status.merging)
    if status.cut_short:
        cut = status.cut_short
        yield f"{shown(cut.told)}: some files are as they were, others as they are to be."
        yield f"'{shown(cut.command)}' goes on, 'dsvc checkout --abort' goes back."
    yield from misplaced_lines(status.misplaced)
    if not status.files:
        yield (
            "This workspace is without the version's files, and what lies in it is not compared; "
            "'dsvc checkout --all' writes them."
        )
        return
    if status.moved_on:
        yield f"The branch has moved on since; 'dsvc checkout {status.branch}' brings its files."
    if status.only is not None:
        yield _part_line(status.only, status.left_out, narrowed=narrowed)
    for place in status.unread_rules:
        yield f"Not followed: {shown(place)} is a link; put a file with the rules in its place."
    yield from skipped_lines(status.skipped)
    limit = None if session.options.verbose else _LISTED
    for path, problem in status.bad_links[:limit]:
        yield f"Cannot be committed: the link {shown(path)} {shown(problem)}."
    if limit and status.bad_links[limit:]:
        yield f"Cannot be committed: {len(status.bad_links) - limit:,} more links (-v lists them)."
    if status.clean:
        yield "Nothing changed."
        return
    changes = [
        ("added", status.added, "green"),
        ("modified", status.modified, "yellow"),
        ("deleted", status.deleted, "red"),
    ]
    for word, paths, colour in changes:
        for path in paths[:limit]:
            yield session.paint(f"  {word + ':':<10}{shown(path)}", colour)
        if paths[limit:] and limit:
            yield f"  … and {len(paths) - limit:,} more {word} (-v lists them)"
    yield ", ".join(f"{len(paths):,} {word}" for word, paths, _ in changes if paths) + "."


def _cut_short_json(cut: Switching) -> dict[str, Any]:
    return {
        "branch": cut.branch,
        "commit": cut.after.hex(),
        "continue": cut.command,
        "abort": "dsvc checkout --abort",
    }


def _part_line(only: Sequence[str], left_out: int, *, narrowed: bool) -> str:
    part = ", ".join(map(shown, only))
    if left_out or narrowed:
        part = part or "nothing that was committed"
        of_them = " of what was asked for" if narrowed else ""
        left_out_words = f"{count(left_out, 'file')}{of_them} left out"
        return f"Only part of the version is here: {part}; {left_out_words}."
    return (
        "No file is left out now, but of other versions only this part will come: "
        f"{part or 'nothing'} ('dsvc checkout --all' ends that)."
    )


def skipped_json(skipped: Skipped) -> list[dict[str, str]]:
    """What was left out and why, as data."""
    return [{"path": path, "reason": reason} for path, reason in skipped]


def skipped_lines(skipped: Skipped) -> Iterator[str]:
    """What was left out and why, a few of them, as lines."""
    for path, reason in skipped[:_LISTED]:
        yield f"Left out: {shown(path)} ({reason})."
    if skipped[_LISTED:]:
        yield f"Left out: {len(skipped) - _LISTED:,} more."
