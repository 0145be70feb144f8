"""What no dataset records is told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.workspace.listing import Unrecorded
from datasets_vc.workspace.unrecorded import warnings_once
from tests.workspace.bench import Bench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".dsvc").mkdir()
    return tmp_path


def test_nothing_to_say(folder: Path) -> None:
    assert warnings_once(folder, Unrecorded()) == ()
    assert list((folder / ".dsvc").iterdir()) == []


def test_each_is_told_once(folder: Path) -> None:
    (first,) = warnings_once(folder, Unrecorded(executables=1))
    (second,) = warnings_once(folder, Unrecorded(executables=1200, empty_folders=2000))

    assert first.startswith("1 file is executable")
    assert second.startswith("2,000 folders are empty")
    assert warnings_once(folder, Unrecorded(3, 3)) == ()


def test_where_nothing_can_be_written_it_is_told_all_the_same(tmp_path: Path) -> None:
    for _ in range(2):
        assert len(warnings_once(tmp_path, Unrecorded(1, 1))) == 2


def test_a_file_system_that_calls_all_files_executable_says_nothing(bench: Bench) -> None:
    for number in range(20):
        bench.put(str(number)).chmod(0o755)
    assert bench.ingest().unrecorded == Unrecorded()
    bench.put("data")
    assert bench.ingest().unrecorded == Unrecorded(executables=20)
