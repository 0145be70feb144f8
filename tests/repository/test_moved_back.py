"""What a fetch says of branches that are not where they were at the remote."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets_vc.cli.main import main
from datasets_vc.repository import RefChoice, Repository
from tests.integration.trees import AUTHOR

TIME = datetime(2026, 1, 1, tzinfo=UTC)


def commit(work: Repository, text: str) -> None:
    (work.folder / text).write_text(text)
    work.commit(text, author=AUTHOR, time=TIME)


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    """Two commits, pushed; `other` has fetched them, and a branch `side`."""
    work = Repository.init(tmp_path / "work")
    work.remotes.add("origin", str(tmp_path / "remote"))
    commit(work, "one")
    commit(work, "two")
    work.push()
    work.branches.create("side")
    work.push(branch="side")
    Repository.clone(str(tmp_path / "remote"), tmp_path / "other")
    return work


def outcomes(work: Repository, verb: str = "fetch") -> dict[str, str]:
    other = Repository.open(work.folder.parent / "other")
    got = other.fetch() if verb == "fetch" else other.pull(author=AUTHOR, time=TIME)
    return {update.name: update.outcome for update in got.refs}


def go_back(work: Repository) -> None:
    work.checkout("HEAD~1", create="older")
    work.branches.delete("main", force=True)
    work.checkout("HEAD", create="main")


@pytest.mark.parametrize("verb", ["fetch", "pull"])
def test_forward_back_replaced_and_gone(work: Repository, verb: str) -> None:
    assert outcomes(work, verb) == {}
    commit(work, "three")
    work.push()
    assert outcomes(work, verb) == {"main": "updated"}
    go_back(work)
    work.push(choice=RefChoice(["main"], force=True))
    assert outcomes(work, verb) == {"main": "forced"}
    assert outcomes(work, verb) == {}
    commit(work, "another")
    work.push(choice=RefChoice(["main", "older"]))
    assert outcomes(work, verb) == {"main": "updated", "older": "created"}
    work.push(choice=RefChoice(["side"], delete=True))
    assert outcomes(work, verb) == {"side": "deleted"}


def test_it_is_told(work: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    old = work.resolve("main").commit
    go_back(work)
    new = work.resolve("main").commit
    assert old
    assert new
    work.push(choice=RefChoice(["main"], force=True))
    work.push(choice=RefChoice(["side"], delete=True))
    assert main(["-C", str(work.folder.parent / "other"), "fetch"]) == 0
    lines = capsys.readouterr().out
    assert f"+ {old.hex()[:12]}...{new.hex()[:12]} main (forced update)" in lines
    assert "side (deleted there)" in lines


def test_all_that_was_consumed_comes_back(work: Repository) -> None:
    for paths in (["."], ["a"]):
        (work.folder / "a").write_text(str(paths))
        work.commit("kept", author=AUTHOR, time=TIME, consume=True)
        assert not (work.folder / "a").exists()
        assert work.status().clean
        work.restore(paths)
        assert (work.folder / "a").read_text() == str(paths)
        assert work.status().clean
