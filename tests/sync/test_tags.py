"""Annotated tags on their way between stores: object, commit and name arrive together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from datasets_vc.digest import Digest
from datasets_vc.errors import ConflictError
from datasets_vc.format.commit import Commit
from datasets_vc.history.commits import read_commit
from datasets_vc.history.revisions import resolve
from datasets_vc.history.tags import Tags
from datasets_vc.store import Store
from datasets_vc.sync.fetch import fetch_history, update_tracking
from datasets_vc.sync.push import push_branch
from datasets_vc.sync.transfer import Moved
from tests.sync.stores import commit, contents, link, new_store, pull, tag

TIME = datetime(2026, 12, 1, tzinfo=UTC)


def annotate(store: Store, name: str, revision: str, message: str = "so") -> Digest:
    """Make an annotated tag; returns its object."""
    Tags(store).annotate(name, revision, message=message, tagger="Ada", time=TIME)
    return store.root().tags[name]


@pytest.fixture
def local() -> Store:
    """A store with a line of two commits, and a branch beside it."""
    store = new_store()
    first = commit(store, {"a": b"1"})
    commit(store, {"a": b"2"}, [first], step=1)
    commit(store, {"a": b"3"}, [first], "side", step=2)
    return store


def push(local: Store, remote: Store, branch: str = "main") -> Moved:
    tip = local.root().branches[branch]
    return push_branch(local, link(remote.backend, local).store, branch, tip)[0]


def test_a_tag_arrives_with_its_object(local: Store) -> None:
    remote, other = new_store(), new_store()
    target = annotate(local, "v1", "main~1")
    beside = annotate(local, "beside", "side")
    push(local, remote)
    there = Store(remote.backend)
    assert there.root().tags == {"v1": target}
    # What the remote's root names is there, and nothing of what it does not name.
    assert there.find(target)
    assert not there.find(beside)
    assert not there.find(local.root().branches["side"])

    pull(other, link(remote.backend, other).store)
    assert other.root().tags == {"v1": target}
    assert Tags(other).annotations() == {"v1": Tags(local).annotations()["v1"]}
    assert resolve(other, "v1") == resolve(local, "v1")
    assert contents(other, other.root().branches["main"]) == {"a": b"2"}

    # Onwards, from a store that only fetched it.
    third = new_store()
    push(other, third)
    assert Store(third.backend).root().tags == {"v1": target}


def test_a_tag_cannot_pose_as_a_tracked_branch(local: Store) -> None:
    remote, other = new_store(), new_store()
    push(local, remote)
    tip, side = (local.root().branches[name] for name in ("main", "side"))
    push(local, remote, "side")
    there = Store(remote.backend)
    there.swap_root(lambda root: replace(root, tags={"origin/main": side, "v1": side}))

    pull(other, link(remote.backend, other).store)

    assert set(other.root().tags) == {"v1"}
    assert resolve(other, "origin/main").commit == tip


def test_a_tag_made_after_the_push_goes_alone(local: Store) -> None:
    remote = new_store()
    push(local, remote)
    target = annotate(local, "v1", "main")
    assert push(local, remote).chunks == 1
    assert Store(remote.backend).find(target)
    assert push(local, remote) == Moved()


def test_a_tag_of_a_commit_that_no_branch_reaches_brings_it(local: Store) -> None:
    remote, other = new_store(), new_store()
    target = annotate(local, "v1", "side")
    push(local, remote, "side")
    push(local, remote)
    remote.swap_root(lambda root: replace(root, branches={"main": root.branches["main"]}))
    pull(other, link(remote.backend, other).store)
    assert Tags(other).get("v1") == local.root().branches["side"]
    assert other.root().tags["v1"] == target


@pytest.mark.parametrize("theirs", ["another message", "another commit", "no message"])
def test_another_tag_of_the_same_name_is_refused(local: Store, theirs: str) -> None:
    remote, other = new_store(), new_store()
    push(local, remote)
    pull(other, link(remote.backend, other).store)
    if theirs == "no message":
        Tags(other).create("v1", "main")
    elif theirs == "another message":
        annotate(other, "v1", "main", "other words")
    else:
        annotate(other, "v1", "main~1")
    push(other, remote)
    there = Store(remote.backend).root()
    mine = annotate(local, "v1", "main")
    with pytest.raises(ConflictError, match="Tag 'v1' is another one"):
        push(local, remote)
    assert Store(remote.backend).root() == there
    # A fetch leaves ours as it is, as ever.
    pull(local, link(remote.backend, local).store)
    assert local.root().tags["v1"] == mine
    # The same tag, made twice, is no other one.
    Tags(local).delete("v1")
    pull(local, link(remote.backend, local).store)
    assert push(local, remote) == Moved()


def test_a_push_takes_over_nothing_that_it_did_not_fetch(local: Store) -> None:
    remote, other = new_store(), new_store()
    push(local, remote)
    pull(other, link(remote.backend, other).store)
    tip = other.root().branches["main"]
    theirs = commit(other, {"a": b"theirs"}, [tip], "theirs", step=5)
    target = annotate(other, "v9", "theirs")
    push(other, remote, "theirs")

    root = link(remote.backend, local).store.refresh()
    update_tracking(local, "origin", root)
    assert "v9" not in local.root().tags
    assert local.root().tracking == {"origin/main": tip}
    assert Tags(local).list() == {}
    push(local, remote)

    fetch_history(local, link(remote.backend, local).store, [theirs, target])
    update_tracking(local, "origin", root)
    assert local.root().tags == {"v9": target}
    assert local.root().tracking == {"origin/main": tip, "origin/theirs": theirs}


def test_a_branch_that_is_gone_there_is_forgotten_here(local: Store) -> None:
    remote = new_store()
    push(local, remote)
    push(local, remote, "side")
    root = link(remote.backend, local).store.refresh()
    update_tracking(local, "origin", root)
    assert set(local.root().tracking) == {"origin/main", "origin/side"}
    update_tracking(local, "origin", replace(root, branches={"main": root.branches["main"]}))
    assert set(local.root().tracking) == {"origin/main"}


def test_only_the_tag_object_came_before_the_transfer_was_cut_short(local: Store) -> None:
    remote, other = new_store(), new_store()
    target = annotate(local, "v1", "main")
    push(local, remote)
    source = link(remote.backend, other).store
    root = source.refresh()
    writer = other.writer()
    writer.add_meta(bytes(local.read(target)))
    other.publish(writer.finish())
    update_tracking(other, "origin", root)
    assert other.root().tags == {}
    pull(other, source)
    assert Tags(other).list() == {"v1": root.branches["main"]}
    assert read_commit(other, root.branches["main"]).message == "step 1"


def test_a_push_does_not_walk_what_the_remote_has(monkeypatch: pytest.MonkeyPatch) -> None:
    local, remote = new_store(), new_store()
    tips: list[Digest] = []
    for step in range(40):
        tips.append(commit(local, {"a": b"%d" % step}, tips[-1:], step=step))
        if step % 10 == 0:
            tag(local, f"v{step}", tips[-1])
    push_branch(local, remote, "main", tips[-1])
    tips.append(commit(local, {"a": b"new"}, tips[-1:], step=40))
    tag(local, "newest", tips[-1])
    read: list[Digest] = []

    def reading(store: Store, digest: Digest) -> Commit:
        read.append(digest)
        return read_commit(store, digest)

    monkeypatch.setattr("datasets_vc.history.commits.read_commit", reading)
    monkeypatch.setattr("datasets_vc.sync.push.read_commit", reading)
    _, root = push_branch(local, remote, "main", tips[-1])
    assert root.tags["newest"] == tips[-1]
    assert set(read) <= set(tips[-3:])
    # A tag on what was pushed before is found by walking there, and no further.
    read.clear()
    tag(local, "late", tips[35])
    _, root = push_branch(local, remote, "main", tips[-1])
    assert root.tags["late"] == tips[35]
    assert not set(read) & set(tips[:33])
