"""Server programs on a free port of the loopback device, ended when they are no longer needed."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 30.0
"""Seconds that a server may take to come up; a busy machine needs some."""

_TRIES = 3


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def listening(command: Callable[[int], Sequence[str]], log: Path) -> Iterator[int]:
    """Run what `command` says for a port, and wait until it listens there; gives the port.

    Skips, with what the program said, if it does not come up.
    """
    for _ in range(_TRIES):
        port = free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(port), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            if _comes_up(process, port):
                yield port
                return
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    pytest.skip(f"{command(0)[0]} does not start: {log.read_text(errors='replace')[-300:]}")


def _comes_up(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        # Nothing tells when a server of another program is ready but asking it.
        time.sleep(0.02)
    return False
