"""Verbs for stores elsewhere: remote, clone, fetch, pull, push."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from datasets_vc.cli.author import author_of
from datasets_vc.cli.conflicts import conflict_lines, conflicts_json
from datasets_vc.cli.failure import CONFLICT
from datasets_vc.cli.git import git_lines
from datasets_vc.cli.options import keep_options
from datasets_vc.cli.plans import Plan, answer_plan
from datasets_vc.cli.render import count, short, shown, size, table
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.repository import Pin, Planning, Repository

if TYPE_CHECKING:
    from datasets_vc.config import RemoteConfig
    from datasets_vc.repository import CloneResult, SyncResult, Transfer

app = new_app()
remote = new_app(
    help="Name the stores elsewhere that versions move to and from.",
    callback=keep_options,
)
app.add_typer(remote, name="remote")

Remote = Annotated[str, typer.Argument(metavar="REMOTE", help="A name that 'remote add' gave.")]


@verb(
    remote, "add", "dsvc remote add origin s3://bucket/signs\ndsvc remote add disk /mnt/disk/signs"
)
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="A folder or any fsspec URL.")],
    single_writer: Annotated[
        bool,
        typer.Option(
            "--single-writer",
            help="Push even if it has no conditional write: only one machine pushes at a time.",
        ),
    ] = False,
) -> None:
    """Give a store elsewhere a name.

    It is tried once: can it be reached, can it be written without losing another's writes?
    """
    address = session.address(url)
    session.repository.remotes.add(name, address, single_writer=single_writer)
    session.done(
        name,
        lambda _: {"remote": name, "url": address, "single_writer": single_writer},
        lambda _: [f"Added remote {shown(name)}: {shown(address)}"],
    )


@verb(remote, "list", "dsvc remote list")
def list_(session: Session) -> None:
    """List the remotes."""
    session.answer(session.repository.remotes.list(), _remotes_json, _remotes_lines)


def _remotes_json(remotes: Mapping[str, RemoteConfig]) -> dict[str, Any]:
    return {
        "remotes": [
            {"name": name, "url": known.url, "single_writer": known.single_writer}
            for name, known in sorted(remotes.items())
        ]
    }


def _remotes_lines(remotes: Mapping[str, RemoteConfig]) -> Iterator[str]:
    rows = [(shown(name), shown(known.url)) for name, known in sorted(remotes.items())]
    return table(("NAME", "URL"), rows) if rows else iter(["No remotes."])


@verb(remote, "remove", "dsvc remote remove disk")
def remove(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which one.")],
) -> None:
    """Forget a remote; what it holds stays there."""
    session.repository.remotes.remove(name)
    session.done(
        name,
        lambda _: {"remote": name, "removed": True},
        lambda _: [f"Removed remote {shown(name)}."],
    )


@verb(
    app,
    "clone",
    "dsvc clone s3://bucket/signs\n"
    "dsvc clone /mnt/disk/signs work --rev v1.0 --no-checkout\n"
    "dsvc clone s3://bucket/signs --only 'train/**'\n"
    "dsvc clone --from dataset.lock",
)
def clone(
    session: Session,
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="A store: folder or fsspec URL.")
    ] = None,
    directory: Annotated[
        str | None, typer.Argument(metavar="DIR", help="The new folder; the URL's last part.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--rev", metavar="REV", help="Which version; the default branch.")
    ] = None,
    no_checkout: Annotated[
        bool, typer.Option("--no-checkout", help="Only the store, no files: enough for training.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PATTERN", help="Get only this part; see 'checkout'."),
    ] = None,
    lock: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="What this dataset.lock pins.")
    ] = None,
    plan: Plan = False,
) -> None:
    """Make a workspace of a version in a remote store.

    With --from there is no URL, and DIR is by default where the lock file has the workspace. The
    workspace is on the default branch if that has the version, else on no branch.
    """
    if only and (no_checkout or lock):
        raise typer.BadParameter("not with --no-checkout or --from.", param_hint="--only")
    if plan and lock:
        raise typer.BadParameter("not with --from.", param_hint="--plan")
    if lock is None:
        if url is None:
            raise typer.BadParameter("name a store, or a lock file with --from.", param_hint="URL")
        folder = session.located(directory or _last_part(url))
        address = session.address(url)
        if plan:
            planned = Planning.clone(address, folder, revision=revision, only=only or None)
            answer_plan(session, planned, "received")
            return
        result = Repository.clone(
            address,
            folder,
            revision=revision,
            checkout=not no_checkout,
            only=only or None,
            progress=session.progress,
        )
    else:
        if directory is not None or revision is not None:
            raise typer.BadParameter("it says which store and version.", param_hint="--from")
        file = session.located(lock)
        folder = session.located(url) if url else Pin.place_for(file)
        result = Pin.clone(file, folder, checkout=not no_checkout, progress=session.progress)
    session.done(
        result,
        lambda made: {**_sync_json(made, "received"), "workspace": str(folder)},
        lambda made: _clone_lines(session, folder, made),
    )


def _clone_lines(session: Session, folder: Path, result: CloneResult) -> Iterator[str]:
    yield f"Cloned into {shown(str(folder))}."
    yield from git_lines(session, Repository.open(folder))
    yield from _sync_lines(result, "received")


def _last_part(url: str) -> str:
    parts = urlsplit(url)
    name = parts.path.rstrip("/").rpartition("/")[2] or parts.netloc
    if name in ("", ".", ".."):
        raise typer.BadParameter("it has no last part to name the folder by.", param_hint="DIR")
    return name


@verb(app, "fetch", "dsvc fetch\ndsvc fetch origin v1.0\ndsvc fetch --plan")
def fetch(
    session: Session,
    remote: Remote = "origin",
    revisions: Annotated[
        list[str] | None, typer.Argument(metavar="REV", help="Bring the data of these too.")
    ] = None,
    plan: Plan = False,
) -> None:
    """Get versions from a remote; the workspace stays as it is.

    All history, and the data of the branch that the workspace is on.
    """
    if plan:
        planned = Planning(session.folder).fetch(remote, revisions or ())
        answer_plan(session, planned, "received")
        return
    result = session.repository.fetch(remote, revisions or (), progress=session.progress)
    session.done(
        result,
        lambda got: _sync_json(got, "received"),
        lambda got: _sync_lines(got, "received"),
    )


@verb(app, "pull", "dsvc pull\ndsvc pull backup\ndsvc pull --ff-only\ndsvc pull --lock")
def pull(
    session: Session,
    remote: Annotated[
        str | None,
        typer.Argument(metavar="REMOTE", help="A name that 'remote add' gave; origin."),
    ] = None,
    ff_only: Annotated[
        bool, typer.Option("--ff-only", help="Never merge: only go forward, else exit with 12.")
    ] = False,
    lock: Annotated[
        bool,
        typer.Option("--lock", help="Go to what dataset.lock pins, or the lock file REMOTE."),
    ] = False,
    plan: Plan = False,
) -> int:
    """Get the branch's new versions from a remote, and its files.

    Files are written only if the workspace has some. If both sides have new versions they are
    merged; where both changed the same the exit code is 12, see 'dsvc merge --help'.
    """
    if plan and lock:
        raise typer.BadParameter("not with --lock.", param_hint="--plan")
    if plan:
        answer_plan(session, Planning(session.folder).fetch(remote or "origin"), "received")
        return 0
    if lock:
        result = session.pin(remote).pull(session.progress)
    else:
        repository = session.repository
        author = None if ff_only else author_of(None, repository.folder)
        result = repository.pull(remote or "origin", author=author, progress=session.progress)
    conflicts = result.merge.conflicts if result.merge else ()
    tell = session.answer if conflicts else session.done
    tell(result, _pull_json, _pull_lines)
    return CONFLICT if conflicts else 0


def _pull_json(result: SyncResult) -> dict[str, Any]:
    conflicts = result.merge.conflicts if result.merge else ()
    return {
        **_sync_json(result, "received"),
        "merged": result.merge is not None and not conflicts,
        "conflicts": conflicts_json(conflicts),
    }


def _pull_lines(result: SyncResult) -> Iterator[str]:
    if result.merge and not result.merge.conflicts:
        yield "Both sides had new versions: merged."
    # What is new may have been fetched before.
    yield from _sync_lines(result, "received", nothing="" if result.updated else "Nothing new.")
    merge = result.merge
    if merge and merge.conflicts:
        yield from conflict_lines(merge.kind, merge.revision, merge.conflicts)


@verb(app, "push", "dsvc push\ndsvc push origin main\ndsvc push --plan")
def push(
    session: Session,
    remote: Remote = "origin",
    branch: Annotated[
        str | None, typer.Argument(metavar="BRANCH", help="Which branch; the current one.")
    ] = None,
    plan: Plan = False,
) -> None:
    """Send a branch's versions to a remote.

    A branch that somebody else has moved there is left alone, and the exit code is 12.
    """
    if plan:
        answer_plan(session, Planning(session.folder).push(remote, branch), "sent")
        return
    result = session.repository.push(remote, branch, progress=session.progress)
    session.done(
        result,
        lambda sent: _sync_json(sent, "sent"),
        lambda sent: _sync_lines(sent, "sent", f" at {remote}"),
    )


def _sync_json(result: SyncResult | CloneResult, way: str) -> dict[str, Any]:
    return {
        "branch": result.branch,
        "commit": result.commit.hex() if result.commit else None,
        "dataset": result.dataset.hex() if result.dataset else None,
        **_transfer_json(result.transfer, way),
    }


def _transfer_json(transfer: Transfer, way: str) -> dict[str, int]:
    return {
        f"bytes_{way}": transfer.bytes,
        "requests": transfer.requests,
        "packs": transfer.packs,
        "chunks": transfer.chunks,
    }


def _sync_lines(
    result: SyncResult | CloneResult, way: str, there: str = "", nothing: str = "Nothing new."
) -> Iterator[str]:
    moved = result.transfer
    if result.commit:
        place = f"{result.branch}{shown(there)} is at" if result.branch else "At"
        yield f"{place} {short(result.commit)}, dataset {short(result.dataset or b'')}."
    if not moved.chunks:
        yield from [nothing] if nothing else []
        return
    yield (
        f"{size(moved.bytes)} {way}: {count(moved.chunks, 'chunk')}, {count(moved.packs, 'pack')}, "
        f"{count(moved.requests, 'request')}."
    )
