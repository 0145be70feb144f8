"""Commands that are killed at any instant: by the clock, or at (and in the middle of) any call."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.torture.campaign import Setting, Tally, Trial, campaign
from tests.torture.forking import Ended, Forking, Order
from tests.torture.world import ACTS, OTHERS, Case, World

_AGAIN = 0.25
"""How often what was killed once is killed again while it is put right."""

_ANOTHER = 0.6
"""How often another command comes before it is put right."""


class Kills:
    """Tries for `campaign`: kill a command, look, run it again, look."""

    def __init__(self, world: World, server: Forking, scratch: Path) -> None:
        self._world = world
        self._server = server
        self._scratch = scratch
        self._measured = cache(self._measure)

    def __call__(self, trial: Trial, tally: Tally) -> None:
        names = sorted(ACTS)
        act = ACTS[names[trial.number % len(names)]]
        case = self._world.case(act, trial.folder)
        self._kill(case, trial, tally)
        if trial.chance.random() < _AGAIN:
            self._kill(case, trial, tally)
        if trial.chance.random() < _ANOTHER:
            self._another(case, trial, tally)
        again = self._server.run(_order(case))
        assert again.code in act.codes, (case.argv, again)
        case.check_done()

    def _another(self, case: Case, trial: Trial, tally: Tally) -> None:
        """Ask for something else first: it has to end right, whatever was cut short before it."""
        argv = trial.chance.choice(OTHERS)
        ended = self._server.run(Order(["-C", str(case.workspace), *argv], str(case.folder)))
        # What has begun on its side waits there; a push may find that others were first.
        fine = (0, 12) if argv[0] in ("push", "restore") else (0,)
        assert ended.code in fine, (case.act.name, argv, ended)
        tally.counts[f"another: {argv[0]}"] += 1
        case.check_stopped()

    def _kill(self, case: Case, trial: Trial, tally: Tally) -> None:
        whole = self._measured(case.act.name)
        order = _order(case)
        if trial.chance.random() < 0.5:
            order = replace(order, kill_after=trial.chance.uniform(0, whole.seconds))
        else:
            order = replace(order, kill_at=trial.chance.randint(1, whole.calls))
        ended = self._server.run(order)
        if not ended.killed:
            tally.counts["ended before"] += 1
            assert ended.code in case.act.codes, ended
        else:
            tally.counts["kills"] += 1
            tally.counts[f"kills: {case.act.name}"] += 1
            tally.counts["kills: by time" if order.kill_after else "kills: at a call"] += 1
        case.check_stopped()

    def _measure(self, name: str) -> Ended:
        """The same command left alone: how many calls, how many seconds."""
        case = self._world.case(ACTS[name], self._scratch / f"whole-{name}")
        return self._server.run(_order(case))


def _order(case: Case) -> Order:
    return Order(case.argv, str(case.folder))


def run(setting: Setting) -> Tally:
    """The campaign."""
    world = World(setting.folder / "world")
    with Forking() as server:
        return campaign("kills", Kills(world, server, setting.folder), setting)
