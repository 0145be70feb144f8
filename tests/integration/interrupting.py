"""Cases of commands that were stopped in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets_vc.repository import Repository
from tests.integration.conftest import ROOT


@dataclass(frozen=True)
class Case:
    folder: Path
    at: str

    def repository(self, name: str) -> Repository:
        return Repository.open(self.folder / name)


def cases(
    home: Path, template: Path, signal_name: str, *arguments: str, every: int = 1, code: int = 0
) -> Iterator[Case]:
    """What a command leaves behind that is signalled at every so many-th moment; see `crashing`.

    Args:
        code: what it ends with if left alone.
    """
    folder = home / "cases"
    folder.mkdir()
    if signal_name == "SIGINT":
        every *= 2  # it takes the same way out from wherever it comes
    script = [sys.executable, "-m", "tests.integration.crashing"]
    done = subprocess.run(
        [*script, str(template), str(folder), signal_name, str(every), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert len(found) > 2
    *stopped, ended = found
    assert ended["exit"] == code
    expected = -signal.SIGKILL if signal_name == "SIGKILL" else 130
    wrong = [each for each in stopped if each["exit"] != expected]
    assert not wrong
    for each in stopped:
        case = Case(Path(each["case"]), each["at"])
        if signal_name == "SIGINT":
            assert "interrupted" in (case.folder / "output").read_text(), each
            assert "Traceback" not in (case.folder / "output").read_text(), each
        yield case


def words(arguments: tuple[str, ...], case: Case) -> list[str]:
    """The command line that was stopped, for the case's folder."""
    return [word.replace("{}", str(case.folder)) for word in arguments]
