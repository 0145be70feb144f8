"""The training process: started, listened to through its log, waited for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets_vc.errors import CommandFailedError
from datasets_vc.format.run import decode_run_log

SAID_FILE = "said.txt"
_POLL_SECONDS = 0.05

Listener = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: arguments of `python -m models`, with `{data}`, `{out}` and `{config}` open.

    Attributes:
        folder: where the packages lie; the process starts there.
        quiet: what it says to people goes to a file in `out`, not to our stderr.
        environment: its variables; None for ours.
    """

    arguments: Sequence[str]
    folder: Path
    data: str
    out: Path
    config: Path
    quiet: bool = False
    environment: Mapping[str, str] | None = None

    def argv(self) -> list[str]:
        values = {"{data}": self.data, "{out}": str(self.out), "{config}": str(self.config)}
        filled = [values.get(argument, argument) for argument in self.arguments]
        return [sys.executable, "-X", "utf8", "-m", "models", *filled]


def run(command: Command, listener: Listener) -> int:
    """Run a command to its end; `listener` gets each event of its log as it is written.

    Returns:
        The exit status.

    Raises:
        KeyboardInterrupt: after the process, which was interrupted too, has ended.
    """
    log = _LogFollower(command.out / "log.jsonl", listener)
    with (
        (command.out / SAID_FILE).open("wb") if command.quiet else nullcontext() as said,
        subprocess.Popen(
            command.argv(),
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=command.environment,
        ) as process,
    ):
        try:
            while process.poll() is None:
                log.read()
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            # A terminal interrupts both; the training process saves where it is and ends.
            process.wait()
            log.read()
            raise
    log.read()
    return process.returncode


def failure(command: Command, status: int) -> CommandFailedError:
    """The error for a process that ended without saying why in its log."""
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    if not command.quiet:
        return CommandFailedError(f"The training process {how}; what it said is above.")
    lines = (command.out / SAID_FILE).read_text(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return CommandFailedError(f"The training process {how}; the last it said: {last}")


class _LogFollower:
    def __init__(self, path: Path, listener: Listener) -> None:
        self._path = path
        self._listener = listener
        self._position = 0

    def read(self) -> None:
        """Pass on the lines that were completed since the last time."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        self._position += len(complete)
        for event in decode_run_log(complete, f"The log {self._path}"):
            self._listener(event)
