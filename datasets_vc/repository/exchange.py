"""Verbs between the store and its remotes: clone, fetch, pull, push."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from datasets_vc.errors import (
    AlreadyExistsError,
    DatasetError,
    InvalidInputError,
    MissingDataError,
)
from datasets_vc.format.root import DEFAULT_BRANCH, Refs, Root
from datasets_vc.history.commits import read_commit
from datasets_vc.memory import give_back
from datasets_vc.paths import META_DIR
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.bringing import ensure_files
from datasets_vc.repository.choice import RefChoice, chosen_refs
from datasets_vc.repository.context import Context
from datasets_vc.repository.deepening import bring_history
from datasets_vc.repository.files import write_files
from datasets_vc.repository.needed import (
    AS_WORKSPACE,
    EVERYTHING,
    Need,
    fetch_needed,
    lacks_needed,
    needed_files,
)
from datasets_vc.repository.results import CloneResult, SyncResult, Transfer
from datasets_vc.repository.signing import admission
from datasets_vc.signing import trust_only
from datasets_vc.store import Store
from datasets_vc.store.heal import heal
from datasets_vc.sync.closure import lacks_nodes
from datasets_vc.sync.fetch import fetch_history, update_tracking
from datasets_vc.sync.push import push_refs
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Connection, connect
from datasets_vc.sync.runs import Outgoing, outgoing, receive_runs, send_runs
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
    allowed_signers: Path | None,
    depth: int | None,
    access: Access,
    progress: Progress,
) -> CloneResult:
    check_new(folder)
    part = Part(only)
    with whole_or_not_at_all(folder):
        context = make_workspace(folder, None)
        add_remote(folder, RemoteConfig(DEFAULT_REMOTE, url, access=access))
        connection = context.remotes.connect(DEFAULT_REMOTE)
        root = connection.root
        name = revision or root.default_branch
        branch = name if revision is None or name in root.branches else None
        set_files(folder, checkout)
        set_only(folder, part.patterns)
        if allowed_signers:
            trust_only(folder, allowed_signers)
        admit = admission(context, None, "")
        if branch:
            commit = root.branches.get(branch)
            context.workspace.set_head(Head(branch, None))
        else:
            fetched = fetch_all(context, connection, DEFAULT_REMOTE, [], progress, depth=depth)
            commit = context.commit_of(as_tracked(name, root))
        if allowed_signers and commit:
            fetch_history(context.store, connection.store, [commit], depth)
            tag = None if branch else context.resolve(as_tracked(name, root)).tag
            admit(name, commit, tag)
    hide_from_git(folder)
    with context.workspace.lock():
        if branch:
            fetched = fetch_all(
                context, connection, DEFAULT_REMOTE, [branch], progress, depth=depth
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
    return CloneResult(branch, commit, dataset, transfer)


def fetch(
    context: Context,
    remote: str,
    revisions: Sequence[str],
    progress: Progress,
    *,
    depth: int | None,
    part: Part | None,
) -> SyncResult:
    branch, before = context.head.branch, context.store.root()
    with context.workspace.lock():
        connection = context.remotes.connect(remote)
        branches = [branch] if branch and not (part and revisions) else []
        need = Need(part=part)
        fetched = fetch_all(context, connection, remote, branches, progress, depth=depth, need=need)
        transfer = fetched.transfer
        for revision in revisions:
            version = context.resolve(revision).dataset
            transfer += ensure(context, version, progress, need if part else EVERYTHING)
    commit = fetched.branches.get(branch or "")
    updated = context.store.root() != before
    dataset = context.dataset_of(commit)
    return SyncResult(branch, commit, dataset, transfer, updated, fetched.runs)


def push(context: Context, remote: str, choice: RefChoice, progress: Progress) -> SyncResult:
    refs = chosen_refs(context, choice, remote)
    connection = context.remotes.connect(remote, create=not choice.delete)
    local, there = context.store, connection.store
    runs = Outgoing() if choice.delete else outgoing(local, there)
    pushed = push_refs(local, there, refs, extra=runs.extra, progress=progress)
    send_runs(local, there, runs.ids)
    update_tracking(local, remote, pushed.root)
    counted = connection.backend
    moved = pushed.moved
    current = context.head.branch
    branch = current if current in refs.branches else refs.default
    return SyncResult(
        branch=branch,
        commit=(tip := refs.branches.get(branch or "")),
        dataset=context.dataset_of(tip),
        transfer=Transfer(counted.bytes_sent, counted.requests, moved.packs, moved.chunks),
        updated=pushed.root != connection.root or bool(runs.ids),
        runs=len(runs.ids),
        refs=pushed.updates,
    )


def fetch_all(
    context: Context,
    connection: Connection,
    name: str,
    branches: Iterable[str],
    progress: Progress = SILENT,
    check: Callable[[Refs], None] = lambda _: None,
    *,
    depth: int | None = None,
    need: Need = AS_WORKSPACE,
) -> Fetched:
    """Bring the history and runs of a remote, and what is needed of some of its branches.

    `check` may raise once the remote's branches are known here and before their data is brought.
    Damaged packs are mended first, and what they have lost is fetched anew; therefore the caller
    holds the workspace's lock: no commit may count on what is being forgotten.

    Args:
        depth: how much of the history; see `bring_history`.
    """
    local, remote, root = context.store, connection.store, connection.root
    moved = receive(local, remote, [lost for lost in heal(local) if remote.find(lost)], progress)
    moved += bring_history(context, connection, name, depth)
    check(root.branches)
    of_runs, runs = receive_runs(local, remote)
    moved += of_runs
    for branch in branches:
        if branch in root.branches:
            dataset = read_commit(local, root.branches[branch]).dataset
            moved += fetch_needed(context, remote, dataset, need, progress)
    context.tidy()
    return Fetched(root.branches, _received(connection, moved), len(runs))


def fetch_runs(context: Context) -> None:
    """Bring the runs of all remotes."""
    with context.workspace.lock():
        for name in context.remotes.list():
            fetch_all(context, context.remotes.connect(name), name, [])


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


def _received(connection: Connection, moved: Moved) -> Transfer:
    counted = connection.backend
    return Transfer(counted.bytes_received, counted.requests, moved.packs, moved.chunks)
