"""Run a command again and again, each time in a fresh copy, and signal it at another moment.

    python -m tests.integration.crashing TEMPLATE CASES SIGNAL EVERY ARGUMENT...

The moments are those before a name changes below the copy: what was written comes into place, or
something is removed, or a folder or link is made. The process of the n-th copy is signalled at
every EVERY-th of them, until one ends without having got there. Each is forked from this one, which
has loaded all that the command needs, so that many of them are cheap. `{}` in an argument is the
copy. Prints a JSON array: what each was about to do, and how it ended (as
`os.waitstatus_to_exitcode` says).
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from datasets_vc.cli.main import VERBS, main

_EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link"}


def prepare(template: Path, copy: Path) -> None:
    """Copy a folder of workspaces, which then refer to each other and not to the template."""
    shutil.copytree(template, copy, symlinks=True)
    for config in copy.glob("*/.dsvc/config.toml"):
        config.write_text(config.read_text().replace(f"{template}/", f"{copy}/"))


def _is_change(event: str, arguments: tuple[Any, ...], below: str) -> bool:
    if event not in _EVENTS:
        return False
    place = os.fsdecode(arguments[0])
    return place.startswith(below) and not (event == "os.mkdir" and Path(place).is_dir())


def _signal_at(number: int, below: str, signal_number: int, pipe: int) -> None:
    changes = itertools.count(1)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if _is_change(event, arguments, below) and next(changes) == number:
            os.write(pipe, f"{event} {os.fsdecode(arguments[0])[len(below) :]}".encode())
            os.kill(os.getpid(), signal_number)

    sys.addaudithook(hook)


def _run(arguments: list[str], copy: Path, number: int, signal_number: int, pipe: int) -> int:
    with (copy / "output").open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    # Whoever runs the tests in the background may have it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(copy)
    _signal_at(number, f"{copy}/", signal_number, pipe)
    return main([argument.replace("{}", str(copy)) for argument in arguments])


def crash(
    template: Path, cases: Path, signal_number: int, every: int, arguments: list[str]
) -> list[Any]:
    """The cases in order, each `{"case", "at", "exit"}`."""
    found: list[Any] = []
    for number in itertools.count(1, every):
        copy = cases / str(number)
        prepare(template, copy)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os._exit(_run(arguments, copy, number, signal_number, writing))
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            at = pipe.read().decode()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        found.append({"case": str(copy), "at": at, "exit": code})
        if not at:
            return found
    raise AssertionError


if __name__ == "__main__":
    for verb in VERBS.values():
        import_module(f"datasets_vc.cli.{verb.family}")
    for module in ("filelock", "tomlkit", "pyarrow.compute"):
        import_module(module)
    template, cases, name, every, *words = sys.argv[1:]
    results = crash(Path(template), Path(cases), signal.Signals[name], int(every), words)
    sys.stdout.write(json.dumps(results))
