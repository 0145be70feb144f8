"""The session of the README, each command a process, over a folder and over S3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Dsvc
from tests.integration.trees import tree_of

FIRST = {f"digits/{label}/{number}.txt": f"{label}{number}" for label in "01" for number in "abc"}


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, home: Path) -> str:
    return str(home / "remote") if request.param == "folder" else request.getfixturevalue("s3_url")


def _write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def test_from_files_to_another_machine(process: Dsvc, home: Path, remote: str) -> None:
    work, other = home / "work", home / "other"

    def data(*arguments: str | Path) -> Any:
        outcome = process(*arguments, "--json")
        assert (outcome.code, outcome.err) == (0, ""), outcome
        return outcome.data

    made = data("init", work)
    store = str(work / ".dsvc" / "store")
    assert made == {"workspace": str(work), "store": store, "branches": []}
    _write(work, FIRST)
    first = data("-C", work, "commit", "-m", "Add digits")
    size = sum(map(len, FIRST.values()))
    assert (first["files"], first["bytes"]) == (6, size)
    assert (first["added"], first["modified"], first["deleted"]) == (6, 0, 0)
    assert first["bytes_written"] > size
    assert len(first["commit"]) == len(first["dataset"]) == 64

    _write(work, {"digits/2/new.txt": "2n", "digits/0/a.txt": "corrected"})
    (work / "digits/1/a.txt").unlink()
    (work / "digits/1/b.txt").rename(work / "digits/1/renamed.txt")
    status = data("-C", work, "status")
    assert (status["branch"], status["commit"]) == ("main", first["commit"])
    assert status["clean"] is False
    assert status["added"] == ["digits/1/renamed.txt", "digits/2/new.txt"]
    assert status["modified"] == ["digits/0/a.txt"]
    assert status["deleted"] == ["digits/1/a.txt", "digits/1/b.txt"]
    diff = data("-C", work, "diff")
    assert [(each["path"], each["size"]) for each in diff["added"]] == [("digits/2/new.txt", 2)]
    assert [each["path"] for each in diff["deleted"]] == ["digits/1/a.txt"]
    assert [(each["from"], each["to"]) for each in diff["renamed"]] == [
        ("digits/1/b.txt", "digits/1/renamed.txt")
    ]
    (modified,) = diff["modified"]
    assert (modified["old"]["size"], modified["new"]["size"]) == (2, 9)
    assert diff["stats"]["renamed"] == 1
    assert process("-C", work, "diff", "--exit-code", "--stat").code == 1

    second = data("-C", work, "commit", "-m", "Correct", "--author", "Grace")
    assert data("-C", work, "tag", "v2")["commit"] == second["commit"]
    log = data("-C", work, "log")["commits"]
    assert [each["commit"] for each in log] == [second["commit"], first["commit"]]
    assert [each["parents"] for each in log] == [[first["commit"]], []]
    assert [each["author"] for each in log] == ["Grace", "Ada <ada@example.org>"]
    assert [each["message"] for each in log] == ["Correct", "Add digits"]
    assert {"dataset", "time", "files", "bytes"} <= log[0].keys()
    shown = data("-C", work, "show", "v2")
    assert (shown["dataset"], shown["files"]) == (second["dataset"], 6)
    assert data("-C", work, "diff", "main~1", "v2")["stats"] == diff["stats"]

    data("-C", work, "remote", "add", "origin", remote)
    pushed = data("-C", work, "push")
    assert (pushed["commit"], pushed["dataset"]) == (second["commit"], second["dataset"])
    assert pushed["bytes_sent"] > 0
    assert min(pushed["requests"], pushed["packs"], pushed["chunks"]) > 0

    cloned = data("clone", remote, other)
    assert (cloned["commit"], cloned["dataset"]) == (second["commit"], second["dataset"])
    assert cloned["bytes_received"] > 0
    assert tree_of(other) == tree_of(work)

    _write(work, {"digits/3/x.txt": "3x"})
    third = data("-C", work, "commit", "-m", "Add threes")
    data("-C", work, "push")
    pulled = data("-C", other, "pull")
    assert (pulled["commit"], pulled["dataset"]) == (third["commit"], third["dataset"])
    assert 0 < pulled["bytes_received"] < cloned["bytes_received"]
    assert tree_of(other) == tree_of(work)
    nothing = data("-C", other, "pull")
    assert (nothing["packs"], nothing["chunks"]) == (0, 0)
    assert nothing["requests"] <= 3


def test_training_machine_and_small_verbs(process: Dsvc, home: Path) -> None:
    work, other = home / "work", home / "other"
    process("init", work)
    _write(work, FIRST)
    process("-C", work, "commit", "-m", "one")
    process("-C", work, "remote", "add", "origin", home / "remote")
    process("-C", work, "push")

    assert process("clone", home / "remote", other, "--no-checkout").code == 0
    assert tree_of(other) == {}
    assert process("-C", other, "status").code == 0
    assert process("-C", other, "cat", "main:digits/0/a.txt").out == b"0a"
    listed = process("-C", other, "ls", "main", "digits/1", "--json").data["entries"]
    assert [each["path"] for each in listed] == [f"digits/1/{number}.txt" for number in "abc"]
    assert process("-C", other, "checkout", "main").code == 0
    assert tree_of(other) == tree_of(work)
    (other / "digits/0/a.txt").write_text("spoilt")
    assert process("-C", other / "digits", "restore", "0/a.txt").code == 0
    assert tree_of(other) == tree_of(work)
