from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.workspace import reading, workspace
from tests.workspace.bench import Bench

FAR_FUTURE = 2**62


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "data")


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files count as old: as if the clock had ticked between writing and reading."""
    monkeypatch.setattr(workspace, "clock_of", lambda _: FAR_FUTURE)


@pytest.fixture
def read_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of files that were opened, in the order of opening."""
    opened: list[str] = []
    real = reading._open

    def spy(root: str, file: reading.Listed) -> int:
        opened.append(file.path)
        return real(root, file)

    monkeypatch.setattr(reading, "_open", spy)
    return opened
