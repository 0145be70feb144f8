"""`dsvc` as a process, over a real workspace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc.cli.streams import PIPE_CLOSED

COMMAND = [sys.executable, "-m", "datasets_vc.cli"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    surroundings = {**os.environ, "DSVC_AUTHOR": "Ada", "LC_ALL": "C"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=surroundings,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_first_version(run, tmp_path) -> None:
    (tmp_path / "ä\n.txt").write_text("one")

    assert run("init").returncode == 0
    committed = json.loads(run("commit", "-m", "First", "--json").stdout)
    (logged,) = json.loads(run("--json", "log").stdout)["commits"]
    entries = json.loads(run("ls", "--json").stdout)["entries"]

    assert committed["files"] == 1
    assert (logged["commit"], logged["author"]) == (committed["commit"], "Ada")
    assert [entry["path"] for entry in entries] == ["ä\n.txt"]
    assert "\\n.txt" in run("ls").stdout


def test_not_a_repository(run) -> None:
    outcome = run("status")

    assert outcome.returncode == 10
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("error: ")
    assert "Traceback" not in outcome.stderr


def test_a_reader_that_stops_is_no_error(run, tmp_path) -> None:
    run("init")
    (tmp_path / "a.txt").write_text("one")
    run("commit", "-m", "First")

    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [*COMMAND, "log"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE
    ) as process:
        os.close(write)
        _, said = process.communicate()

    assert process.returncode == PIPE_CLOSED
    assert said == b""
