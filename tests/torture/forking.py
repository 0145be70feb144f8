"""Commands that are run, stopped and disturbed by the thousand.

A process of its own has loaded all that `dsvc` needs and forks a child for each command: that takes
a hundredth of the time of a new interpreter. It does nothing else, so that it has no threads.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import TracebackType
from typing import Any

from datasets_vc.backends import s3
from datasets_vc.backends.wrappers import RetryPolicy
from tests.torture.calls import Call, spell, watched

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Order:
    """A command, and what is to happen to it.

    Attributes:
        argv: of `dsvc`.
        folder: where it runs; only changes below it are counted.
        kill_at: kill it at this call, counted from 1; if the call is a write, after half of it.
        kill_after: kill it after so many seconds.
        fail_at: from this call on all fail that need room; or, if it opens a file to read, each
            that opens that file ...
        error: ... with this error number.
        record: where to write what was changed; see `tests.torture.recording`.
        environment: added to that of the server.
        hurry: do not wait before something is tried again, and only a second for an answer.
        user: as whom, by number, with the umask of most; 0: as we are.
        groups: of that user, by number.
    """

    argv: list[str]
    folder: str
    kill_at: int = 0
    kill_after: float = 0.0
    fail_at: int = 0
    error: int = errno.ENOSPC
    record: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    hurry: bool = False
    user: int = 0
    groups: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: as `os.waitstatus_to_exitcode` says, after how many calls and seconds.

    Attributes:
        at: the call at which it was killed, or that failed first.
        output: what it printed, stderr too.
    """

    code: int
    calls: int
    seconds: float
    at: str
    output: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Forking:
    """A server of forked commands; a context manager that ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.torture.forking"],
            cwd=ROOT,
            env=os.environ
            | {"PYTHONPATH": str(ROOT), "DSVC_AUTHOR": "Ada <ada@example.org>", "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Forking:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, order: Order) -> None:
        """Begin; `result` waits for the end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        self._process.stdin.flush()

    def result(self) -> Ended:
        assert self._process.stdout is not None
        return Ended(**json.loads(self._process.stdout.readline()))

    def run(self, order: Order) -> Ended:
        self.start(order)
        return self.result()


class _Disturber:
    """Counts the calls of a command, and does to it what was ordered."""

    def __init__(self, order: Order, pipe: int) -> None:
        self._order = order
        self._pipe = pipe
        self._torn: Call | None = None
        self._failing: Call | None = None
        self.calls = 0
        self.at = ""

    def __call__(self, call: Call) -> int | None:
        self.calls += 1
        if self._order.kill_at == self.calls:
            if call.name == "write" and call.size > 1:
                self._torn = call
                return call.size // 2
            self._die(call)
        if self._order.fail_at and self.calls >= self._order.fail_at:
            return self._fail(call)
        return None

    def after(self, call: Call) -> None:
        if call is self._torn:
            self._die(call)

    def _fail(self, call: Call) -> int | None:
        if self._failing is None:
            self._failing = call
            self.at = spell(call, Path(self._order.folder))
            if call.name == "write" and call.size > 1:
                return call.size // 2  # as much as there is room for
        if self._failing.name == "open":
            fails = (call.name, call.path) == ("open", self._failing.path)
        else:
            fails = call.name not in {"unlink", "rmdir", "open"}
        if fails:
            raise OSError(self._order.error, os.strerror(self._order.error), call.path)
        return None

    def tell(self) -> None:
        os.write(self._pipe, json.dumps({"calls": self.calls, "at": self.at}).encode())

    def _die(self, call: Call) -> None:
        self.at = spell(call, Path(self._order.folder))
        self.tell()
        os.kill(os.getpid(), signal.SIGKILL)


def _child(order: Order, pipe: int) -> int:
    from datasets_vc.cli.main import main

    with Path(f"{order.folder}.output").open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.update(order.environment)
    if order.user:
        os.umask(0o022)
        os.setgroups(order.groups)
        os.setgid(order.user)
        os.setuid(order.user)
    os.chdir(order.folder)
    if order.hurry:
        RetryPolicy.delay = lambda *_: 0.0  # type: ignore[method-assign]
        s3.CLIENT_OPTIONS["read_timeout"] = 1
    if order.kill_after:
        os.write(pipe, b'{"calls": 0, "at": ""}')
        return main(order.argv)
    if order.record:
        from tests.torture.recording import recorded

        with recorded(Path(order.folder), Path(order.record)):
            code = main(order.argv)
        os.write(pipe, b'{"calls": 0, "at": ""}')
        return code
    disturber = _Disturber(order, pipe)
    with watched(f"{order.folder}/", disturber, disturber.after):
        code = main(order.argv)
    disturber.tell()
    return code


def _run(order: Order) -> dict[str, Any]:
    reading, writing = os.pipe()
    begin = time.monotonic()
    child = os.fork()
    if not child:
        code = 70
        try:
            os.close(reading)
            code = _child(order, writing)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    if order.kill_after:
        time.sleep(order.kill_after)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - begin
    output = Path(f"{order.folder}.output")
    said = output.read_text(errors="replace") if output.exists() else ""
    output.unlink(missing_ok=True)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "output": said,
    } | (json.loads(told) if told else {"calls": 0, "at": ""})


def _serve() -> None:
    from datasets_vc.cli.main import VERBS

    for verb in VERBS.values():
        import_module(f"datasets_vc.cli.{verb.family}")
    for module in ("filelock", "tomlkit", "pyarrow.compute", "pyarrow.csv", "pyarrow.json"):
        import_module(module)
    for module in ("grp", "pwd", "s3fs", "tests.torture.recording"):
        import_module(module)
    for room in ("backends", "history", "repository", "signing", "store", "sync", "workspace"):
        package = import_module(f"datasets_vc.{room}")
        for found in iter_modules(package.__path__, f"{package.__name__}."):
            import_module(found.name)
    # Replies go where nothing else is printed.
    replies = os.fdopen(os.dup(1), "wb")
    complete = False
    for line in sys.stdin.buffer:
        order = Order(**json.loads(line))
        if order.user and not complete:
            _load_what_verbs_load()
            complete = True
        replies.write(json.dumps(_run(order)).encode() + b"\n")
        replies.flush()


def _load_what_verbs_load() -> None:
    """Load every module that usual verbs load: another user may not be able to read these."""
    with tempfile.TemporaryDirectory() as folder:
        at = ["-C", f"{folder}/work"]
        journey = (
            ["init", f"{folder}/work", "--store", f"{folder}/store", "--shared", "group"],
            [*at, "remote", "add", "origin", f"{folder}/remote"],
            [*at, "commit", "-m", "first"],
            [*at, "push"],
            [*at, "pull"],
            [*at, "status"],
            [*at, "log"],
            [*at, "fsck", "--repair"],
            [*at, "gc", "--grace", "0s"],
            ["clone", f"{folder}/remote", f"{folder}/copy"],
        )
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            from datasets_vc.cli.main import main

            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            for number, argv in enumerate(journey):
                if number == 2:
                    Path(folder, "work", "file").write_bytes(b"data")
                main(argv)
            os.write(writing, "\n".join(sys.modules).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "r") as pipe:
            names = pipe.read().split()
        os.waitpid(child, 0)
    for name in names:
        with suppress(ImportError):
            import_module(name)


if __name__ == "__main__":
    _serve()
