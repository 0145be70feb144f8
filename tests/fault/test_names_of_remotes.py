"""No remote takes over the name of another one's branch, by a tag or by a branch of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from datasets_vc import Snapshot
from datasets_vc.cli.main import main
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.format.root import encode_root
from datasets_vc.repository import Pin, Repository
from tests.fault.hostile import HostileStore

AUTHOR = "Ada <ada@example.org>"
TAKEN = ("origin/main", "good/main", "evil/main", "late/main")


@pytest.fixture
def mine(tmp_path: Path) -> Repository:
    """A workspace with the remotes `origin` and `good`, which was fetched, and `evil`."""
    urls = {}
    for name in ("origin", "good"):
        other = Repository.init(tmp_path / f"of-{name}")
        (other.folder / "a").write_text(name)
        other.commit(name, author=AUTHOR)
        urls[name] = str(tmp_path / name)
        other.remotes.add("origin", urls[name])
        other.push()
    Repository.clone(urls["origin"], tmp_path / "mine")
    mine = Repository.open(tmp_path / "mine")
    mine.remotes.add("good", urls["good"])
    mine.fetch("good")
    mine.remotes.add("evil", evil(tmp_path / "evil"))
    return mine


def evil(folder: Path) -> str:
    store = HostileStore(folder)
    tip = store.commit(store.leaf(store.entries({"a": b"evil"})))
    return store.publish(
        tip,
        root=lambda root: encode_root(
            replace(root, branches={**root.branches, "good/new": tip, "good/main": tip})
        ),
        tags=dict.fromkeys((*TAKEN, "v1", "release/1"), tip),
    )


def test_tags_that_would_be_taken_for_branches_are_left_out(
    mine: Repository, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {name: mine.resolve(name) for name in ("origin/main", "good/main")}
    assert main(["-C", str(mine.folder), "fetch", "evil"]) == 0
    said = capfd.readouterr().out
    for name in TAKEN[:3]:
        assert f"Left out: the tag {name}," in said
    assert sorted(mine.tags.list()) == ["late/main", "release/1", "v1"]
    for name, was in before.items():
        assert mine.resolve(name) == was
        assert Snapshot.open(mine.folder, name).digest == was.dataset.hex()
    left = [update.name for update in mine.fetch("evil").refs if update.outcome == "left out"]
    assert left == sorted(TAKEN[:3])


def test_a_clone_tells_of_them_too(mine: Repository, tmp_path: Path) -> None:
    result = Repository.clone(str(tmp_path / "evil"), tmp_path / "new")
    assert [update.name for update in result.refs] == ["origin/main"]


@pytest.mark.parametrize("fetched", [False, True])
def test_one_that_was_there_before_the_remote_is_refused(
    mine: Repository, tmp_path: Path, fetched: bool
) -> None:
    mine.fetch("evil")
    assert mine.resolve("late/main").commit == mine.tags.get("late/main")
    mine.remotes.add("late", str(tmp_path / "good"))
    if fetched:
        mine.fetch("late")
    for use in (
        lambda: mine.resolve("late/main"),
        lambda: mine.resolve("late/main~0"),
        lambda: mine.show("late/main"),
        lambda: mine.checkout("late/main"),
        lambda: mine.merging.merge("late/main", author=AUTHOR),
        lambda: mine.branches.create("x", "late/main"),
        lambda: mine.tags.create("x", "late/main"),
        lambda: mine.tags.describe("late/main"),
        lambda: Snapshot.open(mine.folder, "late/main"),
        lambda: Pin.find(mine.folder).write("late/main"),
    ):
        with pytest.raises(InvalidInputError, match="'late/main' is ambiguous") as caught:
            use()
        assert "dsvc tag -d late/main" in caught.value.hint
    mine.tags.delete("late/main")
    if fetched:
        assert mine.resolve("late/main") == mine.resolve("good/main")


def test_a_branch_of_ours_counts_unless_the_remote_has_it(mine: Repository) -> None:
    mine.branches.create("good/idea", "HEAD")
    assert mine.resolve("good/idea") == mine.resolve("HEAD")
    mine.branches.create("good/main", "HEAD")
    with pytest.raises(InvalidInputError, match="ambiguous") as caught:
        mine.resolve("good/main")
    assert "dsvc branch -m good/main NEW" in caught.value.hint


def test_no_branch_is_made_of_what_reads_as_that_of_another_remote(mine: Repository) -> None:
    mine.fetch("evil")
    with pytest.raises(NotFoundError):
        mine.checkout("good/new")
    assert "good/new" not in mine.branches.list()
    mine.checkout("good/main")
    assert mine.head.branch is None
    assert (mine.folder / "a").read_text() == "good"
