from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.backends import Backend, FsspecBackend, LocalBackend, probe
from datasets_vc.errors import DatasetError, RemoteError
from tests.fault.faults import (
    FailingBackend,
    ForgetfulBackend,
    LimitedBackend,
    LosingAnswersBackend,
    TruncatingBackend,
)


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path, durable=False)


def left(backend: Backend) -> list[Path]:
    assert isinstance(backend, LocalBackend)
    return list(backend.folder.rglob("*"))


def test_a_server_that_ignores_conditions_is_found_out(local: LocalBackend) -> None:
    result = probe(ForgetfulBackend(local))
    assert result.writable
    assert not result.conditional_writes
    assert "no conditional writes" in result.problem
    assert left(local) == []


def test_a_server_that_ignores_only_the_compared_state(local: LocalBackend) -> None:
    class HalfForgetful(ForgetfulBackend):
        def swap(self, name: str, data: bytes, expected: object | None) -> None:
            if expected is None:
                self.inner.swap(name, data, expected)
            else:
                super().swap(name, data, expected)

    assert not probe(HalfForgetful(local)).conditional_writes


@pytest.mark.parametrize("losses", [1, 2, 9])
def test_answers_that_are_lost_say_nothing_about_the_server(
    local: LocalBackend, losses: int
) -> None:
    assert probe(LosingAnswersBackend(local, losses)).conditional_writes
    assert not probe(LosingAnswersBackend(ForgetfulBackend(local), losses)).conditional_writes


def test_a_server_that_refuses_every_swap(local: LocalBackend) -> None:
    refusing = FailingBackend(local, "swap", times=99, error=RemoteError("Not implemented."))
    result = probe(refusing)
    assert (result.writable, result.ranges, result.conditional_writes) == (True, True, False)
    assert result.problem == "Not implemented."


def test_a_swap_that_is_not_safe_between_machines(tmp_path: Path) -> None:
    result = probe(FsspecBackend(tmp_path.as_uri()))
    assert result.writable
    assert not result.conditional_writes
    assert "no conditional writes" in result.problem


def test_a_remote_that_cannot_be_written(local: LocalBackend) -> None:
    result = probe(LimitedBackend(local, writes=0))
    assert (result.reachable, result.readable, result.writable) == (True, True, False)
    assert "no space" in result.problem


def test_a_remote_that_loses_what_was_written(local: LocalBackend) -> None:
    class Losing(TruncatingBackend):
        def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
            return self.inner.get(name, start, end)[:3]

    assert not probe(Losing(local, "", 0)).writable


def test_an_unreachable_remote(local: LocalBackend) -> None:
    gone = FailingBackend(local, "read_root", error=RemoteError("It is gone."))
    result = probe(gone)
    assert not result.reachable
    assert not result.writable
    assert result.problem == "It is gone."


def test_a_folder_that_cannot_be_written_is_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = LocalBackend(tmp_path)
    backend.put("root.json", b"{}")

    def refuse(*_: object) -> None:
        raise DatasetError("the file system is read-only.")

    monkeypatch.setattr(backend, "put", refuse)
    found = probe(backend, known="root.json")
    assert (found.readable, found.writable, found.ranges) == (True, False, True)
    assert "read-only" in found.problem
    assert not probe(backend, known="absent").ranges
