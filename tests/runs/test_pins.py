"""The packs that a run reads stay as they are while others are merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets_vc.backends import LocalBackend
from datasets_vc.format.pack import DATA
from datasets_vc.format.run import decode_run_packs
from datasets_vc.repository import Repository, TrainRequest
from datasets_vc.runs import recording
from datasets_vc.store import Store
from datasets_vc.store.compact import GROWTH
from datasets_vc.store.names import pack_name

AUTHOR = "Ada <ada@example.org>"


def commit(repository: Repository, number: int) -> None:
    (repository.folder / f"{number:03d}.txt").write_text(f"line {number:03d}")
    repository.commit(f"step {number}", author=AUTHOR)


def data_packs(repository: Repository) -> set[str]:
    store = Store.open(LocalBackend(repository.folder / ".dsvc" / "store"))
    return {pack_name(pack.digest) for pack in store.index.packs if pack.category == DATA}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository whose trainings end at once."""

    def run(_: object, listener: Callable[[dict[str, Any]], None]) -> int:
        listener({"event": "inputs", "config": {}})
        listener({"event": "end", "status": "done"})
        return 0

    monkeypatch.setattr(recording, "run", run)
    return Repository.init(tmp_path / "work")


def test_packs_of_a_run_stay_while_others_are_merged(repository: Repository) -> None:
    for number in range(3):
        commit(repository, number)
    read = data_packs(repository)
    record = repository.runs.train(TrainRequest("cnn"))
    pins = repository.folder / ".dsvc" / "store" / "runs" / record.id / "packs.json"
    assert {pack_name(pack) for pack in decode_run_packs(pins.read_bytes(), "it")} == read
    for number in range(3, 3 + 2 * GROWTH):
        commit(repository, number)
    assert read < data_packs(repository)
    assert len(data_packs(repository)) < 3 + GROWTH + 2
    assert [found.id for found in repository.runs.list()] == [record.id]

    pins.unlink()
    for number in range(100, 100 + GROWTH):
        commit(repository, number)
    assert not read & data_packs(repository)


def test_pins_stay_where_their_packs_are(repository: Repository, tmp_path: Path) -> None:
    commit(repository, 0)
    record = repository.runs.train(TrainRequest("cnn"))
    repository.remotes.add("origin", str(tmp_path / "remote"))
    repository.push(every_run=True)
    there = {file.name for file in (tmp_path / "remote" / "runs" / record.id).iterdir()}
    assert there == {"head.json", "log.jsonl"}
