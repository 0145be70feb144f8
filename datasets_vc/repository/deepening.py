"""History from remotes: all of it or the newest part, and more of it when that is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from datasets_vc.config import read_config
from datasets_vc.errors import InvalidInputError
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.history.depth import ENDLESS, reach
from datasets_vc.history.tagobjects import peeled
from datasets_vc.repository.context import Context
from datasets_vc.sync.fetch import fetch_history, update_tracking
from datasets_vc.sync.remotes import Connection
from datasets_vc.sync.transfer import Moved

_FIRST_STEP = 64
"""Commits; the next step is four times as long."""

Result = TypeVar("Result")


def bring_history(
    context: Context, connection: Connection, name: str, depth: int | None = None
) -> Moved:
    """Bring the commits that the refs of the remote `name` lead to, and remember these refs.

    Args:
        depth: at most so many on each way from a branch or tag, and history is cut there; what is
            here already stays. `ENDLESS` ends all cuts. None: all, but nothing from beyond a cut.

    Raises:
        InvalidInputError: others count on the history of this store.
    """
    if depth not in (None, ENDLESS):
        check_own_store(context)
    local, remote, root = context.store, connection.store, connection.root
    lost = [commit for commit in local.shallow if depth == ENDLESS and remote.find(commit)]
    moved = fetch_history(
        local, remote, [*root.branches.values(), *root.tags.values(), *lost], depth
    )
    fetched = None
    if depth is not None or local.shallow:
        tips = [*root.branches.values(), *peeled(local, root.tags).values(), *lost]
        fetched = reach(local, tips, depth)
    update_tracking(local, name, root, fetched, remotes=context.workspace.remotes)
    return moved


def with_enough_history(
    context: Context, connection: Connection, name: str, act: Callable[[], Result]
) -> Result:
    """What `act` returns, for which more history is brought as long as it asks for that.

    Args:
        act: may be called several times, and changes nothing before it knows enough.
    """
    step = _FIRST_STEP
    while True:
        try:
            return act()
        except CutHistoryError:
            if not _deepen(context, connection, name, step):
                raise
        step = min(4 * step, ENDLESS)


def check_own_store(context: Context) -> None:
    """Refuse to cut the history of a store that is not the workspace's alone.

    Raises:
        InvalidInputError: it is not.
    """
    url = read_config(context.folder).store
    if url is not None:
        raise InvalidInputError(
            f"The store of this workspace, {url}, may have other users, who count on its whole "
            "history.",
            "Fetch without --depth; or clone into a workspace with a store of its own.",
        )


def _deepen(context: Context, connection: Connection, name: str, step: int) -> bool:
    """Bring commits from beyond the cuts; whether the remote had any."""
    local, remote = context.store, connection.store
    lost = [commit for commit in local.shallow if remote.find(commit)]
    if lost:
        fetch_history(local, remote, lost, step)
        fetched = reach(local, lost, step)
        remotes = context.workspace.remotes
        update_tracking(local, name, connection.root, fetched, remotes=remotes)
    return bool(lost)
