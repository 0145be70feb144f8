"""Sending versions to a remote: push."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from datasets_vc import repository as facade
from datasets_vc.cli.author import author_of
from datasets_vc.cli.failure import DONE
from datasets_vc.cli.plans import Plan, answer_plan
from datasets_vc.cli.remotes import answer_pull
from datasets_vc.cli.render import short, shown
from datasets_vc.cli.secret import own_secret
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.signatures import signer_of
from datasets_vc.cli.synced import (
    Remote,
    damaged_json,
    damaged_lines,
    incomplete_lines,
    refs_json,
    runs_json,
    runs_lines,
    sync_json,
    sync_lines,
)

if TYPE_CHECKING:
    from datasets_vc.repository import RefUpdate, SyncResult

app = new_app()


@verb(
    app,
    "push",
    "dsvc push\ndsvc push origin main v1.0\ndsvc push --all --tags\n"
    "dsvc push --retry\ndsvc push --plan\ndsvc push --force\ndsvc push origin --delete old",
)
def push(
    session: Session,
    remote: Remote = "origin",
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="BRANCH|TAG", help="Which ones; the current branch."),
    ] = None,
    every_branch: Annotated[bool, typer.Option("--all", help="All branches.")] = False,
    every_tag: Annotated[
        bool, typer.Option("--tags", help="All tags too, not only those on what is pushed.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", "-d", help="Delete these at the remote; not here.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            "-f",
            help="Give up what a branch has there, if it is what was last fetched.",
        ),
    ] = False,
    new: Annotated[
        bool,
        typer.Option("--new", help="Begin a new store where the remote's is not there any more."),
    ] = False,
    retry: Annotated[
        bool,
        typer.Option(
            "--retry", help="Where somebody else was first: pull, and push again, until it is done."
        ),
    ] = False,
    every_run: Annotated[
        bool,
        typer.Option("--all-runs", help="Send runs of others too, with all that they name."),
    ] = False,
    plan: Plan = False,
) -> int:
    """Send branches and tags with their versions to a remote.

    The tags on a branch go along. All move at once, or none does. A branch that somebody else has
    moved there is left alone, and the exit code is 12.

    Finished runs go along: those that you recorded here with all that they name, those that came
    from elsewhere only where the remote has, or gets by this push, the data and the code that they
    name. How many is told; with --all-runs all go.

    The first push makes the remote's store. If that was there before and is not now, as where its
    disk is not mounted, nothing is done, and the exit code is 14: --new makes another one.

    With --retry what came in between is pulled as 'dsvc pull' does, and merged, as often as it
    takes. Where both changed the same that ends, with exit code 12; see 'dsvc merge --help'.
    """
    if new and delete:
        raise typer.BadParameter("not with --delete.", param_hint="--new")
    choice = facade.RefChoice(names or (), every_branch, every_tag, delete, force)
    if delete and every_run:
        raise typer.BadParameter("not with --delete.", param_hint="--all-runs")
    if retry and (force or delete or new or every_run or plan):
        given = "not with --force, --delete, --new, --all-runs or --plan."
        raise typer.BadParameter(given, param_hint="--retry")
    if plan:
        planning = facade.Planning(session.folder, session.trusted, own_secret)
        planned = planning.push(remote, choice, new=new, every_run=every_run)
        answer_plan(session, planned, "sent", lambda made: runs_lines(made, remote, "would be "))
        return DONE
    if retry:
        result = _until_done(session, remote, choice)
        if result.merge:
            return answer_pull(session, result)
    else:
        result = session.repository.push(
            remote, choice=choice, new=new, every_run=every_run, progress=session.progress
        )
    changed = any(update.outcome != "unchanged" for update in result.refs)
    session.done(
        result,
        lambda sent: {
            **sync_json(sent, "sent"),
            "refs": refs_json(sent.refs),
            **runs_json(sent),
            "damaged_runs": damaged_json(sent.damaged),
            "incomplete_runs": damaged_json(sent.incomplete),
        },
        lambda sent: [
            *sync_lines(
                sent,
                "sent",
                f" at {remote}",
                nothing="" if changed or sent.runs else "Nothing new.",
            ),
            *_refs_lines(sent, remote),
            *runs_lines(sent, remote),
            *damaged_lines(sent.damaged),
            *incomplete_lines(sent.incomplete),
        ],
    )
    return DONE


def _until_done(session: Session, remote: str, choice: facade.RefChoice) -> SyncResult:
    repository = session.repository
    return repository.push_until_done(
        remote,
        author=author_of(None, repository.folder),
        choice=choice,
        signer=signer_of(session, "commit", None, None),
        progress=session.progress,
    )


def _refs_lines(result: SyncResult, remote: str) -> Iterator[str]:
    """A line for each ref that was changed, but for the branch that is told of anyway."""
    for update in result.refs:
        told = (update.kind, update.name) == ("branch", result.branch)
        if update.outcome == "unchanged" or (told and update.outcome != "forced"):
            continue
        what = f"{update.outcome.capitalize()} {update.kind} {shown(update.name)}"
        yield f"{what} at {shown(remote)}: {_way(update)}."


def _way(update: RefUpdate) -> str:
    if update.old and update.new:
        return f"{short(update.old)} -> {short(update.new)}"
    return f"it was {short(update.old)}" if update.old else short(update.new or b"")
