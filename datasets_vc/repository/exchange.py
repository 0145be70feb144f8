"""Verbs between the store and its remotes: clone, fetch, pull, push."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
from datasets_vc.errors import (
    AlreadyExistsError,
    DatasetError,
    InvalidInputError,
    MissingDataError,
    NotFoundError,
)
from datasets_vc.format.root import DEFAULT_BRANCH, Root
from datasets_vc.history.commits import read_commit
from datasets_vc.memory import give_back
from datasets_vc.paths import META_DIR
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.bringing import ensure_files
from datasets_vc.repository.context import Context
from datasets_vc.repository.files import write_files
from datasets_vc.repository.needed import (
    EVERYTHING,
    Need,
    fetch_needed,
    lacks_needed,
    needed_files,
)
from datasets_vc.repository.results import CloneResult, SyncResult, Transfer
from datasets_vc.store import Store
from datasets_vc.store.heal import heal
from datasets_vc.sync.closure import lacks_nodes
from datasets_vc.sync.fetch import fetch_history, update_tracking
from datasets_vc.sync.push import push_branch
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Connection, connect
from datasets_vc.sync.runs import outgoing, receive_runs, send_runs
from datasets_vc.sync.transfer import Moved, receive
from datasets_vc.workspace import Workspace
from datasets_vc.workspace.git import hide_from_git
from datasets_vc.workspace.part import Part


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch found at the remote, and what it moved."""

    branches: Mapping[str, Digest]
    transfer: Transfer
    runs: int


def init(folder: Path, store_url: str | None) -> Context:
    context = make_workspace(folder, store_url)
    hide_from_git(folder)
    return context


def make_workspace(folder: Path, store_url: str | None) -> Context:
    """Make a workspace of a folder; nothing is left of it if that fails."""
    _check_folder(folder)
    if (folder / META_DIR).exists():
        raise AlreadyExistsError(f"'{folder}' is a dataset repository already.")
    with whole_or_not_at_all(folder):
        Workspace.create(folder, DEFAULT_BRANCH)
        if store_url:
            set_store(folder, store_url)
        _make_store(store_location(folder))
    return Context(folder)


def clone(
    url: str,
    folder: Path,
    *,
    revision: str | None,
    checkout: bool,
    only: Sequence[str] | None,
    progress: Progress,
) -> CloneResult:
    check_new(folder)
    part = Part(only)
    with whole_or_not_at_all(folder):
        context = make_workspace(folder, None)
        add_remote(folder, RemoteConfig(DEFAULT_REMOTE, url))
        connection = context.remotes.connect(DEFAULT_REMOTE)
        root = connection.root
        name = revision or root.default_branch
        branch = name if revision is None or name in root.branches else None
        set_files(folder, checkout)
        set_only(folder, part.patterns)
        if branch:
            commit = root.branches.get(branch)
            context.workspace.set_head(Head(branch, None))
        else:
            fetched = fetch_all(context, connection, DEFAULT_REMOTE, [], progress)
            commit = context.commit_of(_as_tracked(name, root))
    hide_from_git(folder)
    with context.workspace.lock():
        if branch:
            fetched = fetch_all(context, connection, DEFAULT_REMOTE, [branch], progress)
        transfer = fetched.transfer
        dataset = context.dataset_of(commit)
        if dataset and not branch:
            transfer += ensure(context, dataset, progress, Need())
        if dataset and checkout:
            write_files(context, None, dataset, progress=progress)
        if branch and commit:
            context.branches.move(branch, None, commit)
        context.workspace.set_head(Head(branch, commit))
    return CloneResult(branch, commit, dataset, transfer)


def fetch(
    context: Context, remote: str, revisions: Sequence[str], progress: Progress
) -> SyncResult:
    branch = context.head.branch
    with context.workspace.lock():
        connection = context.remotes.connect(remote)
        fetched = fetch_all(context, connection, remote, [branch] if branch else [], progress)
        transfer = fetched.transfer
        for revision in revisions:
            transfer += ensure(context, context.resolve(revision).dataset, progress)
    commit = fetched.branches.get(branch or "")
    updated = bool(transfer.chunks)
    dataset = context.dataset_of(commit)
    return SyncResult(branch, commit, dataset, transfer, updated, fetched.runs)


def push(context: Context, remote: str, branch: str | None, progress: Progress) -> SyncResult:
    name = branch or context.head.branch
    if name is None:
        raise InvalidInputError(
            "The workspace is on no branch.", "Say which to push: dsvc push REMOTE BRANCH"
        )
    tip = context.branches.get(name)
    if tip is None:
        raise NotFoundError(
            f"Branch '{name}' has no commit to push.", "Record one: dsvc commit -m MESSAGE"
        )
    connection = context.remotes.connect(remote, create=True)
    local, there = context.store, connection.store
    runs = outgoing(local, there)
    moved, root = push_branch(local, there, name, tip, extra=runs.extra, progress=progress)
    send_runs(local, there, runs.ids)
    update_tracking(local, remote, root)
    counted = connection.backend
    transfer = Transfer(counted.bytes_sent, counted.requests, moved.packs, moved.chunks)
    updated = root != connection.root or bool(runs.ids)
    return SyncResult(name, tip, context.dataset_of(tip), transfer, updated, len(runs.ids))


def fetch_all(
    context: Context,
    connection: Connection,
    name: str,
    branches: Iterable[str],
    progress: Progress = SILENT,
) -> Fetched:
    """Bring all history and runs of a remote, and what is needed of some of its branches.

    Damaged packs are mended first, and what they have lost is fetched anew; therefore the caller
    holds the workspace's lock: no commit may count on what is being forgotten.
    """
    local, remote, root = context.store, connection.store, connection.root
    moved = receive(local, remote, [lost for lost in heal(local) if remote.find(lost)], progress)
    moved += fetch_history(local, remote, [*root.branches.values(), *root.tags.values()])
    update_tracking(local, name, root)
    of_runs, runs = receive_runs(local, remote)
    moved += of_runs
    for branch in branches:
        if branch in root.branches:
            dataset = read_commit(local, root.branches[branch]).dataset
            moved += fetch_needed(context, remote, dataset, Need(), progress)
    context.tidy()
    return Fetched(root.branches, _received(connection, moved), len(runs))


def ensure(
    context: Context, dataset: Digest, progress: Progress = SILENT, need: Need = EVERYTHING
) -> Transfer:
    """Make what is needed of a dataset present in the local store, from the first remote that can.

    Raises:
        MissingDataError: no remote has it; says which could not be asked.
    """
    lacks = lacks_needed(context, dataset, need)
    if lacks:
        # Another process may have brought it since the index was read.
        context.store.refresh()
        lacks = lacks_needed(context, dataset, need)
    context.store.let_go()
    give_back()
    if not lacks:
        return Transfer()
    trouble = []
    for config in context.remotes.list().values():
        try:
            connection = connect(config, context.store)
            if connection.store.find(dataset) is not None:
                moved = fetch_needed(context, connection.store, dataset, need, progress)
                return _received(connection, moved)
        except DatasetError as error:
            if type(error) is DatasetError:
                raise  # no other remote gives us room
            trouble.append(f" {error.message}")
    if not lacks_nodes(context.store, dataset):
        # A version that was never pushed, of files that were, and were dropped here.
        files = needed_files(context, dataset, need)
        ensure_files(context, files, f"dataset {dataset.hex()}", progress)
        return Transfer()
    raise MissingDataError(
        f"Dataset {dataset.hex()} is not complete here, and no remote has it.{''.join(trouble)}",
        "Add the remote that has it: dsvc remote add NAME URL",
    )


def _make_store(location: str) -> None:
    """Make an empty store, or use the one that is there."""
    try:
        Store.create(open_backend(location, create=True))
    except AlreadyExistsError:
        Store.open(open_backend(location))


def _as_tracked(revision: str, root: Root) -> str:
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


def _received(connection: Connection, moved: Moved) -> Transfer:
    counted = connection.backend
    return Transfer(counted.bytes_received, counted.requests, moved.packs, moved.chunks)
