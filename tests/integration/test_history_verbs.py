"""log, describe, branch and tag on a real workspace, as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.config import read_head
from datasets_vc.repository import Repository
from tests.integration.conftest import Dsvc, Refused

STORY = [
    ("First", {"train/cats/1.txt": "1", "train/labels.csv": "a"}),
    ("More cats", {"train/cats/2.txt": "2"}),
    ("Labels", {"train/labels.csv": "b"}),
    ("Notes", {"notes.txt": "n"}),
]


@pytest.fixture
def work(home: Path, dsvc: Dsvc) -> Path:
    """A workspace with four versions on main, tagged v1.0 after the second."""
    dsvc("init")
    for number, (message, files) in enumerate(STORY):
        for path, text in files.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(text)
        assert dsvc("commit", "-m", message).code == 0
        if number == 1:
            assert dsvc("tag", "v1.0", "-m", "The cats\n\nAll of them.").code == 0
    return home


def subjects(dsvc: Dsvc, *arguments: str | Path) -> list[str]:
    found = dsvc("log", "--json", *arguments)
    assert found.code == 0, found
    return [commit["message"] for commit in found.data["commits"]]


MEANINGS = [
    ([], ["Notes", "Labels", "More cats", "First"]),
    (["v1.0"], ["More cats", "First"]),
    (["main~1", "-n", "1"], ["Labels"]),
    (["train/cats"], ["More cats", "First"]),
    (["train/cats/"], ["More cats", "First"]),
    (["train/labels.csv", "notes.txt"], ["Notes", "Labels", "First"]),
    (["v1.0", "train/labels.csv"], ["First"]),
    (["v1.0", "--"], ["More cats", "First"]),
    (["HEAD~1", "--", "train/labels.csv"], ["Labels", "First"]),
    (["."], ["Notes", "Labels", "More cats", "First"]),
    (["--", "gone.txt"], []),
    (["--all"], ["Notes", "Labels", "More cats", "First"]),
]


def test_what_the_words_of_log_mean(work: Path, dsvc: Dsvc) -> None:
    for words, expected in MEANINGS:
        assert subjects(dsvc, *words) == expected, words
    # From a folder, paths are those of the folder.
    assert subjects(dsvc, "-C", work / "train", "cats") == ["More cats", "First"]
    assert subjects(dsvc, "-C", work / "train", ".") == ["Labels", "More cats", "First"]
    # A path of the version will do, though the workspace has it no more.
    (work / "notes.txt").unlink()
    assert subjects(dsvc, "notes.txt") == ["Notes"]


def test_words_that_mean_two_things_or_nothing(work: Path, dsvc: Dsvc, refused: Refused) -> None:
    (work / "main").write_text("a file that is called like a branch")
    assert "both a version and a path" in refused(2, "log", "main")
    assert subjects(dsvc, "main", "--", "notes.txt") == ["Notes"]
    assert subjects(dsvc, "--", "main") == []
    assert "neither" in refused(1, "log", "nothing")
    assert "neither" in refused(1, "log", "HEAD", "nothing")
    assert "one version too many" in refused(2, "log", "HEAD", "v1.0", "--", "main")
    assert "outside" in refused(2, "log", "--", "../elsewhere", hint=False)


def test_renames_are_followed(work: Path, dsvc: Dsvc, refused: Refused) -> None:
    (work / "train/labels.csv").rename(work / "labels.csv")
    dsvc("commit", "-m", "Move")
    assert subjects(dsvc, "labels.csv") == ["Move"]
    assert subjects(dsvc, "labels.csv", "--follow") == ["Move", "Labels", "First"]
    refused(2, "log", "--follow")


def test_a_clone_tells_the_history_of_paths(
    work: Path, dsvc: Dsvc, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    # These packs and nodes are so small that they would come along, whatever is wanted.
    monkeypatch.setattr("datasets_vc.sync.fetch.HISTORY_BELOW", 0, raising=False)
    monkeypatch.setattr("datasets_vc.sync.plan.WHOLE_PACK_BELOW", 0)
    monkeypatch.setattr("datasets_vc.sync.plan._mostly", lambda asked, _: asked < 0)
    remote, copy, away = (work.parent / name for name in ("remote", "copy", "away"))
    dsvc("remote", "add", "origin", remote)
    assert dsvc("push").code == 0
    assert dsvc("clone", remote, copy).code == 0
    old = Repository.open(copy).resolve("v1.0").dataset
    assert Repository.open(copy).store.find(old) is None

    remote.rename(away)
    assert "list of files" in refused(16, "-C", copy, "log", "train/cats")
    assert len(subjects(dsvc, "-C", copy)) == len(STORY)
    away.rename(remote)

    assert subjects(dsvc, "-C", copy, "train/cats") == ["More cats", "First"]
    assert Repository.open(copy).store.find(old)
    remote.rename(away)
    assert subjects(dsvc, "-C", copy, "train/labels.csv") == ["Labels", "First"]

    tag = dsvc("-C", copy, "tag", "--json").data["tags"][0]
    assert (tag["name"], tag["message"]) == ("v1.0", "The cats\n\nAll of them.")
    assert tag["tagger"] == "Ada <ada@example.org>"


def test_describe_and_what_it_names(work: Path, dsvc: Dsvc, refused: Refused) -> None:
    name = dsvc("describe").out.decode().strip()
    head = dsvc("log", "-n", "1", "--json").data["commits"][0]["commit"]
    assert name == f"v1.0-2-g{head[:8]}"
    assert subjects(dsvc, name, "-n", "1") == ["Notes"]
    assert dsvc("describe", "v1.0").out == b"v1.0\n"
    assert "No tag" in refused(1, "describe", "v1.0~1")
    bare = dsvc("describe", "v1.0~1", "--always", "--json").data
    assert (bare["tag"], bare["distance"]) == (None, None)
    assert bare["description"] == bare["commit"][:8]


def test_the_current_branch_is_renamed(work: Path, dsvc: Dsvc, refused: Refused) -> None:
    before = read_head(work)
    assert dsvc("branch", "-m", "trunk", "--json").data == {"branch": "trunk", "was": "main"}
    assert read_head(work).branch == "trunk"
    assert read_head(work).commit == before.commit
    assert dsvc("status", "--json").data["clean"]
    (work / "notes.txt").write_text("more")
    assert dsvc("commit", "-m", "On the trunk").code == 0
    assert [row["name"] for row in dsvc("branch", "--json").data["branches"]] == ["trunk"]
    refused(1, "branch", "-m", "main", "other")
    refused(2, "branch", "-m", "not a name")


def test_a_branch_with_work_of_its_own_is_not_deleted_by_accident(
    work: Path, dsvc: Dsvc, refused: Refused
) -> None:
    dsvc("checkout", "-b", "side")
    (work / "side.txt").write_text("s")
    dsvc("commit", "-m", "Side")
    tip = dsvc("log", "-n", "1", "--json").data["commits"][0]["commit"]
    refused(2, "branch", "-d", "side")
    dsvc("checkout", "main")
    assert "-D side" in refused(12, "branch", "-d", "side")
    assert dsvc("branch", "-D", "side", "--json").data["was"] == tip
    assert dsvc("branch", "side", tip[:12]).code == 0
    assert subjects(dsvc, "side", "-n", "1") == ["Side"]
    dsvc("tag", "keep", "side")
    assert dsvc("branch", "-d", "side").code == 0


def test_tags_tell_who_and_why(work: Path, dsvc: Dsvc, refused: Refused) -> None:
    dsvc("tag", "plain")
    rows = {row["name"]: row for row in dsvc("tag", "--json").data["tags"]}
    assert rows["v1.0"]["message"] == "The cats\n\nAll of them."
    assert rows["plain"]["message"] is rows["plain"]["tagger"] is rows["plain"]["time"] is None
    lines = dsvc("tag").out.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["plain", "v1.0"]
    assert lines[1].endswith("  The cats")
    refused(2, "tag", "v2.0", "-m", "")
    refused(1, "tag", "v1.0", "-m", "again")
    shown = dsvc("show", "v1.0").out.decode().splitlines()
    assert shown[:2] == ["tag     v1.0", "tagger  Ada <ada@example.org>"]
    was = dsvc("tag", "-d", "v1.0", "--json").data["was"]
    assert dsvc("tag", "v1.0", was).code == 0
    assert dsvc("tag", "--json").data["tags"][1] == rows["v1.0"]


def test_a_log_says_what_names_its_versions(work: Path, dsvc: Dsvc) -> None:
    commits = dsvc("log", "--json").data["commits"]
    assert [commit["refs"] for commit in commits] == [["HEAD", "main"], [], ["v1.0"], []]
    first = dsvc("log", "--oneline").out.decode().splitlines()[0]
    assert first == f"{commits[0]['commit'][:12]} (HEAD -> main) Notes"
