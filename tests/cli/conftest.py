"""The command line in this process, over a repository that is made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from datasets_vc.cli.main import main
from datasets_vc.repository import Repository


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Dsvc = Callable[..., Outcome]


@pytest.fixture
def dsvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Dsvc:
    """`dsvc("status", "--json")` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("DSVC_AUTHOR", "DSVC_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What `Repository.open` gives in this test: give it the methods that the verb calls."""
    signing = SimpleNamespace(signer=lambda *_, **__: None)
    fake = SimpleNamespace(folder=tmp_path, opened=[], signing=signing, is_safe=True)

    def open_(folder: Path, home: Path | None = None, **_: object) -> SimpleNamespace:
        fake.opened.append(folder)
        return fake

    monkeypatch.setattr(Repository, "open", open_, raising=False)
    return fake
