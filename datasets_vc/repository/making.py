"""New workspaces: init and clone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from datasets_vc.addresses import Access
from datasets_vc.backends import open_backend
from datasets_vc.config import (
    Head,
    RemoteConfig,
    add_remote,
    set_files,
    set_only,
    set_store,
    store_location,
)
from datasets_vc.digest import Digest
from datasets_vc.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from datasets_vc.format.root import DEFAULT_BRANCH, Root
from datasets_vc.locations import absolute_address
from datasets_vc.paths import META_DIR
from datasets_vc.permissions import Sharing
from datasets_vc.progress import Progress
from datasets_vc.repository.context import Context
from datasets_vc.repository.exchange import ensure, fetch_all
from datasets_vc.repository.files import write_files
from datasets_vc.repository.needed import Need
from datasets_vc.repository.results import CloneResult
from datasets_vc.repository.signing import admission
from datasets_vc.signing import trust_only
from datasets_vc.store import Store
from datasets_vc.store.nesting import check_new_place, check_new_workspace
from datasets_vc.sync.fetch import fetch_history
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Connection
from datasets_vc.workspace import Workspace
from datasets_vc.workspace.git import hide_from_git
from datasets_vc.workspace.part import Part


def init(folder: Path, store_url: str | None, shared: Sharing | None = None) -> Context:
    context = make_workspace(folder, store_url, shared)
    hide_from_git(folder)
    return context


def make_workspace(folder: Path, store_url: str | None, shared: Sharing | None = None) -> Context:
    """Make a workspace of a folder; nothing is left of it if that fails."""
    _check_folder(folder)
    if (folder / META_DIR).exists():
        raise AlreadyExistsError(f"'{folder}' is a dataset repository already.")
    check_new_workspace(folder)
    if store_url is not None:
        check_new_place(absolute_address(store_url, folder), folder)
    with whole_or_not_at_all(folder):
        Workspace.create(folder, DEFAULT_BRANCH)
        if store_url is not None:
            set_store(folder, store_url)
        _make_store(store_location(folder), shared)
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
    progress: Progress,
) -> CloneResult:
    check_new(folder)
    url = absolute_address(url, Path().absolute())
    check_new_workspace(folder, url)
    part = Part(only)
    with whole_or_not_at_all(folder):
        context = make_workspace(folder, None)
        add_remote(folder, RemoteConfig(DEFAULT_REMOTE, url, access=access))
        set_files(folder, checkout)
        set_only(folder, part.patterns)
        if allowed_signers:
            trust_only(folder, allowed_signers)
        connection = context.remotes.connect(DEFAULT_REMOTE)
        root = connection.root
        name = revision or root.default_branch
        branch = name if revision is None or name in root.branches else None
        if branch:
            fetched = None  # it comes later: a clone that is cut short then can go on
            commit = root.branches.get(branch)
            context.workspace.set_head(Head(branch, None))
        else:
            fetched = fetch_all(context, connection, DEFAULT_REMOTE, [], progress, depth=depth)
            commit = context.commit_of(as_tracked(name, root))
        if allowed_signers and commit:
            _admit(context, connection, name, branch, commit, depth)
    hide_from_git(folder)
    with context.workspace.lock():
        branches = [branch] if branch else []
        fetched = fetched or fetch_all(
            context, connection, DEFAULT_REMOTE, branches, progress, depth=depth
        )
        transfer = fetched.transfer
        dataset = context.dataset_of(commit)
        if dataset and not branch:
            transfer += ensure(context, dataset, progress, Need())
        if dataset and checkout:
            write_files(context, None, dataset, progress=progress)
        if branch and commit:
            context.branches.move(branch, None, commit)
        context.workspace.set_head(Head(branch, commit))
    return CloneResult(branch, commit, dataset, transfer, fetched.runs, fetched.damaged)


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
    tag = None if branch else context.resolve(as_tracked(name, connection.root)).tag
    admission(context, None, "")(name, commit, tag)


def _make_store(location: str, shared: Sharing | None) -> None:
    """Make an empty store, or use the one that is there."""
    backend = open_backend(location, create=True, shared=shared)
    try:
        Store.open(backend)  # who may only read it can look at it from here
    except NotFoundError:
        with suppress(AlreadyExistsError):  # another process was first
            Store.create(backend)


def as_tracked(revision: str, root: Root) -> str:
    """What `revision` means at the remote, as a new workspace that tracks it says it."""
    base = re.split("[~^]", revision)[0]
    steps = revision.removeprefix(base)
    base = root.default_branch if base == "HEAD" else base
    return f"{DEFAULT_REMOTE}/{base}{steps}" if base in root.branches else revision


def check_new(folder: Path) -> None:
    """Check that a clone may be made there.

    Raises:
        AlreadyExistsError: the folder exists and is not empty.
        InvalidInputError: it is no folder.
    """
    _check_folder(folder)
    if folder.exists() and any(folder.iterdir()):
        hint = "Give another folder: dsvc clone URL DIR"
        if (folder / META_DIR).exists():
            hint += f"; or go on with a clone that was cut short: dsvc -C {folder} pull"
        raise AlreadyExistsError(f"'{folder}' exists and is not empty.", hint)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"'{folder}' is not a folder.", "Give another place.")


@contextmanager
def whole_or_not_at_all(folder: Path) -> Iterator[None]:
    """Take back what was begun of a new workspace, when making it fails."""
    existed = folder.exists()
    try:
        yield
    except AlreadyExistsError:
        raise  # another process is making one there: it is not ours
    except BaseException:
        shutil.rmtree(folder / META_DIR if existed else folder, ignore_errors=True)
        raise
