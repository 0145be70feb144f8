"""The log of some paths, in git's order and with git's simplification; renames; names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.config import Head
from datasets_vc.digest import Buffer, Digest
from datasets_vc.format import node
from datasets_vc.history.below import Below
from datasets_vc.history.commits import read_commit
from datasets_vc.history.log import log, log_graph
from datasets_vc.history.manifest import read_nodes
from datasets_vc.history.names import CommitName, names_of_commits
from datasets_vc.paths import is_under
from datasets_vc.store import Store
from tests.history.gitrepo import PATHS, Planned, Twins, histories, make_twins, needs_git
from tests.sync.stores import Files, commit, new_store, tag

LOOKED_AT = st.lists(st.sampled_from([*PATHS, "d", "nowhere"]), min_size=1, max_size=2, unique=True)


@needs_git
@settings(deadline=None, max_examples=20)
@given(plan=histories(), paths=LOOKED_AT)
def test_the_history_of_paths_is_that_of_git(plan: list[Planned], paths: list[str]) -> None:
    with TemporaryDirectory() as folder:
        twins = make_twins(plan, Path(folder))
        found = log(twins.store, [twins.commits[-1]], paths)
        theirs = twins.git("log", "--format=%s", f"b{len(plan) - 1}", "--", *paths)
        assert [f"step {twins.number(logged.digest)}" for logged in found] == theirs.splitlines()

        # Lines that nothing joins may come in another order.
        ours = _drawn(twins, twins.commits, paths)
        assert sorted(ours) == sorted(twins.graph("--all", "--", *paths))


@needs_git
@settings(deadline=None, max_examples=10)
@given(plan=histories(14), paths=st.one_of(st.just([]), LOOKED_AT))
def test_the_graph_is_in_the_order_of_git(plan: list[Planned], paths: list[str]) -> None:
    with TemporaryDirectory() as folder:
        twins = make_twins(plan, Path(folder))
        ours = _drawn(twins, twins.commits[-1:], paths)
        assert ours == twins.graph(f"b{len(plan) - 1}", "--", *paths)


def _drawn(twins: Twins, tips: Sequence[Digest], paths: Sequence[str]) -> list[list[int]]:
    return [
        [twins.number(digest) for digest in (logged.digest, *logged.parents)]
        for logged in log_graph(twins.store, tips, paths)
    ]


TREES = st.dictionaries(
    st.sampled_from([f"{f}{n:02d}" for f in ("a", "b/", "b-", "b0", "c/d/") for n in range(12)]),
    st.sampled_from([b"1", b"2"]),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(
    old=TREES,
    new=TREES,
    shared=TREES,
    paths=st.lists(st.sampled_from(["b", "c", "c/d", "c/d/05", "a03", "b-1", "."]), min_size=1),
)
def test_paths_are_compared_by_their_entries(
    old: Files, new: Files, shared: Files, paths: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node, "BOUNDARY_MODULUS", 4)  # trees of a few levels
        store = new_store()
        trees = [old, new, {**old, **shared}, {**new, **shared}, {**shared, **old}]
        datasets = [read_commit(store, commit(store, tree)).dataset for tree in trees]
        below = Below(store, paths)
        parts = [_part(tree, paths) for tree in trees]
        for one, here in zip(parts, datasets, strict=True):
            assert below.any(here) == (bool(one) or "." in paths)
            for other, there in zip(parts, datasets, strict=True):
                assert below.same(here, there) == (one == other)


def _part(tree: Files, paths: Sequence[str]) -> Files:
    return {
        name: data
        for name, data in tree.items()
        if "." in paths or any(is_under(name, path) for path in paths)
    }


class Counting:
    """A source of nodes that counts them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.read: list[Digest] = []

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        self.read += digests
        return self.store.read_many(digests)


def test_the_log_of_a_path_reads_what_changed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "BOUNDARY_MODULUS", 16)
    store = new_store()
    files = {f"{folder}/{n:03d}": b"x" for folder in ("a", "b", "c") for n in range(100)}
    tip = commit(store, files)
    for step in range(1, 21):
        files[f"c/{4 * step:03d}"] = b"%d" % step
        tip = commit(store, files, [tip], step=step)
    last = commit(store, {**files, "b/070": b"changed"}, [tip], step=21)
    levels = read_nodes(store, [_dataset(store, last)])[0].level

    source = Counting(store)
    found = [logged.digest for logged in log(store, [last], ["b/070"], nodes=source)]
    assert len(found) == 2
    assert found[0] == last
    # One way down a version, and the leaf for either content of the file.
    assert len(source.read) <= 22 * levels + 2
    assert len(source.read) == len(set(source.read))

    source = Counting(store)
    assert len(list(log(store, [tip], ["c"], nodes=source))) == 21
    assert len(source.read) <= 21 * levels + 20 + 300 // 16
    assert len(source.read) == len(set(source.read))


def _dataset(store: Store, digest: Digest) -> Digest:
    return read_commit(store, digest).dataset


def test_the_log_of_a_path_stops_when_nothing_is_left_to_look_for() -> None:
    store = new_store()
    first = commit(store, {"a": b"1"})
    second = commit(store, {"a": b"1", "b": b"1"}, [first], step=1)
    (newest,) = log(store, [second], ["b"])
    assert newest.digest == second
    found = log(store, [second], ["a"])
    assert next(found).digest == first
    assert list(found) == []


def test_a_file_is_followed_beyond_its_renames() -> None:
    store = new_store()
    trees: list[Files] = [
        {"old": b"long ago", "other": b"1"},
        {"old": b"content", "other": b"1"},
        {"middle": b"content", "other": b"2"},
        {"middle": b"content", "other": b"3"},
        {"new": b"content", "other": b"3"},
        {"new": b"changed", "other": b"3"},
    ]
    commits: list[Digest] = []
    for step, tree in enumerate(trees):
        commits.append(commit(store, tree, commits[-1:], step=step))
    followed = [found.digest for found in log(store, commits[-1:], ["new"], follow=True)]
    assert followed == [commits[n] for n in (5, 4, 2, 1, 0)]
    drawn = log_graph(store, commits[-1:], ["new"], follow=True)
    assert [found.digest for found in drawn] == followed
    assert [found.parents for found in drawn] == [(digest,) for digest in followed[1:]] + [()]
    assert [found.digest for found in log(store, commits[-1:], ["new"])] == commits[:3:-1]


def test_a_rename_on_one_side_of_a_merge_is_followed_on_that_side() -> None:
    store = new_store()
    base = commit(store, {"f": b"content"})
    renamed = commit(store, {"g": b"content"}, [base], step=1)
    changed = commit(store, {"f": b"changed"}, [base], "side", step=2)
    merged = commit(store, {"g": b"changed"}, [renamed, changed], step=3)
    found = [logged.digest for logged in log(store, [merged], ["g"], follow=True)]
    assert found == [merged, changed, renamed, base]


def test_a_file_that_was_new_and_no_rename_has_no_earlier_name() -> None:
    store = new_store()
    first = commit(store, {"a": b"1", "twin": b"2"})
    second = commit(store, {"a": b"1", "twin": b"2", "b": b"2"}, [first], step=1)
    assert [found.digest for found in log(store, [second], ["b"], follow=True)] == [second]


def test_commits_know_their_names() -> None:
    store = new_store()
    first = commit(store, {"a": b"1"})
    second = commit(store, {"a": b"2"}, [first], step=1)
    tag(store, "v1", first)
    tag(store, "v2", second)
    store.swap_root(
        lambda root: replace(
            root,
            branches={"a": second, "main": second, "old": first},
            tracking={"origin/main": first},
        )
    )
    names = names_of_commits(store, Head("main", second))
    assert names[second] == [
        CommitName("head", "HEAD"),
        CommitName("branch", "main", current=True),
        CommitName("tag", "v2"),
        CommitName("branch", "a"),
    ]
    assert [name.name for name in names[first]] == ["v1", "old", "origin/main"]
    detached = names_of_commits(store, Head(None, first))
    assert [name.name for name in detached[first]] == ["HEAD", "v1", "old", "origin/main"]
    # Another workspace has moved the branch on.
    behind = names_of_commits(store, Head("main", first))
    assert not any(name.current for found in behind.values() for name in found)
    assert names_of_commits(new_store(), Head("main", None)) == {}
