"""What verbs that move versions have in common: which part, and what they tell of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc import repository as facade
from datasets_vc.cli.render import count, short, shown, size
from datasets_vc.cli.session import Session

if TYPE_CHECKING:
    from datasets_vc.repository import CloneResult, RefUpdate, SyncPlan, SyncResult, Transfer

Remote = Annotated[str, typer.Argument(metavar="REMOTE", help="A name that 'remote add' gave.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PATTERN", help="Only this part; see 'checkout'."),
]
Paths = Annotated[
    list[str] | None, typer.Option("--path", metavar="PATH", help="Only this file or folder.")
]

_LISTED = 10


def part_of(
    session: Session, only: list[str] | None, paths: list[str] | None
) -> facade.Part | None:
    """What --only and --path name together."""
    named = session.dataset_paths(paths) if paths else ()
    patterns = [*(only or ()), *map(facade.pattern_of, named)]
    return facade.Part(patterns) if patterns else None


def sync_json(result: SyncResult | CloneResult, way: str) -> dict[str, Any]:
    return {
        "branch": result.branch,
        "commit": result.commit.hex() if result.commit else None,
        "dataset": result.dataset.hex() if result.dataset else None,
        **transfer_json(result.transfer, way),
    }


def received_json(result: SyncResult | CloneResult) -> dict[str, Any]:
    return {
        **sync_json(result, "received"),
        "refs": refs_json(result.refs),
        "damaged_runs": damaged_json(result.damaged),
        "incomplete_runs": damaged_json(result.incomplete),
    }


def damaged_json(damaged: Mapping[str, str]) -> list[dict[str, str]]:
    """Runs that were left out, and why."""
    return [{"run": run, "problem": problem} for run, problem in damaged.items()]


def runs_json(result: SyncResult | SyncPlan) -> dict[str, Any]:
    """The runs that go along with a push, and those that do not."""
    return {
        "runs": result.runs,
        "foreign_runs": result.foreign_runs,
        "kept_runs": list(result.kept_runs),
    }


def runs_lines(result: SyncResult | SyncPlan, remote: str, would: str = "") -> Iterator[str]:
    if result.runs:
        foreign = f", {result.foreign_runs:,} of them not recorded here"
        yield f"{count(result.runs, 'run')} {would}sent{foreign if result.foreign_runs else ''}."
    if result.kept_runs:
        kept = count(len(result.kept_runs), "run")
        yield (
            f"Left here: {kept} not recorded here, naming data or code that {shown(remote)} lacks "
            "(--all-runs sends both)."
        )


def refs_json(refs: Sequence[RefUpdate]) -> list[dict[str, str | None]]:
    return [
        {
            "kind": update.kind,
            "name": update.name,
            "old": update.old.hex() if update.old else None,
            "new": update.new.hex() if update.new else None,
            "outcome": update.outcome,
        }
        for update in refs
    ]


def transfer_json(transfer: Transfer, way: str) -> dict[str, int]:
    return {
        f"bytes_{way}": transfer.bytes,
        "requests": transfer.requests,
        "packs": transfer.packs,
        "chunks": transfer.chunks,
    }


def sync_lines(
    result: SyncResult | CloneResult, way: str, there: str = "", nothing: str = "Nothing new."
) -> Iterator[str]:
    moved = result.transfer
    if result.commit:
        place = f"{result.branch}{shown(there)} is at" if result.branch else "At"
        yield f"{place} {short(result.commit)}, dataset {short(result.dataset or b'')}."
    if moved.chunks:
        yield (
            f"{size(moved.bytes)} {way}: {count(moved.chunks, 'chunk')}, "
            f"{count(moved.packs, 'pack')}, {count(moved.requests, 'request')}."
        )
    elif nothing:
        yield nothing


def received_lines(
    result: SyncResult | CloneResult, nothing: str = "Nothing new."
) -> Iterator[str]:
    yield from sync_lines(result, "received", nothing="" if result.runs else nothing)
    for update in result.refs:
        name = shown(update.name)
        if update.outcome == "forced" and update.old and update.new:
            yield f"+ {short(update.old)}...{short(update.new)} {name} (forced update)"
        elif update.outcome == "deleted" and update.old:
            yield f"- {short(update.old)} {name} (deleted there)"
        elif update.outcome == "left out":
            yield f"Left out: the tag {name}, which would be taken for a branch of a remote."
    if result.runs:
        yield f"{count(result.runs, 'run')} received."
    yield from damaged_lines(result.damaged)
    yield from incomplete_lines(result.incomplete)


def incomplete_lines(incomplete: Mapping[str, str]) -> Iterator[str]:
    """What is said of runs of which something is missing."""
    problems = list(incomplete.values())
    yield from map(shown, problems[:_LISTED])
    if problems[_LISTED:]:
        yield f"{len(problems) - _LISTED:,} more runs are not complete."
    if problems:
        yield "What is missing comes from a remote that has it: dsvc fetch NAME REV"


def damaged_lines(damaged: Mapping[str, str]) -> Iterator[str]:
    problems = list(damaged.values())
    for problem in problems[:_LISTED]:
        yield f"Left out: {shown(problem)}"
    if problems[_LISTED:]:
        yield f"Left out: {len(problems) - _LISTED:,} more."
    if problems:
        yield "To mend it, where the run is whole: dsvc fsck --remote NAME --repair"
