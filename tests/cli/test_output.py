"""What verbs print, as lines and as JSON, for results that are made up."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest

from datasets_vc.cli.main import main
from datasets_vc.digest import digest_of
from datasets_vc.format.entries import ENTRY_SCHEMA
from datasets_vc.format.tag import Tag
from datasets_vc.history.describe import Description
from datasets_vc.history.names import CommitName
from datasets_vc.repository import Status, SyncResult
from datasets_vc.signing import Verdict
from datasets_vc.workspace.consume import Consumed

COMMIT, DATASET, PARENT = (digest_of(word) for word in (b"commit", b"dataset", b"parent"))
TIME = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
INFO = SimpleNamespace(
    digest=COMMIT,
    dataset=DATASET,
    parents=[PARENT],
    cut=False,
    author="Ada <ada@example.org>",
    time=TIME,
    message="Add signs\n\nAll of May.",
    files=2,
    bytes=2048,
    names=(
        CommitName("head", "HEAD"),
        CommitName("branch", "main", current=True),
        CommitName("tag", "v1.0"),
        CommitName("tracking", "origin/main"),
    ),
    before=[PARENT],
    signed=False,
)
INFO_JSON = {
    "commit": COMMIT.hex(),
    "dataset": DATASET.hex(),
    "parents": [PARENT.hex()],
    "author": "Ada <ada@example.org>",
    "time": "2026-11-23T04:05:06Z",
    "message": "Add signs\n\nAll of May.",
    "files": 2,
    "bytes": 2048,
    "refs": ["HEAD", "main", "v1.0", "origin/main"],
    "signed": False,
    "cut": False,
}
NOTE = Tag(COMMIT, "main", "Ada <ada@example.org>", TIME, "Checked\n\nby two.")
TRANSFER = SimpleNamespace(bytes=3 * 1024, requests=4, packs=1, chunks=7)


def test_status(dsvc, repository) -> None:
    repository.status = lambda _: Status(
        "main", COMMIT, added=["a\nb.png", "ä.png"], modified=["m.txt"]
    )

    assert dsvc("status").out.splitlines() == [
        f"On branch main, at {COMMIT.hex()[:12]}.",
        "  added:    a\\nb.png",
        "  added:    ä.png",
        "  modified: m.txt",
        "2 added, 1 modified.",
    ]
    assert dsvc("status", "--json").data == {
        "branch": "main",
        "commit": COMMIT.hex(),
        "clean": False,
        "checked_out": True,
        "added": ["a\nb.png", "ä.png"],
        "modified": ["m.txt"],
        "deleted": [],
        "skipped": [],
        "only": None,
        "left_out": 0,
        "bad_links": [],
        "merging": None,
        "misplaced": [],
        "unread_rules": [],
        "cut_short": None,
    }


def test_status_tells_of_rules_that_do_not_count(dsvc, repository) -> None:
    repository.status = lambda _: Status("main", COMMIT, unread_rules=["a/.dsvcignore"])
    assert dsvc("status").out.splitlines()[1] == (
        "Not followed: a/.dsvcignore is a link; put a file with the rules in its place."
    )


def test_status_of_a_part(dsvc, repository) -> None:
    repository.status = lambda _: Status("main", COMMIT, only=("a/**", "!\x1b"), left_out=3)
    assert dsvc("status").out.splitlines()[1:] == [
        "Only part of the version is here: a/**, !\\x1b; 3 files left out.",
        "Nothing changed.",
    ]
    assert dsvc("status", "--json").data["only"] == ["a/**", "!\x1b"]
    repository.status = lambda _: Status("main", COMMIT, only=(), left_out=1)
    assert "here: nothing that was committed; 1 file left out." in dsvc("status").out


def test_status_says_of_no_file_that_is_here_that_it_is_left_out(dsvc, repository) -> None:
    repository.status = lambda _: Status("main", COMMIT, only=("a/**",))
    assert dsvc("status").out.splitlines()[1:] == [
        (
            "No file is left out now, but of other versions only this part will come: a/** "
            "('dsvc checkout --all' ends that)."
        ),
        "Nothing changed.",
    ]
    repository.status = lambda _: Status("main", COMMIT, only=())
    assert "will come: nothing ('dsvc" in dsvc("status").out
    assert "committed; 0 files of what was asked for left out." in dsvc("status", "a").out


def test_status_of_a_workspace_without_files_says_how_to_get_them(dsvc, repository) -> None:
    repository.status = lambda _: Status("main", COMMIT, files=False)
    assert dsvc("status").out.splitlines()[1:] == [
        (
            "This workspace is without the version's files, and what lies in it is not compared; "
            "'dsvc checkout --all' writes them."
        ),
    ]


def test_status_of_many_changes_is_cut_short_for_people(dsvc, repository) -> None:
    paths = [f"{number:04}.png" for number in range(700)]
    repository.status = lambda _: Status("main", COMMIT, deleted=paths)
    assert dsvc("status").out.splitlines()[-2:] == [
        "  … and 680 more deleted (-v lists them)",
        "700 deleted.",
    ]
    assert len(dsvc("status", "-v").out.splitlines()) == 702
    assert dsvc("status", "--json").data["deleted"] == paths


def test_commit(dsvc, repository) -> None:
    asked = {}

    def commit(message, paths, **others):
        asked.update(others, message=message, paths=paths)
        return SimpleNamespace(
            commit=COMMIT,
            dataset=DATASET,
            files=10,
            bytes=4096,
            added=1,
            modified=2,
            deleted=3,
            bytes_written=1024,
            skipped=[("pipe", "a pipe")],
            consumed=Consumed(2, 2048, 1),
            warnings=["1 file is executable."],
        )

    repository.commit = commit
    outcome = dsvc("commit", "-m", "Add", "a", "--author", "Ada", "--json")

    assert outcome.data == {
        "commit": COMMIT.hex(),
        "dataset": DATASET.hex(),
        "files": 10,
        "bytes": 4096,
        "added": 1,
        "modified": 2,
        "deleted": 3,
        "bytes_written": 1024,
        "consumed": {"files": 2, "bytes": 2048, "kept": 1},
        "skipped": [{"path": "pipe", "reason": "a pipe"}],
        "warnings": ["1 file is executable."],
    }
    assert (asked["message"], asked["paths"], asked["author"]) == ("Add", ["a"], "Ada")
    assert asked["time"].tzinfo is UTC
    assert not asked["consume"]
    lines = dsvc("commit", "-m", "Add", "--consume", "--author", "Ada").out.splitlines()
    assert asked["consume"]
    assert lines[1:] == [
        f"dataset {DATASET.hex()}",
        "1 added, 2 modified, 3 deleted; now 10 files, 4.0 KiB; 1.0 KiB written.",
        "Removed from the workspace, as the store has them: 2 files, 2.0 KiB.",
        "Kept: 1 file that the store lacks, or that were written to meanwhile.",
        "Left out: pipe (a pipe).",
        "Note: 1 file is executable.",
    ]


@pytest.mark.parametrize(
    ("words", "revision", "create", "patterns"),
    [
        (["v1.0"], "v1.0", None, "same"),
        (["-b", "new"], "HEAD", "new", "same"),
        (["--only", "a/**", "--only", "!*.raw"], None, None, ("a/**", "!*.raw")),
        (["v1.0", "--only", "a"], "v1.0", None, ("a",)),
        (["-b", "new", "--only", "a"], "HEAD", "new", ("a",)),
        (["--all"], None, None, None),
    ],
)
def test_checkout(dsvc, repository, words, revision, create, patterns) -> None:
    def checkout(asked, paths, **options):
        part = options["part"]
        assert (asked, paths, options["create"]) == (revision, [], create)
        assert (part.patterns if part else "same") == patterns
        return SimpleNamespace(branch="main", commit=COMMIT, written=1, removed=2)

    repository.checkout = checkout
    outcome = dsvc("checkout", *words)
    assert outcome.out == f"On branch main, at {COMMIT.hex()[:12]}: 1 written, 2 removed.\n"


@pytest.mark.parametrize(
    "words",
    [
        ["checkout"],
        ["checkout", "main", "a", "--all"],
        ["checkout", "--all", "--only", "a"],
        ["checkout", "main", "a", "--only", "a"],
        ["clone", "url", "--only", "a", "--no-checkout"],
        ["clone", "--from", "dataset.lock", "--only", "a"],
    ],
)
def test_wrong_ways_to_ask_for_a_part(dsvc, repository, words) -> None:
    assert dsvc(*words).code == 2


def test_log(dsvc, repository) -> None:
    asked = {}

    def log(revision, paths, **others):
        asked.update(others, revision=revision, paths=paths)
        return iter([INFO][: others["limit"]])

    repository.log = log

    assert dsvc("log", "--json").data == {"commits": [INFO_JSON]}
    assert (asked["revision"], asked["paths"], asked["limit"]) == ("HEAD", [], None)
    assert dsvc("log").out.splitlines() == [
        f"commit  {COMMIT.hex()} (HEAD -> main, tag: v1.0, origin/main)",
        f"dataset {DATASET.hex()}",
        "author  Ada <ada@example.org>",
        "time    2026-11-23 04:05:06 UTC",
        "",
        "    Add signs",
        "",
        "    All of May.",
    ]
    names = "(HEAD -> main, tag: v1.0, origin/main)"
    assert dsvc("log", "--oneline").out == f"{COMMIT.hex()[:12]} {names} Add signs\n"
    assert dsvc("log", "--all", "-n", "3", "--graph").code == 0
    assert asked == {"revision": None, "paths": [], "limit": 3, "follow": False, "graph": True}


def test_a_drawn_log(dsvc, repository) -> None:
    def info(name: str, *before: str) -> SimpleNamespace:
        digests = [digest_of(word.encode()) for word in before]
        changed = {"digest": digest_of(name.encode()), "before": digests, "names": ()}
        return SimpleNamespace(**{**vars(INFO), **changed, "message": name})

    infos = [info("merge", "ours", "theirs"), info("theirs", "base"), info("ours", "base")]
    repository.log = lambda *_, **__: [*infos, info("base")]

    lines = dsvc("log", "--graph", "--oneline").out.splitlines()
    short = {
        name: digest_of(name.encode()).hex()[:12] for name in ("merge", "theirs", "ours", "base")
    }
    assert lines == [
        f"*   {short['merge']} merge",
        "|\\",
        f"| * {short['theirs']} theirs",
        f"* | {short['ours']} ours",
        "|/",
        f"* {short['base']} base",
    ]
    lines = dsvc("log", "--graph").out.splitlines()
    assert [line[:4].rstrip() for line in lines[:9]] == ["*", "|\\", *["| |"] * 5, "| *", "| |"]
    assert lines[1] == f"|\\  dataset {DATASET.hex()}"
    assert lines[-1] == "      base"


@pytest.mark.parametrize("info", [INFO, None])
def test_show(dsvc, repository, info) -> None:
    counts = {"train": {"cat": 3, "": 1}}
    images = SimpleNamespace(
        media="image", samples=4, convention="folders split/label/file", counts=counts, problem=""
    )
    broken = SimpleNamespace(
        media="text", samples=0, convention="", counts={}, problem="Two tables."
    )
    repository.show = lambda _: SimpleNamespace(
        info=info,
        dataset=DATASET,
        files=2,
        bytes=2048,
        samples=SimpleNamespace(media=(images, broken)),
        tag=NOTE if info else None,
        signature=None,
        tag_signature=Verdict("good", "ada\x1b", "SHA256:abc", "ED25519") if info else None,
    )

    data = dsvc("show", "--json").data

    assert data["dataset"] == DATASET.hex()
    assert (data["commit"], data["files"], data["bytes"]) == (info and COMMIT.hex(), 2, 2048)
    assert data["samples"][0]["counts"] == counts
    assert (data["tag"] and data["tag"]["message"]) == (info and NOTE.message)
    assert (
        dsvc("show").out.splitlines()[:2] == ["tag     main", f"tagger  {NOTE.tagger}"]
    ) == bool(info)
    words = "signed  good signature by ada\\x1b (ED25519 key SHA256:abc)"
    assert (words in dsvc("show").out.splitlines()) == bool(info)
    assert dsvc("show").out.splitlines()[-7:] == [
        "",
        "2 files, 2.0 KiB",
        "",
        "image: 4 samples, by folders split/label/file",
        "  train: 4 (cat 3, (no label) 1)",
        "",
        "text: Two tables.",
    ]


def test_ls(dsvc, repository) -> None:
    digest = digest_of(b"x")
    rows = [{"path": "a b.png", "kind": 0, "size": 1234, "digest": digest}]
    repository.ls = lambda revision, path: pa.Table.from_pylist(rows, ENTRY_SCHEMA)

    assert dsvc("ls").out == f"{digest.hex()[:12]}         1,234  a b.png\n"
    assert dsvc("ls", "v1", "--json").data == {
        "entries": [{"path": "a b.png", "kind": "file", "size": 1234, "digest": digest.hex()}]
    }


def test_cat_writes_bytes_as_they_are(repository, capsysbinary) -> None:
    repository.cat = lambda revision, path: iter([b"\x00\xff", memoryview(b"\n")])

    assert main(["cat", "v1:a.bin"]) == 0
    assert capsysbinary.readouterr().out == b"\x00\xff\n"


@pytest.mark.parametrize("kind", ["branch", "tag"])
def test_refs(dsvc, repository, kind) -> None:
    names = {"main": COMMIT, "other": PARENT}
    gone: list[str] = []

    def delete(name: str, force: bool = False):
        gone.append(f"{name}!" if force else name)
        return PARENT

    refs = SimpleNamespace(
        list=lambda: dict(names),
        create=lambda name, _: names.setdefault(name, PARENT),
        delete=delete,
        commits=lambda: {"main": INFO, "other": INFO},
        annotations=lambda: {"main": NOTE},
    )
    repository.branches = repository.tags = refs
    repository.head = SimpleNamespace(branch="main")

    listed = dsvc(kind, "--json").data["branches" if kind == "branch" else "tags"]
    lines = dsvc(kind).out.splitlines()
    made = dsvc(kind, "new", "main~1", "--json").data

    who = {"tagger": NOTE.tagger, "time": "2026-11-23T04:05:06Z"} if kind == "tag" else {}
    message = NOTE.message if kind == "tag" else INFO.message
    assert listed[0] == {"name": "main", "commit": COMMIT.hex(), "message": message, **who}
    assert made == {kind: "new", "commit": PARENT.hex()}
    assert dsvc(kind, "-d", "new").out == f"Deleted {kind} new (was {PARENT.hex()[:12]}).\n"
    assert gone == ["new"]
    mark, words = ("*", "Add signs") if kind == "branch" else (" ", "Checked")
    assert lines[0] == f"{mark} main   {COMMIT.hex()[:12]}  {words}"


def test_branches_are_dropped_and_renamed(dsvc, repository) -> None:
    asked: list[object] = []
    repository.branches = SimpleNamespace(
        delete=lambda name, force: asked.append((name, force)) or PARENT,
        rename=lambda new, old: asked.append((new, old)) or "old",
    )

    dsvc("branch", "-D", "gone")
    dsvc("branch", "-d", "gone", "--force")
    assert dsvc("branch", "-m", "new").out == "Renamed branch old to new.\n"
    assert dsvc("branch", "-m", "old", "new", "--json").data == {"branch": "new", "was": "old"}
    assert asked == [("gone", True), ("gone", True), ("new", None), ("new", "old")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("branch", "-m"),
        ("branch", "-m", "new", "-d", "old"),
        ("branch", "new", "-D", "old"),
        ("tag", "-m", "why"),
        ("tag", "new", "-d", "old"),
    ],
)
def test_one_thing_at_a_time(dsvc, repository, arguments) -> None:
    outcome = dsvc(*arguments)
    assert outcome.code == 2
    assert outcome.err


def test_describe(dsvc, repository) -> None:
    found = Description(COMMIT, "v1.0", 3)
    repository.tags = SimpleNamespace(describe=lambda _: found)
    name = f"v1.0-3-g{COMMIT.hex()[:8]}"

    assert dsvc("describe").out == f"{name}\n"
    assert dsvc("describe", "--json").data == {
        "tag": "v1.0",
        "distance": 3,
        "commit": COMMIT.hex(),
        "description": name,
    }
    found = Description(COMMIT, "", 4)
    assert dsvc("describe").code == 1
    assert dsvc("describe", "--always").out == f"{COMMIT.hex()[:8]}\n"
    found = Description(COMMIT, "v1.0", 0)
    assert dsvc("describe").out == "v1.0\n"


@pytest.mark.parametrize(
    ("verb", "way"), [("fetch", "received"), ("pull", "received"), ("push", "sent")]
)
def test_sync(dsvc, repository, verb, way) -> None:
    def sync(*_, **__):
        return SyncResult("main", COMMIT, DATASET, TRANSFER, updated=True)

    repository.fetch = repository.pull = repository.push = sync

    assert dsvc(verb, "--json").data == {
        "branch": "main",
        "commit": COMMIT.hex(),
        "dataset": DATASET.hex(),
        f"bytes_{way}": 3072,
        "requests": 4,
        "packs": 1,
        "chunks": 7,
        "damaged_runs": [],
        "incomplete_runs": [],
        **({"merged": False, "conflicts": []} if verb == "pull" else {}),
        "refs": [],
        **({"runs": 0, "foreign_runs": 0, "kept_runs": []} if verb == "push" else {}),
    }
    place = "main at origin" if verb == "push" else "main"
    assert dsvc(verb).out.splitlines() == [
        f"{place} is at {COMMIT.hex()[:12]}, dataset {DATASET.hex()[:12]}.",
        f"3.0 KiB {way}: 7 chunks, 1 pack, 4 requests.",
    ]


def test_a_push_says_how_many_runs_go_along(dsvc, repository) -> None:
    sent = SyncResult(
        "main", COMMIT, DATASET, TRANSFER, updated=True, runs=2, foreign_runs=1, kept_runs=["aa"]
    )
    repository.push = lambda *_, **__: sent
    assert dsvc("push").out.splitlines()[2:] == [
        "2 runs sent, 1 of them not recorded here.",
        (
            "Left here: 1 run not recorded here, naming data or code that origin lacks "
            "(--all-runs sends both)."
        ),
    ]
    told = dsvc("push", "--json").data
    assert (told["runs"], told["foreign_runs"], told["kept_runs"]) == (2, 1, ["aa"])


@pytest.mark.parametrize("verb", ["fetch", "pull"])
def test_runs_that_are_damaged_at_the_remote_are_told(dsvc, repository, verb) -> None:
    damaged = {f"{number:064x}": f"The run {number:064x} is damaged." for number in range(12)}

    def sync(*_, **__):
        return SyncResult("main", COMMIT, DATASET, TRANSFER, updated=True, damaged=damaged)

    repository.fetch = repository.pull = sync

    lines = dsvc(verb).out.splitlines()[2:]
    assert lines[0] == f"Left out: The run {0:064x} is damaged."
    assert lines[10:] == [
        "Left out: 2 more.",
        "To mend it, where the run is whole: dsvc fsck --remote NAME --repair",
    ]
    told = dsvc(verb, "--json").data["damaged_runs"]
    assert {each["run"]: each["problem"] for each in told} == damaged


@pytest.mark.parametrize("verb", ["fetch", "pull", "push"])
def test_runs_of_which_something_is_missing_are_told(dsvc, repository, verb) -> None:
    incomplete = {f"{number:064x}": f"Run {number:064x} lacks." for number in range(12)}

    def sync(*_, **__):
        return SyncResult("main", COMMIT, DATASET, TRANSFER, updated=True, incomplete=incomplete)

    repository.fetch = repository.pull = repository.push = sync

    lines = dsvc(verb).out.splitlines()[-12:]
    assert lines[0] == f"Run {0:064x} lacks."
    assert lines[10:] == [
        "2 more runs are not complete.",
        "What is missing comes from a remote that has it: dsvc fetch NAME REV",
    ]
    told = dsvc(verb, "--json").data["incomplete_runs"]
    assert {each["run"]: each["problem"] for each in told} == incomplete


def test_colour_only_on_a_terminal_that_wants_it(dsvc, repository, monkeypatch) -> None:
    repository.log = lambda *_, **__: iter([INFO])
    plain = dsvc("log").out
    monkeypatch.setattr("datasets_vc.cli.session._is_terminal", lambda stream: True)
    coloured = dsvc("log").out
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b[33m" in coloured
    assert dsvc("log").out == plain
