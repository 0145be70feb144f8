"""Feed every reader of what travels with changed bytes, for as long as there is time:

    make torture ARGS="hostile --hostile 3600"
    python -m tests.torture.hostile --seconds 3600 --only node

With atheris (`pip install -e '.[torture]'`; Linux, Python 3.11 to 3.13) the changes are guided by
what the readers do with them, else they are random: the same as in `tests/fault`. Each reader works
in a process of its own that may have so much memory and no more; what one does not survive is
written to a folder, to become a test.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from types import FunctionType

from datasets_vc.errors import FormatError, IntegrityError, InvalidInputError
from tests.fault.mutations import mutated, random_mutations
from tests.fault.parsers import Parser, parquet, parsers
from tests.torture.campaign import Setting, Tally

MEMORY = 4 << 30
SECONDS_AN_INPUT = 10
REFUSALS = (IntegrityError, FormatError, InvalidInputError)


@dataclass(frozen=True)
class Outcome:
    """What became of one reader: how many inputs, how many of them refused, and what it did."""

    inputs: int
    refused: int
    trouble: str = ""


class TooSlowError(Exception):
    """One input has taken too long."""


def targets() -> dict[str, Parser]:
    return {**parsers(), "metadata.parquet": parquet()}


def main() -> int:
    parsed = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parsed.add_argument("--seconds", type=float, default=600, help="for all readers together")
    parsed.add_argument("--seed", type=int, default=int(time.time()))
    parsed.add_argument("--only", default="", help="readers whose name has this in it")
    parsed.add_argument("--plain", action="store_true", help="without atheris")
    parsed.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "hostile-bytes")
    options = parsed.parse_args()
    names = [name for name in targets() if options.only in name]
    guided = not options.plain and importlib.util.find_spec("atheris") is not None
    print(f"{len(names)} readers, seed {options.seed}, {'atheris' if guided else 'at random'}")
    troubles = 0
    for name in names:
        outcome = _apart(name, options.seed, options.seconds / len(names), guided, options.keep)
        print(
            f"{name:30} {outcome.inputs:>10,} inputs {outcome.refused:>10,} refused",
            outcome.trouble,
            flush=True,
        )
        troubles += bool(outcome.trouble)
    return 1 if troubles else 0


def run(setting: Setting) -> Tally:
    """The campaign: `setting.count` are seconds, for all readers together."""
    tally = Tally("hostile", setting.seed)
    begin = time.monotonic()
    seconds = min(setting.count, max(0.0, setting.until - begin)) / len(targets())
    guided = importlib.util.find_spec("atheris") is not None
    for name in targets():
        outcome = _apart(name, setting.seed, seconds, guided, setting.folder)
        tally.counts["cases"] += outcome.inputs
        tally.counts["refused"] += outcome.refused
        if outcome.trouble:
            tally.failures.append(f"hostile --seed {setting.seed}: {name}: {outcome.trouble}")
    tally.seconds = time.monotonic() - begin
    return tally


def _apart(name: str, seed: int, seconds: float, guided: bool, keep: Path) -> Outcome:
    """Work in a process of its own; what it was at when it died is kept."""
    keep.mkdir(parents=True, exist_ok=True)
    at = keep / f"{name.replace(' ', '-')}-{seed}"
    here, there = multiprocessing.Pipe(duplex=False)
    work = _guided if guided else _at_random
    process = multiprocessing.get_context("spawn").Process(
        target=work, args=(name, seed, seconds, at, there)
    )
    process.start()
    there.close()
    last = Outcome(0, 0, "ended without a word")
    try:
        while True:
            last = here.recv()
    except EOFError:
        process.join()
    if process.exitcode and not last.trouble:
        last = Outcome(last.inputs, last.refused, f"died ({process.exitcode}) of {at}")
    if not last.trouble:
        at.unlink(missing_ok=True)
    return last


class _Trial:
    """Feeds one reader and counts; notes each input before, so that it is known if all dies."""

    def __init__(self, name: str, at: Path, seconds: float, tell: Connection) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, self._too_slow)
        self.parser = targets()[name]
        self._at = at.open("wb", buffering=0)
        self._end = time.monotonic() + seconds
        self._told = time.monotonic()
        self._tell = tell
        self._inputs = self._refused = 0

    def feed(self, data: bytes) -> bool:
        """Whether to go on."""
        self._at.seek(0)
        self._at.truncate()
        self._at.write(data)
        self._inputs += 1
        signal.alarm(SECONDS_AN_INPUT)
        try:
            self.parser.read(data)
        except REFUSALS:
            self._refused += 1
        except BaseException as error:
            signal.alarm(0)
            self.tell(f"{type(error).__name__}: {str(error)[:200]!a} of {self._at.name}")
            raise
        finally:
            signal.alarm(0)
        now = time.monotonic()
        if now - self._told > 1:
            self.tell()
            self._told = now
        return now < self._end

    def tell(self, trouble: str = "") -> None:
        self._tell.send(Outcome(self._inputs, self._refused, trouble))

    def _too_slow(self, *_: object) -> None:
        raise TooSlowError(f"more than {SECONDS_AN_INPUT} s")


def _at_random(name: str, seed: int, seconds: float, at: Path, tell: Connection) -> None:
    trial = _Trial(name, at, seconds, tell)
    random = Random(f"{seed} {name}")
    elsewhere = b"".join(parser.sound[:4096] for parser in parsers().values())
    try:
        while trial.feed(mutated(trial.parser.sound, random_mutations(random), elsewhere)):
            pass
        trial.tell()
    except Exception:
        sys.exit(1)


def _guided(name: str, seed: int, seconds: float, at: Path, tell: Connection) -> None:
    import atheris

    for function in _our_functions():
        atheris.instrument_func(function)
    trial = _Trial(name, at, seconds, tell)
    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "sound").write_bytes(trial.parser.sound)

        def feed(data: bytes) -> None:
            if not trial.feed(data):
                trial.tell()
                os._exit(0)  # libFuzzer takes an exit for a crash

        flags = ["-verbosity=0", f"-seed={seed % 2**31}", "-max_len=100000", "-rss_limit_mb=0"]
        atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={at}-", corpus], feed)
        atheris.Fuzz()


def _our_functions() -> Iterator[FunctionType]:
    """Those whose branches guide the changes: all that is imported of the library."""
    modules = [module for name, module in sys.modules.items() if name.startswith("datasets_vc")]
    for module in modules:
        for value in list(vars(module).values()):
            members = vars(value).values() if isinstance(value, type) else (value,)
            for member in members:
                if isinstance(member, FunctionType) and member.__module__ == module.__name__:
                    yield member


if __name__ == "__main__":
    sys.exit(main())
