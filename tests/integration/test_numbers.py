"""What moves, what lies on the disk and what is copied, counted."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from datasets_vc.repository import Repository
from tests.integration.trees import AUTHOR

FILES = 10_000
CHANGED = FILES // 100


def test_a_pull_costs_what_changed(home: Path) -> None:
    rng = random.Random(0)
    work = Repository.init(home / "work")
    paths = [f"set/{number // 500}/{number}.bin" for number in range(FILES)]
    for path in paths:
        (work.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (work.folder / path).write_bytes(rng.randbytes(3_000))
    work.commit("one", author=AUTHOR)
    work.remotes.add("origin", str(home / "remote"))
    work.push()
    Repository.clone(str(home / "remote"), home / "other", checkout=False)
    for path in rng.sample(paths, CHANGED):
        (work.folder / path).write_bytes(rng.randbytes(3_000))
    work.commit("two", author=AUTHOR)
    work.push()

    other = Repository.open(home / "other")
    moved = other.pull().transfer

    assert CHANGED * 3_000 < moved.bytes <= 1.1 * CHANGED * 3_000 + (2 << 20)
    assert moved.requests <= 40
    nothing = Repository.open(home / "other").pull()
    assert not nothing.updated
    assert nothing.transfer.requests <= 3
    assert Repository.open(home / "work").push().transfer.requests <= 3
    snapshot = other.snapshot()
    assert len(snapshot) == FILES
    assert snapshot.digest == work.snapshot().digest


def test_a_training_machine_holds_the_bytes_once(home: Path) -> None:
    rng = random.Random(0)
    work = Repository.init(home / "work")
    contents = [rng.randbytes(rng.randint(20_000, 40_000)) for _ in range(2_000)]
    for number, data in enumerate(contents):
        (work.folder / f"{number}.jpg").write_bytes(data)
    work.commit("one", author=AUTHOR)
    work.remotes.add("origin", str(home / "remote"))
    work.push()
    Repository.clone(str(home / "remote"), home / "other", checkout=False)

    snapshot = Repository.open(home / "other").snapshot()
    entries = snapshot.entries()
    files = snapshot.read_many(entries.column("digest").to_pylist())

    places = [int(path.removesuffix(".jpg")) for path in entries.column("path").to_pylist()]
    assert [bytes(data) for data in files] == [contents[place] for place in places]
    assert all(isinstance(data, memoryview) and data.readonly for data in files)
    # Slices of the maps of a few packs, not copies of their own.
    assert len({id(data.obj) for data in files}) <= 4
    address = np.frombuffer(files[0], np.uint8).ctypes.data
    again = snapshot.read_many([entries.column("digest")[0].as_py()])[0]
    assert np.frombuffer(again, np.uint8).ctypes.data == address
    held = sum(place.stat().st_size for place in (home / "other").rglob("*") if place.is_file())
    assert held <= 1.03 * sum(map(len, contents))
