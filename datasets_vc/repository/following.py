"""Following a `dataset.lock`: compare with what it pins, bring that, go there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datasets_vc.addresses import Access
from datasets_vc.config import Head, RemoteConfig, add_remote, set_files
from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError, NotFoundError
from datasets_vc.format.lock import Lock
from datasets_vc.history.commits import is_ancestor
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.history.pinned import check_pinned, pinned_url, read_lock
from datasets_vc.progress import Progress
from datasets_vc.repository import making
from datasets_vc.repository.context import Context
from datasets_vc.repository.exchange import Fetched, ensure, fetch_all
from datasets_vc.repository.needed import Need
from datasets_vc.repository.results import CloneResult, Status, SyncResult
from datasets_vc.repository.starting import go_to
from datasets_vc.repository.status import status
from datasets_vc.sync.fetch import fetch_history
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Connection
from datasets_vc.workspace.git import hide_from_git

Relation = Literal["same", "ahead", "behind", "diverged", "unknown"]


@dataclass(frozen=True, slots=True)
class PinStatus:
    """A workspace compared with a lock file.

    Attributes:
        relation: of the workspace's commit to the pinned one; `unknown` if that, or the history
            between the two, is not here.
        matches: the workspace has the pinned dataset, and no uncommitted changes.
    """

    file: Path
    lock: Lock
    status: Status
    relation: Relation
    matches: bool


def compare(context: Context, file: Path) -> PinStatus:
    lock = read_lock(file)
    found = status(context, ())
    same = context.dataset_of(found.commit) == lock.dataset
    relation = _relation(context, found.commit, lock.commit)
    return PinStatus(file, lock, found, relation, same and found.clean)


def fetch(context: Context, file: Path, progress: Progress) -> Fetched:
    lock, fetched = read_lock(file), Fetched()
    if context.store.find(lock.commit) is None:
        with context.workspace.lock():
            fetched = _fetch(context, file, lock, progress)
    check_pinned(context.store, file, lock)
    return fetched


def pull(context: Context, file: Path, progress: Progress) -> SyncResult:
    lock = read_lock(file)
    fetched = fetch(context, file, progress)
    with context.workspace.lock():
        head = context.head
        context.refuse_unfinished()
        transfer = fetched.transfer + ensure(context, lock.dataset, progress, Need())
        branch = _branch_for(context, lock.commit)
        tip = context.branches.get(branch) if branch else None
        go_to(context, Head(branch, head.commit), tip, lock.commit, progress)
    return SyncResult(
        branch,
        lock.commit,
        lock.dataset,
        transfer,
        updated=lock.commit != head.commit,
        runs=fetched.runs,
        damaged=fetched.damaged,
    )


def clone(
    file: Path, folder: Path, *, checkout: bool, access: Access, progress: Progress
) -> CloneResult:
    lock = read_lock(file)
    making.check_new(folder)
    with making.whole_or_not_at_all(folder):
        context = making.make_workspace(folder, None)
        add_remote(folder, RemoteConfig(DEFAULT_REMOTE, pinned_url(file, lock), access=access))
        set_files(folder, checkout)
        branch = context.remotes.connect(DEFAULT_REMOTE).root.default_branch
        context.workspace.set_head(Head(branch, None))
        fetched = fetch(context, file, progress)
    hide_from_git(folder)
    pulled = pull(context, file, progress)
    transfer = fetched.transfer + pulled.transfer
    return CloneResult(
        pulled.branch, lock.commit, lock.dataset, transfer, fetched.runs, fetched.damaged
    )


def _fetch(context: Context, file: Path, lock: Lock, progress: Progress) -> Fetched:
    """Bring the pinned commit: from the remote that the lock names if it is known, or another."""
    fetched, trouble = Fetched(), None
    url = _plain(pinned_url(file, lock))
    remotes = context.remotes.list()
    for name in sorted(remotes, key=lambda name: _plain(remotes[name].url) != url):
        try:
            connection = context.remotes.connect(name)
            fetched += _fetch_from(context, connection, name, lock.commit, progress)
        except DatasetError as error:
            trouble = trouble or error
        if context.store.find(lock.commit) is not None:
            return fetched
    if trouble:
        raise trouble
    known = any(_plain(config.url) == url for config in remotes.values())
    raise NotFoundError(
        f"No remote has commit {lock.commit.hex()[:12]}, which '{file}' pins.",
        "Push it from the workspace that has it: dsvc push"
        if known
        else f"Add the remote that has it: dsvc remote add NAME {url}",
    )


def _fetch_from(
    context: Context, connection: Connection, name: str, commit: Digest, progress: Progress
) -> Fetched:
    fetched = fetch_all(context, connection, name, [], progress)
    if context.store.find(commit) is None and connection.store.find(commit) is not None:
        # No branch leads there any more.
        fetch_history(context.store, connection.store, [commit])
    return fetched


def _plain(url: str) -> str:
    return url.rstrip("/")


def _branch_for(context: Context, commit: Digest) -> str | None:
    """The branch to be on at a commit: ours or the default one, if nothing is lost or made up.

    It goes forward to the commit, which it has at a remote too: a branch must not get commits of
    another one only because that is pinned, and then be pushed.
    """
    store, root = context.store, context.store.root()
    for branch in (context.head.branch, root.default_branch):
        tip = root.branches.get(branch or "")
        if branch and tip == commit:
            return branch
        there = [seen for ref, seen in root.tracking.items() if ref.partition("/")[2] == branch]
        forward = tip is None or is_ancestor(store, tip, commit)
        if forward and any(is_ancestor(store, commit, seen) for seen in there):
            return branch
    return None


def _relation(context: Context, ours: Digest | None, pinned: Digest) -> Relation:
    store = context.store
    if ours == pinned:
        return "same"
    if store.find(pinned) is None:
        return "unknown"
    try:
        if ours is None or is_ancestor(store, ours, pinned):
            return "behind"
        return "ahead" if is_ancestor(store, pinned, ours) else "diverged"
    except CutHistoryError:
        return "unknown"
