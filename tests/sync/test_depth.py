"""History that is cut after some commits: what is there is what git has, and no answer is wrong."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.digest import Digest
from datasets_vc.history.bases import merge_bases
from datasets_vc.history.commits import is_ancestor, read_commit, walk
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.history.depth import ENDLESS, reach
from datasets_vc.history.describe import describe
from datasets_vc.history.log import log
from datasets_vc.store import Store
from datasets_vc.sync.fetch import fetch_history, update_tracking
from tests.fault.faults import Crash, LimitedBackend
from tests.history.gitrepo import Planned, Twins, histories, make_twins, needs_git
from tests.store.memory import MemoryBackend
from tests.sync.stores import commit, new_store


def fetch(local: Store, remote: Store, depth: int | None = None) -> None:
    """As `dsvc fetch` does, of a remote whose only refs are branches."""
    root = remote.refresh()
    tips = [*root.branches.values(), *(local.shallow if depth == ENDLESS else ())]
    fetch_history(local, remote, tips, depth)
    fetched = reach(local, tips, depth) if depth is not None or local.shallow else None
    update_tracking(local, "origin", root, fetched)


def here(local: Store) -> set[Digest]:
    """The commits that the refs of a store lead to."""
    return {digest for digest, _ in walk(local, local.root().tracking.values())}


def with_branches(twins: Twins, tips: Sequence[int]) -> None:
    """Leave only the branches of some commits, in both."""
    names = {f"b{number}" for number in tips}
    root = twins.store.root()
    branches = {name: tip for name, tip in root.branches.items() if name in names}
    twins.store.swap_root(lambda root: replace(root, branches=branches))
    for name in set(root.branches) - names:
        twins.git("branch", "-q", "-D", name)


def of_git(clone: Twins) -> set[int]:
    """The commits that refs of a clone lead to, by number."""
    subjects = clone.git("log", "--all", "--format=%s").split("\n")
    return {int(subject.split()[1]) for subject in subjects if subject}


@needs_git
@settings(deadline=None, max_examples=15)
@given(histories(), st.data())
def test_a_depth_brings_what_git_brings(plan: list[Planned], data: st.DataObject) -> None:
    numbers = st.integers(0, len(plan) - 1)
    tips = data.draw(st.lists(numbers, min_size=1, max_size=3, unique=True))
    first, then = (data.draw(st.integers(1, 5)) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        twins = make_twins(plan, Path(folder))
        with_branches(twins, tips)
        url, kept = f"file://{folder}", ["--no-single-branch", "--no-checkout", "--quiet"]
        twins.git("clone", f"--depth={first}", *kept, "-b", f"b{tips[0]}", url, "clone")
        clone = Twins(twins.store, Path(folder) / "clone")

        local = new_store()
        fetch(local, twins.store, first)
        assert {twins.number(each) for each in here(local)} == of_git(clone)

        # Further, or not as far: what is here stays.
        clone.git("fetch", "--quiet", f"--depth={max(first, then)}")
        fetch(local, twins.store, then)
        assert {twins.number(each) for each in here(local)} == of_git(clone)

        fetch(local, twins.store, ENDLESS)
        assert local.shallow == local.root().shallow == frozenset()
        assert here(local) == {digest for digest, _ in walk(twins.store, local_tips(local))}


def local_tips(local: Store) -> list[Digest]:
    return list(local.root().tracking.values())


def check_true(ask: Callable[[Store], object], whole: Store, cut: Store) -> None:
    """A cut store says what the whole one says, or that it cannot know."""
    with suppress(CutHistoryError):
        assert ask(cut) == ask(whole)


@settings(deadline=None, max_examples=60)
@given(histories(), st.data())
def test_what_a_cut_history_says_is_true(plan: list[Planned], data: st.DataObject) -> None:
    full, commits = made(plan)
    numbers = st.integers(0, len(plan) - 1)
    tips = data.draw(st.lists(numbers, min_size=1, max_size=3, unique=True))
    branches = {f"b{tip}": commits[tip] for tip in tips}
    full.swap_root(lambda root: replace(root, branches=branches))
    cut = new_store()
    fetch(cut, full, data.draw(st.integers(1, 4)))
    present = sorted(here(cut))
    tags = {f"t{commits.index(each)}": each for each in data.draw(st.permutations(present))[:2]}
    for a, b in itertools.product(present, present):
        check_true(lambda store: is_ancestor(store, a, b), full, cut)  # noqa: B023
        check_true(lambda store: merge_bases(store, a, b), full, cut)  # noqa: B023
        if a in {digest for digest, _ in walk(cut, [b])}:  # then it can be known
            assert is_ancestor(cut, a, b)
            assert merge_bases(cut, a, b) == [a]
    for tip in present:
        check_true(lambda store: describe(store, tip, tags, {}), full, cut)  # noqa: B023
        # The log is the beginning of the log, and says where it stops.
        told = {logged.digest: logged for logged in log(cut, [tip])}
        expected = {logged.digest: logged for logged in log(full, [tip])}
        assert told.keys() <= expected.keys()
        assert any(logged.cut for logged in told.values()) == (told.keys() < expected.keys())
        for digest, logged in told.items():
            absent = set(logged.commit.parents) - told.keys()
            assert logged.cut == bool(absent)
            assert absent <= cut.shallow
            assert logged.commit == expected[digest].commit


def made(plan: Sequence[Planned]) -> tuple[Store, list[Digest]]:
    store = new_store()
    commits: list[Digest] = []
    for number, planned in enumerate(plan):
        parents = [commits[parent] for parent in planned.parents]
        commits.append(commit(store, {"f": b"%d" % number}, parents, f"b{number}", step=number))
    return store, commits


@pytest.fixture
def line() -> tuple[Store, list[Digest]]:
    """A line of six commits, and one beside it that parted after the second."""
    store, commits = made([Planned([], {}), *(Planned([number], {}) for number in range(5))])
    side = commit(store, {"f": b"side"}, [commits[1]], "side", step=9)
    branches = {"main": commits[-1], "side": side}
    store.swap_root(lambda root: replace(root, branches=branches))
    return store, [*commits, side]


def test_what_can_be_known_is_answered(line: tuple[Store, list[Digest]]) -> None:
    store, (_, one, two, three, four, five, side) = line
    cut = new_store()
    fetch(cut, store, 3)
    assert cut.shallow == {two}
    assert is_ancestor(cut, three, five)
    assert not is_ancestor(cut, five, three)
    assert not is_ancestor(cut, five, side)  # all that comes before the side is here
    assert is_ancestor(cut, two, five)  # it is absent, but named
    assert merge_bases(cut, three, five) == [three]
    assert str(describe(cut, five, {"v": four}, {})).startswith("v-1-")
    for unknown in (
        lambda: is_ancestor(cut, one, five),
        lambda: merge_bases(cut, five, side),
        lambda: describe(cut, five, {"v": one}, {}),
    ):
        with pytest.raises(CutHistoryError, match="history of this store is cut"):
            unknown()


def test_two_lines_that_parted_at_the_cut(line: tuple[Store, list[Digest]]) -> None:
    store, commits = line
    beside = commit(store, {"f": b"beside"}, [commits[4]], "beside", step=20)
    cut = new_store()
    fetch(cut, store, 1)
    with pytest.raises(CutHistoryError):
        merge_bases(cut, commits[5], beside)
    assert not is_ancestor(cut, commits[5], beside)  # what both build on comes before either
    fetch(cut, store, 2)
    assert merge_bases(cut, commits[5], beside) == [commits[4]]


def test_a_tag_is_not_said_to_be_further_than_it_is() -> None:
    """Beyond the cut the tagged commit builds on one that is here by another way."""
    plan = [Planned(parents, {}) for parents in ([], [0], [0], [1], [2, 3])]
    full, commits = made(plan)
    branches = {"tip": commits[4], "beside": commits[2]}
    full.swap_root(lambda root: replace(root, branches=branches))
    cut = new_store()
    fetch(cut, full, 2)
    tags = {"v": commits[3]}
    assert describe(full, commits[4], tags, {}).distance == 2
    assert cut.shallow == {commits[1]}
    with pytest.raises(CutHistoryError):
        describe(cut, commits[4], tags, {})
    assert describe(cut, commits[3], tags, {}).distance == 0


def test_a_later_fetch_stops_at_the_cut(line: tuple[Store, list[Digest]]) -> None:
    store, commits = line
    cut = new_store()
    fetch(cut, store, 1)
    new = commit(store, {"f": b"new"}, [commits[5]], "main", step=20)
    fetch(cut, store)
    assert here(cut) == {new, commits[5], commits[6]}
    assert cut.shallow == {commits[4], commits[1]}
    # What is new beside the cut comes, up to it; what parted before it comes up to another one.
    beside = commit(store, {"f": b"beside"}, [commits[4]], "beside", step=21)
    old = commit(store, {"f": b"old"}, [commits[3]], "old", step=22)
    fetch(cut, store)
    assert here(cut) == {new, commits[5], commits[6], beside, old, commits[3], commits[2]}
    assert cut.shallow == {commits[4], commits[1]}
    # A ref right at the cut ends it.
    commit(store, {"f": b"root"}, [], "root", step=23)
    root = store.root()
    store.swap_root(lambda _: replace(root, branches={**root.branches, "at": commits[4]}))
    fetch(cut, store)
    assert cut.shallow == {commits[1]}
    assert is_ancestor(cut, commits[3], new)


def test_a_fetch_with_a_depth_takes_nothing_away(line: tuple[Store, list[Digest]]) -> None:
    store, commits = line
    local = new_store()
    fetch(local, store)
    local.swap_root(lambda root: replace(root, branches={"main": commits[5]}))
    fetch(local, store, 1)
    assert here(local) == set(commits)
    assert local.shallow == frozenset()
    for step in range(3):
        tip = commit(store, {"f": b"%d" % step}, [store.root().branches["main"]], step=30 + step)
    fetch(local, store, 1)
    between = read_commit(store, tip).parents
    assert local.shallow == set(between)
    with pytest.raises(CutHistoryError):
        is_ancestor(local, commits[5], tip)
    fetch(local, store, 3)
    assert local.shallow == frozenset()
    assert is_ancestor(local, commits[5], tip)


@pytest.mark.parametrize("depth", [None, 2, ENDLESS])
def test_a_fetch_that_dies_leaves_a_history_that_is_whole_or_cut(
    line: tuple[Store, list[Digest]], depth: int | None
) -> None:
    store, commits = line
    start = new_store()
    fetch(start, store, 1)
    tip = commit(store, {"f": b"new"}, [commits[5]], "main", step=20)
    assert isinstance(start.backend, MemoryBackend)
    for writes in itertools.count():
        backend = MemoryBackend()
        backend.objects = dict(start.backend.objects)
        died = True
        with suppress(Crash):
            fetch(Store(LimitedBackend(backend, writes, Crash())), store, depth)
            died = False
        local = Store(backend)
        reached = here(local)
        assert (tip in reached) == (not died)
        assert all(
            parent in reached or parent in local.shallow
            for each in reached
            for parent in read_commit(local, each).parents
        )
        fetch(local, store, depth)
        assert tip in here(local)
        if not died:
            break
    assert writes > 1
