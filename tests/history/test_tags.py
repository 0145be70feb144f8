"""Tags with and without a message, and branches: made, listed, renamed, forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from datasets_vc.config import Head
from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import (
    AlreadyExistsError,
    ConflictError,
    FormatError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    UnsavedChangesError,
)
from datasets_vc.format.json import canonical, encode_object
from datasets_vc.format.tag import Tag, decode_tag, encode_tag
from datasets_vc.history.branches import Branches
from datasets_vc.history.commits import read_commit
from datasets_vc.history.revisions import Revision, resolve
from datasets_vc.history.tagobjects import tag_objects
from datasets_vc.history.tags import Tags
from datasets_vc.store import Store
from tests.sync.stores import commit, new_store

TIME = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture
def line() -> tuple[Store, Digest, Digest]:
    store = new_store()
    first = commit(store, {"f": b"1"})
    return store, first, commit(store, {"f": b"2"}, [first], step=1)


def test_an_annotated_tag_stands_for_its_commit(line: tuple[Store, Digest, Digest]) -> None:
    store, first, second = line
    tags = Tags(store)
    assert tags.annotate("v1", "main~1", message="Why\n\nso", tagger="Ada", time=TIME) == first
    tags.create("v2", "main")
    said = Tag(first, "v1", "Ada", TIME, "Why\n\nso")
    target = store.root().tags["v1"]
    assert target == digest_of(encode_tag(said))
    assert tags.list() == {"v1": first, "v2": second}
    assert tags.get("v1") == first
    assert tags.annotations() == {"v1": said}
    dataset = read_commit(store, first).dataset
    for text in ("v1", target.hex(), target.hex()[:8]):
        assert resolve(store, text) == Revision(first, dataset, target)
    for text in ("v1^0", "v1~0"):
        assert resolve(store, text) == Revision(first, dataset)
    with pytest.raises(NotFoundError, match="further"):
        resolve(store, "v1~1")
    assert resolve(store, "v2").tag is None
    assert Branches(store).create("there", "v1") == first
    assert tags.create("again", "v1") == first
    assert store.root().tags["again"] == first


def test_a_tag_is_made_once_and_says_something(line: tuple[Store, Digest, Digest]) -> None:
    store, _, _ = line
    tags = Tags(store)
    tags.annotate("v1", "main", message="one", tagger="Ada")
    before = dict(store.backend.objects)  # type: ignore[attr-defined]
    with pytest.raises(AlreadyExistsError, match="'v1'"):
        tags.annotate("v1", "main", message="two", tagger="Ada")
    with pytest.raises(InvalidInputError, match="message"):
        tags.annotate("v2", "main", message=" \n", tagger="Ada")
    with pytest.raises(InvalidInputError):
        tags.annotate("not a name", "main", message="two", tagger="Ada")
    with pytest.raises(NotFoundError):
        tags.annotate("v2", "nothing", message="two", tagger="Ada")
    assert dict(store.backend.objects) == before  # type: ignore[attr-defined]


def test_a_tag_that_was_deleted_comes_back_as_it_was(line: tuple[Store, Digest, Digest]) -> None:
    store, first, _ = line
    tags = Tags(store)
    tags.annotate("v1", "main~1", message="one", tagger="Ada", time=TIME)
    was = tags.delete("v1")
    assert tags.list() == {}
    with pytest.raises(NotFoundError):
        tags.delete("v1")
    assert tags.create("v1", was.hex()) == first
    assert tags.annotations()["v1"].message == "one"
    # Under another name its words would not be true.
    assert tags.create("v2", was.hex()) == first
    assert list(tags.annotations()) == ["v1"]


def test_a_tag_whose_object_is_not_here_does_not_hide_the_others(
    line: tuple[Store, Digest, Digest],
) -> None:
    store, first, _ = line
    elsewhere = digest_of(b"elsewhere")
    store.swap_root(lambda root: replace(root, tags={"far": elsewhere, "v1": first}))
    assert Tags(store).list() == {"far": elsewhere, "v1": first}
    assert tag_objects(store, [elsewhere, first]) == {}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"object": "ab"}, IntegrityError),
        ({"name": None}, IntegrityError),
        ({"tagger": 1}, IntegrityError),
        ({"time": "yesterday"}, IntegrityError),
        ({"message": ["a"]}, IntegrityError),
        ({"format": "dsvc-commit"}, IntegrityError),
        ({"version": 2}, FormatError),
        ({"read_flags": ["signed"]}, FormatError),
    ],
)
def test_a_tag_object_that_is_not_one(change: dict[str, object], error: type[Exception]) -> None:
    members = {
        "object": "ab" * 32,
        "name": "v1",
        "tagger": "Ada",
        "time": "2026-12-01T00:00:00Z",
        "message": "so",
    }
    assert decode_tag(encode_object("dsvc-tag", members), "it").time == TIME
    assert decode_tag(encode_object("dsvc-tag", members | {"later": 1}), "it").name == "v1"
    with pytest.raises(error):
        decode_tag(encode_object("dsvc-tag", members | change), "it")
    with pytest.raises(IntegrityError):
        decode_tag(canonical([1]), "it")


class Standing:
    """A workspace that can be cut short when it is about to go elsewhere."""

    def __init__(self, head: Head, store: Store) -> None:
        self.head = head
        self.remotes: Collection[str] = ()
        self.store = store
        self.held = 0
        self.fails = False
        self.seen: list[dict[str, Digest]] = []

    def set_head(self, head: Head) -> None:
        assert self.held == 1
        if self.fails:
            raise KeyboardInterrupt
        self.seen.append(dict(self.store.root().branches))
        self.head = head

    @contextmanager
    def lock(self) -> Iterator[None]:
        self.held += 1
        yield
        self.held -= 1


def test_the_current_branch_takes_the_workspace_along(line: tuple[Store, Digest, Digest]) -> None:
    store, _, second = line
    here = Standing(Head("main", second), store)
    assert Branches(store, here).rename("trunk") == "main"
    assert here.head == Head("trunk", second)
    # Whenever it was cut short there, it would have stood on a branch that is there.
    assert here.seen == [{"main": second, "trunk": second}]
    assert store.root().branches == {"trunk": second}
    assert store.root().default_branch == "trunk"


def test_another_branch_is_renamed_without_going_there(line: tuple[Store, Digest, Digest]) -> None:
    store, first, second = line
    here = Standing(Head("main", second), store)
    branches = Branches(store, here)
    branches.create("side", "main~1")
    assert branches.rename("team/side", "side") == "side"
    assert branches.list() == {"main": second, "team/side": first}
    assert (here.head, here.seen) == (Head("main", second), [])
    with pytest.raises(AlreadyExistsError):
        branches.rename("main", "team/side")
    with pytest.raises(NotFoundError):
        branches.rename("new", "nothing")
    with pytest.raises(InvalidInputError):
        branches.rename("not a name")
    assert branches.rename("main") == "main"
    assert branches.list() == {"main": second, "team/side": first}
    with pytest.raises(InvalidInputError, match="on no branch"):
        Branches(store, Standing(Head(None, second), store)).rename("new")


def test_renaming_goes_on_where_it_was_cut_short(line: tuple[Store, Digest, Digest]) -> None:
    store, _, second = line
    here = Standing(Head("main", second), store)
    here.fails = True
    with pytest.raises(KeyboardInterrupt):
        Branches(store, here).rename("trunk")
    assert store.root().branches == {"main": second, "trunk": second}
    here.fails, here.held = False, 0
    Branches(store, here).rename("trunk")
    assert (here.head.branch, store.root().branches) == ("trunk", {"trunk": second})


def test_a_branch_that_moves_while_it_is_renamed_is_kept(
    line: tuple[Store, Digest, Digest],
) -> None:
    store, first, second = line

    class Slow(Standing):
        def set_head(self, head: Head) -> None:
            super().set_head(head)
            self.store.swap_root(
                lambda root: replace(root, branches={**root.branches, "main": first})
            )

    here = Slow(Head("main", second), store)
    with pytest.raises(ConflictError, match="'main' got new commits"):
        Branches(store, here).rename("trunk")
    assert store.root().branches == {"main": first, "trunk": second}


def test_the_branch_before_the_first_commit_is_renamed() -> None:
    store = new_store()
    here = Standing(Head("main", None), store)
    Branches(store, here).rename("trunk")
    assert (here.head, store.root().default_branch) == (Head("trunk", None), "trunk")
    commit(store, {"f": b"1"}, branch="taken")
    with pytest.raises(AlreadyExistsError):
        Branches(store, here).rename("taken")
    assert here.head == Head("trunk", None)


@pytest.mark.parametrize("keeper", ["branch", "tag", "annotated", "tracking", "head"])
def test_a_branch_goes_only_if_its_commits_stay(
    line: tuple[Store, Digest, Digest], keeper: str
) -> None:
    store, first, second = line
    side = commit(store, {"f": b"side"}, [first], "side", step=2)
    after = commit(store, {"f": b"after"}, [side], "later", step=3)
    Branches(store).delete("later", force=True)
    here = Standing(Head("main", second), store)
    branches = Branches(store, here)
    with pytest.raises(UnsavedChangesError, match="'side'"):
        branches.delete("side")
    if keeper == "branch":
        store.swap_root(lambda root: replace(root, branches={**root.branches, "later": after}))
    elif keeper == "tag":
        Tags(store).create("v1", after.hex())
    elif keeper == "annotated":
        Tags(store).annotate("v1", after.hex(), message="so", tagger="Ada")
    elif keeper == "tracking":
        store.swap_root(lambda root: replace(root, tracking={"origin/x": side}))
    else:
        here.head = Head(None, after)
    assert branches.delete("side") == side
    assert "side" not in branches.list()


def test_the_branch_that_one_is_on_stays(line: tuple[Store, Digest, Digest]) -> None:
    store, _, second = line
    branches = Branches(store, Standing(Head("main", second), store))
    for force in (False, True):
        with pytest.raises(InvalidInputError, match="you are on"):
            branches.delete("main", force=force)
    with pytest.raises(NotFoundError):
        branches.delete("nothing", force=True)
    assert {name: found.message for name, found in branches.commits().items()} == {"main": "step 1"}
