"""The command line, in this process and as one of its own."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from datasets_vc.cli.main import main

_PROBE = re.compile("probe-[0-9a-f]{16}")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and how it ended."""

    code: int
    out: bytes
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Dsvc = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to start from, without settings of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSVC_AUTHOR", "Ada <ada@example.org>")
    for name in ("DSVC_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def dsvc(home: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Dsvc:
    """`dsvc("status", "--json")` in this process."""

    def run(*arguments: str | Path) -> Outcome:
        capfdbinary.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Outcome(code, out, err.decode())

    return run


@pytest.fixture
def process(home: Path) -> Dsvc:
    """`process("status", "--json")` as a user's shell runs it."""

    def run(*arguments: str | Path) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "datasets_vc.cli", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        return Outcome(done.returncode, done.stdout, done.stderr.decode())

    return run


Refused = Callable[..., str]


@pytest.fixture
def refused(dsvc: Dsvc) -> Refused:
    """`refused(12, "push")`: it ends with this code and one sentence, in words and as JSON.

    Returns message and hint as one text.
    """

    def check(code: int, *arguments: str | Path, hint: bool = True) -> str:
        words = dsvc(*arguments)
        assert words.code == code, words
        assert words.out == b""
        assert "Traceback" not in words.err
        first, *rest = words.err.splitlines()
        assert first.startswith("error: ")
        assert first.endswith(".")
        assert [line.startswith("hint: ") for line in rest] == [True] * hint, rest
        told = dsvc("--json", *arguments)
        assert (told.code, told.err) == (code, "")
        error = told.data["error"]
        assert list(error) == ["kind", "message", "hint"]
        # What a remote is tried with has a new name every time.
        assert _PROBE.sub("", first) == _PROBE.sub("", f"error: {error['message']}")
        return f"{error['message']} {error['hint']}"

    return check


@pytest.fixture(scope="session")
def incompressible() -> Callable[[int], bytes]:
    """So many bytes that look random and are the same every time."""
    return lambda size, seed=0: random.Random(seed).randbytes(size)
