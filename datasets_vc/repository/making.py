"""New workspaces: init and clone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datasets_vc.addresses import Access
from datasets_vc.config import (
    Config,
    Head,
    set_store,
    store_location,
)
from datasets_vc.digest import Digest
from datasets_vc.errors import (
    AlreadyExistsError,
    LockedError,
    NotFoundError,
)
from datasets_vc.locations import absolute_address
from datasets_vc.paths import META_DIR
from datasets_vc.permissions import Sharing
from datasets_vc.progress import Progress
from datasets_vc.repository.claims import check_folder, check_settings, claimed, make_store
from datasets_vc.repository.context import Context
from datasets_vc.repository.exchange import ensure, fetch_all, revision_there
from datasets_vc.repository.files import write_files
from datasets_vc.repository.needed import Need
from datasets_vc.repository.results import CloneResult, Transfer
from datasets_vc.repository.signing import admission
from datasets_vc.repository.unfinished import unforced
from datasets_vc.store.nesting import check_new_place, check_new_workspace
from datasets_vc.sync.fetch import fetch_history
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Connection
from datasets_vc.sync.workspaces import named
from datasets_vc.workspace import Workspace
from datasets_vc.workspace.beginning import begin, is_hollow, lay_out, take_back
from datasets_vc.workspace.cloning import Cloning, read_note
from datasets_vc.workspace.git import hide_from_git
from datasets_vc.workspace.part import Part


def init(folder: Path, store_url: str | None, shared: Sharing | None = None) -> Context:
    context = make_workspace(folder, store_url, shared)
    hide_from_git(folder)
    return context


def make_workspace(folder: Path, store_url: str | None, shared: Sharing | None = None) -> Context:
    """Make a workspace of a folder; nothing is left of it if that fails.

    One that was cut short before is made whole.
    """
    check_folder(folder)
    _check_no_workspace(folder, store_url)
    check_new_workspace(folder)
    if store_url is not None:
        check_new_place(absolute_address(store_url, folder), folder)
    with _whole_or_not_at_all(folder), Workspace(folder).lock():
        _check_no_workspace(folder, store_url)
        lay_out(folder)
        if store_url is not None:
            set_store(folder, store_url)
        store = make_store(store_location(folder), shared)
        Workspace(folder).set_head(Head(store.root().default_branch, None))
    return Context(folder)


def clone(
    url: str,
    folder: Path,
    *,
    revision: str | None,
    checkout: bool,
    only: Sequence[str] | None,
    allowed_signers: Path | None,
    depth: int | None,
    access: Access,
    secret: bytes | None,
    progress: Progress,
) -> CloneResult:
    found = named(absolute_address(url, Path().absolute()))
    url, revision = found.url, revision or found.branch
    check_new_workspace(folder, url)
    part = Part(only)
    wanted = Cloning(
        url,
        revision=revision,
        checkout=checkout,
        only=part.patterns,
        depth=depth,
        allowed_signers=str(allowed_signers) if allowed_signers else None,
        access=access,
    )
    with claimed(folder, wanted, secret) as claim:
        with claim.whole_or_not_at_all():
            context = claim.lay_out(secret)
            connection = connect_to_origin(context, url)
            root = connection.root
            name = revision or root.default_branch
            branch = name if revision is None or name in root.branches else None
            if branch:
                fetched = None  # it comes later: a clone that is cut short then can go on
                commit = root.branches.get(branch)
            else:
                fetched = fetch_all(context, connection, DEFAULT_REMOTE, [], progress, depth=depth)
                commit = context.commit_of(revision_there(name, root))
            if allowed_signers and commit:
                _admit(context, connection, name, branch, commit, depth)
        hide_from_git(folder)
        if claim.is_done(Head(branch, commit)):
            return CloneResult(branch, commit, context.dataset_of(commit), Transfer())
        if branch:
            context.workspace.set_head(Head(branch, None))
        branches = [branch] if branch else []
        fetched = fetched or fetch_all(
            context, connection, DEFAULT_REMOTE, branches, progress, depth=depth
        )
        transfer = fetched.transfer
        dataset = context.dataset_of(commit)
        if dataset and not branch:
            transfer += ensure(context, dataset, progress, Need())
        claim.check_files(dataset)
        if dataset and checkout:
            with unforced(context):
                write_files(context, None, dataset, progress=progress)
        if branch and commit:
            # Cut short, it may have been there before.
            context.branches.move(branch, context.branches.get(branch), commit)
        context.workspace.set_head(Head(branch, commit))
    refs = [update for update in fetched.refs if update.outcome == "left out"]
    return CloneResult(
        branch,
        commit,
        dataset,
        transfer,
        fetched.runs,
        fetched.damaged,
        refs,
        fetched.incomplete,
    )


def connect_to_origin(context: Context, url: str) -> Connection:
    """Open the store that is cloned.

    Raises:
        NotFoundError: there is none.
        RemoteError: it cannot be reached.
    """
    try:
        return context.remotes.connect(DEFAULT_REMOTE)
    except NotFoundError as error:
        # There is no workspace yet from which something could be pushed there.
        raise NotFoundError(
            f"There is no store at {url}.",
            "Check the address. To begin one there: 'dsvc init' a folder of files and commit them, "
            f"then: dsvc remote add origin {url}; dsvc push",
        ) from error


def _admit(
    context: Context,
    connection: Connection,
    name: str,
    branch: str | None,
    commit: Digest,
    depth: int | None,
) -> None:
    """Make sure that what a clone is to stand at is signed, before any of its data comes."""
    fetch_history(context.store, connection.store, [commit], depth)
    tag = None if branch else context.resolve(revision_there(name, connection.root)).tag
    admission(context, None, "")(name, commit, tag)


def _check_no_workspace(folder: Path, store_url: str | None) -> None:
    """Check that `init` may make a workspace of a folder, or go on with making it.

    Raises:
        AlreadyExistsError: it is one, or a clone was begun there.
    """
    noted = read_note(folder)
    if noted is not None:
        raise AlreadyExistsError(
            f"A clone of {noted.url} into '{folder}' was cut short.",
            f"Go on with it: {noted.command(folder)}",
        )
    if not (folder / META_DIR).exists():
        return
    if not is_hollow(folder):
        raise AlreadyExistsError(f"'{folder}' is a dataset repository already.")
    check_settings(folder, Config(store=store_url))


@contextmanager
def _whole_or_not_at_all(folder: Path) -> Iterator[None]:
    """Take back what was begun of a new workspace, when making it fails."""
    existed = folder.exists()
    try:
        begin(folder)
        yield
    except (AlreadyExistsError, LockedError):
        raise  # another process is making one there: it is not ours
    except BaseException:
        take_back(folder, existed=existed)
        raise
