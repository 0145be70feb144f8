"""Following a `dataset.lock`: compare with what it pins, bring that, go there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Literal

from datasets_vc.addresses import Access
from datasets_vc.config import Head, store_location
from datasets_vc.digest import Digest
from datasets_vc.errors import DatasetError, InvalidInputError, NotFoundError
from datasets_vc.format.lock import Lock
from datasets_vc.history.commits import is_ancestor
from datasets_vc.history.confined import address_of, place_of
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.history.manifest import Manifest
from datasets_vc.history.pinned import check_pinned, pinned_workspace, read_lock
from datasets_vc.paths import META_DIR
from datasets_vc.progress import Progress
from datasets_vc.repository.claims import claimed
from datasets_vc.repository.context import Context
from datasets_vc.repository.exchange import Fetched, ensure, fetch_all
from datasets_vc.repository.needed import Need
from datasets_vc.repository.results import CloneResult, Status, SyncResult
from datasets_vc.repository.starting import go_to
from datasets_vc.repository.status import status
from datasets_vc.store.nesting import check_new_workspace
from datasets_vc.sync.fetch import fetch_history
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Connection
from datasets_vc.workspace.cloning import Cloning
from datasets_vc.workspace.git import hide_from_git
from datasets_vc.workspace.ignore import is_ignored

Relation = Literal["same", "ahead", "behind", "diverged", "unknown"]


@dataclass(frozen=True, slots=True)
class PinStatus:
    """A workspace compared with a lock file.

    Attributes:
        relation: of the workspace's commit to the pinned one; `unknown` if that, or the history
            between the two, is not here.
        matches: the workspace has the pinned dataset, and no uncommitted changes.
        known: the store that the lock file names is a remote of the workspace, or its own.
    """

    file: Path
    lock: Lock
    status: Status
    relation: Relation
    matches: bool
    known: bool = True


def place_for(file: Path) -> Path:
    lock = read_lock(file)
    name = lock.url.rstrip("/").rpartition("/")[2]
    return place_of(file, lock.path or ("data" if name in ("", ".", "..") else name))


def holds(context: Context, file: Path) -> bool:
    """Whether a file is, or would be, one of the workspace's dataset; or lies in its `.dsvc`."""
    folder, here = context.folder.resolve(), file.absolute().parent.resolve() / file.name
    if not here.is_relative_to(folder):
        return False
    path = here.relative_to(folder).as_posix()
    if path.startswith(f"{META_DIR}/") or not is_ignored(folder, path):
        return True
    # Who made the dataset may have had it ignored as well.
    dataset = context.dataset_of(context.head.commit)
    return dataset is not None and Manifest(context.store, dataset).get(path) is not None


def check_own(context: Context, file: Path, lock: Lock) -> None:
    """Check that a workspace is the one that follows a lock file.

    Raises:
        InvalidInputError: it names another, or one that it has no say in; or it is a file of the
            dataset, whose author does not decide which version is used here.
    """
    if holds(context, file):
        raise InvalidInputError(
            f"'{file}' is a file of the dataset in '{context.folder}', and does not say which "
            "version belongs there.",
            f"If you want the version that it names: dsvc checkout {lock.commit.hex()}",
        )
    named = pinned_workspace(file, lock)
    if named and named != context.folder.resolve():
        raise InvalidInputError(
            f"'{file}' pins the version of another workspace, '{named}', not of "
            f"'{context.folder}'.",
            f"Go there: dsvc -C {quote(str(named))} pull --lock; or to that version here: "
            f"dsvc checkout {lock.commit.hex()}",
        )


def compare(context: Context, file: Path) -> PinStatus:
    lock = read_lock(file)
    check_own(context, file, lock)
    found = status(context, ())
    same = context.dataset_of(found.commit) == lock.dataset
    relation = _relation(context, found.commit, lock.commit)
    known = _is_known(context, address_of(file, lock))
    return PinStatus(file, lock, found, relation, same and found.clean, known)


def fetch(context: Context, file: Path, progress: Progress) -> Fetched:
    lock = read_lock(file)
    check_own(context, file, lock)
    return _bring(context, file, lock, progress)


def pull(context: Context, file: Path, progress: Progress) -> SyncResult:
    lock = read_lock(file)
    check = partial(check_own, context, file, lock)
    check()
    return _go(context, file, lock, check, progress)


def clone(
    file: Path,
    folder: Path,
    *,
    checkout: bool,
    access: Access,
    secret: bytes | None,
    progress: Progress,
) -> CloneResult:
    lock = read_lock(file)
    address = address_of(file, lock)
    wanted = Cloning(
        address,
        checkout=checkout,
        access=access,
        lock=str(file.absolute()),
        commit=lock.commit.hex(),
    )
    # Who names another folder than the lock file does is not asked what leads there.
    check = partial(place_for, file) if folder == _place_or_none(file) else lambda: None
    check_new_workspace(folder)
    with claimed(folder, wanted, secret) as claim:
        with claim.whole_or_not_at_all():
            context = claim.lay_out(secret)
            check()
            branch = context.remotes.connect(DEFAULT_REMOTE).root.default_branch
            fetched = _bring_locked(context, file, lock, progress)
        hide_from_git(folder)
        claim.check_files(lock.dataset)
        if not claim.is_done(Head(branch, lock.commit)):
            context.workspace.set_head(Head(branch, None))
        pulled = _go_there(context, file, lock, fetched, check, progress)
    return CloneResult(
        pulled.branch,
        lock.commit,
        lock.dataset,
        pulled.transfer,
        fetched.runs,
        fetched.damaged,
        [update for update in fetched.refs if update.outcome == "left out"],
        fetched.incomplete,
    )


def _bring(context: Context, file: Path, lock: Lock, progress: Progress) -> Fetched:
    if context.store.find(lock.commit) is not None:
        check_pinned(context.store, file, lock)
        return Fetched()
    with context.workspace.lock():
        return _bring_locked(context, file, lock, progress)


def _bring_locked(context: Context, file: Path, lock: Lock, progress: Progress) -> Fetched:
    """The same for who holds the workspace's lock."""
    fetched = Fetched()
    if context.store.find(lock.commit) is None:
        fetched = _fetch(context, file, lock, progress)
    check_pinned(context.store, file, lock)
    return fetched


def _go(
    context: Context, file: Path, lock: Lock, check: Callable[[], object], progress: Progress
) -> SyncResult:
    """Bring what is pinned and go there; `check` may raise before anything is written there."""
    fetched = _bring(context, file, lock, progress)
    with context.workspace.lock():
        return _go_there(context, file, lock, fetched, check, progress)


def _go_there(
    context: Context,
    file: Path,
    lock: Lock,
    fetched: Fetched,
    check: Callable[[], object],
    progress: Progress,
) -> SyncResult:
    head = context.head
    context.refuse_unfinished()
    transfer = fetched.transfer + ensure(context, lock.dataset, progress, Need())
    branch = _branch_for(context, lock.commit)
    tip = context.branches.get(branch) if branch else None
    check()  # a link may have come meanwhile
    again = f"dsvc pull --lock {quote(str(file.absolute()))}"
    go_to(context, Head(branch, head.commit), tip, lock.commit, progress, again)
    return SyncResult(
        branch,
        lock.commit,
        lock.dataset,
        transfer,
        updated=lock.commit != head.commit,
        runs=fetched.runs,
        damaged=fetched.damaged,
        incomplete=fetched.incomplete,
    )


def _place_or_none(file: Path) -> Path | None:
    try:
        return place_for(file)
    except InvalidInputError:
        return None


def _fetch(context: Context, file: Path, lock: Lock, progress: Progress) -> Fetched:
    """Bring the pinned commit: from the remote that the lock names if it is known, or another."""
    fetched, trouble = Fetched(), None
    url = _plain(address_of(file, lock))
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
        else f"Add the remote that has it: dsvc remote add NAME {quote(url)}",
    )


def _fetch_from(
    context: Context, connection: Connection, name: str, commit: Digest, progress: Progress
) -> Fetched:
    fetched = fetch_all(context, connection, name, [], progress)
    if context.store.find(commit) is None and connection.store.find(commit) is not None:
        # No branch leads there any more.
        fetch_history(context.store, connection.store, [commit])
    return fetched


def _is_known(context: Context, url: str) -> bool:
    remotes = context.remotes.list().values()
    known = (store_location(context.folder), *(config.url for config in remotes))
    return _plain(url) in map(_plain, known)


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
