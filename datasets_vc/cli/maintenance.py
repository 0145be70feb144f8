"""Verbs that keep stores in order: gc, fsck, drop."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc.cli.failure import CORRUPT, DONE, PARTLY_DONE
from datasets_vc.cli.misplaced import misplaced_json, misplaced_lines
from datasets_vc.cli.render import count, moment, short, shown, size, table
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.streams import work_is_done
from datasets_vc.cli.synced import damaged_json

if TYPE_CHECKING:
    from datasets_vc.repository.checking import Checked
    from datasets_vc.repository.collecting import Collected
    from datasets_vc.repository.dropping import Dropped

app = new_app()

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SHOWN = 20
_KINDS = ("pack", "chunk", "ref", "commit", "node", "file", "run")

AtRemote = Annotated[
    str | None,
    typer.Option("--remote", metavar="NAME", help="A remote's store rather than the one here."),
]


@verb(app, "gc", "dsvc gc --dry-run --explain\ndsvc gc --grace 12h\ndsvc gc --remote origin")
def gc(
    session: Session,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Delete nothing: say what would go, and why.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say how many bytes each ref keeps, and why all goes.")
    ] = False,
    remote: AtRemote = None,
    grace: Annotated[
        str | None,
        typer.Option(
            "--grace",
            metavar="TIME",
            help="Keep what has been garbage for less: 0, 90m, 12h, 14d. By default 14d, and 1d "
            "in a store that only this workspace uses.",
        ),
    ] = None,
) -> int:
    """Delete what no branch, tag or run needs any more.

    What is found to be garbage waits for the grace period, counted from the first 'dsvc gc' that
    finds it, and is deleted by the next one after that. With --grace 0 it is deleted at once: let
    no training record itself into the store meanwhile.

    A run that cannot be read is named, and the exit code is 3: all that its record names by a
    digest is kept. 'dsvc fsck --repair' mends it or puts it aside.
    """
    result = session.repository.maintenance.gc(
        remote=remote, grace=_duration(grace), dry_run=dry_run, explain=explain
    )
    session.done(
        result,
        lambda done: _collected_json(done, dry_run),
        lambda done: [
            *_collected_lines(done, dry_run, explain),
            *_unreadable_lines(done.unreadable, remote),
        ],
    )
    return PARTLY_DONE if result.unreadable else DONE


@verb(app, "fsck", "dsvc fsck\ndsvc fsck --sample 5%\ndsvc fsck --remote origin --repair")
def fsck(
    session: Session,
    sample: Annotated[
        str | None,
        typer.Option("--sample", metavar="P", help="Read a random part of the bytes: 5% or 0.05."),
    ] = None,
    remote: AtRemote = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended, and keep the rest aside.")
    ] = False,
) -> int:
    """Check that everything is there and sound, or mend it.

    Every object down to each chunk, every version down to each file. The exit code is 13 if
    something is wrong and was not mended.

    --repair lists anew what the index has lost, and gets damaged chunks and runs from remotes, from
    the store here if a remote is checked, or from files of the workspace that still have the bytes.
    What cannot be mended is moved to 'quarantine/' in the store.
    """
    result = session.repository.maintenance.fsck(
        remote=remote, sample=_fraction(sample), repair=repair, progress=session.progress
    )
    work_is_done()
    session.answer(
        result, _checked_json, lambda done: _checked_lines(session, done, repair, remote)
    )
    return DONE if result.sound else CORRUPT


@verb(app, "drop", "dsvc drop v1.0\ndsvc drop --all --dry-run")
def drop(
    session: Session,
    revisions: Annotated[
        list[str] | None, typer.Argument(metavar="REV", help="Versions whose files to drop.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All files, those of the current version too.")
    ] = False,
    keep_pinned: Annotated[
        bool, typer.Option("--keep-pinned", help="Leave packs that a recorded run has read.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Drop nothing: say how much would go.")
    ] = False,
) -> None:
    """Free local space of files that a remote has, too.

    They come back when they are needed. Only what a remote has for sure goes: it is another store
    than the one here, and its index, read anew, lists it, in a pack that is there in full length.
    History and lists of files stay, and so does
    what the current version needs, unless it is named. Files of the workspace are not touched.
    """
    if bool(revisions) == everything:
        raise typer.BadParameter("name versions, or give --all.", param_hint="REV")
    result = session.repository.maintenance.drop(
        revisions or (), everything=everything, keep_pinned=keep_pinned, dry_run=dry_run
    )
    session.done(
        result,
        lambda done: {
            "dry_run": dry_run,
            "chunks": done.chunks,
            "bytes": done.bytes,
            "packs": done.packs,
            "bytes_freed": done.freed,
            "bytes_only_here": done.only_here,
            "bytes_unused": done.unused,
            "bytes_damaged_at": dict(done.damaged),
            "not_counted": dict(done.not_counted),
        },
        lambda done: _dropped_lines(done, dry_run),
    )


def _dropped_lines(result: Dropped, dry_run: bool) -> Iterator[str]:
    word = "Would drop" if dry_run else "Dropped"
    yield (
        f"{word} {count(result.chunks, 'chunk')}, {size(result.bytes)}: "
        f"{size(result.freed)} freed in {count(result.packs, 'pack')}."
    )
    if result.only_here:
        send = f" Send them: {shown(result.push)}" if result.unsent == result.only_here else ""
        yield f"{size(result.only_here)} stay: no remote has them for sure.{send}"
        yield from _staying_lines(result)
    for problem in result.not_counted.values():
        yield f"Not counted: {shown(problem)}"


def _staying_lines(result: Dropped) -> Iterator[str]:
    """What is to be done about what stays, where it is not all the same."""
    for name, damaged in result.damaged.items():
        mend = shown(shlex.join(["dsvc", "fsck", "--remote", name, "--repair"]))
        yield f"{size(damaged)} of them are damaged at {shown(name)}. Mend that: {mend}"
    if result.unused:
        yield f"{size(result.unused)} of them belong to no branch, tag or run. Delete them: dsvc gc"
    if 0 < result.unsent < result.only_here:
        yield f"{size(result.unsent)} of them were never sent. Send them: {shown(result.push)}"


def _fraction(text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?|\.\d+)(%?)", text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < value <= 1:
        raise typer.BadParameter("give a part of the bytes: 5% or 0.05.", param_hint="--sample")
    return value


def _checked_json(result: Checked) -> dict[str, Any]:
    mended = set(result.mended)
    return {
        "store": result.store,
        "checked": dict(result.checked),
        "bytes": result.bytes,
        "sample": None
        if result.sample.whole
        else {"fraction": result.sample.fraction, "seed": result.sample.seed},
        "absent": result.absent,
        "cut": result.cut,
        "sound": result.sound,
        "errors": [
            {
                "object": each.kind,
                "name": each.name,
                "problem": each.problem,
                "mended": each in mended,
            }
            for each in result.errors
        ],
        "affected": [
            {
                "path": each.path,
                "digest": each.digest.hex(),
                "list": each.is_list,
                "versions": [commit.hex() for commit in each.commits],
            }
            for each in result.affected
        ],
        "quarantined": list(result.quarantined),
        "misplaced": misplaced_json(result.misplaced),
    }


def _checked_lines(
    session: Session, result: Checked, repaired: bool, remote: str | None
) -> Iterator[str]:
    numbers = ", ".join(count(number, kind) for kind, number in _told(result.checked))
    part = "" if result.sample.whole else f" (a sample, seed {result.sample.seed})"
    yield f"Checked {numbers}; read {size(result.bytes)}{part}."
    mended = set(result.mended)
    for each in result.errors[:_SHOWN]:
        mark = session.paint("mended", "green") if each in mended else session.paint("BAD", "red")
        yield f"{mark} {each.kind} {shown(each.name)}: {shown(each.problem)}"
    if len(result.errors) > _SHOWN:
        yield f"... and {len(result.errors) - _SHOWN:,} more."
    for path in result.affected[:_SHOWN]:
        versions = ", ".join(shown(result.names.get(c, short(c))) for c in path.commits[:_SHOWN])
        what = "the list of files from " if path.is_list else ""
        yield f"cannot be read: {what}{shown(path.path)} of {versions}"
    if len(result.affected) > _SHOWN:
        yield f"... and {len(result.affected) - _SHOWN:,} more paths."
    yield from _absent_lines(result)
    if result.quarantined:
        yield f"{count(len(result.quarantined), 'damaged object')} kept in 'quarantine/'."
    yield from misplaced_lines(result.misplaced)
    if result.sound:
        yield "Everything is mended." if result.errors else "Everything is sound."
    else:
        left = count(len(result.errors) - len(result.mended), "error")
        at = ["--remote", remote] if remote else []
        again = shlex.join(["dsvc", "fsck", *at, "--repair"])
        rest = " could not be mended." if repaired else f". '{shown(again)}' mends what it can."
        yield f"{left}{rest}"


def _absent_lines(result: Checked) -> Iterator[str]:
    """What is not here and need not be: it was dropped, or never brought."""
    if result.absent:
        what, verb = count(result.absent, "chunk"), "is" if result.absent == 1 else "are"
        yield f"{what} {verb} not here by design: 'dsvc fetch REMOTE REV' brings a version's."
    if result.cut:
        yield f"History is cut before {count(result.cut, 'commit')}: 'dsvc fetch --unshallow'."


def _told(checked: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    return ((kind, number) for kind, number in checked.items() if kind in _KINDS)


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([smhdw])|0", text.strip())
    if not found:
        raise typer.BadParameter("give a number and s, m, h, d or w: 12h.", param_hint="--grace")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]] if found[1] else 0)


def _collected_json(result: Collected, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "chunks": result.chunks,
        "bytes": result.bytes,
        "deleted": [
            {"name": gone.name, "bytes": gone.bytes, "reason": gone.reason}
            for gone in result.objects
        ],
        "bytes_deleted": sum(gone.bytes for gone in result.objects),
        "packs_rewritten": result.rewritten,
        "bytes_rewritten": result.rewritten_bytes,
        "waiting": {
            "chunks": result.waiting_chunks,
            "bytes": result.waiting_bytes,
            "since": result.waiting_since.isoformat() if result.waiting_since else None,
        },
        "grace_seconds": int(result.grace.total_seconds()),
        "held": [
            {"kind": held.kind, "name": held.name, "bytes": held.bytes, "bytes_alone": held.alone}
            for held in result.held
        ],
        "damaged_runs": damaged_json(result.unreadable),
    }


def _unreadable_lines(unreadable: Mapping[str, str], remote: str | None) -> Iterator[str]:
    for run, problem in unreadable.items():
        yield f"Run {run} cannot be read, and what it names was kept: {shown(problem)}"
    if unreadable:
        at = f" --remote {remote}" if remote else ""
        yield f"Mend such runs, or put them aside: dsvc fsck --repair{at}"


def _collected_lines(result: Collected, dry_run: bool, explain: bool) -> Iterator[str]:
    if result.held:
        rows = [
            (each.kind, shown(each.name), size(each.bytes), size(each.alone))
            for each in result.held
        ]
        yield from table(("KEPT BY", "NAME", "BYTES", "ALONE"), rows)
    if (dry_run or explain) and result.objects:
        gone = [(size(gone.bytes), gone.name, gone.reason) for gone in result.objects[:_SHOWN]]
        yield from table(("BYTES", "GOES", "WHY"), gone)
        if len(result.objects) > _SHOWN:
            yield f"... and {len(result.objects) - _SHOWN:,} more."
    word = "Would delete" if dry_run else "Deleted"
    freed = sum(gone.bytes for gone in result.objects)
    yield f"{word} {size(freed)} in {count(len(result.objects), 'object')}."
    if result.rewritten:
        word = "Would write" if dry_run else "Wrote"
        packs = count(result.rewritten, "pack")
        yield f"{word} {packs} of mostly garbage anew, {size(result.rewritten_bytes)} shorter."
    if result.waiting_since:
        until = moment(result.waiting_since + result.grace)
        yield (
            f"{size(result.waiting_bytes)} more of garbage wait: 'dsvc gc' deletes what is still "
            f"garbage after {until}; --grace 0 does not wait."
        )
