"""Workspaces that have part of their version: clone, pull, push, merge, consume."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import (
    IntegrityError,
    InvalidInputError,
    MissingDataError,
    UnsavedChangesError,
)
from datasets_vc.format.entries import FILE, SYMLINK
from datasets_vc.repository import Part, Repository
from datasets_vc.workspace import workspace as workspace_module
from tests.integration.trees import AUTHOR, Tree, committed_tree, digest_of_tree, make_tree, tree_of

BYTES = random.Random(0).randbytes


def text(words: str) -> tuple[int, bytes]:
    """A file that begins with these words; so large that what is next to it need not come along."""
    return FILE, f"{words}\n".encode() + random.Random(words).randbytes(150_000)


TREE: Tree = {
    **{f"train/{number}.txt": text(f"train {number}") for number in range(5)},
    **{f"test/{number}.txt": text(f"test {number}") for number in range(15)},
    "labels.csv": text("labels"),
    "link": (SYMLINK, b"train/1.txt"),
}
TRAIN = {path: TREE[path] for path in TREE if path.startswith("train/")}


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    repository = Repository.init(tmp_path / "work")
    make_tree(repository.folder, TREE)
    repository.commit("one", author=AUTHOR)
    repository.remotes.add("origin", str(tmp_path / "remote"))
    repository.push()
    return repository


@pytest.fixture
def part(work: Repository, tmp_path: Path) -> Repository:
    """A clone that has `train` only."""
    Repository.clone(str(tmp_path / "remote"), tmp_path / "part", only=["train/**"])
    return Repository.open(tmp_path / "part")


def commit(repository: Repository, tree: Tree, **options: bool) -> None:
    make_tree(repository.folder, tree)
    repository.commit("more", author=AUTHOR, **options)


def has(repository: Repository, content: tuple[int, bytes]) -> bool:
    return repository.store.find(digest_of(content[1])) is not None


def test_a_clone_of_a_part_gets_only_its_files(tmp_path: Path) -> None:
    origin = Repository.init(tmp_path / "origin")
    large: Tree = {
        f"{folder}/{number}": (FILE, BYTES(900_000))
        for folder in ("a", "b")
        for number in range(10)
    }
    make_tree(origin.folder, large)
    origin.commit("large", author=AUTHOR)
    origin.remotes.add("origin", str(tmp_path / "remote"))
    origin.push()

    cloned = Repository.clone(str(tmp_path / "remote"), tmp_path / "new", only=["a", "!a/1"])

    repository = Repository.open(tmp_path / "new")
    here = {path for path in large if path.startswith("a/") and path != "a/1"}
    assert tree_of(repository.folder) == {path: large[path] for path in here}
    assert {path for path in large if has(repository, large[path])} == here
    assert cloned.transfer.bytes < 15 * 900_000
    status = repository.status()
    assert status.clean
    assert (status.only, status.left_out) == (("a", "!a/1"), 11)
    repository.checkout(None, part=Part())
    assert tree_of(repository.folder) == large
    assert repository.status().only is None


def test_a_clone_of_another_version_of_a_part(part: Repository, tmp_path: Path) -> None:
    commit(part, {"train/new": text("new")} | TRAIN)
    part.push()
    url = str(tmp_path / "remote")
    Repository.clone(url, tmp_path / "old", revision="main~1", only=["train/**", "link"])
    old = Repository.open(tmp_path / "old")
    assert tree_of(old.folder) == TRAIN | {"link": TREE["link"]}
    assert old.status().clean


def test_a_bad_pattern_makes_no_clone(work: Repository, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        Repository.clone(str(tmp_path / "remote"), tmp_path / "bad", only=["a["])
    assert not (tmp_path / "bad").exists()


def test_commits_of_a_part_keep_the_rest_and_can_be_pushed(
    work: Repository, part: Repository
) -> None:
    new = {"train/1.txt": text("edited"), "test/new.txt": text("outside")}
    kept = {path: content for path, content in TRAIN.items() if path != "train/0.txt"}
    commit(part, kept | new)
    expected = {path: TREE[path] for path in TREE if path != "train/0.txt"} | new
    assert part.resolve("HEAD").dataset == digest_of_tree(expected)
    assert part.status().clean
    part.push()
    work.pull()
    assert tree_of(work.folder) == expected
    part.remotes.add("empty", str(part.folder.parent / "empty"))
    with pytest.raises(MissingDataError):
        part.push("empty")


def test_a_pull_brings_the_part_and_what_is_present(work: Repository, part: Repository) -> None:
    part.restore(["test/1.txt"])
    new = {path: (kind, data + b"!") for path, (kind, data) in TREE.items() if kind == FILE}
    commit(work, {**TREE, **new, "train/new": text("new"), "test/new": text("not here")})
    work.push()

    part.pull()

    here = [*TRAIN, "test/1.txt"]
    assert tree_of(part.folder) == {path: new[path] for path in here} | {"train/new": text("new")}
    assert part.status().clean
    assert not has(part, new["test/2.txt"])
    assert not has(part, text("not here"))
    assert part.cat("HEAD", "train/new")


def test_a_checkout_of_another_part_brings_its_files(part: Repository) -> None:
    assert not has(part, TREE["labels.csv"])
    result = part.checkout(None, part=Part(["*.csv"]))
    assert (result.branch, result.written, result.removed) == ("main", 1, 5)
    assert tree_of(part.folder) == {"labels.csv": TREE["labels.csv"]}
    assert not has(part, TREE["test/1.txt"])
    (part.folder / "labels.csv").write_text("edited")
    with pytest.raises(UnsavedChangesError):
        part.checkout(None, part=Part(["train/**"]))
    assert part.status().only == ("*.csv",)


def test_a_part_of_a_workspace_without_a_commit(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path / "new")
    assert repository.checkout(None, part=Part(["a"])).commit is None
    commit(repository, {"a": text("a"), "b": text("b")})
    assert set(committed_tree(repository)) == {"a", "b"}
    assert repository.status().clean


def test_a_part_of_a_workspace_that_was_made_without_files(
    work: Repository, tmp_path: Path
) -> None:
    Repository.clone(str(tmp_path / "remote"), tmp_path / "bare", checkout=False)
    bare = Repository.open(tmp_path / "bare")
    bare.checkout("main", part=Part(["train/**"]))
    assert tree_of(bare.folder) == TRAIN
    assert bare.status().clean


@pytest.mark.parametrize("force", [False, True])
def test_files_outside_the_part_go_wherever_they_came_from(
    work: Repository, tmp_path: Path, force: bool
) -> None:
    Repository.clone(str(tmp_path / "remote"), tmp_path / "bare", checkout=False)
    bare = Repository.open(tmp_path / "bare")
    own: Tree = {"test/1.txt": text("edited"), "test/own": text("own")}
    make_tree(bare.folder, TREE | own)

    done = bare.checkout("main", part=Part(["train/**"]), force=force)

    assert (done.written, done.removed) == (0, len(TREE) - len(TRAIN) - 1)
    assert tree_of(bare.folder) == TRAIN | own
    assert (bare.status().modified, bare.status().added) == (["test/1.txt"], ["test/own"])


@pytest.mark.parametrize("force", [False, True])
def test_what_a_checkout_that_was_cut_short_has_written_goes_if_it_is_outside_the_part(
    work: Repository, force: bool
) -> None:
    written: Tree = {"test/1.txt": text("edited"), "test/new": text("new")}
    commit(work, TREE | written)
    work.checkout("main~1")
    make_tree(work.folder, TREE | written)

    work.checkout("main", part=Part(["train/**"]), force=force)

    assert tree_of(work.folder) == TRAIN
    assert work.status().clean


def test_by_force_too_the_files_outside_the_part_go(work: Repository) -> None:
    make_tree(work.folder, TREE | {"test/1.txt": text("edited"), "own": text("own")})
    work.checkout("main", part=Part(["train/**"]), force=True)
    assert tree_of(work.folder) == TRAIN | {"own": text("own")}


def test_a_diff_with_another_version_takes_what_is_left_out_from_head(
    work: Repository, part: Repository
) -> None:
    commit(work, {**TREE, "test/1.txt": text("other")})
    work.push()
    part.pull()
    (part.folder / "train/1.txt").write_text("edited\n")
    assert [new.path for _, new in part.diff().files.modified] == ["train/1.txt"]
    changed = [new.path for _, new in part.diff("HEAD~1").files.modified]
    assert changed == ["test/1.txt", "train/1.txt"]


# Merging.


def apart(work: Repository, part: Repository, ours: Tree, theirs: Tree) -> None:
    """Both have a commit of their own; the remote has that of `work`."""
    commit(work, TREE | theirs)
    work.push()
    part.checkout(None, part=Part())
    commit(part, TREE | ours)
    part.checkout(None, part=Part(["train/**"]))


def test_a_merge_outside_the_part_leaves_it_outside(work: Repository, part: Repository) -> None:
    apart(work, part, {"train/1.txt": text("ours")}, {"test/1.txt": text("theirs")})
    assert not part.pull(author=AUTHOR).merge.conflicts
    assert tree_of(part.folder) == TRAIN | {"train/1.txt": text("ours")}
    assert part.status().clean
    assert not has(part, text("theirs"))
    expected = TREE | {"train/1.txt": text("ours"), "test/1.txt": text("theirs")}
    assert part.resolve("HEAD").dataset == digest_of_tree(expected)


@pytest.mark.parametrize("resolution", ["ours", "theirs", "edited", "deleted", "aborted"])
def test_a_conflict_outside_the_part_comes_into_the_workspace(
    work: Repository, part: Repository, resolution: str
) -> None:
    ours, theirs = text("ours"), text("theirs")
    apart(work, part, {"test/1.txt": ours, "test/2.txt": ours}, {"test/1.txt": theirs})
    before = part.resolve("HEAD").dataset
    (conflict,) = part.pull(author=AUTHOR).merge.conflicts
    assert conflict.path == "test/1.txt"
    assert tree_of(part.folder) == TRAIN | {"test/1.txt": ours}
    place = part.folder / "test/1.txt"
    if resolution == "aborted":
        part.merging.abort()
        assert tree_of(part.folder) == TRAIN | {"test/1.txt": ours}
        assert part.status().clean
        assert part.resolve("HEAD").dataset == before
        return
    if resolution == "edited":
        place.write_bytes(b"both")
    elif resolution == "deleted":
        place.unlink()
    else:
        part.merging.resolve(["test/1.txt"], side=resolution)
    part.merging.resume(author=AUTHOR)
    expected = TREE | {"test/2.txt": ours}
    if resolution == "deleted":
        del expected["test/1.txt"]
    else:
        outcome = {"ours": ours, "theirs": theirs, "edited": (FILE, b"both")}
        expected["test/1.txt"] = outcome[resolution]
    assert part.resolve("HEAD").dataset == digest_of_tree(expected)
    assert part.status().clean


# Commits that consume.


def test_a_commit_that_consumes_leaves_nothing_and_loses_nothing(work: Repository) -> None:
    tree = TREE | {
        "large": (FILE, BYTES(3 << 20)),
        "empty": (FILE, b""),
        "train/0.txt": text("edited"),
        "deep/er/file": text("deep"),
    }
    make_tree(work.folder, tree)
    made = work.commit("consumed", author=AUTHOR, consume=True)
    assert (made.added, made.modified, made.deleted) == (3, 1, 0)
    consumed = made.consumed
    assert (consumed.files, consumed.kept) == (len(tree), 0)
    assert consumed.bytes == sum(len(data) for _, data in tree.values())
    assert [entry.name for entry in work.folder.iterdir()] == [".dsvc"]
    status = work.status()
    assert status.clean
    assert (status.only, status.left_out) == ((), len(tree))
    assert committed_tree(work) == tree

    # And so on: what comes in goes in.
    make_tree(work.folder, {"train/0.txt": text("again"), "next": text("next")})
    made = work.commit("more", author=AUTHOR, consume=True)
    assert (made.added, made.modified, made.deleted, made.consumed.files) == (1, 1, 0, 2)
    expected = tree | {"train/0.txt": text("again"), "next": text("next")}
    assert committed_tree(work) == expected
    work.checkout(None, part=Part())
    assert tree_of(work.folder) == expected


@pytest.mark.parametrize("path", [".", "./"])
def test_who_restores_the_whole_folder_has_a_whole_workspace_again(
    work: Repository, path: str
) -> None:
    work.commit("nothing new", author=AUTHOR, consume=True)
    work.restore([path])
    assert tree_of(work.folder) == TREE
    assert (work.status().only, work.status().left_out) == (None, 0)
    (work.folder / "labels.csv").unlink()
    assert work.status().deleted == ["labels.csv"]


def test_who_restores_another_version_of_the_whole_folder_has_all_of_that_one(
    work: Repository,
) -> None:
    commit(work, {"new": text("new")})
    work.commit("nothing new", author=AUTHOR, consume=True)
    work.restore(["."], source="HEAD~1")
    assert tree_of(work.folder) == TREE
    assert (work.status().only, work.status().deleted) == (None, ["new"])


def test_a_commit_consumes_only_what_lies_at_its_paths(work: Repository) -> None:
    make_tree(work.folder, TREE | {"test/new": text("new"), "train/new": text("new")})
    work.commit("test", ["test", "labels.csv"], author=AUTHOR, consume=True)
    kept = {path: TREE[path] for path in TREE if path.startswith("train/") or path == "link"}
    assert tree_of(work.folder) == kept | {"train/new": text("new")}
    assert list(work.status().added) == ["train/new"]
    assert not work.status().deleted
    (work.folder / "link").unlink()
    assert list(work.status().deleted) == ["link"]


def test_rules_and_ignored_files_are_not_consumed(work: Repository) -> None:
    rules = {".dsvcignore": (FILE, b"*.log\n"), "train/.dsvcignore": (FILE, b"*.tmp\n")}
    ignored = {"a.log": text("log"), "train/x.tmp": text("tmp")}
    make_tree(work.folder, TREE | rules | ignored)
    work.commit("rules", author=AUTHOR, consume=True)
    assert tree_of(work.folder) == rules | ignored
    assert work.status().clean


def test_consuming_what_is_committed_already(work: Repository) -> None:
    made = work.commit("nothing new", author=AUTHOR, consume=True)
    assert made.commit == work.head.commit
    assert (made.files, made.added, made.consumed.files) == (len(TREE), 0, len(TREE))
    with pytest.raises(InvalidInputError, match="Nothing changed"):
        work.commit("nothing new", author=AUTHOR, consume=True)


def test_what_the_store_does_not_have_is_not_consumed(part: Repository) -> None:
    rest = {path: TREE[path] for path in TREE if path.startswith("test/")}
    make_tree(part.folder, TRAIN | rest)
    assert part.status().clean
    consumed = part.commit("nothing new", author=AUTHOR, consume=True).consumed
    assert (consumed.files, consumed.kept) == (len(TRAIN), len(rest))
    assert tree_of(part.folder) == rest
    assert part.status().clean


def test_what_is_damaged_in_the_store_is_not_consumed(work: Repository) -> None:
    packs = work.folder / ".dsvc" / "store" / "packs"
    for pack in packs.iterdir():
        data = pack.read_bytes()
        if b"train 1\n" in data:
            pack.write_bytes(data.replace(b"train 1\n", b"train ?\n"))
    with pytest.raises(IntegrityError):
        Repository.open(work.folder).commit("x", author=AUTHOR, consume=True)
    assert tree_of(work.folder).items() <= TREE.items()
    assert "train/1.txt" in tree_of(work.folder)
    assert work.status().clean


def test_what_is_written_to_meanwhile_is_not_consumed(
    work: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = workspace_module.consumable

    def late(comparison: object) -> object:
        (work.folder / "train/1.txt").write_text("typed in at the last moment")
        return real(comparison)

    monkeypatch.setattr(workspace_module, "consumable", late)
    consumed = work.commit("x", author=AUTHOR, consume=True).consumed
    assert (consumed.files, consumed.kept) == (len(TREE) - 1, 1)
    assert tree_of(work.folder) == {"train/1.txt": (FILE, b"typed in at the last moment")}
    assert list(work.status().modified) == ["train/1.txt"]


def test_consuming_reads_in_the_order_of_packs(
    work: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[int] = []
    real = type(work.store).reading_order
    monkeypatch.setattr(
        type(work.store),
        "reading_order",
        lambda self, digests: orders.append(len(digests)) or real(self, digests),
    )
    work.commit("x", author=AUTHOR, consume=True)
    assert orders == [len(TREE)]
    assert not list((work.folder / ".dsvc" / "tmp").iterdir())
