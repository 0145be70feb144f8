"""Verbs that move versions here: clone, pull."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from datasets_vc import repository as facade
from datasets_vc.addresses import Access
from datasets_vc.cli import known_remotes
from datasets_vc.cli.access import AnonymousOption, EndpointOption, ProfileOption, RegionOption
from datasets_vc.cli.author import author_of
from datasets_vc.cli.conflicts import conflict_lines, conflicts_json
from datasets_vc.cli.failure import CONFLICT
from datasets_vc.cli.git import git_lines
from datasets_vc.cli.plans import Plan, answer_plan
from datasets_vc.cli.render import shown
from datasets_vc.cli.secret import own_secret
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.signatures import Key, Sign, Verify, signer_of
from datasets_vc.cli.synced import Only, Paths, part_of, received_json, received_lines
from datasets_vc.locations import Folder, parse_address

if TYPE_CHECKING:
    from datasets_vc.repository import CloneResult, SyncResult

app = new_app()
app.add_typer(known_remotes.app, name="remote")

Remote = Annotated[str, typer.Argument(metavar="REMOTE", help="A name that 'remote add' gave.")]


@verb(
    app,
    "clone",
    "dsvc clone s3://bucket/signs\n"
    "dsvc clone /mnt/disk/signs work --rev v1.0 --no-checkout\n"
    "dsvc clone s3://bucket/signs --only 'train/**' --allowed-signers ~/.ssh/allowed_signers\n"
    "dsvc clone s3://bucket/signs --depth 1\n"
    "dsvc clone https://data.example/signs\n"
    "dsvc clone s3://public/signs --anonymous --endpoint https://storage.example\n"
    "dsvc clone --from dataset.lock",
)
def clone(
    session: Session,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL", help="A store: a folder, s3://, gs://, az://, sftp://, https://."
        ),
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
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, help="So many versions back; see 'fetch'.")
    ] = None,
    lock: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="What this dataset.lock pins.")
    ] = None,
    allowed_signers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Take, now and later, only what one of these signed."),
    ] = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    anonymous: AnonymousOption = False,
    plan: Plan = False,
) -> None:
    """Make a workspace of a version in a remote store.

    Of a workspace its store is meant, and the branch that it is on.

    With --from there is no URL, and DIR is by default where the lock file has the workspace. The
    workspace is on the default branch if that has the version, else on no branch. How to get to the
    store is remembered, in the remote 'origin'.

    A clone that was cut short goes on where it stopped when the same command is run again.
    """
    access = Access(endpoint, region, profile, anonymous)
    if only and (no_checkout or lock):
        raise typer.BadParameter("not with --no-checkout or --from.", param_hint="--only")
    if allowed_signers and lock:
        raise typer.BadParameter("not with --from.", param_hint="--allowed-signers")
    if plan and (lock or depth is not None):
        raise typer.BadParameter("not with --from or --depth.", param_hint="--plan")
    if lock is None:
        if url is None:
            raise typer.BadParameter("name a store, or a lock file with --from.", param_hint="URL")
        address = session.address(url)
        folder = session.located(directory or _last_part(address))
        if plan:
            planned = facade.Planning.clone(
                address, folder, revision=revision, only=only or None, access=access
            )
            answer_plan(session, planned, "received")
            return
        result = facade.Repository.clone(
            address,
            folder,
            revision=revision,
            checkout=not no_checkout,
            only=only or None,
            allowed_signers=session.located(allowed_signers) if allowed_signers else None,
            depth=depth,
            access=access,
            secret=own_secret(),
            progress=session.progress,
        )
    else:
        if directory is not None or revision is not None or depth is not None:
            raise typer.BadParameter("it says which store and version.", param_hint="--from")
        file = session.located(lock)
        folder = session.located(url) if url else facade.Pin.place_for(file)
        result = facade.Pin.clone(
            file,
            folder,
            checkout=not no_checkout,
            access=access,
            secret=own_secret(),
            progress=session.progress,
        )
    session.done(
        result,
        lambda made: {**received_json(made), "workspace": str(folder)},
        lambda made: _clone_lines(session, folder, made),
    )


def _clone_lines(session: Session, folder: Path, result: CloneResult) -> Iterator[str]:
    yield f"Cloned into {shown(str(folder))}."
    yield from git_lines(session, facade.Repository.open(folder))
    yield from received_lines(result)


def _last_part(address: str) -> str:
    found = parse_address(address)
    if isinstance(found, Folder):
        name = Path(found.path).name
    else:
        parts = urlsplit(address)
        name = parts.path.rstrip("/").rpartition("/")[2] or parts.netloc
    if name in ("", ".", ".."):
        raise typer.BadParameter("it has no last part to name the folder by.", param_hint="DIR")
    return name


@verb(
    app,
    "pull",
    "dsvc pull\ndsvc pull backup\ndsvc pull --ff-only --verify\n"
    "dsvc pull --only 'train/**'\ndsvc pull --lock",
)
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
    only: Only = None,
    paths: Paths = None,
    sign: Sign = None,
    key: Key = None,
    verify: Verify = None,
    plan: Plan = False,
) -> int:
    """Get the branch's new versions from a remote, and its files.

    Files are written only if the workspace has some. If both sides have new versions they are
    merged; where both changed the same the exit code is 12, see 'dsvc merge --help'. With --verify
    a branch whose tip is not signed by an allowed signer is refused: nothing here is changed.

    With --only or --path the workspace has only these files from now on, as after 'checkout
    --only'; one without files gets the data of no others this time.
    """
    part = part_of(session, only, paths)
    if lock and part:
        raise typer.BadParameter("not with --lock.", param_hint="--only")
    if plan and lock:
        raise typer.BadParameter("not with --lock.", param_hint="--plan")
    if plan:
        planned = facade.Planning(session.folder, session.trusted).fetch(
            remote or "origin", part=part
        )
        answer_plan(session, planned, "received")
        return 0
    if lock:
        if verify or sign or key:
            raise typer.BadParameter(
                "the lock names a version by its hash, and nothing is made.",
                param_hint="--verify, --sign, --key",
            )
        result = session.pin_to_follow(remote).pull(session.progress)
    else:
        repository = session.repository
        result = repository.pull(
            remote or "origin",
            author=None if ff_only else author_of(None, repository.folder),
            signer=None if ff_only else signer_of(session, "commit", sign, key),
            verify=verify,
            part=part,
            progress=session.progress,
        )
    return answer_pull(session, result)


def answer_pull(session: Session, result: SyncResult) -> int:
    """Tell what a pull did; returns the exit code."""
    conflicts = result.merge.conflicts if result.merge else ()
    tell = session.answer if conflicts else session.done
    tell(result, _pull_json, _pull_lines)
    return CONFLICT if conflicts else 0


def _pull_json(result: SyncResult) -> dict[str, Any]:
    conflicts = result.merge.conflicts if result.merge else ()
    return {
        **received_json(result),
        "merged": result.merge is not None and not conflicts,
        "conflicts": conflicts_json(conflicts),
    }


def _pull_lines(result: SyncResult) -> Iterator[str]:
    if result.merge and not result.merge.conflicts:
        yield "Both sides had new versions: merged."
    # What is new may have been fetched before.
    yield from received_lines(result, nothing="" if result.updated else "Nothing new.")
    merge = result.merge
    if merge and merge.conflicts:
        yield from conflict_lines(merge.kind, merge.revision, merge.conflicts)
