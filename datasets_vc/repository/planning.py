"""What push, fetch, pull and clone would move: told, and not done."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from datasets_vc.addresses import PLAIN, Access
from datasets_vc.backends import LocalBackend
from datasets_vc.backends.layered import LayeredBackend
from datasets_vc.config import RemoteConfig, add_remote, set_only
from datasets_vc.digest import Digest
from datasets_vc.errors import NotFoundError, RemoteError
from datasets_vc.format.index import INDEX_ROW_SIZE
from datasets_vc.locations import absolute_address
from datasets_vc.ownership import OURS, Trusted
from datasets_vc.paths import META_DIR
from datasets_vc.repository.choice import CURRENT, RefChoice, chosen_refs
from datasets_vc.repository.claims import check_new
from datasets_vc.repository.context import Context, Secret, nobodys, workspace_at
from datasets_vc.repository.deepening import bring_history
from datasets_vc.repository.exchange import own_runs, revision_there
from datasets_vc.repository.making import connect_to_origin, make_workspace
from datasets_vc.repository.needed import EVERYTHING, Need, plan_needed
from datasets_vc.repository.results import SyncPlan, Transfer
from datasets_vc.store import Store
from datasets_vc.store.nesting import check_new_workspace
from datasets_vc.sync.plan import Receiving, plan_sending
from datasets_vc.sync.push import to_push
from datasets_vc.sync.remotes import DEFAULT_REMOTE, Connection
from datasets_vc.sync.runs import Outgoing, outgoing, receive_runs
from datasets_vc.sync.transfer import Moved, left_behind
from datasets_vc.sync.workspaces import named
from datasets_vc.workspace.part import Part

_PUBLISHING = 4
"""Requests that a push needs to list what it has sent: the root three times, and the index."""


class Planning:
    """The plans of one workspace.

    What a plan needs to know of a remote, which is history and lists of files, is read into a
    temporary folder and counted as part of the plan: the command itself will read it again.
    """

    def __init__(self, folder: Path, trusted: Trusted = OURS, secret: Secret = nobodys) -> None:
        self._folder = workspace_at(folder)
        self._secret = secret
        trusted.check(self._folder)

    def push(
        self,
        remote: str = DEFAULT_REMOTE,
        choice: RefChoice = CURRENT,
        *,
        new: bool = False,
        every_run: bool = False,
    ) -> SyncPlan:
        """What `Repository.push` would send; raises what that does before it sends anything."""
        with _trial(self._folder, self._secret) as context:
            refs = chosen_refs(context, choice, remote)
            connection = _connect_or_none(context, remote, new=new)
            local, there = context.store, connection.store if connection else _nothing(context)
            root = connection.root if connection else there.root()
            own = own_runs(context)
            runs = (
                Outgoing() if choice.delete else outgoing(local, there, refs, own, every=every_run)
            )
            refs, _, wanted = to_push(local, there, root, refs, runs.extra)
            plan = plan_sending(local, wanted)
            transfer = Transfer(requests=connection.backend.requests if connection else 0)
            if len(wanted):
                size = plan.bytes + INDEX_ROW_SIZE * len(wanted)
                transfer += Transfer(size, plan.packs + _PUBLISHING, plan.packs, len(wanted))
            branch = context.head.branch
            name = branch if branch in refs.branches else refs.default
            tip = refs.branches.get(name or "")
            return SyncPlan(
                name,
                tip,
                context.dataset_of(tip),
                transfer,
                runs=len(runs.ids),
                foreign_runs=len(runs.foreign),
                kept_runs=runs.kept,
            )

    def fetch(
        self,
        remote: str = DEFAULT_REMOTE,
        revisions: Sequence[str] = (),
        *,
        part: Part | None = None,
    ) -> SyncPlan:
        """What `Repository.fetch`, or `pull`, would receive."""
        with _trial(self._folder) as context:
            branch = context.head.branch
            connection = context.remotes.connect(remote)
            moved = _history(context, connection, remote)
            commit = connection.root.branches.get(branch or "")
            need = Need(part=part)
            datasets = []
            if commit and not (part and revisions):
                datasets.append((context.dataset_of(commit), need))
            there = (revision_there(revision, connection.root) for revision in revisions)
            named = (context.resolve(revision).dataset for revision in there)
            datasets += [(dataset, need if part else EVERYTHING) for dataset in named]
            transfer = _received(context, connection, moved, datasets)
            return SyncPlan(branch, commit, context.dataset_of(commit), transfer)

    @staticmethod
    def clone(
        url: str,
        folder: Path,
        *,
        revision: str | None = None,
        only: Sequence[str] | None = None,
        access: Access = PLAIN,
    ) -> SyncPlan:
        """What `Repository.clone` would receive; the folder is not made."""
        check_new(folder)
        found = named(absolute_address(url, Path().absolute()))
        url, revision = found.url, revision or found.branch
        check_new_workspace(folder, url)
        part = Part(only)
        with _temporary(_existing(folder.absolute())) as place:
            context = make_workspace(place / "workspace", None)
            add_remote(context.folder, RemoteConfig(DEFAULT_REMOTE, url, access=access))
            set_only(context.folder, part.patterns)
            connection = connect_to_origin(context, url)
            root = connection.root
            moved = _history(context, connection, DEFAULT_REMOTE)
            name = revision or root.default_branch
            branch = name if revision is None or name in root.branches else None
            commit = root.branches.get(name) or (
                None if branch else context.commit_of(revision_there(name, root))
            )
            dataset = context.dataset_of(commit)
            needs = [(dataset, Need())] if dataset else []
            transfer = _received(context, connection, moved, needs)
            return SyncPlan(branch, commit, dataset, transfer)


def _history(context: Context, connection: Connection, name: str) -> Moved:
    """Read the history of a remote, and its runs, into the store of a trial."""
    moved = bring_history(context, connection, name)
    return moved + receive_runs(context.store, connection.store).moved


def _received(
    context: Context,
    connection: Connection,
    moved: Moved,
    needs: Iterable[tuple[Digest | None, Need]],
) -> Transfer:
    """What was read for a plan, together with what is still to be moved."""
    plans: list[Receiving] = []
    for dataset, need in needs:
        if dataset:
            metadata, plan = plan_needed(context, connection.store, dataset, need)
            moved += metadata
            plans.append(plan)
    counted = connection.backend
    transfer = Transfer(counted.bytes_received, counted.requests, moved.packs, moved.chunks)
    for plan in plans:
        here = {pack.digest for pack in left_behind(context.store, plan.whole)}
        rest = plan.without(here)
        transfer += Transfer(rest.bytes, rest.requests, rest.packs, rest.chunks)
    return transfer


@contextmanager
def _trial(folder: Path, secret: Secret = nobodys) -> Iterator[Context]:
    """A workspace in whose store nothing that is written stays."""
    with _temporary(folder / META_DIR) as place:
        context = Context(folder, secret=secret)
        upper = LocalBackend(place / "store", create=True, durable=False)
        context.store = Store.open(LayeredBackend(upper, context.store.backend))
        yield context


@contextmanager
def _temporary(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".plan-", dir=parent) as place:
        yield Path(place)


def _existing(folder: Path) -> Path:
    """The nearest folder upwards that is there."""
    return next(parent for parent in folder.parents if parent.is_dir())


def _connect_or_none(context: Context, remote: str, *, new: bool) -> Connection | None:
    """The remote; None if there is no store yet, which a push makes."""
    if remote not in context.remotes.list():
        return context.remotes.connect(remote)  # which says so
    try:
        return context.remotes.connect(remote, new=new)
    except NotFoundError:
        return None
    except RemoteError as error:
        if new and isinstance(error.__cause__, NotFoundError):
            return None  # not even its folder is there
        raise


def _nothing(context: Context) -> Store:
    """A store that holds nothing, in place of one that is not there."""
    upper = context.store.backend
    assert isinstance(upper, LayeredBackend)
    place = Path(upper.url).parent / "nothing"
    return Store.create(LocalBackend(place, create=True, durable=False))
