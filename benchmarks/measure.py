"""Running a command and measuring it: seconds, memory of all its processes, bytes written."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PROC = Path("/proc")
_DROP = _PROC / "sys/vm/drop_caches"
_DISKS = _PROC / "diskstats"
_QUIET = 0.5
_PATIENCE = 60.0
_BETWEEN_SAMPLES = 0.02
_READ_AT_ONCE = 1 << 20
_TOLD = 300

# The unit of getrusage. It tells of the largest process only, and what it says begins with what
# this process takes: `exec` hands that on. So it serves only where there is nothing better.
_MAXRSS = 1 if sys.platform == "darwin" else 1024

HAS_PROC = (_PROC / "self/status").exists()


class BenchmarkError(Exception):
    """What was measured is not what was to be measured; the case ends."""


class CommandFailedError(BenchmarkError):
    """A command that was to be measured ended with a code other than 0."""

    def __init__(self, command: Sequence[str], code: int, words: str) -> None:
        told = " ".join(words.split())[-_TOLD:]
        super().__init__(f"`{' '.join(command)[:_TOLD]}` ended with code {code}: {told}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command.

    Args:
        seconds: from its start to its end.
        cpu: seconds of processor time, of all its processes that ended before it.
        memory: peak bytes of all its processes together; 0 if it was too quick to be looked at.
        written: bytes that it gave the file system to write; 0 where that is not counted.
        out: what it printed.
    """

    seconds: float
    cpu: float
    memory: int
    written: int
    out: bytes


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs commands with one environment; `scratch` takes what they print."""

    scratch: Path
    environment: Mapping[str, str]

    def run(self, command: Sequence[str], folder: Path) -> Measured:
        """Run and measure.

        Raises:
            CommandFailedError: its exit code is not 0.
        """
        out, err = self.scratch / "stdout", self.scratch / "stderr"
        with out.open("wb") as to_out, err.open("wb") as to_err:
            start = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
            )
            with _Sampler(process.pid) as sampler:
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words = err.read_text(errors="replace") or out.read_text(errors="replace")
            raise CommandFailedError(command, process.returncode, words)
        return Measured(
            seconds,
            usage.ru_utime + usage.ru_stime,
            sampler.peak if HAS_PROC else usage.ru_maxrss * _MAXRSS,
            usage.ru_oublock * 512,
            out.read_bytes(),
        )


class _Sampler:
    """Looks at the memory of a process and of all that it started, again and again.

    The kernel's high-water mark of each process is taken as well: it knows of peaks between two
    looks. Of several processes, pages that they share are counted once (PSS).
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Sampler:
        if HAS_PROC:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if HAS_PROC:
            self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, self._look())
            if self._done.wait(_BETWEEN_SAMPLES):
                return

    def _look(self) -> int:
        pids = _family(self._pid)
        highest = max((_kib(f"{pid}/status", "VmHWM:") for pid in pids), default=0)
        together = sum(_kib(f"{pid}/smaps_rollup", "Pss:") for pid in pids) if pids[1:] else 0
        return max(highest, together) * 1024


def _family(pid: int) -> list[int]:
    """A process and all that it started, as far as they live."""
    found = [pid]
    for one in found:
        try:
            threads = os.listdir(f"/proc/{one}/task")  # noqa: PTH208 - often, and cheap
        except OSError:
            continue
        for thread in threads:
            found += map(int, _words(f"{one}/task/{thread}/children").split())
    return found


def _kib(name: str, key: str) -> int:
    for line in _words(name).splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0


def _words(name: str) -> str:
    try:
        return (_PROC / name).read_text()
    except OSError:
        return ""  # It has ended, or is not ours to look at.


def drop_caches() -> bool:
    """Let the kernel forget what it knows of all files; False where that is not possible."""
    os.sync()
    try:
        _DROP.write_text("3\n")
    except OSError:
        command = ["sudo", "-n", "sh", "-c", f"echo 3 > {_DROP}"]
        try:
            return not subprocess.run(command, capture_output=True, check=False).returncode
        except OSError:
            return False
    return True


def read_through(folder: Path) -> None:
    """Read every file below a folder, so that the kernel has it in memory where there is room."""
    for place, _, names in os.walk(folder):
        for name in names:
            with open(f"{place}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
                while file.read(_READ_AT_ONCE):
                    pass


def bytes_on_disk(*places: Path) -> int:
    """Bytes of the blocks that files take, links counted once."""
    seen: dict[tuple[int, int], int] = {}
    for place in places:
        for path in (place, *place.rglob("*")):
            if path.exists():
                stat = path.lstat()
                seen[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())


def remove(*places: Path) -> None:
    """Remove files and folders, if they are there."""
    if places:
        subprocess.run(["rm", "-rf", "--", *places], check=True)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those that are measured against each other.

    Args:
        name: what it is called in the report.
        steps: the commands that are measured, one after another.
        folder: where they run.
        prepare: what comes before, unmeasured.
        finish: what comes after, unmeasured, even when it failed; gets what was measured.
        optional: its failure is told; that of another ends the case.
    """

    name: str
    steps: Sequence[Sequence[str]]
    folder: Path
    prepare: Callable[[], object] = _nothing
    finish: Callable[[list[Measured]], object] = field(default=lambda _: None)
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Contest:
    """What was measured: for each contender the steps of each run, or why there are none."""

    runs: Mapping[str, list[list[Measured]]]
    failures: Mapping[str, str]

    def series(
        self, name: str, value: Callable[[Measured], float], steps: int | None = None
    ) -> Series:
        """A value of each run, summed over its first `steps` steps."""
        return Series([sum(value(step) for step in run[:steps]) for run in self.runs[name]])

    def memory(self, name: str, steps: int | None = None) -> int:
        """The largest peak of all runs."""
        return max(step.memory for run in self.runs[name] for step in run[:steps])


@dataclass(frozen=True, slots=True)
class Series:
    """The same thing, measured several times."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


def hold(
    runner: Runner,
    contenders: Sequence[Contender],
    repeat: int,
    *,
    cold: bool,
    warm_up: Sequence[Path] = (),
) -> Contest:
    """Measure each contender `repeat` times, in turns: A B C A B C.

    Before each turn the disk has written all that it was given, and is quiet. Cold: the kernel then
    forgets all files; else it reads what lies below `warm_up`.

    Raises:
        CommandFailedError: a command failed that is not optional.
    """
    runs: dict[str, list[list[Measured]]] = {contender.name: [] for contender in contenders}
    failures: dict[str, str] = {}
    for _ in range(repeat):
        for contender in contenders:
            if contender.name in failures:
                continue
            measured: list[Measured] = []
            try:
                contender.prepare()
                _settle(cold, warm_up)
                measured += [runner.run(step, contender.folder) for step in contender.steps]
                runs[contender.name].append(measured)
            except CommandFailedError as error:
                if not contender.optional:
                    raise
                failures[contender.name] = str(error)
            finally:
                contender.finish(measured)
    return Contest({name: some for name, some in runs.items() if name not in failures}, failures)


def _settle(cold: bool, warm_up: Sequence[Path]) -> None:
    os.sync()
    _wait_for_quiet_disks()
    if cold:
        drop_caches()
        return
    for folder in warm_up:
        read_through(folder)


def _wait_for_quiet_disks() -> None:
    """Until they do nothing, so that nobody pays for what was removed before.

    A disk is told of blocks that are free again long after `sync` (ext4's `discard`).
    """
    end = time.monotonic() + _PATIENCE
    before = _disk_requests()
    while time.monotonic() < end:
        time.sleep(_QUIET)
        now = _disk_requests()
        if now == before:
            return
        before = now


def _disk_requests() -> list[str]:
    """What the kernel has counted of each disk so far; nothing where it does not tell."""
    try:
        return _DISKS.read_text().splitlines()
    except OSError:
        return []
