"""gc, fsck and drop as they are typed: what they say, what they exit with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.errors import MissingDataError
from datasets_vc.history.affected import Affected
from datasets_vc.repository.checking import Checked
from datasets_vc.repository.collecting import Collected, Held
from datasets_vc.repository.dropping import Dropped
from datasets_vc.store.collect import Gone
from datasets_vc.store.inspect import Finding, Sample

SINCE = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
PACK = "ab" * 32
COLLECTED = Collected(
    chunks=7,
    bytes=2048,
    objects=[Gone(f"packs/{PACK}", 3072, "nothing in it is held")],
    rewritten=1,
    rewritten_bytes=1024,
    waiting_chunks=2,
    waiting_bytes=100,
    waiting_since=SINCE,
    grace=timedelta(days=1),
    held=[Held("branch", "main", 4096, 1024)],
)
COMMIT = digest_of(b"commit")
BAD = Finding("pack", PACK, "It does not match its digest.")
GONE = Finding("chunk", "cd" * 32, "It is lost.")
DAMAGED = Checked(
    store="/data/store",
    checked={"root": 1, "pack": 2, "chunk": 30, "ref": 1},
    bytes=2048,
    errors=[BAD, GONE],
    mended=[BAD],
    affected=[Affected("a\nb.jpg", digest_of(b"file"), False, (COMMIT, digest_of(b"old")))],
    names={COMMIT: "main"},
    quarantined=[f"quarantine/{PACK}"],
)


class Calls:
    """Stands in for `Repository.maintenance`, and remembers what it was asked for."""

    def __init__(self, result: Any) -> None:
        self.asked: dict[str, Any] = {}
        self._result = result

    def _answer(self, *arguments: Any, **options: Any) -> Any:
        self.asked = {**options, "arguments": arguments}
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    gc = fsck = drop = _answer


def asked(repository: SimpleNamespace, result: Any) -> Calls:
    repository.maintenance = Calls(result)
    return repository.maintenance


def test_gc_says_what_goes_what_waits_and_who_keeps_how_much(dsvc, repository) -> None:
    calls = asked(repository, COLLECTED)
    outcome = dsvc("gc", "--explain")
    assert outcome.code == 0
    waiting = (
        "100 B more of garbage wait: 'dsvc gc' deletes what is still garbage after "
        "2026-11-24 04:05:06 UTC; --grace 0 does not wait."
    )
    assert outcome.out.splitlines() == [
        "KEPT BY  NAME    BYTES    ALONE",
        "branch   main  4.0 KiB  1.0 KiB",
        "  BYTES  GOES" + " " * 68 + "WHY",
        f"3.0 KiB  packs/{PACK}  nothing in it is held",
        "Deleted 3.0 KiB in 1 object.",
        "Wrote 1 pack of mostly garbage anew, 1.0 KiB shorter.",
        waiting,
    ]
    expected = {"remote": None, "grace": None, "dry_run": False, "explain": True}
    assert calls.asked == {**expected, "arguments": ()}
    assert dsvc("gc", "-q").out == ""


def test_gc_json(dsvc, repository) -> None:
    asked(repository, COLLECTED)
    assert dsvc("gc", "--dry-run", "--json").data == {
        "dry_run": True,
        "chunks": 7,
        "bytes": 2048,
        "deleted": [
            {"name": f"packs/{PACK}", "bytes": 3072, "reason": "nothing in it is held"},
        ],
        "bytes_deleted": 3072,
        "packs_rewritten": 1,
        "bytes_rewritten": 1024,
        "waiting": {"chunks": 2, "bytes": 100, "since": "2026-11-23T04:05:06+00:00"},
        "grace_seconds": 86400,
        "held": [{"kind": "branch", "name": "main", "bytes": 4096, "bytes_alone": 1024}],
        "damaged_runs": [],
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90s", 90), ("30m", 1800), ("12h", 43_200), ("14d", 1_209_600), ("2w", 1_209_600)],
)
def test_grace_has_a_unit(dsvc, repository, text, seconds) -> None:
    calls = asked(repository, COLLECTED)
    assert dsvc("gc", "--grace", text, "--remote", "origin").code == 0
    assert calls.asked["grace"] == timedelta(seconds=seconds)
    assert calls.asked["remote"] == "origin"


@pytest.mark.parametrize("text", ["", "12", "-1d", "1y", "1.5h", "d", "9999999d"])
def test_a_grace_that_is_none_is_refused(dsvc, repository, text) -> None:
    asked(repository, COLLECTED)
    outcome = dsvc("gc", f"--grace={text}")
    assert outcome.code == 2
    assert "--grace" in outcome.err


def test_gc_that_cannot_know_what_is_needed(dsvc, repository) -> None:
    asked(repository, MissingDataError("The store lacks a commit.", "dsvc fsck --repair"))
    outcome = dsvc("gc")
    assert outcome.code == 16
    assert "fsck --repair" in outcome.err


def test_fsck_names_what_is_wrong_and_what_it_means(dsvc, repository) -> None:
    calls = asked(repository, DAMAGED)
    outcome = dsvc("fsck", "--repair", "--sample", "5%")
    assert outcome.code == 13
    assert outcome.out.splitlines() == [
        "Checked 2 packs, 30 chunks, 1 ref; read 2.0 KiB.",
        f"mended pack {PACK}: It does not match its digest.",
        f"BAD chunk {'cd' * 32}: It is lost.",
        f"cannot be read: a\\nb.jpg of main, {digest_of(b'old').hex()[:12]}",
        "1 damaged object kept in 'quarantine/'.",
        "1 error could not be mended.",
    ]
    assert dsvc("fsck").out.endswith("1 error. 'dsvc fsck --repair' mends what it can.\n")
    outcome = dsvc("fsck", "--repair", "--sample", "5%")
    assert (calls.asked["repair"], calls.asked["sample"]) == (True, 0.05)


def test_fsck_json(dsvc, repository) -> None:
    asked(repository, DAMAGED)
    outcome = dsvc("fsck", "--json")
    assert outcome.code == 13
    assert outcome.data == {
        "store": "/data/store",
        "checked": {"root": 1, "pack": 2, "chunk": 30, "ref": 1},
        "bytes": 2048,
        "sample": None,
        "absent": 0,
        "cut": 0,
        "sound": False,
        "errors": [
            {
                "object": "pack",
                "name": PACK,
                "problem": "It does not match its digest.",
                "mended": True,
            },
            {"object": "chunk", "name": "cd" * 32, "problem": "It is lost.", "mended": False},
        ],
        "affected": [
            {
                "path": "a\nb.jpg",
                "digest": digest_of(b"file").hex(),
                "list": False,
                "versions": [COMMIT.hex(), digest_of(b"old").hex()],
            }
        ],
        "quarantined": [f"quarantine/{PACK}"],
        "misplaced": [],
    }


def test_fsck_of_what_is_sound(dsvc, repository) -> None:
    sound = Checked("/data/store", {"pack": 1}, 10, [], sample=Sample(0.5, 77))
    asked(repository, sound)
    outcome = dsvc("fsck")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "Checked 1 pack; read 10 B (a sample, seed 77).",
        "Everything is sound.",
    ]
    assert dsvc("fsck", "--json").data["sample"] == {"fraction": 0.5, "seed": 77}


@pytest.mark.parametrize(("text", "part"), [("5%", 0.05), ("0.05", 0.05), (".5", 0.5), ("100%", 1)])
def test_a_sample_is_a_part_of_all(dsvc, repository, text, part) -> None:
    calls = asked(repository, DAMAGED)
    dsvc("fsck", "--sample", text)
    assert calls.asked["sample"] == part


@pytest.mark.parametrize("text", ["0", "0%", "101%", "5", "half", "-5%"])
def test_a_sample_that_is_no_part_is_refused(dsvc, repository, text) -> None:
    asked(repository, DAMAGED)
    assert dsvc("fsck", f"--sample={text}").code == 2


def test_drop_says_what_is_free_and_what_stays(dsvc, repository) -> None:
    left_out = {"old": "The remote 'old' cannot be reached."}
    calls = asked(repository, Dropped(1000, 2048, 2, 4096, 512, left_out))
    outcome = dsvc("drop", "v1", "--keep-pinned")
    assert outcome.out.splitlines() == [
        "Dropped 1,000 chunks, 2.0 KiB: 4.0 KiB freed in 2 packs.",
        "512 B stay: no remote has them for sure. Send them: dsvc push",
        "Not counted: The remote 'old' cannot be reached.",
    ]
    expected = {"everything": False, "keep_pinned": True, "dry_run": False}
    assert calls.asked == {**expected, "arguments": (["v1"],)}
    assert dsvc("drop", "--all", "--dry-run", "--json").data == {
        "dry_run": True,
        "chunks": 1000,
        "bytes": 2048,
        "packs": 2,
        "bytes_freed": 4096,
        "bytes_only_here": 512,
        "bytes_unused": 0,
        "bytes_damaged_at": {},
        "not_counted": left_out,
    }


def test_drop_says_for_each_part_of_what_stays_what_helps(dsvc, repository) -> None:
    stays = Dropped(0, 0, 0, 0, 600, {}, 100, {"my disk": 200}, "dsvc push r1")
    asked(repository, stays)
    assert dsvc("drop", "--all").out.splitlines()[1:] == [
        "600 B stay: no remote has them for sure.",
        "200 B of them are damaged at my disk. Mend that: dsvc fsck --remote 'my disk' --repair",
        "100 B of them belong to no branch, tag or run. Delete them: dsvc gc",
        "300 B of them were never sent. Send them: dsvc push r1",
    ]


def test_damage_at_a_remote_is_mended_there(dsvc, repository) -> None:
    asked(repository, DAMAGED)
    outcome = dsvc("fsck", "--remote", "r3")
    assert "'dsvc fsck --remote r3 --repair' mends what it can." in outcome.out


@pytest.mark.parametrize("words", [[], ["v1", "--all"]])
def test_drop_wants_versions_or_all(dsvc, repository, words) -> None:
    asked(repository, Dropped(0, 0, 0, 0, 0))
    assert dsvc("drop", *words).code == 2
