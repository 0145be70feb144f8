"""Merge, revert, cherry-pick and pull, on real workspaces."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import (
    ConflictError,
    InvalidInputError,
    MissingDataError,
    NotFoundError,
    UnsavedChangesError,
)
from datasets_vc.format.entries import FILE
from datasets_vc.repository import Repository
from datasets_vc.workspace.mergestate import STATE_FILE
from tests.integration.trees import AUTHOR, Tree, committed_tree, digest_of_tree, make_tree, tree_of

TIME = datetime(2026, 1, 2, tzinfo=UTC)
BOB = "Bob <bob@example.org>"
ROWS = ("a.jpg,cat,1", "b.jpg,dog,2", "c.jpg,fox,3", "d.jpg,owl,4")

Branches = Callable[..., Repository]


def files(**contents: str) -> Tree:
    """`files(a="1")`: names with `__` for `/`, `_` before the suffix is a dot."""
    return {_path(name): (FILE, text.encode()) for name, text in contents.items()}


def _path(name: str) -> str:
    return name.replace("__", "/").replace("_", ".")


def table(*rows: str) -> str:
    return "\n".join(("file_name,label,size", *rows)) + "\n"


def commit(repository: Repository, tree: Tree, message: str, author: str = AUTHOR) -> None:
    make_tree(repository.folder, tree)
    repository.commit(message, author=author, time=TIME)


@pytest.fixture
def branches(tmp_path: Path) -> Branches:
    """A workspace on `main`, which has `ours`, while `theirs` is on the branch `other`."""

    def make(base: Tree, ours: Tree, theirs: Tree) -> Repository:
        repository = Repository.init(tmp_path / "work")
        commit(repository, base, "base")
        repository.checkout("HEAD", create="other")
        if theirs != base:
            commit(repository, theirs, "theirs", BOB)
        repository.checkout("main")
        if ours != base:
            commit(repository, ours, "ours")
        return repository

    return make


BASE = files(a="1", b="1", c="1", d="1")
OURS = files(a="2", b="1", d="1", e="1")
THEIRS = files(a="1", b="2", c="1", d="1", f__g="1")
BOTH = files(a="2", b="2", d="1", e="1", f__g="1")


@pytest.fixture
def apart(branches: Branches) -> Repository:
    """Both sides changed different files."""
    return branches(BASE, OURS, THEIRS)


@pytest.fixture
def clashing(branches: Branches) -> Repository:
    """Both sides changed `a`; ours deleted `c`, which theirs changed; theirs alone changed `b`."""
    return branches(BASE, files(a="2", b="1", d="1"), files(a="3", b="2", c="3", d="1"))


def _is_merged(repository: Repository, tree: Tree, parents: int = 2) -> None:
    assert tree_of(repository.folder) == tree
    assert committed_tree(repository) == tree
    info = next(repository.log())
    assert info.dataset == digest_of_tree(tree)
    assert len(info.parents) == parents
    assert repository.status().clean
    assert repository.merging.state() is None
    assert not (repository.folder / ".dsvc" / STATE_FILE).exists()


# What merges by itself


def test_changes_of_different_files_are_merged(apart: Repository) -> None:
    ours, theirs = apart.resolve("main").commit, apart.resolve("other").commit

    result = apart.merging.merge("other", author=AUTHOR, time=TIME)

    _is_merged(apart, BOTH)
    info = next(apart.log())
    assert (result.commit, result.dataset) == (info.digest, info.dataset)
    assert (result.fast_forward, result.updated, result.conflicts) == (False, True, ())
    assert (result.written, result.removed) == (2, 0)
    assert list(info.parents) == [ours, theirs]
    assert (info.author, info.time, info.message) == (AUTHOR, TIME, "Merge other into main")
    assert apart.branches.list()["main"] == info.digest


def test_merging_the_other_way_gives_the_same_dataset(apart: Repository) -> None:
    apart.checkout("other")

    result = apart.merging.merge("main", author=AUTHOR)

    assert result.dataset == digest_of_tree(BOTH)


def test_same_changes_on_both_sides_are_no_conflict(branches: Branches) -> None:
    repository = branches(BASE, files(a="2", e="5"), files(a="2", d="1", e="5"))

    assert not repository.merging.merge("other", author=AUTHOR).conflicts

    _is_merged(repository, files(a="2", e="5"))


def test_goes_forward_where_it_can(branches: Branches) -> None:
    repository = branches(BASE, BASE, THEIRS)

    result = repository.merging.merge("other", author=AUTHOR)

    assert (result.fast_forward, result.updated) == (True, True)
    assert result.commit == repository.resolve("other").commit
    _is_merged(repository, THEIRS, parents=1)
    again = repository.merging.merge("other", author=AUTHOR)
    assert (again.updated, again.commit) == (False, result.commit)
    assert not repository.merging.merge("HEAD~1", author=AUTHOR).updated


def test_no_ff_makes_a_commit(branches: Branches) -> None:
    repository = branches(BASE, BASE, THEIRS)

    result = repository.merging.merge("other", author=AUTHOR, no_ff=True, message="Bring it")

    assert not result.fast_forward
    _is_merged(repository, THEIRS)
    assert next(repository.log()).message == "Bring it"


def test_ff_only_refuses_and_changes_nothing(apart: Repository) -> None:
    before = apart.head

    with pytest.raises(ConflictError, match="gone another way"):
        apart.merging.merge("other", author=AUTHOR, ff_only=True)

    assert apart.head == before
    assert tree_of(apart.folder) == OURS
    assert apart.merging.state() is None


def test_on_no_branch(apart: Repository) -> None:
    apart.checkout(apart.head.commit.hex())
    before = apart.branches.list()

    result = apart.merging.merge("other", author=AUTHOR)

    _is_merged(apart, BOTH)
    assert (apart.head.branch, apart.head.commit) == (None, result.commit)
    assert apart.branches.list() == before


def test_into_a_workspace_without_a_commit(tmp_path: Path, apart: Repository) -> None:
    fresh = Repository.init(tmp_path / "fresh", apart.store.url)
    fresh.checkout("main", create="third")
    empty = Repository.init(tmp_path / "empty")
    empty.remotes.add("origin", apart.store.url)
    empty.fetch()

    result = empty.merging.merge("origin/other", author=AUTHOR)

    assert result.fast_forward
    assert tree_of(empty.folder) == THEIRS
    assert (empty.head.branch, empty.head.commit) == ("main", apart.resolve("other").commit)


def test_histories_without_a_common_commit_need_a_word(tmp_path: Path, apart: Repository) -> None:
    stranger = Repository.init(tmp_path / "stranger")
    commit(stranger, files(x="1", a="2"), "mine")
    stranger.remotes.add("origin", apart.store.url)

    with pytest.raises(InvalidInputError, match="no commit in common"):
        stranger.pull(author=AUTHOR)
    with pytest.raises(InvalidInputError, match="no commit in common"):
        stranger.merging.merge("origin/main", author=AUTHOR)
    result = stranger.merging.merge("origin/main", author=AUTHOR, unrelated=True)

    assert not result.conflicts
    _is_merged(stranger, OURS | files(x="1"))


# Uncommitted work


def test_refuses_to_touch_uncommitted_work(apart: Repository) -> None:
    make_tree(apart.folder, OURS | files(b="mine"))
    before = apart.head

    with pytest.raises(UnsavedChangesError, match="'b'") as caught:
        apart.merging.merge("other", author=AUTHOR)

    assert "--force" not in caught.value.hint
    assert tree_of(apart.folder) == OURS | files(b="mine")
    assert apart.head == before
    assert apart.merging.state() is None
    assert apart.commit("mine", author=AUTHOR).modified == 1


def test_refuses_where_an_untracked_file_would_be_overwritten(apart: Repository) -> None:
    make_tree(apart.folder, OURS | files(f="in the way"))

    with pytest.raises(UnsavedChangesError, match="'f'"):
        apart.merging.merge("other", author=AUTHOR)

    assert tree_of(apart.folder) == OURS | files(f="in the way")
    assert apart.merging.state() is None


@pytest.mark.parametrize("path", ["a", "c"])
def test_refuses_uncommitted_work_at_a_conflict(clashing: Repository, path: str) -> None:
    tree = files(a="2", b="1", d="1") | files(**{path: "mine"})
    make_tree(clashing.folder, tree)

    with pytest.raises(UnsavedChangesError, match=f"'{path}'"):
        clashing.merging.merge("other", author=AUTHOR)

    assert tree_of(clashing.folder) == tree
    assert clashing.merging.state() is None


def test_other_uncommitted_work_is_kept_and_not_recorded(apart: Repository) -> None:
    mine = files(a="mine", d="mine", notes="mine")
    make_tree(apart.folder, OURS | mine)

    apart.merging.merge("other", author=AUTHOR)

    assert committed_tree(apart) == BOTH
    assert tree_of(apart.folder) == BOTH | mine
    assert apart.status().modified == ["a", "d"]
    assert apart.status().added == ["notes"]


# Conflicts


def test_conflicts_are_kept_and_shown(clashing: Repository) -> None:
    before = clashing.head

    result = clashing.merging.merge("other", author=AUTHOR)

    assert (result.commit, result.dataset) == (None, None)
    changed, deleted = result.conflicts
    assert (changed.path, changed.reason) == ("a", "both changed")
    assert [changed.base.size, changed.ours.size, changed.theirs.size] == [1, 1, 1]
    assert (deleted.path, deleted.reason) == ("c", "changed and deleted")
    assert deleted.ours is None
    assert clashing.head == before
    assert tree_of(clashing.folder) == files(a="2", b="2", d="1")
    status = clashing.status()
    assert status.modified == ["b"]
    assert [each.path for each in status.merging.open] == ["a", "c"]


def test_nothing_goes_on_while_conflicts_are_open(clashing: Repository) -> None:
    clashing.merging.merge("other", author=AUTHOR)
    tree = tree_of(clashing.folder)

    for act in (
        lambda: clashing.commit("all", author=AUTHOR),
        lambda: clashing.checkout("other"),
        lambda: clashing.checkout("other", force=True),
        lambda: clashing.pull(author=AUTHOR),
        lambda: clashing.merging.merge("other", author=AUTHOR),
        lambda: clashing.merging.merge("HEAD", author=AUTHOR),
        lambda: clashing.merging.revert("HEAD", author=AUTHOR),
        lambda: clashing.merging.cherry_pick("other", author=AUTHOR),
    ):
        with pytest.raises(ConflictError, match="A merge of 'other' is not finished") as caught:
            act()
        assert "dsvc merge --continue" in caught.value.hint
        assert "dsvc merge --abort" in caught.value.hint
    result = clashing.merging.resume(author=AUTHOR)
    assert [each.path for each in result.conflicts] == ["a", "c"]
    assert tree_of(clashing.folder) == tree


def test_a_side_for_each(clashing: Repository) -> None:
    clashing.merging.merge("other", author=AUTHOR)

    left = clashing.merging.resolve(["a"], "theirs")
    assert [each.path for each in left.open] == ["c"]
    assert tree_of(clashing.folder) == files(a="3", b="2", d="1")
    assert clashing.merging.resume(author=AUTHOR).conflicts
    assert not clashing.merging.resolve(["c"], "ours").open
    result = clashing.merging.resume(author=BOB, message="Settled")

    assert result.updated
    _is_merged(clashing, files(a="3", b="2", d="1"))
    info = next(clashing.log())
    assert (info.author, info.message) == (BOB, "Settled")


def test_a_side_can_be_changed(clashing: Repository) -> None:
    clashing.merging.merge("other", author=AUTHOR)

    for side in ("theirs", "ours", "theirs"):
        clashing.merging.resolve(["c"], side)
    clashing.merging.resolve(side="ours")
    clashing.merging.resume(author=AUTHOR)

    _is_merged(clashing, files(a="2", b="2", c="3", d="1"))


@pytest.mark.parametrize(
    ("side", "tree"),
    [("ours", files(a="2", b="2", d="1")), ("theirs", files(a="3", b="2", c="3", d="1"))],
)
def test_one_side_for_all(clashing: Repository, side: str, tree: Tree) -> None:
    clashing.merging.merge("other", author=AUTHOR)
    clashing.merging.resolve(side=side)
    clashing.merging.resume(author=AUTHOR)
    _is_merged(clashing, tree)

    clashing.checkout("HEAD~1", create="again")
    assert not clashing.merging.merge("other", author=AUTHOR, prefer=side).conflicts
    _is_merged(clashing, tree)


def test_edited_files_are_resolved(clashing: Repository) -> None:
    clashing.merging.merge("other", author=AUTHOR)
    tree = files(a="2 and 3", b="2", c="3 again", d="1")
    make_tree(clashing.folder, tree)

    assert not clashing.merging.state().open
    clashing.merging.resume(author=AUTHOR)

    _is_merged(clashing, tree)


def test_files_that_are_right_as_they_are(clashing: Repository) -> None:
    clashing.merging.merge("other", author=AUTHOR)

    assert not clashing.merging.resolve(["a", "c"], None).open
    clashing.merging.resume(author=AUTHOR)

    _is_merged(clashing, files(a="2", b="2", d="1"))


def test_a_picked_side_may_be_edited(clashing: Repository) -> None:
    clashing.merging.merge("other", author=AUTHOR, prefer=None)
    clashing.merging.resolve(side="theirs")
    (clashing.folder / "a").write_text("better")
    (clashing.folder / "c").unlink()

    clashing.merging.resume(author=AUTHOR)

    _is_merged(clashing, files(a="better", b="2", d="1"))


def test_unknown_paths_and_nothing_unfinished(clashing: Repository) -> None:
    for act in (
        lambda: clashing.merging.abort(),
        lambda: clashing.merging.resume(author=AUTHOR),
        lambda: clashing.merging.resolve(["a"], "ours"),
    ):
        with pytest.raises(InvalidInputError, match="no unfinished merge"):
            act()
    clashing.merging.merge("other", author=AUTHOR)
    with pytest.raises(NotFoundError, match="'b'"):
        clashing.merging.resolve(["a", "b"], "theirs")
    assert len(clashing.merging.state().open) == 2


def test_files_and_folders(branches: Branches) -> None:
    base = files(a__b="1", d="1")
    repository = branches(base, files(a="file", d="1"), files(a__b="2", d="1"))

    result = repository.merging.merge("other", author=AUTHOR)

    assert result.conflicts
    assert tree_of(repository.folder) == files(a="file", d="1")
    repository.merging.resolve(["a"], "theirs")
    assert tree_of(repository.folder) == files(a__b="2", d="1")
    repository.merging.resolve(["a"], "ours")
    assert tree_of(repository.folder) == files(a="file", d="1")
    repository.merging.resolve(["."], "theirs")
    repository.merging.resume(author=AUTHOR)
    _is_merged(repository, files(a__b="2", d="1"))


# Taking it back


def test_abort_brings_everything_back(clashing: Repository) -> None:
    before = tree_of(clashing.folder)
    clashing.merging.merge("other", author=AUTHOR)
    clashing.merging.resolve(["c"], "theirs")
    (clashing.folder / "a").write_text("edited")
    (clashing.folder / "b").unlink()
    (clashing.folder / "d").write_text("mine")
    (clashing.folder / "new").write_text("mine")

    clashing.merging.abort()

    mine = files(d="mine", new="mine")
    assert tree_of(clashing.folder) == before | mine
    assert (clashing.status().modified, clashing.status().added) == (["d"], ["new"])
    assert clashing.merging.state() is None
    clashing.checkout("main", force=True)
    assert clashing.merging.merge("other", author=AUTHOR).conflicts


def test_abort_where_files_and_folders_changed_places(branches: Branches) -> None:
    base = files(a="1", b__c="1", z="1")
    ours = files(a="1", b__c="1", z="2")
    repository = branches(base, ours, files(a__x="1", b="1", z="3"))
    repository.merging.merge("other", author=AUTHOR)
    assert tree_of(repository.folder) == files(a__x="1", b="1", z="2")

    (repository.folder / "a" / "y").write_text("mine")
    with pytest.raises(UnsavedChangesError, match="'a/y'"):
        repository.merging.abort()
    assert repository.merging.state() is not None
    (repository.folder / "a" / "y").unlink()
    repository.merging.abort()

    assert tree_of(repository.folder) == ours
    assert repository.status().clean


# Tables


def test_different_rows_of_a_table_are_merged(branches: Branches) -> None:
    repository = branches(
        files(x__metadata_csv=table(*ROWS)),
        files(x__metadata_csv=table("a.jpg,LION,1", *ROWS[1:])),
        files(x__metadata_csv=table(*ROWS[:2], "c.jpg,WOLF,3", ROWS[3])),
    )

    result = repository.merging.merge("other", author=AUTHOR)

    assert not result.conflicts
    merged = table("a.jpg,LION,1", ROWS[1], "c.jpg,WOLF,3", ROWS[3])
    _is_merged(repository, files(x__metadata_csv=merged))


RELABELLED = (
    files(metadata_csv=table(*ROWS)),
    files(metadata_csv=table("a.jpg,LION,1", "b.jpg,PUG,2", *ROWS[2:])),
    files(metadata_csv=table("a.jpg,TIGER,1", *ROWS[1:3], "d.jpg,EMU,4")),
)


@pytest.mark.parametrize(("side", "label"), [("ours", "LION"), ("theirs", "TIGER")])
def test_the_same_field_shows_both_values(branches: Branches, side: str, label: str) -> None:
    repository = branches(*RELABELLED)

    result = repository.merging.merge("other", author=AUTHOR)

    (conflict,) = result.conflicts
    (field,) = conflict.fields
    assert (conflict.path, conflict.reason) == ("metadata.csv", "same fields")
    assert (field.key, field.column) == ("a.jpg", "label")
    assert (field.base, field.ours, field.theirs) == ("cat", "LION", "TIGER")
    assert repository.merging.state().open == (conflict,)
    ours = table("a.jpg,LION,1", "b.jpg,PUG,2", ROWS[2], "d.jpg,EMU,4")
    assert tree_of(repository.folder) == files(metadata_csv=ours)
    repository.merging.resolve(["metadata.csv"], side)
    repository.merging.resume(author=AUTHOR)
    _is_merged(repository, files(metadata_csv=ours.replace("LION", label)))


@pytest.mark.parametrize(("side", "label"), [("ours", "LION"), ("theirs", "TIGER")])
def test_a_side_beforehand_decides_fields_only(branches: Branches, side: str, label: str) -> None:
    repository = branches(*RELABELLED)

    assert not repository.merging.merge("other", author=AUTHOR, prefer=side).conflicts

    rows = f"a.jpg,{label},1", "b.jpg,PUG,2", ROWS[2], "d.jpg,EMU,4"
    _is_merged(repository, files(metadata_csv=table(*rows)))


def test_a_table_that_cannot_be_read_conflicts_as_a_file(branches: Branches) -> None:
    repository = branches(
        files(metadata_csv=table(*ROWS)),
        files(metadata_csv="no key\n1\n"),
        files(metadata_csv=table(*ROWS[1:])),
    )

    (conflict,) = repository.merging.merge("other", author=AUTHOR).conflicts

    assert (conflict.reason, conflict.fields) == ("both changed", ())
    assert (repository.folder / "metadata.csv").read_text() == "no key\n1\n"


def test_declared_tables_are_merged_by_their_key(branches: Branches) -> None:
    rules = '[tables]\n"*.csv" = "id"\n'
    repository = branches(
        files(dsvc_toml=rules, boxes_csv="id,w\n1,1\n2,2\n"),
        files(dsvc_toml=rules, boxes_csv="id,w\n1,10\n2,2\n"),
        files(dsvc_toml=rules, boxes_csv="id,w\n1,1\n2,20\n"),
    )

    assert not repository.merging.merge("other", author=AUTHOR).conflicts

    _is_merged(repository, files(dsvc_toml=rules, boxes_csv="id,w\n1,10\n2,20\n"))


# Revert and cherry-pick


def test_revert_takes_back_one_commit(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path / "work")
    one = files(a="1", metadata_csv=table(*ROWS))
    two = files(a="2", b="1", metadata_csv=table("a.jpg,LION,1", *ROWS[1:]))
    three = two | files(c="1", metadata_csv=table("a.jpg,LION,1", *ROWS[1:3]))
    for number, tree in enumerate((one, two, three), 1):
        commit(repository, tree, f"commit {number}\n\nmore")
    reverted = repository.resolve("HEAD~1").commit

    result = repository.merging.revert("HEAD~1", author=BOB, time=TIME)

    assert not result.conflicts
    tree = files(a="1", c="1", metadata_csv=table(*ROWS[:3]))
    _is_merged(repository, tree, parents=1)
    info = next(repository.log())
    assert info.message == f'Revert "commit 2"\n\nThis reverts commit {reverted.hex()}.'
    assert info.author == BOB
    with pytest.raises(InvalidInputError, match="changes nothing"):
        repository.merging.revert(reverted.hex(), author=AUTHOR)
    assert repository.merging.state() is None
    repository.merging.revert("HEAD", author=AUTHOR)
    _is_merged(repository, three, parents=1)


def test_revert_of_what_was_changed_again_is_a_conflict(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path / "work")
    for text in ("1", "2", "3"):
        commit(repository, files(a=text, b=text), text)
    make_tree(repository.folder, files(a="3", b="2"))
    repository.commit("b back", author=AUTHOR)

    result = repository.merging.revert("HEAD~2", author=AUTHOR)

    (conflict,) = result.conflicts
    assert (result.kind, conflict.path) == ("revert", "a")
    assert tree_of(repository.folder) == files(a="3", b="1")
    with pytest.raises(ConflictError, match=r"A revert of 'HEAD~2'"):
        repository.commit("no", author=AUTHOR)
    repository.merging.resolve(["a"], "theirs")
    repository.merging.resume(author=AUTHOR)
    _is_merged(repository, files(a="1", b="1"), parents=1)
    assert next(repository.log()).message.startswith('Revert "2"')


def test_revert_that_comes_to_nothing_can_only_be_taken_back(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path / "work")
    for text in ("1", "2", "3"):
        commit(repository, files(a=text), text)
    repository.merging.revert("HEAD~1", author=AUTHOR)
    repository.merging.resolve(side="ours")

    with pytest.raises(InvalidInputError, match="nothing to record") as caught:
        repository.merging.resume(author=AUTHOR)

    assert "dsvc revert --abort" in caught.value.hint
    repository.merging.abort()
    assert repository.status().clean


def test_revert_of_the_first_commit(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path / "work")
    commit(repository, files(a="1"), "one")
    commit(repository, files(a="1", b="1"), "two")

    repository.merging.revert("HEAD~1", author=AUTHOR)

    _is_merged(repository, files(b="1"), parents=1)


def test_revert_of_a_merge_needs_a_parent(apart: Repository) -> None:
    apart.merging.merge("other", author=AUTHOR)

    with pytest.raises(InvalidInputError, match="is a merge"):
        apart.merging.revert("HEAD", author=AUTHOR)
    with pytest.raises(InvalidInputError, match="no parent 3"):
        apart.merging.revert("HEAD", author=AUTHOR, mainline=3)
    apart.merging.revert("HEAD", author=AUTHOR, mainline=1)
    _is_merged(apart, OURS, parents=1)

    apart.merging.cherry_pick("HEAD~1", author=AUTHOR, mainline=1)
    _is_merged(apart, BOTH, parents=1)


def test_cherry_pick_keeps_author_and_message(apart: Repository) -> None:
    result = apart.merging.cherry_pick("other", author=AUTHOR, time=TIME)

    _is_merged(apart, BOTH, parents=1)
    info = next(apart.log())
    assert (info.digest, info.author, info.message) == (result.commit, BOB, "theirs")
    with pytest.raises(InvalidInputError, match="changes nothing"):
        apart.merging.cherry_pick("other", author=AUTHOR)


def test_cherry_pick_with_a_conflict(clashing: Repository) -> None:
    result = clashing.merging.cherry_pick("other", author=AUTHOR)

    assert [each.path for each in result.conflicts] == ["a", "c"]
    clashing.merging.resolve(side="theirs")
    clashing.merging.resume(author=AUTHOR)
    _is_merged(clashing, files(a="3", b="2", c="3", d="1"), parents=1)
    assert next(clashing.log()).author == BOB


# Pull, and workspaces that have less than everything


@pytest.fixture
def shared(tmp_path: Path) -> Callable[..., tuple[Repository, Repository]]:
    """Two workspaces on one remote, with what each has committed since they were the same."""

    def make(
        base: Tree, ours: Tree, theirs: Tree, checkout: bool = True
    ) -> tuple[Repository, Repository]:
        one = Repository.init(tmp_path / "one")
        commit(one, base, "base")
        one.remotes.add("origin", str(tmp_path / "remote"))
        one.push()
        for name in ("two", "writer"):
            Repository.clone(str(tmp_path / "remote"), tmp_path / name)
        two = Repository.open(tmp_path / "two")
        commit(two, ours, "ours")
        if not checkout:
            two.push(branch="main")
        commit(one, theirs, "theirs", BOB)
        if checkout:
            one.push()
        return two, one

    return make


def test_pull_merges(shared) -> None:
    two, one = shared(BASE, OURS, THEIRS)

    result = two.pull(author=AUTHOR, time=TIME)

    assert result.updated
    assert result.commit == two.head.commit
    assert not result.merge.conflicts
    _is_merged(two, BOTH)
    assert next(two.log()).message == "Merge origin/main into main"
    assert not two.pull(author=AUTHOR).updated
    two.push()
    assert one.pull(author=AUTHOR).commit == two.head.commit
    assert tree_of(one.folder) == BOTH


def test_pull_without_an_author_only_goes_forward(shared) -> None:
    two, _ = shared(BASE, OURS, THEIRS)
    before = two.head

    with pytest.raises(ConflictError, match="gone different ways"):
        two.pull()

    assert two.head == before
    assert tree_of(two.folder) == OURS


def test_pull_with_conflicts(shared) -> None:
    two, one = shared(BASE, files(a="2"), files(a="3", b="1", c="1", d="1"))
    before = two.head

    result = two.pull(author=AUTHOR)

    assert [each.path for each in result.merge.conflicts] == ["a"]
    assert (result.commit, result.updated) == (before.commit, False)
    with pytest.raises(ConflictError, match="'origin/main' is not finished"):
        two.pull(author=AUTHOR)
    two.merging.resolve(["a"], "theirs")
    two.merging.resume(author=AUTHOR)
    _is_merged(two, files(a="3"))
    two.push()
    one.pull()
    assert tree_of(one.folder) == files(a="3")


def test_two_people_relabel(shared) -> None:
    base = files(metadata_csv=table(*ROWS))
    two, one = shared(
        base,
        files(metadata_csv=table("a.jpg,LION,1", *ROWS[1:])),
        files(metadata_csv=table(*ROWS[:3], "d.jpg,EMU,4")),
    )

    assert not two.pull(author=AUTHOR).merge.conflicts

    rows = "a.jpg,LION,1", *ROWS[1:3], "d.jpg,EMU,4"
    _is_merged(two, files(metadata_csv=table(*rows)))
    two.push()
    one.pull()
    assert tree_of(one.folder) == files(metadata_csv=table(*rows))


def test_merging_needs_no_files(tmp_path: Path, apart: Repository) -> None:
    apart.remotes.add("origin", str(tmp_path / "remote"))
    apart.push()
    apart.push(branch="other")
    Repository.clone(str(tmp_path / "remote"), tmp_path / "bare", checkout=False)
    bare = Repository.open(tmp_path / "bare")
    files_before = _chunks_of(bare, THEIRS)

    result = bare.merging.merge("origin/other", author=AUTHOR)

    assert result.dataset == digest_of_tree(BOTH)
    assert tree_of(bare.folder) == {}
    assert _chunks_of(bare, THEIRS) == files_before, "no file was fetched"
    assert bare.push().commit == result.commit
    Repository.clone(str(tmp_path / "remote"), tmp_path / "last")
    assert tree_of(tmp_path / "last") == BOTH
    bare.checkout("main")
    assert tree_of(bare.folder) == BOTH


def _chunks_of(repository: Repository, tree: Tree) -> list[bool]:
    repository.store.refresh()
    return [repository.store.find(digest_of(data)) is not None for _, data in tree.values()]


def test_conflicts_without_files(tmp_path: Path, clashing: Repository) -> None:
    clashing.remotes.add("origin", str(tmp_path / "remote"))
    clashing.push()
    clashing.push(branch="other")
    Repository.clone(str(tmp_path / "remote"), tmp_path / "bare", checkout=False)
    bare = Repository.open(tmp_path / "bare")

    result = bare.merging.merge("origin/other", author=AUTHOR)

    assert [each.path for each in result.conflicts] == ["a", "c"]
    assert [each.path for each in bare.status().merging.open] == ["a", "c"]
    with pytest.raises(InvalidInputError, match="has no files"):
        bare.merging.resolve(["a"], None)
    bare.merging.resolve(["a"], "theirs")
    bare.merging.resolve(["c"], "ours")
    done = bare.merging.resume(author=AUTHOR)
    assert done.dataset == digest_of_tree(files(a="3", b="2", d="1"))
    bare.merging.revert("HEAD", author=AUTHOR, mainline=2)
    bare.merging.merge("origin/other", author=AUTHOR)
    bare.push()
    assert tree_of(bare.folder) == {}


def test_part_of_a_version_merges_whole_versions(shared, tmp_path: Path) -> None:
    base = files(in__a="1", in__b="1", out__a="1", out__b="1", out__c="1")
    theirs = base | files(in__b="2", out__b="2", out__new="2")
    _, one = shared(base, base | files(z="1"), theirs)
    one.push()
    Repository.clone(str(tmp_path / "remote"), tmp_path / "part", revision="main~1", only=["/in/"])
    part = Repository.open(tmp_path / "part")
    make_tree(part.folder, files(in__a="2"))
    assert part.status().deleted == ["in/b"]
    make_tree(part.folder, files(in__a="2", in__b="1"))
    part.commit("ours", author=AUTHOR)

    result = part.merging.merge("origin/main", author=AUTHOR)

    assert result.dataset == digest_of_tree(theirs | files(in__a="2"))
    assert tree_of(part.folder) == files(in__a="2", in__b="2")
    assert part.status().clean


def test_conflicts_outside_the_part_come_into_the_workspace(shared, tmp_path: Path) -> None:
    base = files(in__a="1", out__a="1", out__b="1")
    _, one = shared(base, base | files(z="1"), base | files(out__a="2"))
    one.push()
    Repository.clone(str(tmp_path / "remote"), tmp_path / "part", revision="main~1", only=["/in/"])
    part = Repository.open(tmp_path / "part")
    make_tree(part.folder, files(in__a="1", out__a="3"))
    part.commit("ours", author=AUTHOR)
    (part.folder / "out" / "a").unlink()

    (conflict,) = part.merging.merge("origin/main", author=AUTHOR).conflicts

    assert conflict.path == "out/a"
    assert tree_of(part.folder) == files(in__a="1", out__a="3")
    part.merging.resolve(["out"], "theirs")
    done = part.merging.resume(author=AUTHOR)
    assert done.dataset == digest_of_tree(base | files(out__a="2"))
    assert tree_of(part.folder) == files(in__a="1", out__a="2")
    assert part.status().clean


def test_tables_whose_bytes_nobody_has(tmp_path: Path, branches: Branches) -> None:
    repository = branches(*RELABELLED)
    repository.remotes.add("origin", str(tmp_path / "remote"))
    repository.push()
    repository.push(branch="other")
    Repository.clone(str(tmp_path / "remote"), tmp_path / "bare", checkout=False)
    bare = Repository.open(tmp_path / "bare")
    bare.fetch()
    shutil.copytree(tmp_path / "bare", tmp_path / "alone")
    alone = Repository.open(tmp_path / "alone")
    assert bare.merging.merge("origin/other", author=AUTHOR).conflicts[0].fields
    alone.remotes.remove("origin")
    before = alone.head

    with pytest.raises(MissingDataError):
        alone.merging.merge("origin/other", author=AUTHOR)

    assert alone.head == before
    assert alone.merging.state() is None


def test_a_branch_that_another_workspace_moved(tmp_path: Path, apart: Repository) -> None:
    second = Repository.init(tmp_path / "second", apart.store.url)
    second.checkout("main")
    commit(second, OURS | files(n="1"), "second")

    apart.merging.merge("other", author=AUTHOR)

    _is_merged(apart, BOTH | files(n="1"))


def test_a_branch_that_moved_while_conflicts_were_open(
    tmp_path: Path, clashing: Repository
) -> None:
    clashing.merging.merge("other", author=AUTHOR)
    second = Repository.init(tmp_path / "second", clashing.store.url)
    second.checkout("main")
    commit(second, files(a="2", b="1", d="1", n="1"), "second")
    clashing.merging.resolve(side="theirs")

    with pytest.raises(ConflictError, match="moved by somebody else") as caught:
        clashing.merging.resume(author=AUTHOR)

    assert "dsvc merge --abort" in caught.value.hint
    clashing.merging.abort()
    clashing.merging.merge("other", author=AUTHOR, prefer="theirs")
    _is_merged(clashing, files(a="3", b="2", c="3", d="1", n="1"))
