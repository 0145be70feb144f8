"""Verbs between the store and its remotes: fetch and push, and what others bring with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError
from datasets_vc.format.root import Refs, Root
from datasets_vc.history.commits import read_commit
from datasets_vc.history.revisions import find_ref
from datasets_vc.memory import give_back
from datasets_vc.paths import META_DIR
from datasets_vc.progress import SILENT, Progress
from datasets_vc.repository.bringing import Trouble, ensure_files
from datasets_vc.repository.choice import RefChoice, chosen_refs
from datasets_vc.repository.context import Context
from datasets_vc.repository.deepening import bring_history
from datasets_vc.repository.needed import (
    AS_WORKSPACE,
    EVERYTHING,
    Need,
    fetch_needed,
    lacks_needed,
    needed_files,
)
from datasets_vc.repository.results import SyncResult, Transfer
from datasets_vc.runs.origin import RECORDED_FILE, RecordedRuns, note_received
from datasets_vc.store.heal import heal
from datasets_vc.sync.closure import lacks_nodes
from datasets_vc.sync.fetch import fetch_files, update_tracking
from datasets_vc.sync.push import push_refs
from datasets_vc.sync.remotes import Connection, connect
from datasets_vc.sync.runs import Outgoing, outgoing, receive_runs, send_runs
from datasets_vc.sync.tracked import left_out_tags, tracked_updates
from datasets_vc.sync.transfer import Moved
from datasets_vc.sync.updates import RefUpdate
from datasets_vc.workspace.part import Part


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch moved; `runs`, `damaged` and `incomplete` are as in `SyncResult`."""

    transfer: Transfer = field(default_factory=Transfer)
    runs: int = 0
    damaged: Mapping[str, str] = field(default_factory=dict)
    refs: Sequence[RefUpdate] = ()
    incomplete: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: Fetched) -> Fetched:
        return Fetched(
            self.transfer + other.transfer,
            self.runs + other.runs,
            {**self.damaged, **other.damaged},
            (*self.refs, *other.refs),
            {**self.incomplete, **other.incomplete},
        )


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
            version = context.resolve(revision_there(revision, connection.root)).dataset
            transfer += ensure(context, version, progress, need if part else EVERYTHING)
    commit = connection.root.branches.get(branch or "")
    updated = context.store.root() != before
    dataset = context.dataset_of(commit)
    return SyncResult(
        branch,
        commit,
        dataset,
        transfer,
        updated,
        fetched.runs,
        refs=fetched.refs,
        damaged=fetched.damaged,
        incomplete=fetched.incomplete,
    )


def revision_there(revision: str, root: Root) -> str:
    """What a revision means at a remote, as git's fetch takes it, in words that mean it here.

    Args:
        root: the remote's; what none of its branches and tags is called by means what it does here.
    """
    base = re.split("[~^]", revision)[0]
    named = find_ref(replace(root, tracking={}), root.default_branch if base == "HEAD" else base)
    return revision if named is None else named.hex() + revision.removeprefix(base)


def push(
    context: Context,
    remote: str,
    choice: RefChoice,
    progress: Progress,
    *,
    new: bool,
    every_run: bool = False,
) -> SyncResult:
    refs = chosen_refs(context, choice, remote)
    connection = context.remotes.connect(remote, create=not choice.delete, new=new)
    local, there = context.store, connection.store
    own = own_runs(context)
    runs = Outgoing() if choice.delete else outgoing(local, there, refs, own, every=every_run)
    pushed = push_refs(local, there, refs, extra=runs.extra, progress=progress)
    send_runs(local, there, runs.ids)
    update_tracking(local, remote, pushed.root, tags=False)
    context.remotes.remember(remote, pushed.root)
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
        foreign_runs=len(runs.foreign),
        kept_runs=runs.kept,
        refs=pushed.updates,
        damaged=runs.damaged,
        incomplete=runs.incomplete,
    )


def own_runs(context: Context) -> frozenset[str]:
    """The runs that who asks has recorded in a workspace."""
    meta = context.folder / META_DIR
    noted = (meta / RECORDED_FILE).exists()
    return RecordedRuns(meta, context.secret if noted else None).known()


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
    lost = [each for each in heal(local) if remote.find(each)]
    moved = fetch_files(local, remote, lost, progress)
    before = local.root().tracking
    moved += bring_history(context, connection, name, depth)
    refs = [
        *tracked_updates(local, name, before, local.root().tracking),
        *left_out_tags(root, local.root(), {name, *context.workspace.remotes}),
    ]
    context.remotes.remember(name, root)
    check(root.branches)
    received = receive_runs(local, remote)
    moved += received.moved
    meta, url = context.folder / META_DIR, connection.config.url
    note_received(meta, context.secret if received.runs else None, name, url, received.runs)
    for branch in branches:
        if branch in root.branches:
            dataset = read_commit(local, root.branches[branch]).dataset
            moved += fetch_needed(context, remote, dataset, need, progress)
    context.tidy()
    return Fetched(
        _received(connection, moved),
        len(received.runs),
        received.damaged,
        refs,
        received.incomplete,
    )


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
    trouble = Trouble()
    for config in context.remotes.list().values():
        try:
            connection = connect(config, context.store)
            if connection.store.find(dataset) is not None:
                moved = fetch_needed(context, connection.store, dataset, need, progress)
                return _received(connection, moved)
        except DatasetError as error:
            trouble.note(error)
    if not lacks_nodes(context.store, dataset):
        # A version that was never pushed, of files that were, and were dropped here.
        files = needed_files(context, dataset, need)
        ensure_files(context, files, f"dataset {dataset.hex()}", progress)
        return Transfer()
    raise trouble.nobody_has(f"Dataset {dataset.hex()} is not complete here")


def _received(connection: Connection, moved: Moved) -> Transfer:
    counted = connection.backend
    return Transfer(counted.bytes_received, counted.requests, moved.packs, moved.chunks)
