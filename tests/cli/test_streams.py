"""Streams that are closed, full or read by nobody, and locales that are not UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc.cli.streams import PIPE_CLOSED, prose
from datasets_vc.errors import InvalidInputError

DSVC = [sys.executable, "-m", "datasets_vc.cli"]
NOT_UTF8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

Shell = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A line for the shell, in an empty folder, in which `dsvc` is the command line."""

    def run(line: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        env = os.environ | {"DSVC_AUTHOR": "Ada <ada@example.org>"} | variables
        env.pop("DSVC_DEBUG", None)
        return subprocess.run(
            ["bash", "-c", f'dsvc() {{ "{sys.executable}" -m datasets_vc.cli "$@"; }}; {line}'],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            check=False,
        )

    return run


def streams(then: str, redirected: str) -> subprocess.CompletedProcess[bytes]:
    """Python that sees to its streams, runs `then` and ends with the code that is settled."""
    program = (
        "import os, sys; from datasets_vc.cli.streams import *; open_standard_streams(); "
        f"code = 0; {then}; sys.exit(settle(code))"
    )
    line = f'"{sys.executable}" -c "$0" {redirected}'
    return subprocess.run(["bash", "-c", line, program], capture_output=True, check=False)


@pytest.mark.parametrize(
    "redirected", [">&-", ">/dev/full", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"]
)
def test_an_answer_that_cannot_be_written_has_failed(redirected: str) -> None:
    outcome = streams("print('answer')", redirected)

    assert outcome.returncode == 1
    assert b"Traceback" not in outcome.stderr
    if "2>" not in redirected:
        assert outcome.stderr.startswith(b"error: the answer could not be written to stdout: ")
        assert outcome.stderr.count(b"\n") == 1


@pytest.mark.parametrize("redirected", [">&-", ">/dev/full"])
@pytest.mark.parametrize("code", [0, 3])
def test_work_that_was_done_keeps_its_code(redirected: str, code: int) -> None:
    outcome = streams(f"work_is_done(); code = {code}; print('news')", redirected)

    assert outcome.returncode == code
    assert outcome.stderr.startswith(b"warning: what this command has to say could not be written")


def test_nothing_to_say_is_no_loss() -> None:
    outcome = streams("pass", ">&-")

    assert (outcome.returncode, outcome.stderr) == (0, b"")


def test_a_file_that_is_opened_is_never_a_standard_stream(tmp_path: Path) -> None:
    file = tmp_path / "data"
    code = f"h = open({str(file)!r}, 'w'); code = h.fileno(); print('x'); sys.stderr.write('y')"

    outcome = streams(code, "<&- >&- 2>&-")

    assert outcome.returncode > 2
    assert file.read_bytes() == b""


@pytest.mark.parametrize(("then", "code"), [("", PIPE_CLOSED), ("work_is_done(); ", 0)])
def test_a_reader_that_went_away_is_told_nothing(then: str, code: int) -> None:
    outcome = streams(f"{then}print('x' * 9999)", "| true; exit ${PIPESTATUS[0]}")

    assert outcome.returncode in (code, 0)  # the reader may have been slow to go
    assert outcome.stderr == b""


def test_a_commit_is_one_whoever_hears_of_it(shell: Shell) -> None:
    outcome = shell(
        "dsvc init -q && echo 1 > f && dsvc commit -m 1 >&- && echo 2 > f && "
        "dsvc commit -m 2 --json >/dev/full && dsvc log --oneline | wc -l"
    )

    assert (outcome.returncode, outcome.stdout.split()) == (0, [b"2"])
    assert outcome.stderr.count(b"warning: ") == outcome.stderr.count(b"\n") == 2


def test_an_error_keeps_its_code_and_is_told_where_it_can(shell: Shell) -> None:
    outcome = shell("dsvc status --json >/dev/full")

    assert outcome.returncode == 10
    assert b"is a dataset repository" in outcome.stderr


def test_the_same_files_are_the_same_dataset_in_every_locale(shell: Shell) -> None:
    named = "dsvc init -q && echo 1 > caf\u00e9 && dsvc commit -m caf\u00e9 --json | grep dataset"

    here = shell(f"mkdir a && cd a && {named}")
    there = shell(
        f"mkdir b && cd b && {named} && dsvc ls && dsvc -C ../b status caf\u00e9", **NOT_UTF8
    )

    assert here.returncode == there.returncode == 0
    assert there.stdout.startswith(here.stdout)
    assert "caf\u00e9".encode() in there.stdout
    assert there.stdout.endswith(b"Nothing changed.\n")


def test_python_that_reads_names_otherwise_is_refused(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from datasets_vc import Repository; "
        f"Repository.init(Path({str(tmp_path / 'w')!r}))"
    )

    outcome = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | NOT_UTF8, capture_output=True, check=False
    )

    assert b"InvalidInputError: This process reads the names of files as 'ascii'" in outcome.stderr
    assert not (tmp_path / "w").exists()


def test_prose_may_be_in_the_locales_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = os.fsdecode("Zo\u00eb".encode("latin-1"))
    monkeypatch.setattr("locale.getencoding", lambda: "iso8859-1")

    assert prose(typed) == "Zo\u00eb"
    assert prose("Zo\u00eb") == "Zo\u00eb"


def test_prose_in_no_encoding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "utf-8")

    with pytest.raises(InvalidInputError, match="neither in UTF-8 nor"):
        prose("Zo\udceb")
