"""Where a command is started, and what is wrong with that place."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from datasets_vc.cli.failure import report


def test_a_current_folder_that_is_gone(dsvc: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    outcome = dsvc("status")

    assert outcome.code == 1
    assert outcome.err.startswith("error: The current folder is gone")
    assert dsvc("status", "--json").data["error"]["kind"] == "not_found"
    assert dsvc("-C", str(tmp_path / "here"), "init", "-q").code == 0


@pytest.mark.parametrize("place", ["missing", "file", "file/below", "n" * 300, "a/" * 2500])
@pytest.mark.parametrize("verb", [("status",), ("init", "new"), ("clone", "x", "y")])
def test_a_folder_to_work_in_that_is_none(
    dsvc: Any, tmp_path: Path, place: str, verb: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()

    outcome = dsvc("-C", place, *verb)

    assert outcome.code == 2
    assert "is no folder to work in: " in outcome.err
    assert outcome.err.count("\n") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_what_the_system_says_is_no_error_of_ours(capsys: Any) -> None:
    error = OSError(errno.ENAMETOOLONG, "File name too long", "/some/where")

    assert report(error, as_json=False, trace=False) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: '/some/where' cannot be used: File name too long.\nhint: ")
    assert "nearer to the root" in said
