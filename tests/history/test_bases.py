"""Where two lines of history parted, whatever the clocks said, and merges from there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.digest import Digest, digest_of
from datasets_vc.format.commit import Commit, encode_commit
from datasets_vc.format.entries import FILE, Entry, entry_table, rows_of
from datasets_vc.history.bases import commits_merged, merge_base, merge_bases, merge_commits
from datasets_vc.history.commits import (
    Ancestry,
    common_ancestors,
    is_ancestor,
    read_commit,
    walk,
)
from datasets_vc.history.manifest import Manifest, write_manifest
from datasets_vc.history.merge import Merge
from tests.property.trees import CountingStore, new_store

Files = dict[str, str]
Shape = list[tuple[int, list[int]]]

shapes = st.lists(
    st.tuples(st.integers(0, 5), st.lists(st.integers(0, 99), max_size=3)), min_size=1, max_size=12
)
"""Of each commit the time that its clock said, and its parents among those before it."""


class History:
    """Commits made with any times, each known by a letter."""

    def __init__(self) -> None:
        self.store = new_store()
        self.parents: dict[Digest, tuple[Digest, ...]] = {}
        self.files: dict[Digest, Files] = {}

    def commit(self, files: Files, *parents: Digest, time: int = 0) -> Digest:
        with self.store.writer() as writer:
            rows = [Entry(path, FILE, 1, digest_of(text.encode())) for path, text in files.items()]
            dataset = write_manifest(writer, entry_table(rows))
            when = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=time)
            digest = writer.add_meta(
                encode_commit(Commit(dataset, parents, "Ada", when, str(len(self.parents))))
            )
            self.store.publish(writer.finish())
        self.parents[digest], self.files[digest] = parents, files
        return digest

    def ancestors(self, *tips: Digest) -> set[Digest]:
        """`tips` and all before them."""
        found = set(tips)
        for tip in tips:
            found |= self.ancestors(*self.parents[tip])
        return found

    def best(self, some: Iterable[Digest], others: Iterable[Digest]) -> list[Digest]:
        common = self.ancestors(*some) & self.ancestors(*others)
        before = {parent for commit in common for parent in self.ancestors(*self.parents[commit])}
        return sorted(common - before)

    def merge(self, ours: Digest, theirs: Digest) -> Merge:
        return merge_commits(self.store, ours, theirs)


def made(shape: Shape) -> tuple[History, list[Digest]]:
    history = History()
    commits: list[Digest] = []
    for time, numbers in shape:
        parents = dict.fromkeys(commits[number % len(commits)] for number in numbers if commits)
        commits.append(history.commit({"f": "x"}, *parents, time=time))
    return history, commits


@settings(max_examples=120)
@given(shapes, st.data())
def test_bases_are_those_of_the_definition(shape: Shape, data: st.DataObject) -> None:
    history, commits = made(shape)
    sides = st.lists(st.sampled_from(commits), min_size=1, max_size=2, unique=True)
    some, others = data.draw(sides), data.draw(sides)
    assert common_ancestors(history.store, some, others) == history.best(some, others)
    assert common_ancestors(history.store, others, some) == history.best(some, others)
    for one in some:
        for other in others:
            expected = one in history.ancestors(other)
            assert is_ancestor(history.store, one, other) == expected


@settings(max_examples=120)
@given(shapes, st.data())
def test_history_is_told_in_the_order_of_all_of_it(shape: Shape, data: st.DataObject) -> None:
    """Read piece by piece, it comes in the order that a look at everything gives."""
    history, commits = made(shape)
    tips = data.draw(st.lists(st.sampled_from(commits), max_size=3))
    times = dict(zip(commits, (time for time, _ in shape), strict=True))
    left = history.ancestors(*tips)
    expected = []
    while left:
        children = {parent for commit in left for parent in history.parents[commit]}
        expected.append(min(left - children, key=lambda commit: (-times[commit], commit)))
        left.remove(expected[-1])
    assert [digest for digest, _ in walk(history.store, tips)] == expected


def line(history: History, start: Sequence[Digest], count: int, time: int) -> Digest:
    tip = tuple(start)
    for number in range(count):
        tip = (history.commit({"f": f"{time} {number}"}, *tip, time=time + number),)
    return tip[0]


def reads(store: CountingStore) -> int:
    count = len(set(store.read_digests))
    store.read_digests.clear()
    return count


def test_what_is_near_is_found_without_reading_all_history() -> None:
    history = History()
    trunk = line(history, [], 60, time=0)
    fork = history.commit({"f": "fork"}, trunk, time=60)
    ours, theirs = (line(history, [fork], 4, time=start) for start in (61, 63))
    merge = history.commit({"f": "merged"}, ours, theirs, time=70)
    tip = line(history, [merge], 5, time=71)

    def fresh() -> CountingStore:
        return CountingStore(history.store.backend)

    store = fresh()
    assert merge_base(store, ours, theirs) == fork
    assert 0 < reads(store) <= 12
    assert merge_base(store, theirs, ours) == fork
    assert reads(store) == 0
    store = fresh()
    assert is_ancestor(store, fork, tip)
    assert 0 < reads(store) <= 16
    store = fresh()
    assert not is_ancestor(store, ours, theirs)
    assert not is_ancestor(store, tip, merge)
    assert 0 < reads(store) <= 16
    store = fresh()
    lazy = walk(store, [tip])
    assert next(islice(lazy, 4, None))[1].parents == (merge,)
    assert reads(store) == 5
    assert next(lazy)[0] == merge
    assert reads(store) == 1
    assert len(list(lazy)) == 4 + 4 + 1 + 60


def test_clocks_cannot_mislead() -> None:
    """A side that is dated long before what it builds on."""
    history = History()
    root = line(history, [], 3, time=1000)
    ours = line(history, [root], 3, time=0)
    theirs = line(history, [root], 3, time=5000)
    assert merge_bases(history.store, ours, theirs) == [root]
    assert [merge_base(history.store, tip, root) for tip in (ours, theirs)] == [root, root]
    assert not is_ancestor(history.store, ours, root)
    assert is_ancestor(history.store, root, ours)


def test_unrelated_histories_have_no_base() -> None:
    history = History()
    ours, theirs = (history.commit({"a": "1", name: "1"}) for name in "xy")
    assert merge_bases(history.store, ours, theirs) == []
    assert merge_base(history.store, ours, theirs) is None
    assert commits_merged(history.store, ours, theirs) == [ours, theirs]
    merge = history.merge(ours, theirs)
    assert merge.added.column("path").to_pylist() == ["y"]
    assert not merge.conflicts


def crosswise(first: Files, second: Files, ours: Files, theirs: Files) -> tuple[History, Merge]:
    """The merge of `ours` and `theirs`, each a merge of `first` and `second`, branches of one."""
    history = History()
    root = history.commit({"same": "0", "p": "0", "q": "0"})
    bases = [history.commit(files, root, time=1) for files in (first, second)]
    tips = [
        history.commit(ours, *bases, time=2),
        history.commit(theirs, *reversed(bases), time=3),
    ]
    assert merge_bases(history.store, *tips) == sorted(bases)
    assert merge_base(history.store, *tips) == min(bases)
    assert set(commits_merged(history.store, *tips)) == {*tips, *bases, root}
    return history, history.merge(tips[0], tips[1])


def test_a_conflict_that_each_side_resolved_otherwise_is_one_again() -> None:
    """With either base alone, one of the sides would silently win: it looks unchanged from it."""
    first, second = {"p": "1", "q": "0"}, {"p": "2", "q": "0"}
    for ours, theirs in ((first, second), (second, first)):
        _, merge = crosswise(first, second, ours, theirs)
        (conflict,) = merge.conflicts
        assert (conflict.path, conflict.base, conflict.reason) == ("p", None, "both changed")
        assert conflict.ours
        assert conflict.ours.digest == digest_of(ours["p"].encode())
        assert conflict.theirs
        assert conflict.theirs.digest == digest_of(theirs["p"].encode())


def test_a_conflict_that_both_sides_resolved_alike_is_none() -> None:
    first, second = {"p": "1", "q": "0"}, {"p": "2", "q": "0"}
    history, merge = crosswise(first, second, {"p": "3"}, {"p": "3", "q": "0", "new": "1"})
    assert not merge.conflicts
    assert merge.added.column("path").to_pylist() == ["new"]
    assert merge.deleted.num_rows == 0
    assert len(history.parents) == 5


def test_what_one_base_had_changed_is_not_taken_back() -> None:
    """p was changed before the lines crossed; theirs changed it again, q stayed as merged."""
    first, second = {"p": "1", "q": "0"}, {"p": "0", "q": "1"}
    merged = {"p": "1", "q": "1"}
    _, merge = crosswise(first, second, merged, {"p": "2", "q": "1"})
    assert not merge.conflicts
    (row,) = rows_of(merge.modified)
    assert (row.path, row.digest) == ("p", digest_of(b"2"))
    _, merge = crosswise(first, second, {"p": "0", "q": "1"}, merged)
    assert not merge.conflicts, "ours took p back on purpose"
    assert not merge.modified.num_rows


def test_bases_that_have_a_file_and_a_folder_at_one_place() -> None:
    first, second = {"p": "0", "a": "1"}, {"p": "0", "a/b": "1"}
    _, merge = crosswise(first, second, first, second)
    assert [(found.path, found.base, found.reason) for found in merge.conflicts] == [
        ("a", None, "file and folder"),
        ("a/b", None, "file and folder"),
    ]
    _, merge = crosswise(first, second, first, first | {"q": "1"})
    assert not merge.conflicts


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 99), max_size=3),
            st.dictionaries(st.sampled_from(["a", "a/b", "c"]), st.sampled_from("123"), max_size=2),
        ),
        min_size=3,
        max_size=9,
    )
)
def test_either_side_sees_the_same_whatever_led_there(
    shape: list[tuple[list[int], Files]],
) -> None:
    history = History()
    commits: list[Digest] = []
    for numbers, files in shape:
        parents = dict.fromkeys(commits[number % len(commits)] for number in numbers if commits)
        sound = {path: text for path, text in files.items() if path != "a/b" or "a" not in files}
        commits.append(history.commit(sound, *parents))
    ours, theirs = commits[-1], commits[-2]
    one, other = history.merge(ours, theirs), history.merge(theirs, ours)
    assert list(one.conflicts) == [
        replace(found, ours=found.theirs, theirs=found.ours) for found in other.conflicts
    ]
    resolved = {found.path: found.ours for found in one.conflicts}
    tables = [Manifest(history.store, dataset_of(history, tip)).entries() for tip in (ours, theirs)]
    assert one.entries(tables[0], resolved).equals(other.entries(tables[1], resolved))


def dataset_of(history: History, commit: Digest) -> Digest:
    return next(walk(history.store, [commit]))[1].dataset


def test_ancestry_is_followed_as_far_back_as_is_asked() -> None:
    history = History()
    trunk = line(history, [], 60, time=0)
    ours, theirs = (line(history, [trunk], 3, time=start) for start in (60, 64))
    merge = history.commit({"f": "merged"}, ours, theirs, time=70)
    stranger = history.commit({"f": "stranger"}, time=50)
    store = CountingStore(history.store.backend)
    ancestry = Ancestry(store, [merge])

    assert ancestry.has(ours, read_commit(store, ours))
    assert ancestry.has(theirs, read_commit(store, theirs))
    assert reads(store) <= 6
    assert not ancestry.has(stranger, read_commit(store, stranger))
    assert reads(store) <= 20
    assert ancestry.has(trunk, read_commit(store, trunk))
    assert not Ancestry(store, []).has(trunk, read_commit(store, trunk))
