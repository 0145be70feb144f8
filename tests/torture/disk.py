"""The disk is full, read-only, gone or failing, from any call on."""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.torture.campaign import Setting, Tally, Trial, campaign
from tests.torture.forking import Ended, Forking, Order
from tests.torture.world import ACTS, Case, World

ERRORS = {
    "create": [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.EIO],
    "open": [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE],
}
"""What the first call that fails can fail with; all others as `create`."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Nothing temporary is left then; who cannot open folders cannot clear them either."""

_CODES = {0, 1, 12, 13}
"""0: what failed was only of use; 12: a swap that was not made; 13 and 16: something could not be
read, and no remote had it either."""


class Failures:
    """Tries for `campaign`: fail from a call on, look, run it again, look."""

    def __init__(self, world: World, server: Forking, scratch: Path) -> None:
        self._world = world
        self._server = server
        self._scratch = scratch
        self._measured = cache(self._measure)

    def __call__(self, trial: Trial, tally: Tally) -> None:
        chance = trial.chance
        act = ACTS[chance.choice(sorted(ACTS))]
        case = self._world.case(act, trial.folder)
        order = Order(case.argv, str(case.folder))
        number = chance.choice([errno.ENOSPC, *ERRORS["create"], *ERRORS["open"]])
        at = chance.randint(1, self._measured(act.name).calls)
        ended = self._server.run(replace(order, fail_at=at, error=number))
        tally.counts[f"{errno.errorcode[number]}: {'told' if ended.code else 'did without'}"] += 1
        assert ended.code in _CODES | ({16} if ended.at.startswith("open ") else set()), ended
        _check_words(ended)
        if number in _NO_ROOM and not ended.at.startswith("open "):
            _check_nothing_left(case)
        case.check_stopped()
        again = self._server.run(order)
        assert again.code in act.codes, (case.argv, ended, again)
        case.check_done()

    def _measure(self, name: str) -> Ended:
        case = self._world.case(ACTS[name], self._scratch / f"whole-{name}")
        return self._server.run(Order(case.argv, str(case.folder)))


def _check_words(ended: Ended) -> None:
    lines = ended.output.splitlines()
    assert "Traceback" not in ended.output, ended
    assert sum(line.startswith("error: ") for line in lines) == bool(ended.code), ended


def _check_nothing_left(case: Case) -> None:
    names = [
        path
        for path in case.folder.rglob("*")
        if path.suffix != ".lock"
        and (
            path.name.startswith((".tmp-", ".HEAD-", ".merge.json-", ".config.toml-", "Probe-"))
            or path.parent == case.workspace / ".dsvc" / "tmp"
            or ".dsvc-" in path.name
        )
    ]
    assert not names, names


def run(setting: Setting) -> Tally:
    """The campaign."""
    world = World(setting.folder / "world")
    with Forking() as server:
        return campaign("disk", Failures(world, server, setting.folder), setting)
