"""Push, and where somebody else was first pull and push again, in one go."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from datasets_vc.errors import ConflictError, DatasetError
from datasets_vc.progress import Progress
from datasets_vc.repository.choice import RefChoice
from datasets_vc.repository.context import Context
from datasets_vc.repository.exchange import push
from datasets_vc.repository.pulling import pull
from datasets_vc.repository.results import SyncResult
from datasets_vc.repository.unfinished import Recorder


def _uniform() -> float:
    return random.random()


@dataclass(frozen=True)
class Pace:
    """How often a push is tried, and how long one waits for others: times drawn at random.

    Args:
        attempts: pushes in all, at least 1.
        after_loss: seconds to wait at most after a lost race. It does not grow: who has lost often
            would wait longest, and lose again to those who have not.
        way: how many times what it takes to ask the remote one waits at most before the first try
            where nobody else was first. Those who have lost have to pull and to merge, which is
            many requests; who need not do so would be first each time.
        longest_way: seconds that this may come to.
        sleep: waits that many seconds.
        uniform: draws from [0, 1).
        clock: seconds from some beginning.
    """

    attempts: int = 64
    after_loss: float = 0.1
    way: float = 30.0
    longest_way: float = 15.0
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[], float] = _uniform
    clock: Callable[[], float] = time.monotonic

    def wait(self) -> None:
        """Wait after a lost race."""
        self.sleep(self.after_loss * self.uniform())

    def give_way(self, asked: float) -> None:
        """Wait before a first try, where asking the remote has taken so many seconds."""
        self.sleep(min(self.longest_way, self.way * asked) * self.uniform())


PACE = Pace()


def push_until_done(
    context: Context,
    remote: str,
    choice: RefChoice,
    recorder: Recorder,
    progress: Progress,
    *,
    verify: bool | None = None,
    pace: Pace = PACE,
) -> SyncResult:
    """Push; where the branch has moved at the remote, pull, and push again.

    Returns:
        What the push did; or, if a pull met conflicts, what that did: nothing was pushed then.

    Raises:
        ConflictError: others were first each time; or what is in the way is no new commit of the
            branch, so that a pull does not help.
    """
    _give_way(context, remote, pace)
    for _ in range(pace.attempts - 1):
        try:
            return push(context, remote, choice, progress, new=False)
        except ConflictError:
            if context.head.branch is None:
                raise
            # Before the pull, not after it: what was pulled must not get old.
            pace.wait()
            pulled = pull(context, remote, recorder, progress, verify=verify, part=None)
            if pulled.merge and pulled.merge.conflicts:
                return pulled
            if not pulled.updated:
                raise
    return push(context, remote, choice, progress, new=False)


def _give_way(context: Context, remote: str, pace: Pace) -> None:
    """Let others be first, if we were it the last time."""
    branch = context.head.branch
    seen = context.store.root().tracking.get(f"{remote}/{branch}")
    if seen is None:
        return
    with suppress(DatasetError):  # what is wrong, the push will say
        begin = pace.clock()
        root = context.remotes.connect(remote).root
        if root.branches.get(branch or "") == seen:
            pace.give_way(pace.clock() - begin)
