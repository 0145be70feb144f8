"""The graph of commits, and the texts that name them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import (
    AlreadyExistsError,
    InvalidInputError,
    MissingDataError,
    NotFoundError,
)
from datasets_vc.format.entries import FILE, Entry, entry_table
from datasets_vc.history.commits import is_ancestor, read_commit, walk
from datasets_vc.history.manifest import dataset_digest, write_manifest
from datasets_vc.history.revisions import Revision, resolve
from datasets_vc.history.tags import Tags
from datasets_vc.store import Store
from tests.sync.stores import commit, new_store, tag

_FEW_DIGITS = 4


@pytest.fixture
def graph() -> tuple[Store, dict[str, Digest]]:
    r"""a - b - c - - m   with the branches main = m, topic = d and the tag v1 = b
    \- d - - - -/
    """
    store = new_store()
    a = commit(store, {"f": b"a"}, step=0)
    b = commit(store, {"f": b"b"}, [a], step=1)
    d = commit(store, {"f": b"d"}, [a], branch="topic", step=2)
    c = commit(store, {"f": b"c"}, [b], step=3)
    m = commit(store, {"f": b"m"}, [c, d], step=4)
    tag(store, "v1", b)
    return store, {"a": a, "b": b, "c": c, "d": d, "m": m}


def test_walk_goes_from_new_to_old(graph: tuple[Store, dict[str, Digest]]) -> None:
    store, commits = graph
    names = {digest: name for name, digest in commits.items()}
    assert "".join(names[digest] for digest, _ in walk(store, [commits["m"]])) == "mcdba"
    assert (
        "".join(names[digest] for digest, _ in walk(store, [commits["c"], commits["d"]])) == "cdba"
    )
    assert "".join(names[digest] for digest, _ in walk(store, [commits["a"]] * 2)) == "a"
    assert list(walk(store, [])) == []
    assert is_ancestor(store, commits["b"], commits["m"])
    assert is_ancestor(store, commits["m"], commits["m"])
    assert not is_ancestor(store, commits["d"], commits["c"])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99), st.integers(0, 99)), max_size=12))
def test_no_commit_comes_before_its_child_whatever_the_clocks_said(
    shape: list[tuple[int, int, int]],
) -> None:
    store = new_store()
    made = [commit(store, {"f": b"root"})]
    for number, (step, first, second) in enumerate(shape):
        parents = list(dict.fromkeys([made[first % len(made)], made[second % len(made)]]))
        made.append(commit(store, {"f": b"%d" % number}, parents, step=step))
    order = [digest for digest, _ in walk(store, made)]
    assert sorted(order) == sorted(set(made))
    for place, digest in enumerate(order):
        assert not set(read_commit(store, digest).parents) & set(order[:place])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("main", "m"),
        ("topic", "d"),
        ("v1", "b"),
        ("HEAD", "c"),
        ("main~1", "c"),
        ("main~", "c"),
        ("main^", "c"),
        ("main^2", "d"),
        ("main^2~1", "a"),
        ("main~3", "a"),
        ("HEAD~2", "a"),
        ("main~0", "m"),
        ("main^0", "m"),
        ("main~1^", "b"),
        ("main^^^", "a"),
        ("origin/main", "d"),
    ],
)
def test_revisions(graph: tuple[Store, dict[str, Digest]], text: str, name: str) -> None:
    store, commits = graph
    _track(store, "origin/main", commits["d"])
    found = resolve(store, text, commits["c"])
    assert found == Revision(commits[name], read_commit(store, commits[name]).dataset)


def test_digests_and_prefixes_of_them(graph: tuple[Store, dict[str, Digest]]) -> None:
    store, commits = graph
    for digest in commits.values():
        dataset = read_commit(store, digest).dataset
        for length in (8, 9, 63, 64):
            assert resolve(store, digest.hex()[:length]) == Revision(digest, dataset)
            assert resolve(store, dataset.hex()[:length]) == Revision(None, dataset)
    parent = resolve(store, commits["m"].hex()[:8] + "~1").commit
    assert parent == commits["c"]


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "main~4",
        "main^3",
        "topic^2",
        "0123456",
        "01234567",
        "0" * 64,
        "0" * 65,
        "MAIN",
        digest_of(b"b").hex(),
    ],
)
def test_revisions_that_name_nothing(graph: tuple[Store, dict[str, Digest]], text: str) -> None:
    with pytest.raises(NotFoundError):
        resolve(graph[0], text, graph[1]["m"])


@pytest.mark.parametrize(
    "text", ["", "~1", "^", "main~" + "9" * 5000, "main~x", "main~1x", "main:x^@"]
)
def test_texts_that_are_no_revisions(graph: tuple[Store, dict[str, Digest]], text: str) -> None:
    with pytest.raises((InvalidInputError, NotFoundError)):
        resolve(graph[0], text, graph[1]["m"])


def test_head_without_a_commit(graph: tuple[Store, dict[str, Digest]]) -> None:
    with pytest.raises(NotFoundError, match="no commit yet"):
        resolve(graph[0], "HEAD", None)


def test_datasets_have_no_parents(graph: tuple[Store, dict[str, Digest]]) -> None:
    store, commits = graph
    dataset = read_commit(store, commits["m"]).dataset
    with pytest.raises(InvalidInputError, match="only commits have parents"):
        resolve(store, dataset.hex() + "~1")


def test_a_prefix_that_fits_two_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets_vc.history.revisions.MIN_PREFIX", _FEW_DIGITS)
    store = new_store()
    tables = _whose_digests_begin_alike()
    writer = store.writer()
    one, other = (write_manifest(writer, table) for table in tables)
    store.publish(writer.finish())
    with pytest.raises(InvalidInputError, match="ambiguous") as caught:
        resolve(store, one.hex()[:_FEW_DIGITS])
    assert caught.value.hint
    assert one != other
    assert resolve(store, one.hex()[:16]) == Revision(None, one)


def _whose_digests_begin_alike() -> tuple[pa.Table, pa.Table]:
    """So few digits are the same of two datasets among some hundreds."""
    known: dict[str, pa.Table] = {}
    for number in itertools.count():
        name = digest_of(b"")
        table = entry_table([Entry(str(number), FILE, 0, name)])
        prefix = dataset_digest(table).hex()[:_FEW_DIGITS]
        if prefix in known:
            return known[prefix], table
        known[prefix] = table
    raise AssertionError


def _track(store: Store, name: str, digest: Digest) -> None:
    store.swap_root(lambda root: replace(root, tracking={name: digest}))


def test_refs_are_made_listed_and_forgotten(graph: tuple[Store, dict[str, Digest]]) -> None:
    store, commits = graph
    tags = Tags(store)
    assert tags.create("v2", "main~1") == commits["c"]
    assert tags.list() == {"v1": commits["b"], "v2": commits["c"]}
    assert tags.get("v2") == commits["c"]
    assert tags.get("v3") is None
    with pytest.raises(AlreadyExistsError, match="'v2'"):
        tags.create("v2", "main")
    with pytest.raises(InvalidInputError):
        tags.create("not a name", "main")
    with pytest.raises(InvalidInputError, match="dataset"):
        tags.create("v3", read_commit(store, commits["m"]).dataset.hex())
    assert tags.delete("v2") == commits["c"]
    with pytest.raises(NotFoundError, match="'v2'"):
        tags.delete("v2")
    assert tags.list() == {"v1": commits["b"]}


def test_history_that_is_not_here_is_told(graph: tuple[Store, dict[str, Digest]]) -> None:
    with pytest.raises(MissingDataError, match=digest_of(b"elsewhere").hex()):
        list(walk(graph[0], [digest_of(b"elsewhere")]))
