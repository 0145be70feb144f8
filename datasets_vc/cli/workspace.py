"""Verbs that work with files: init, status, commit, checkout, restore."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datasets_vc import repository as facade
from datasets_vc.cli.access import SharedOption
from datasets_vc.cli.author import author_of
from datasets_vc.cli.beginning import version_lines
from datasets_vc.cli.failure import DONE, FAILED
from datasets_vc.cli.git import git_lines
from datasets_vc.cli.locks import compared_json, compared_lines
from datasets_vc.cli.render import count, short, shown, size
from datasets_vc.cli.session import Session, new_app, verb
from datasets_vc.cli.signatures import Key, Sign, signer_of
from datasets_vc.cli.status import skipped_json, skipped_lines, status_json, status_lines

if TYPE_CHECKING:
    from datasets_vc.repository import CheckoutResult, CommitResult

app = new_app()

Paths = Annotated[list[str] | None, typer.Argument(metavar="PATH", help="Only what lies here.")]


@verb(
    app,
    "init",
    "dsvc init photos\ndsvc init photos --store /data/store\n"
    "dsvc init photos --store /srv/team/store --shared group",
)
def init(
    session: Session,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The folder.")] = ".",
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Keep the versions here, not in DIR/.dsvc/store."),
    ] = None,
    shared: SharedOption = None,
) -> None:
    """Make a workspace of a folder.

    Its files stay as they are; 'dsvc commit' records them. With --shared the store, and all that
    any user makes in it later, is for the group of its folder to write.
    """
    if shared and store is None:
        raise typer.BadParameter(
            "it is for a store that several workspaces use: name it with --store.",
            param_hint="--shared",
        )
    repository = facade.Repository.init(
        session.located(directory),
        None if store is None else session.address(store),
        shared=shared,
    )
    session.done(
        repository,
        lambda made: {
            "workspace": str(made.folder),
            "store": made.store.url,
            "branches": sorted(made.branches.list()),
        },
        lambda made: [
            f"Made a workspace in {shown(str(made.folder))}.",
            *version_lines(made),
            *git_lines(session, made),
        ],
    )


@verb(app, "status", "dsvc status\ndsvc status train --json\ndsvc status --lock")
def status(
    session: Session,
    paths: Paths = None,
    lock: Annotated[
        bool,
        typer.Option(
            "--lock", help="Compare with what dataset.lock pins, or the lock file at PATH."
        ),
    ] = False,
) -> int:
    """Show what changed since the last commit.

    With --lock the exit code is 1 if this is not the pinned dataset, or there are changes.
    """
    if lock:
        return _status_of_lock(session, paths or [])
    session.answer(
        session.repository.status(session.dataset_paths(paths)),
        status_json,
        lambda found: status_lines(session, session.repository, found, narrowed=bool(paths)),
    )
    return DONE


def _status_of_lock(session: Session, files: list[str]) -> int:
    if len(files) > 1:
        raise typer.BadParameter("with --lock it is one file at most.", param_hint="PATH")
    pin = session.pin_to_follow(*files)
    here, found = facade.Repository.open(pin.folder, trusted=session.trusted), pin.status()
    session.answer(
        found,
        lambda made: {**status_json(made.status), **compared_json(made)},
        lambda made: [*status_lines(session, here, made.status), *compared_lines(session, made)],
    )
    return DONE if found.matches else FAILED


@verb(
    app,
    "commit",
    'dsvc commit -m "Add the clips of May"\ndsvc commit -m "Fix labels" train/labels.csv\n'
    "dsvc commit -m Release --sign --key ~/.ssh/id_ed25519.pub",
)
def commit(
    session: Session,
    message: Annotated[str, typer.Option("-m", "--message", help="What changed, and why.")],
    paths: Paths = None,
    author: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who commits; else DSVC_AUTHOR, 'author' in .dsvc/config.toml, git's user.",
        ),
    ] = None,
    consume: Annotated[
        bool,
        typer.Option(
            "--consume", help="Then remove the files here, each once it was read from the store."
        ),
    ] = False,
    sign: Sign = None,
    key: Key = None,
) -> None:
    """Record the changes as a new version.

    All of them, or those under PATH. Files that .dsvcignore names (as .gitignore would) are left
    out, unless the version before has them. Modes and empty folders are not recorded. What
    --consume removes counts as unchanged; 'dsvc restore PATH' brings it back.
    """
    repository = session.repository
    result = repository.commit(
        message,
        session.dataset_paths(paths),
        author=author_of(author, repository.folder),
        time=datetime.now(UTC),
        consume=consume,
        signer=signer_of(session, "commit", sign, key),
        progress=session.progress,
    )
    session.done(result, _commit_json, _commit_lines)


def _commit_json(result: CommitResult) -> dict[str, Any]:
    return {
        "commit": result.commit.hex(),
        "dataset": result.dataset.hex(),
        "files": result.files,
        "bytes": result.bytes,
        "added": result.added,
        "modified": result.modified,
        "deleted": result.deleted,
        "bytes_written": result.bytes_written,
        "consumed": {
            "files": result.consumed.files,
            "bytes": result.consumed.bytes,
            "kept": result.consumed.kept,
        },
        "skipped": skipped_json(result.skipped),
        "warnings": list(result.warnings),
    }


def _commit_lines(result: CommitResult) -> Iterator[str]:
    yield f"commit  {result.commit.hex()}"
    yield f"dataset {result.dataset.hex()}"
    yield (
        f"{result.added:,} added, {result.modified:,} modified, {result.deleted:,} deleted; "
        f"now {count(result.files, 'file')}, {size(result.bytes)}; "
        f"{size(result.bytes_written)} written."
    )
    consumed = result.consumed
    if consumed.files:
        removed = f"{count(consumed.files, 'file')}, {size(consumed.bytes)}"
        yield f"Removed from the workspace, as the store has them: {removed}."
    if consumed.kept:
        kept = count(consumed.kept, "file")
        yield f"Kept: {kept} that the store lacks, or that were written to meanwhile."
    yield from skipped_lines(result.skipped)
    yield from (f"Note: {warning}" for warning in result.warnings)


@verb(
    app,
    "checkout",
    "dsvc checkout v1.0\ndsvc checkout main~2 train/labels.csv\ndsvc checkout -b relabel\n"
    "dsvc checkout main --only 'train/**' --only '*.csv'\ndsvc checkout --all",
)
def checkout(
    session: Session,
    revision: Annotated[
        str | None, typer.Argument(metavar="REV", help="Which version; HEAD with -b.")
    ] = None,
    paths: Paths = None,
    branch: Annotated[
        str | None, typer.Option("-b", metavar="NAME", help="Start a branch there.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PATTERN", help="From now on have only this part here."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="From now on have all files here again.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite uncommitted changes.")] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Go back, after a checkout or pull was cut short.")
    ] = False,
) -> None:
    """Put a version's files into the workspace.

    With PATH only what lies there, and the workspace stays on its branch. With --only (patterns as
    in .dsvcignore; the last one that fits decides, '!' leaves out) other files of the version go,
    and are not missed. Uncommitted changes are never overwritten without --force.
    If it is cut short, the same command goes on, and --abort puts back what it had changed.
    """
    if abort:
        if revision or branch or only or everything or force:
            raise typer.BadParameter("it stands alone.", param_hint="--abort")
        result = session.repository.abort_checkout(progress=session.progress)
        session.done(result, _checkout_json, _checkout_lines)
        return
    if not (revision or branch or only or everything):
        raise typer.BadParameter(
            "name a version, a new branch with -b, or a part with --only or --all.",
            param_hint="REV",
        )
    if bool(only) + everything + bool(paths) > 1:
        raise typer.BadParameter("not together with other paths.", param_hint="--only, --all")
    result = session.repository.checkout(
        revision or ("HEAD" if branch else None),
        session.dataset_paths(paths),
        force=force,
        create=branch,
        part=facade.Part(only or None) if only or everything else None,
        progress=session.progress,
    )
    session.done(result, _checkout_json, _checkout_lines)


def _checkout_json(result: CheckoutResult) -> dict[str, Any]:
    return {
        "branch": result.branch,
        "commit": result.commit.hex() if result.commit else None,
        "written": result.written,
        "removed": result.removed,
        "skipped": skipped_json(result.skipped),
    }


def _checkout_lines(result: CheckoutResult) -> Iterator[str]:
    place = f"On branch {result.branch}" if result.branch else "On no branch"
    at = f", at {short(result.commit)}" if result.commit else ""
    yield f"{place}{at}: {result.written:,} written, {result.removed:,} removed."
    yield from skipped_lines(result.skipped)


@verb(app, "restore", "dsvc restore train\ndsvc restore --source v1.0 train/labels.csv")
def restore(
    session: Session,
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="What to bring back.")],
    source: Annotated[str, typer.Option(metavar="REV", help="As it was there.")] = "HEAD",
) -> None:
    """Bring files back as they were, whatever happened to them.

    Uncommitted changes under PATH are lost, and what --only or --consume left out comes too; after
    'restore .' nothing is left out any more.
    """
    repository = session.repository
    inside = session.dataset_paths(paths)
    result = repository.restore(inside, source=source, progress=session.progress)
    session.done(
        result,
        lambda made: {
            "source": source,
            "written": made.written,
            "removed": made.removed,
            "skipped": skipped_json(made.skipped),
        },
        lambda made: [
            f"From {shown(source)}: {made.written:,} written, {made.removed:,} removed.",
            *skipped_lines(made.skipped),
        ],
    )
