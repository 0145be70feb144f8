"""Part of a history, part of a version: clone, fetch, pull and push of them."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from datasets_vc import Snapshot
from datasets_vc.digest import digest_of
from datasets_vc.errors import ConflictError, InvalidInputError, MissingDataError, NotFoundError
from datasets_vc.format.entries import FILE
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.repository import ENDLESS, Part, Planning, RefChoice, Repository, pattern_of
from datasets_vc.sync.closure import lacking_files
from tests.integration.trees import AUTHOR, Tree, make_tree, tree_of
from tests.repository.test_partial import has, text


def tree(step: int) -> Tree:
    return {
        "train/a": text(f"a {step}"),
        "test/b": text(f"b {step}"),
        "step": (FILE, b"%d" % step),
    }


def large(step: int) -> Tree:
    """Files that do not come along with each other."""
    noise = random.Random(step).randbytes
    return {path: (FILE, noise(1_500_000)) for path in ("train/a", "test/b", "more/c")}


def lacks(repository: Repository, files: Tree) -> set[str]:
    store = repository.store
    return {path for path in files if lacking_files(store, [digest_of(files[path][1])])}


def commit(repository: Repository, files: Tree) -> None:
    make_tree(repository.folder, files)
    repository.commit("more", author=AUTHOR)


def messages(repository: Repository, revision: str = "HEAD") -> int:
    return len(list(repository.log(revision)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with five commits, pushed, the second tagged."""
    folder = tmp_path_factory.mktemp("made")
    repository = Repository.init(folder / "work")
    repository.remotes.add("origin", str(folder / "remote"))
    for step in range(1, 6):
        commit(repository, tree(step))
    repository.tags.create("v2", "main~3")
    repository.push()
    repository.remotes.remove("origin")
    return folder


@pytest.fixture
def work(made: Path, tmp_path: Path) -> Repository:
    """Such a workspace and its remote, for one test to change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    repository = Repository.open(tmp_path / "work")
    repository.remotes.add("origin", str(tmp_path / "remote"))
    return repository


@pytest.fixture
def cut(work: Repository, tmp_path: Path) -> Repository:
    """A clone with one commit from each tip: the fifth, and the second for its tag."""
    Repository.clone(str(tmp_path / "remote"), tmp_path / "cut", depth=1)
    return Repository.open(tmp_path / "cut")


def test_a_clone_with_a_depth(cut: Repository, work: Repository) -> None:
    assert tree_of(cut.folder) == tree_of(work.folder)
    assert [info.cut for info in cut.log()] == [True]
    assert cut.show("HEAD").info.cut  # type: ignore[union-attr]
    assert cut.tags.list() == work.tags.list()
    assert messages(cut, "v2") == 1
    with pytest.raises(CutHistoryError, match="'main~2' lies before"):
        cut.resolve("main~2")
    # A version that a tag names is a fetch away, and what comes after it is not known.
    cut.checkout("v2")
    assert (cut.folder / "step").read_bytes() == b"2"
    with pytest.raises(CutHistoryError):
        cut.tags.describe("main")


def test_commits_on_a_cut_history_are_pushed_and_pulled(cut: Repository, work: Repository) -> None:
    commit(cut, tree(6))
    cut.push()
    work.pull()
    assert messages(work) == 6
    commit(work, tree(7))
    work.push()
    assert cut.pull().updated
    assert messages(cut) == 3
    assert tree_of(cut.folder) == tree_of(work.folder)


def test_history_that_was_cut_off_comes_back(cut: Repository, work: Repository) -> None:
    cut.fetch(depth=2)
    assert messages(cut) == 2
    cut.fetch()
    assert messages(cut) == 2
    cut.fetch(depth=1)
    assert messages(cut) == 2
    cut.fetch(depth=ENDLESS)
    assert messages(cut) == 5
    assert not any(info.cut for info in cut.log())
    assert not cut.store.root().shallow
    assert str(cut.tags.describe("main")) == str(work.tags.describe("main"))


def test_a_log_of_a_path_tells_where_it_stops(cut: Repository, work: Repository) -> None:
    commit(cut, {**tree(5), "new": text("new")})
    assert [info.cut for info in cut.log("HEAD", ["new"])] == [False, True]


def test_a_pull_brings_what_a_merge_has_to_know(cut: Repository, work: Repository) -> None:
    work.checkout("main~2", create="other")
    commit(work, tree(3) | {"theirs": text("theirs")})
    work.push("origin", "other")
    theirs = work.branches.list()["other"]
    work.store.swap_root(lambda root: replace(root, branches={**root.branches, "main": theirs}))
    work.push(choice=RefChoice(["main"], force=True))

    commit(cut, tree(5) | {"ours": text("ours")})
    with pytest.raises(ConflictError, match="gone different ways"):
        cut.pull()
    pulled = cut.pull(author=AUTHOR)
    assert pulled.merge
    assert not pulled.merge.conflicts
    assert {"ours", "theirs"} < set(tree_of(cut.folder))
    assert not cut.store.root().shallow


def test_a_merge_says_what_it_misses(cut: Repository, work: Repository) -> None:
    work.checkout("main~3", create="other")
    commit(work, tree(2) | {"theirs": text("theirs")})
    work.push()
    cut.fetch()
    commit(cut, tree(5) | {"ours": text("ours")})
    with pytest.raises(CutHistoryError) as caught:
        cut.merging.merge("origin/other", author=AUTHOR)
    assert "--unshallow" in caught.value.hint
    assert cut.status().clean
    cut.fetch(depth=ENDLESS)
    cut.merging.merge("origin/other", author=AUTHOR)
    assert {"ours", "theirs"} < set(tree_of(cut.folder))


def test_a_cut_store_is_no_remote(cut: Repository, tmp_path: Path) -> None:
    url = str(cut.folder / ".dsvc" / "store")
    with pytest.raises(MissingDataError, match="only the newest part of its history"):
        Repository.clone(url, tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_the_history_of_a_shared_store_is_not_cut(work: Repository, tmp_path: Path) -> None:
    shared = Repository.init(tmp_path / "shared", str(tmp_path / "store"))
    shared.remotes.add("origin", str(tmp_path / "remote"))
    with pytest.raises(InvalidInputError, match="may have other users"):
        shared.fetch(depth=1)
    shared.fetch(depth=ENDLESS)
    assert not shared.store.root().shallow


def test_a_revision_of_a_fetch_is_what_the_remote_calls_so(
    work: Repository, tmp_path: Path
) -> None:
    work.branches.create("feature", "main~1")
    commit(work, large(7))
    work.branches.create("big")
    work.push(choice=RefChoice(branches=True, tags=True))
    Repository.clone(work.remotes.list()["origin"].url, tmp_path / "other", revision="feature")
    other = Repository.open(tmp_path / "other")
    other.branches.create("big")  # another one than the remote's
    assert lacks(other, large(7)) == set(large(7))
    other.fetch("origin", ["big"])
    assert lacks(other, large(7)) == set()
    for revision in ("big~1", "v2", "HEAD", "HEAD~2", "feature"):
        other.fetch("origin", [revision])
        Planning(other.folder).fetch("origin", [revision])
    with pytest.raises(NotFoundError):
        other.fetch("origin", ["nothing"])


def test_part_of_a_version_is_brought_for_reading(work: Repository, tmp_path: Path) -> None:
    Repository.clone(str(tmp_path / "remote"), tmp_path / "part", only=["step"])
    part = Repository.open(tmp_path / "part")
    assert not has(part, tree(2)["train/a"])
    snapshot = Snapshot.open(part.folder, "v2")
    part.fetch("origin", ["v2"], part=Part([pattern_of("train")]))
    assert bytes(snapshot.read("train/a")) == tree(2)["train/a"][1]
    assert not has(part, tree(2)["test/b"])
    assert part.status().only == ("step",)
    assert part.status().clean

    # What was not brought says how it can be.
    with pytest.raises(MissingDataError) as caught:
        snapshot.read("test/b")
    commit = work.resolve("v2").commit
    assert commit
    assert "'test/b'" in caught.value.message
    assert caught.value.hint.endswith(f"dsvc fetch REMOTE {commit.hex()[:12]} --path test/b")
    with pytest.raises(MissingDataError) as caught:
        snapshot.read_many([digest_of(tree(2)["test/b"][1])])
    assert caught.value.hint.endswith(f"dsvc fetch REMOTE {commit.hex()[:12]}")


def test_part_of_the_branch_is_brought(work: Repository, tmp_path: Path) -> None:
    Repository.clone(str(tmp_path / "remote"), tmp_path / "train", checkout=False)
    train = Repository.open(tmp_path / "train")
    commit(work, large(6))
    work.push()
    train.fetch(part=Part(["train/**"]))
    assert lacks(train, large(6)) == {"test/b", "more/c"}
    commit(work, large(7))
    work.push()
    train.pull(part=Part(["test/**"]))
    assert train.head.commit == work.head.commit
    assert not train.status().files
    assert lacks(train, large(7)) == {"train/a", "more/c"}


def test_a_pull_of_a_part_makes_it_the_workspaces(work: Repository, tmp_path: Path) -> None:
    Repository.clone(str(tmp_path / "remote"), tmp_path / "other")
    other = Repository.open(tmp_path / "other")
    commit(work, large(6))
    work.push()
    other.pull(part=Part(["train/**"]))
    assert tree_of(other.folder) == {"train/a": large(6)["train/a"]}
    assert lacks(other, large(6)) == {"test/b", "more/c"}
    assert other.status().clean
    other.checkout(None, part=Part())
    assert tree_of(other.folder) == tree_of(work.folder)


def test_a_tag_that_was_deleted_here_comes_back_with_a_fetch_only(work: Repository) -> None:
    work.tags.annotate("v5", message="five", tagger=AUTHOR)
    work.push()
    there = work.tags.list()
    for name in there:
        work.tags.delete(name)
    commit(work, large(9))
    work.push()
    assert work.tags.list() == {}
    work.fetch()
    assert work.tags.list() == there


def test_what_a_push_chooses(work: Repository, tmp_path: Path) -> None:
    work.tags.create("v5")
    work.checkout("v2", create="side")
    commit(work, {"side": text("side")})
    work.tags.create("v-side")
    result = work.push(choice=RefChoice(["main"]))
    assert (result.branch, [update.name for update in result.refs]) == (
        "main",
        ["main", "v5"],
    )
    result = work.push(choice=RefChoice(["v-side"]))
    assert result.branch is None
    assert [(update.kind, update.outcome) for update in result.refs] == [("tag", "created")]
    result = work.push(choice=RefChoice(branches=True, tags=True))
    assert result.branch == "side"
    there = {(update.kind, update.name): update.outcome for update in result.refs}
    assert there.pop(("branch", "side")) == "created"
    assert set(there.values()) == {"unchanged"}
    work.push(choice=RefChoice(["side", "v-side"], delete=True))
    Repository.clone(str(tmp_path / "remote"), tmp_path / "after")
    after = Repository.open(tmp_path / "after").store.root()
    assert set(after.tracking) == {"origin/main"}
    assert set(after.tags) == {"v2", "v5"}
    # Without a branch: tags only.
    work.checkout("v5")
    assert {update.kind for update in work.push(choice=RefChoice(tags=True)).refs} == {"tag"}
    for wrong in (RefChoice(delete=True), RefChoice(["v5"], tags=True, delete=True), RefChoice()):
        with pytest.raises(InvalidInputError):
            work.push(choice=wrong)
