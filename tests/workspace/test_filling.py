"""Large files: copied from packs, written, or left out as holes, they have the same bytes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.progress import SILENT
from datasets_vc.store.spans import Extent
from datasets_vc.workspace.filling import fill

PACK = digest_of(b"pack")
OTHER = digest_of(b"other")
HOLE = bytes(100_000)


class Packs:
    """Two packs, as files; None: they lie elsewhere."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.contents = {PACK: os.urandom(300_000), OTHER: os.urandom(300_000)}
        self.opened = 0
        if folder:
            for pack, data in self.contents.items():
                (folder / pack.hex()).write_bytes(data)

    def open_pack(self, pack: bytes) -> int | None:
        self.opened += 1
        return os.open(self.folder / pack.hex(), os.O_RDONLY) if self.folder else None

    def extent(self, pack: bytes, start: int, end: int) -> Extent:
        return Extent(memoryview(self.contents[pack])[start:end], pack, start)


def filled(place: Path, extents: list[Extent], packs: Packs) -> bytes:
    with place.open("xb") as file:
        fill(file.fileno(), iter(extents), packs, SILENT)
    return place.read_bytes()


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    "how", ["copied", "a little at a time", "not at all", "refused", "unknown"]
)
def test_the_bytes_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: bool, how: str
) -> None:
    packs = Packs(tmp_path if local else None)
    extents = [
        packs.extent(PACK, 4096, 70_000),
        packs.extent(PACK, 70_000, 200_001),
        packs.extent(OTHER, 200_001, 300_000),
        Extent(b"decoded"),
        Extent(HOLE),
        Extent(memoryview(b"and more")),
        packs.extent(PACK, 0, 10),
        packs.extent(PACK, 11, 20),
        Extent(HOLE),
    ]
    real = os.copy_file_range

    def copy(source: int, target: int, count: int, *places: int) -> int:
        if how == "refused":
            raise OSError(errno.EXDEV, "no")
        if how == "not at all":
            return 0
        little = how == "a little at a time"
        return real(source, target, min(count, 1000) if little else count, *places)

    if how == "unknown":
        monkeypatch.delattr(os, "copy_file_range")
    else:
        monkeypatch.setattr(os, "copy_file_range", copy)
    expected = b"".join(bytes(extent.data) for extent in extents)
    assert filled(tmp_path / "file", extents, packs) == expected
    assert packs.opened == (0 if how == "unknown" else 4)


def test_what_is_nothing_but_zeros_takes_no_room(tmp_path: Path) -> None:
    packs = Packs(None)
    extents = [Extent(b"a" * 5000), *[Extent(bytes(1 << 20))] * 100, Extent(b"b"), Extent(HOLE)]
    found = filled(tmp_path / "file", extents, packs)
    assert found == b"".join(bytes(extent.data) for extent in extents)
    assert (tmp_path / "file").stat().st_blocks * 512 < 1 << 20


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = Packs(tmp_path)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", full)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        filled(tmp_path / "file", [packs.extent(PACK, 0, 1000)], packs)
