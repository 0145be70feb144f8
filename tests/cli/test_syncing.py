"""What fetch, pull, push and clone are asked for, and what they say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import RemoteError
from datasets_vc.repository import ENDLESS, RefChoice, RefUpdate, SyncResult, Transfer

COMMIT, OTHER, DATASET = (digest_of(word) for word in (b"commit", b"other", b"dataset"))
MOVED = Transfer(3 * 1024, 4, 1, 7)
SAME = Transfer(0, 2, 0, 0)


def result(transfer=SAME, *, refs=(), branch="main") -> SyncResult:
    commit, dataset = (COMMIT, DATASET) if branch else (None, None)
    updated = bool(transfer.chunks)
    return SyncResult(branch, commit, dataset, transfer, updated=updated, refs=refs)


def listed(*names: str) -> SimpleNamespace:
    return SimpleNamespace(list=lambda: dict.fromkeys(names))


@pytest.mark.parametrize(
    ("words", "depth", "patterns", "revisions"),
    [
        ([], None, None, []),
        (["--depth", "3"], 3, None, []),
        (["--unshallow"], ENDLESS, None, []),
        (["origin", "v1", "v2", "--only", "*.json"], None, ("*.json",), ["v1", "v2"]),
        (["--only", "a", "--path", "b/[1]", "--path", "."], None, ("a", "/b/\\[1\\]", "/*"), []),
    ],
)
def test_what_fetch_asks_for(dsvc, repository, words, depth, patterns, revisions) -> None:
    def fetch(remote, named, **asked):
        part = asked["part"]
        assert (remote, list(named), asked["depth"]) == ("origin", revisions, depth)
        assert (part.patterns if part else None) == patterns
        return result()

    repository.fetch = fetch
    assert dsvc("fetch", *words).code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["fetch", "--depth", "0"],
        ["fetch", "--depth", "3", "--unshallow"],
        ["fetch", "other", "--all"],
        ["fetch", "origin", "v1", "--all"],
        ["fetch", "--path", ".."],
        ["fetch", "--only", "a["],
        ["pull", "--lock", "--only", "a"],
        ["clone", "--from", "dataset.lock", "--depth", "1"],
    ],
)
def test_wrong_ways_to_ask(dsvc, repository, words) -> None:
    repository.fetch = lambda *_, **__: result()
    assert dsvc(*words).code == 2


def test_fetch_from_all_remotes(dsvc, repository) -> None:
    repository.remotes = listed("two", "one")
    repository.fetch = lambda name, **_: result(MOVED if name == "one" else SAME)
    asked = dsvc("fetch", "--all", "--json")
    assert asked.code == 0
    assert list(asked.data["remotes"]) == ["one", "two"]
    assert asked.data["remotes"]["one"]["bytes_received"] == 3072
    at = f"main is at {COMMIT.hex()[:12]}, dataset {DATASET.hex()[:12]}."
    assert dsvc("fetch", "--all").out.splitlines() == [
        f"one: {at}",
        "one: 3.0 KiB received: 7 chunks, 1 pack, 4 requests.",
        f"two: {at}",
        "two: Nothing new.",
    ]


@pytest.mark.parametrize(("names", "code"), [(("gone", "here"), 3), (("gone",), 14)])
def test_a_remote_that_fails_does_not_keep_the_others_waiting(
    dsvc, repository, names, code
) -> None:
    def fetch(name, **_):
        if name == "gone":
            raise RemoteError("The disk is gone.", "Mount it.")
        return result()

    repository.remotes, repository.fetch = listed(*names), fetch
    told = dsvc("fetch", "--all")
    assert told.code == code
    assert told.err == "error: The disk is gone.\nhint: Mount it.\n"
    assert ("here: Nothing new." in told.out) == ("here" in names)
    data = dsvc("fetch", "--all", "--json")
    assert data.code == code
    assert data.data["remotes"]["gone"]["error"]["kind"] == "remote_unreachable"
    assert data.err == ""


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        ([], RefChoice()),
        (["origin", "a", "v1"], RefChoice(["a", "v1"])),
        (["--all", "--tags"], RefChoice(branches=True, tags=True)),
        (["origin", "--delete", "a"], RefChoice(["a"], delete=True)),
        (["--force"], RefChoice(force=True)),
    ],
)
def test_what_push_asks_for(dsvc, repository, words, choice) -> None:
    def push(remote, **asked):
        assert (remote, asked["choice"]) == ("origin", choice)
        return result()

    repository.push = push
    assert dsvc("push", *words).code == 0


def test_push_tells_of_every_ref(dsvc, repository) -> None:
    refs = [
        RefUpdate("branch", "main", OTHER, COMMIT, "updated"),
        RefUpdate("branch", "side", OTHER, COMMIT, "forced"),
        RefUpdate("branch", "old", COMMIT, COMMIT, "unchanged"),
        RefUpdate("tag", "v1", None, COMMIT, "created"),
    ]
    repository.push = lambda *_, **__: result(MOVED, refs=refs)
    old, new = OTHER.hex()[:12], COMMIT.hex()[:12]
    assert dsvc("push").out.splitlines()[1:] == [
        "3.0 KiB sent: 7 chunks, 1 pack, 4 requests.",
        f"Forced branch side at origin: {old} -> {new}.",
        f"Created tag v1 at origin: {new}.",
    ]
    assert dsvc("push", "--json").data["refs"] == [
        {
            "kind": update.kind,
            "name": update.name,
            "old": update.old.hex() if update.old else None,
            "new": update.new.hex() if update.new else None,
            "outcome": update.outcome,
        }
        for update in refs
    ]


@pytest.mark.parametrize("other", [["--force"], ["--delete", "main"], ["--new"], ["--plan"]])
def test_what_is_tried_again_overwrites_and_deletes_nothing(dsvc, repository, other) -> None:
    outcome = dsvc("push", "origin", "--retry", *other)
    assert outcome.code == 2
    assert "--retry" in outcome.err


def test_push_tells_what_it_deleted(dsvc, repository) -> None:
    gone = [RefUpdate("branch", "old", OTHER, None, "deleted")]
    repository.push = lambda *_, **__: result(branch=None, refs=gone)
    told = dsvc("push", "backup", "--delete", "old")
    assert told.out == f"Deleted branch old at backup: it was {OTHER.hex()[:12]}.\n"
