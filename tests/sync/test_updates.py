"""Several refs in one push: all of them move, or none, and nothing unseen is given up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError, InvalidInputError, NotFoundError
from datasets_vc.format.root import Root
from datasets_vc.history.commits import walk
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.history.depth import reach
from datasets_vc.history.tags import Tags
from datasets_vc.store import Store
from datasets_vc.sync.closure import lacking
from datasets_vc.sync.fetch import fetch_dataset, fetch_history, update_tracking
from datasets_vc.sync.push import Pushed, push_refs
from datasets_vc.sync.transfer import Moved
from datasets_vc.sync.updates import PushedRefs
from tests.sync.stores import commit, contents, link, new_store, tag


@pytest.fixture
def local() -> Store:
    """Two commits on `main`, and one on `side` beside the second; tags on all of them."""
    store = new_store()
    first = commit(store, {"a": b"1"})
    second = commit(store, {"a": b"2"}, [first], step=1)
    side = commit(store, {"a": b"3"}, [first], "side", step=2)
    for name, digest in (("first", first), ("second", second), ("beside", side)):
        tag(store, name, digest)
    return store


@pytest.fixture
def remote(local: Store) -> Store:
    """A remote that has all of it."""
    store = new_store()
    push(local, store, local.root().branches, local.root().tags)
    return store


def push(
    local: Store,
    remote: Store,
    branches: Mapping[str, Digest] | None = None,
    tags: Mapping[str, Digest] | None = None,
    *gone: str,
    seen: Mapping[str, Digest] | None = None,
    force: bool = False,
) -> Pushed:
    there = link(remote.backend, local).store
    refs = PushedRefs(branches or {}, tags or {}, gone, "main", seen or {}, force)
    return push_refs(local, there, refs)


def root_of(remote: Store) -> Root:
    return Store(remote.backend).root()


def outcomes(pushed: Pushed) -> dict[str, str]:
    return {f"{update.kind} {update.name}": update.outcome for update in pushed.updates}


def test_branches_and_tags_arrive_together(local: Store) -> None:
    remote = new_store()
    pushed = push(local, remote, local.root().branches, local.root().tags)
    assert set(outcomes(pushed).values()) == {"created"}
    root = root_of(remote)
    assert (root.branches, root.tags) == (local.root().branches, local.root().tags)
    assert root.default_branch == "main"
    assert contents(Store(remote.backend), root.branches["side"]) == {"a": b"3"}

    again = push(local, remote, root.branches, root.tags)
    assert again.moved == Moved()
    assert set(outcomes(again).values()) == {"unchanged"}
    assert root_of(remote) == root


def test_a_tag_alone_brings_its_history_and_no_branch(local: Store) -> None:
    remote = new_store()
    Tags(local).annotate("told", "side", message="so", tagger="Ada")
    target = local.root().tags["told"]
    assert outcomes(push(local, remote, {}, {"told": target})) == {"tag told": "created"}
    root = root_of(remote)
    assert (root.branches, root.tags) == ({}, {"told": target})
    there = Store(remote.backend)
    side = Tags(there).get("told")
    assert side == local.root().branches["side"]
    assert not any(lacking(there, found.dataset) for _, found in walk(there, [side]))


def test_one_branch_that_cannot_go_forward_holds_all_back(local: Store, remote: Store) -> None:
    first = local.root().tags["first"]
    new = commit(local, {"a": b"new"}, [local.root().branches["main"]], step=5)
    before = root_of(remote)
    theirs = commit(local, {"a": b"other"}, [first], "other", step=6)
    wanted = {"main": new, "side": theirs, "third": new}
    with pytest.raises(ConflictError, match="Branch 'side' of test"):
        push(local, remote, wanted)
    with pytest.raises(ConflictError, match="branches 'side', 'main'"):
        push(local, remote, {"side": theirs, "main": theirs})
    assert root_of(remote) == before


@pytest.mark.parametrize("theirs", ["moves", "deletes", "does the same"])
def test_a_ref_that_moves_while_others_are_pushed(
    local: Store, remote: Store, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = commit(local, {"a": b"new"}, [local.root().branches["main"]], step=5)
    elsewhere = local.root().branches["side"]
    there = link(remote.backend, local).store
    publish = there.publish
    other = {"moves": {"main": elsewhere}, "deletes": {}, "does the same": {"main": new}}[theirs]

    def late(written, change):  # type: ignore[no-untyped-def]
        if theirs == "does the same":
            push(local, remote, {"main": new})
        else:
            remote.swap_root(lambda root: replace(root, branches=other))
        return publish(written, change)

    monkeypatch.setattr(there, "publish", late)
    refs = PushedRefs({"main": new, "more": new})
    if theirs == "does the same":
        push_refs(local, there, refs)
        assert root_of(remote).branches["more"] == new
        return
    with pytest.raises(ConflictError):
        push_refs(local, there, refs)
    assert root_of(remote).branches == other


def test_force_gives_up_only_what_was_seen(local: Store, remote: Store) -> None:
    side, main = local.root().branches["side"], local.root().branches["main"]
    with pytest.raises(ConflictError, match="does not build on"):
        push(local, remote, {"main": side}, seen={"main": main})
    for seen in ({}, {"main": side}):
        with pytest.raises(ConflictError, match="not where it was when you last looked"):
            push(local, remote, {"main": side}, seen=seen, force=True)
    pushed = push(local, remote, {"main": side}, seen={"main": main}, force=True)
    assert outcomes(pushed)["branch main"] == "forced"
    assert root_of(remote).branches["main"] == side
    # What goes forward is not forced, and needs no look.
    new = commit(local, {"a": b"new"}, [side], step=5)
    assert outcomes(push(local, remote, {"main": new}, force=True))["branch main"] == "updated"
    # Tags stay what they are.
    with pytest.raises(ConflictError, match="Tag 'first' is another one"):
        push(local, remote, {}, {"first": side}, force=True)


def test_force_over_commits_that_never_came_here(local: Store, remote: Store) -> None:
    other = new_store()
    fetch_history(other, remote, [local.root().branches["main"]])
    fetch_dataset(other, remote, _dataset(local, "main"))
    unseen = commit(other, {"a": b"unseen"}, [local.root().branches["main"]], step=7)
    push(other, remote, {"main": unseen})
    new = commit(local, {"a": b"new"}, [local.root().branches["main"]], step=8)
    with pytest.raises(ConflictError, match="not where it was"):
        push(local, remote, {"main": new}, seen={"main": local.root().tags["second"]}, force=True)
    assert root_of(remote).branches["main"] == unseen


def _dataset(store: Store, branch: str) -> Digest:
    tip = store.root().branches[branch]
    return next(found.dataset for digest, found in walk(store, [tip]) if digest == tip)


def test_branches_and_tags_are_deleted_at_once(local: Store, remote: Store) -> None:
    root = root_of(remote)
    pushed = push(local, remote, {}, {}, "side", "first", seen=root.branches)
    assert outcomes(pushed) == {"branch side": "deleted", "tag first": "deleted"}
    after = root_of(remote)
    assert set(after.branches) == {"main"}
    assert set(after.tags) == {"second", "beside"}
    update_tracking(local, "origin", after)
    assert set(local.root().tracking) == {"origin/main"}


@pytest.mark.parametrize(
    ("names", "seen", "error", "words"),
    [
        (["side", "nothing"], "side", NotFoundError, "no branch or tag 'nothing'"),
        (["first", "main"], "main", InvalidInputError, "'main' is the branch that clones"),
        (["first", "side"], "", ConflictError, "'side' .* not where it was"),
        (["both"], "both", InvalidInputError, "a branch and a tag"),
    ],
)
def test_deletions_that_are_refused(
    local: Store, remote: Store, names: list[str], seen: str, error: type[Exception], words: str
) -> None:
    tip = local.root().branches["side"]
    push(local, remote, {"both": tip}, {"both": tip})
    before = root_of(remote)
    looked = {name: digest for name, digest in before.branches.items() if name == seen}
    with pytest.raises(error, match=words):
        push(local, remote, {}, {}, *names, seen=looked)
    assert root_of(remote) == before


def shallow(remote: Store, depth: int) -> Store:
    """A clone of `main` that has so many commits of its history."""
    cut = new_store()
    root = remote.refresh()
    tips = [root.branches["main"]]
    fetch_history(cut, remote, tips, depth)
    fetch_dataset(cut, remote, next(found.dataset for _, found in walk(remote, tips)))
    update_tracking(cut, "origin", root, reach(cut, tips, depth))
    return cut


def test_a_push_from_a_cut_history(local: Store, remote: Store) -> None:
    cut = shallow(remote, 1)
    assert cut.shallow == {local.root().tags["first"]}
    # What is not in reach is no ref here, whatever bytes came along.
    assert set(cut.root().tags) == {"second"}
    assert set(cut.root().tracking) == {"origin/main"}
    tip = cut.root().tracking["origin/main"]
    new = commit(cut, {"a": b"new"}, [tip], step=9)
    assert outcomes(push(cut, remote, {"main": new}))["branch main"] == "updated"
    there = Store(remote.backend)
    assert [digest for digest, _ in walk(there, [new])] == [new, tip, local.root().tags["first"]]
    assert root_of(remote).shallow == frozenset()

    empty = new_store()
    before = root_of(empty)
    with pytest.raises(CutHistoryError, match="lacks what lies beyond"):
        push(cut, empty, {"main": new})
    assert root_of(empty) == before


def test_a_push_onto_the_very_commit_that_was_cut_off(local: Store, remote: Store) -> None:
    cut = shallow(remote, 1)
    first = local.root().tags["first"]
    remote.swap_root(lambda root: replace(root, branches={"main": first}))
    tip = cut.root().tracking["origin/main"]
    assert outcomes(push(cut, remote, {"main": tip}))["branch main"] == "updated"
