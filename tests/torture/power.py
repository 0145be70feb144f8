"""The power goes: what no fsync has made last is lost, torn, or there, in any combination.

The model is that of ALICE (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014),
with nothing taken for granted: of a file, only what it held at its last fsync is sure; of names,
only those whose folder was fsynced since. All else may have happened or not, whatever the order.
"""

from __future__ import annotations

import os
import pickle
import random
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.torture.campaign import Setting, Tally, Trial, campaign
from tests.torture.forking import Forking, Order
from tests.torture.recording import Event, Log
from tests.torture.world import ACTS, World

_BLOCK = 512
_NAMES = frozenset({"create", "rename", "unlink", "rmdir", "mkdir", "symlink", "link"})


@dataclass(frozen=True, slots=True)
class Choice:
    """How much of what was not made to last is there after all.

    Attributes:
        names: of the changes of names, this share.
        whole: of the files that were written to, this share is as it was written; the others are
            as at their last fsync, or torn.
    """

    names: float
    whole: float


CHOICES = (
    Choice(0, 0),  # only what was made to last
    Choice(1, 0),  # all names, and none of the bytes
    Choice(0, 1),
    Choice(0.5, 0.5),
    Choice(0.9, 0.5),
    Choice(0.1, 0.5),
)


class Disk:
    """What a folder looks like after a power loss at a moment of a log.

    Args:
        folder: as it was before the first event; it becomes what it is after the loss.
        inodes: an empty folder beside it, for the files themselves.
    """

    def __init__(self, log: Log, moment: int, folder: Path, inodes: Path) -> None:
        self._log = log
        self._done = log.events[:moment]
        self._folder = folder
        self._inodes = inodes

    def lose(self, choice: Choice, chance: random.Random) -> None:
        """Make it so."""
        self._inodes.mkdir()
        files = {event.file for event in self._done if event.file >= 0}
        for path, number in self._log.files.items():
            if number in files:
                os.link(self._folder / path, self._inode(number), follow_symlinks=False)
        for event in self._done:
            if event.name == "create":
                self._inode(event.file).touch()
            elif event.name == "symlink":
                self._inode(event.file).symlink_to(event.source)
        for number, event in enumerate(self._done):
            if event.name not in _NAMES:
                continue
            if event.name == "mkdir" and self._comes_to_last(number, event):
                (self._folder / event.path).mkdir(parents=True, exist_ok=True)
            elif self._lasts(number, event) or chance.random() < choice.names:
                with suppress(OSError):  # what it builds on did not last
                    self._apply(event)
        for number in sorted(files):
            data = self._content(number, choice, chance)
            if data is not None:
                self._inode(number).write_bytes(data)
        shutil.rmtree(self._inodes)

    def _apply(self, event: Event) -> None:
        place = self._folder / event.path
        if event.name == "unlink":
            place.unlink()
        elif event.name == "rmdir":
            shutil.rmtree(place)  # it was empty then
        elif event.name == "mkdir":
            place.mkdir()
        elif event.name == "rename" and os.path.lexists(self._folder / event.source):
            (self._folder / event.source).replace(place)
        elif event.file < 0:
            place.mkdir()
        else:
            beside = place.with_name(f"{place.name}.linked")
            os.link(self._inode(event.file), beside, follow_symlinks=False)
            beside.replace(place)

    def _content(self, file: int, choice: Choice, chance: random.Random) -> bytes | None:
        """The bytes of a file; None if it is as it was before."""
        lasting: bytes | None = None
        latest: bytes | None = None
        for event in self._done:
            if event.file != file:
                continue
            if event.name == "content":
                latest = self._log.contents[event.content]
            elif event.name == "fsync":
                lasting = latest
            elif event.name == "create":
                latest = b""
        if latest is None or latest == lasting or chance.random() < choice.whole:
            return latest
        return _torn(lasting or b"", latest, chance)

    def _lasts(self, number: int, event: Event) -> bool:
        """Whether the folder in which a name was changed was fsynced afterwards."""
        return self._fsynced(number, event.path.rpartition("/")[0]) is not None

    def _comes_to_last(self, number: int, event: Event) -> bool:
        """Whether a new folder was renamed and then fsynced: it has what was made in it before."""
        return self._fsynced(number, event.path) not in (None, event.path)

    def _fsynced(self, number: int, folder: str) -> str | None:
        """The name under which a folder was fsynced after an event; None if it was not."""
        for later in self._done[number + 1 :]:
            if later.name == "fsync folder" and later.path == folder:
                return folder
            if later.name == "rename" and f"{folder}/".startswith(f"{later.source}/"):
                folder = later.path + folder.removeprefix(later.source)
        return None

    def _inode(self, number: int) -> Path:
        return self._inodes / str(number)


def _torn(old: bytes, new: bytes, chance: random.Random) -> bytes:
    way = chance.randrange(4)
    if way == 0:
        return old
    if way == 1:
        return bytes(len(new))
    if way == 2:
        return new[: chance.randrange(len(new) + 1)]
    blocks = (new[start : start + _BLOCK] for start in range(0, len(new), _BLOCK))
    return b"".join(block if chance.random() < 0.5 else bytes(len(block)) for block in blocks)


class PowerLosses:
    """Tries for `campaign`: record a command once, and let the power go at a moment of it."""

    def __init__(self, world: World, server: Forking, scratch: Path) -> None:
        self._world = world
        self._server = server
        self._scratch = scratch
        self._logs = cache(self._record)

    def __call__(self, trial: Trial, tally: Tally) -> None:
        chance = trial.chance
        names = sorted(ACTS)
        act = ACTS[names[trial.number % len(names)]]
        log = self._logs(act.name)
        moment = chance.choice([len(log.events), chance.randint(0, len(log.events))])
        choice = CHOICES[chance.randrange(len(CHOICES))]
        case = self._world.case(act, trial.folder)
        disk = Disk(log, moment, trial.folder, trial.folder.with_name(f"{trial.number}-inodes"))
        disk.lose(choice, chance)
        tally.counts[f"power losses: {act.name}"] += 1
        case.check_stopped(torn=True)
        again = self._server.run(Order(case.argv, str(case.folder)))
        assert again.code in act.codes, (case.argv, again)
        case.check_done()

    def _record(self, name: str) -> Log:
        case = self._world.case(ACTS[name], self._scratch / f"whole-{name}")
        out = self._scratch / f"{name}.log"
        ended = self._server.run(Order(case.argv, str(case.folder), record=str(out)))
        assert ended.code == 0, ended
        log: Log = pickle.loads(out.read_bytes())
        return log


def run(setting: Setting) -> Tally:
    """The campaign."""
    world = World(setting.folder / "world")
    with Forking() as server:
        return campaign("power", PowerLosses(world, server, setting.folder), setting)
