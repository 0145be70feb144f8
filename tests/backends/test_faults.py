"""The faults do what they say, so that the tests that use them can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.backends import LocalBackend
from datasets_vc.errors import DatasetError, RemoteError
from tests.fault.faults import (
    Crash,
    FailingBackend,
    FlippingBackend,
    LimitedBackend,
    LosingAnswersBackend,
    TruncatingBackend,
)


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    backend = LocalBackend(tmp_path, durable=False)
    backend.put("packs/a", b"\x00" * 8)
    backend.put("packs/b", b"\x00" * 8)
    return backend


def test_one_bit_is_flipped_in_every_read(local: LocalBackend) -> None:
    flipping = FlippingBackend(local, "packs/a", bit=19)
    damaged = b"\x00\x00\x08\x00\x00\x00\x00\x00"
    assert flipping.get("packs/a") == damaged
    assert flipping.get("packs/a", 1, 4) == damaged[1:4]
    assert flipping.get("packs/a", 3) == damaged[3:]
    assert bytes(flipping.map("packs/a") or b"") == damaged
    root = flipping.read_root("packs/a")
    assert root
    assert root.data == damaged
    assert flipping.get("packs/b") == local.get("packs/a") == b"\x00" * 8


def test_truncation(local: LocalBackend) -> None:
    short = TruncatingBackend(local, "packs/a", 5)
    assert len(short.get("packs/a")) == 5
    assert len(short.get("packs/a", 4, 8)) == 1
    assert short.get("packs/a", 6) == b""
    assert len(short.map("packs/a") or b"") == 5
    assert len(short.get("packs/b")) == 8


def test_a_disk_that_fills_up(local: LocalBackend) -> None:
    limited = LimitedBackend(local, writes=2)
    limited.put("packs/c", b"")
    limited.swap("root.json", b"", None)
    with pytest.raises(DatasetError, match="no space"):
        limited.put("packs/d", b"")
    with pytest.raises(Crash):
        LimitedBackend(local, writes=0, error=Crash()).put("packs/d", b"")
    assert [found.name for found in local.list("packs/")] == ["packs/a", "packs/b", "packs/c"]


def test_the_first_calls_fail(local: LocalBackend) -> None:
    failing = FailingBackend(local, "get", times=2)
    for _ in range(2):
        with pytest.raises(RemoteError):
            failing.get("packs/a")
    assert len(failing.get("packs/a", 0, 3)) == 3
    assert failing.calls == 3


def test_a_swap_that_happens_unseen(local: LocalBackend) -> None:
    losing = LosingAnswersBackend(local)
    with pytest.raises(RemoteError) as caught:
        losing.swap("root.json", b"1", None)
    assert caught.value.transient
    assert local.get("root.json") == b"1"
    losing.swap("root.json", b"2", b"1")
