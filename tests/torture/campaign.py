"""What all campaigns share: cases with seeds, counts, and failures that can be repeated."""

from __future__ import annotations

import random
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Tally:
    """What a campaign has done and found.

    Attributes:
        name: of the campaign.
        seed: the first case has this one, the next one more, and so on.
        counts: what happened, how often.
        failures: each with the seed that repeats it, and the folder that was kept.
    """

    name: str
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One case: its number, a folder of its own that is not made yet, and chance."""

    number: int
    folder: Path
    chance: random.Random


Try = Callable[[Trial, Tally], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a campaign works, and how much it does.

    Attributes:
        seed: of the first case.
        until: when to stop, by `time.monotonic`.
    """

    folder: Path
    count: int
    seed: int = 1
    until: float = float("inf")


def campaign(name: str, attempt: Try, setting: Setting) -> Tally:
    """Try so many cases; what fails is kept and told.

    Case `n` of seed `s` is case 0 of seed `s + n`, so that every failure can be repeated by itself.
    """
    tally = Tally(name, setting.seed)
    begin = time.monotonic()
    for trial in _trials(setting):
        if time.monotonic() > setting.until:
            break
        try:
            attempt(trial, tally)
        except KeyboardInterrupt:
            break  # what was done so far is told
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            tally.failures.append(
                f"{name} --{name} 1 --seed {trial.number}: {type(error).__name__} at "
                f"{where}: {str(error)[:400]}; kept: {trial.folder}"
            )
        else:
            shutil.rmtree(trial.folder, ignore_errors=True)
        tally.counts["cases"] += 1
    tally.seconds = time.monotonic() - begin
    return tally


def _trials(setting: Setting) -> Iterator[Trial]:
    for number in range(setting.seed, setting.seed + setting.count):
        yield Trial(number, setting.folder / str(number), random.Random(number))
