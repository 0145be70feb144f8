"""What a fetch has found to be new of the branches of a remote: forward, back, or gone."""

from __future__ import annotations

from collections.abc import Collection

from datasets_vc.digest import Digest
from datasets_vc.format.root import Refs, Root
from datasets_vc.history.commits import is_ancestor
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.store import Store
from datasets_vc.sync.updates import Outcome, RefUpdate


def tracked_updates(local: Store, name: str, before: Refs, after: Refs) -> list[RefUpdate]:
    """How the branches of the remote `name` have moved between two looks at them.

    One that went back, or was replaced by another line of history, is "forced".

    Args:
        before: the tracking refs as they were, and
        after: as they are.
    """
    prefix = f"{name}/"
    refs = sorted(ref for ref in {*before, *after} if ref.startswith(prefix))
    pairs = [(ref.removeprefix(prefix), before.get(ref), after.get(ref)) for ref in refs]
    return [
        RefUpdate("branch", branch, old, new, _outcome(local, old, new))
        for branch, old, new in pairs
        if old != new
    ]


def taken_for_tracked(there: Root, here: Root, remotes: Collection[str]) -> Collection[str]:
    """The tags of a remote that would be taken for branches of remotes, by their names."""
    known = {*remotes, *(ref.partition("/")[0] for ref in here.tracking)}
    return {tag for tag in there.tags if "/" in tag and tag.partition("/")[0] in known}


def left_out_tags(there: Root, here: Root, remotes: Collection[str]) -> list[RefUpdate]:
    """Those that a fetch has left out for that, and that are not here under that name."""
    return [
        RefUpdate("tag", tag, None, there.tags[tag], "left out")
        for tag in sorted(taken_for_tracked(there, here, remotes))
        if tag not in here.tags
    ]


def _outcome(local: Store, old: Digest | None, new: Digest | None) -> Outcome:
    if new is None:
        return "deleted"
    if old is None:
        return "created"
    try:
        return "updated" if is_ancestor(local, old, new) else "forced"
    except CutHistoryError:
        return "updated"  # nobody can tell from what is here
