"""Getting versions without touching the workspace: fetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc import repository as facade
from datasets_vc.cli.failure import PARTLY_DONE, as_data, exit_code_of, report
from datasets_vc.cli.plans import Plan, answer_plan
from datasets_vc.cli.render import shown
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.synced import Only, Paths, Remote, part_of, received_json, received_lines
from datasets_vc.errors import DatasetError

if TYPE_CHECKING:
    from datasets_vc.repository import SyncResult

app = new_app()


@verb(
    app,
    "fetch",
    "dsvc fetch\ndsvc fetch origin v1.0\ndsvc fetch origin v1.0 --only 'train/**'\n"
    "dsvc fetch --all\ndsvc fetch --depth 10\ndsvc fetch --unshallow\ndsvc fetch --plan",
)
def fetch(
    session: Session,
    remote: Remote = "origin",
    revisions: Annotated[
        list[str] | None, typer.Argument(metavar="REV", help="Bring the data of these too.")
    ] = None,
    only: Only = None,
    paths: Paths = None,
    every: Annotated[bool, typer.Option("--all", help="From all remotes.")] = False,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth", min=1, metavar="N", help="N versions back from each branch and tag."
        ),
    ] = None,
    unshallow: Annotated[
        bool, typer.Option("--unshallow", help="All that was left out by --depth.")
    ] = False,
    plan: Plan = False,
) -> int:
    """Get versions from a remote; the workspace stays as it is.

    All history, and the data of the branch that the workspace is on. With --only or --path only
    these files: of the versions REV, else of the branch.

    With --depth history is cut, but what is here stays. Later fetches bring what is new; 'pull'
    brings more of the old if it has to merge.
    """
    if depth is not None and unshallow:
        raise typer.BadParameter("so much, or all of it.", param_hint="--unshallow")
    if every and (revisions or remote != "origin"):
        raise typer.BadParameter("name a remote, or take all.", param_hint="--all")
    part = part_of(session, only, paths)
    if plan:
        if every or unshallow or depth is not None:
            raise typer.BadParameter("not with --all, --depth, --unshallow.", param_hint="--plan")
        planned = facade.Planning(session.folder, session.trusted).fetch(
            remote, revisions or (), part=part
        )
        answer_plan(session, planned, "received")
        return 0
    fetch_from = partial(
        session.repository.fetch,
        depth=facade.ENDLESS if unshallow else depth,
        part=part,
        progress=session.progress,
    )
    if every:
        return _fetch_all(session, fetch_from)
    result = fetch_from(remote, revisions or ())
    session.done(result, received_json, _fetch_lines)
    return 0


def _fetch_lines(got: SyncResult) -> Iterator[str]:
    # Where branches are, and how far history goes, can be new where bytes are not.
    return received_lines(got, nothing="" if got.updated else "Nothing new.")


def _fetch_all(session: Session, fetch_from: Callable[[str], SyncResult]) -> int:
    """From one remote after the other; one that fails does not keep the others waiting."""
    results: dict[str, SyncResult | DatasetError] = {}
    for name in sorted(session.repository.remotes.list()):
        try:
            results[name] = fetch_from(name)
        except DatasetError as error:
            results[name] = error
    session.done(results, _fetched_json, _fetched_lines)
    failed = [error for error in results.values() if isinstance(error, DatasetError)]
    for failure in failed if not session.options.json else ():
        report(failure, as_json=False, trace=False)
    if failed and len(failed) == len(results):
        return exit_code_of(failed[0])
    return PARTLY_DONE if failed else 0


def _fetched_json(results: Mapping[str, SyncResult | DatasetError]) -> dict[str, Any]:
    return {
        "remotes": {
            name: as_data(got) if isinstance(got, DatasetError) else received_json(got)
            for name, got in results.items()
        }
    }


def _fetched_lines(results: Mapping[str, SyncResult | DatasetError]) -> Iterator[str]:
    for name, got in results.items():
        if not isinstance(got, DatasetError):
            yield from (f"{shown(name)}: {line}" for line in _fetch_lines(got))
