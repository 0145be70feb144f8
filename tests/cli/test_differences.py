"""What `dsvc diff` prints, for differences that are made up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from datasets_vc.digest import digest_of
from datasets_vc.format.entries import Entry
from datasets_vc.history.diff import Diff, FolderMove
from datasets_vc.repository.differences import TableDiff
from datasets_vc.repository.patches import Patch
from datasets_vc.samples.changes import Place, Tally
from datasets_vc.tables import FieldChange, Row, RowChange, RowDiff


def _entry(path: str, size: int = 3) -> Entry:
    return Entry(path, 0, size, digest_of(path.encode()))


def _entry_json(path: str, size: int = 3) -> dict[str, object]:
    return {"path": path, "size": size, "digest": digest_of(path.encode()).hex()}


FILES = Diff(
    added=[_entry("new.png", 1024)],
    deleted=[_entry("old.png")],
    modified=[(_entry("m.csv", 3), _entry("m.csv", 5))],
    renamed=[(_entry("a/from.png"), _entry("b/from.png")), (_entry("x.png"), _entry("y.png"))],
    moved=[FolderMove("a", "b", 1)],
)
ROWS = RowDiff(
    added=[Row("d.jpg", {"file_name": "d.jpg", "label": "dog"})],
    removed=[Row("e\n.jpg", {"file_name": "e\n.jpg"})],
    changed=[
        RowChange(
            "a.jpg",
            (
                FieldChange("a.jpg", "label", "cat", "dog\x1b"),
                FieldChange("a.jpg", "note", None, "y" * 70),
            ),
            "dog\x1b",
            "train",
        )
    ],
)
STAT = "1 added, 1 modified, 1 deleted, 2 renamed; 1.0 KiB added, 5 B modified, 3 B deleted."


def _difference(files: Diff = FILES, rows: RowDiff | None = ROWS, **others):
    tally = Tally()
    tally.add(Place("train", "cat"))
    tally.change(Place("train", "cat"), Place("train", "dog"))
    tables = [TableDiff("m.csv", "file_name", rows, "" if rows else "it is torn")]
    found = {"files": files, "tables": tables, "tally": tally, "problem": "", "patches": list}
    return SimpleNamespace(**(found | others))


@pytest.fixture
def difference(repository) -> SimpleNamespace:
    found = _difference()
    repository.diff = lambda a, b: found
    return found


def test_as_json(dsvc, difference) -> None:
    assert dsvc("diff", "--json").data == {
        "added": [_entry_json("new.png", 1024)],
        "modified": [
            {"path": "m.csv", "old": _entry_json("m.csv", 3), "new": _entry_json("m.csv", 5)}
        ],
        "deleted": [_entry_json("old.png")],
        "renamed": [
            {"from": old, "to": new, "size": 3, "digest": digest_of(new.encode()).hex()}
            for old, new in [("a/from.png", "b/from.png"), ("x.png", "y.png")]
        ],
        "moved": [{"from": "a", "to": "b", "files": 1}],
        "tables": [
            {
                "path": "m.csv",
                "key": "file_name",
                "rows": {
                    "added": [{"key": "d.jpg", "fields": {"file_name": "d.jpg", "label": "dog"}}],
                    "removed": [{"key": "e\n.jpg", "fields": {"file_name": "e\n.jpg"}}],
                    "changed": [
                        {
                            "key": "a.jpg",
                            "fields": [
                                {"column": "label", "old": "cat", "new": "dog\x1b"},
                                {"column": "note", "old": None, "new": "y" * 70},
                            ],
                        }
                    ],
                },
                "problem": "",
            }
        ],
        "stats": {
            "added": 1,
            "modified": 1,
            "deleted": 1,
            "renamed": 2,
            "bytes_added": 1024,
            "bytes_deleted": 3,
            "bytes_modified": 5,
            "labels": [
                {"split": "train", "label": "cat", "added": 1, "removed": 0, "changed": 0},
                {"split": "train", "label": "dog", "added": 0, "removed": 0, "changed": 1},
            ],
            "relabelled": [{"column": "label", "from": "cat", "to": "dog", "samples": 1}],
        },
        "problem": "",
    }


def test_as_lines(dsvc, difference) -> None:
    lines = [
        "added     new.png  1.0 KiB",
        "modified  m.csv  3 B -> 5 B",
        "          1 row changed, 1 row added, 1 row removed",
        f"            a.jpg  label: cat -> dog\\x1b, note: (none) -> {'y' * 60}…",
        "            + d.jpg  label: dog",
        "            - e\\n.jpg",
        "deleted   old.png  3 B",
        "moved     a/ -> b/  (1 file)",
        "renamed   x.png -> y.png",
        STAT,
    ]

    assert dsvc("diff").out.splitlines() == lines
    lines.insert(8, "renamed   a/from.png -> b/from.png")
    assert dsvc("diff", "-v").out.splitlines() == lines
    assert dsvc("diff", "--name-only").out.split() == [
        "b/from.png",
        "m.csv",
        "new.png",
        "old.png",
        "y.png",
    ]


def test_as_counts(dsvc, difference) -> None:
    assert dsvc("diff", "--stat").out.splitlines() == [
        STAT,
        "m.csv: 1 row changed, 1 row added, 1 row removed",
        "",
        "split  label  added  removed  changed",
        "train  cat        1        0        0",
        "train  dog        0        0        1",
        "",
        "label cat -> dog: 1 sample",
    ]


def test_many_rows_are_cut_short_for_people(dsvc, repository) -> None:
    change = ROWS.changed[0]
    repository.diff = lambda a, b: _difference(rows=RowDiff(changed=[change] * 50))

    lines = dsvc("diff").out.splitlines()

    assert len([line for line in lines if "a.jpg" in line]) == 10
    assert "            … and 40 more (-v lists them)" in lines
    assert dsvc("diff", "-v").out.count("a.jpg") == 50
    assert len(dsvc("diff", "--json").data["tables"][0]["rows"]["changed"]) == 50


def test_rows_that_cannot_be_told(dsvc, repository) -> None:
    repository.diff = lambda a, b: _difference(rows=None, problem="'dsvc.toml' is no\nTOML.")

    lines = dsvc("diff").out.splitlines()

    assert "          (rows not shown: it is torn)" in lines
    assert lines[-1].endswith("'dsvc.toml' is no\\nTOML.")
    assert "m.csv: (rows not shown: it is torn)" in dsvc("diff", "--stat").out.splitlines()
    data = dsvc("diff", "--json").data
    assert (data["tables"][0]["rows"], data["tables"][0]["problem"]) == (None, "it is torn")
    assert data["problem"].startswith("'dsvc.toml'")


def test_patches(dsvc, repository) -> None:
    patches = [
        Patch("a\n.txt", "a\n.txt", ["@@ -1 +1 @@", "-x\ty", "+x\x1b"]),
        Patch(None, "b.png", None, "binary"),
        Patch("c.txt", None, None, "larger than 1 MiB"),
    ]
    repository.diff = lambda a, b: _difference(patches=lambda: iter(patches))

    assert dsvc("diff", "-p").out.splitlines() == [
        "--- a/a\\n.txt",
        "+++ b/a\\n.txt",
        "@@ -1 +1 @@",
        "-x\ty",
        "+x\\x1b",
        "Binary files /dev/null and b/b.png differ",
        "Files a/c.txt and /dev/null differ (larger than 1 MiB)",
        "moved     a/ -> b/  (1 file)",
        "renamed   x.png -> y.png",
    ]
    assert dsvc("diff", "--patch", "--json").data["patches"] == [
        {"old": patch.old, "new": patch.new, "lines": patch.lines, "problem": patch.problem}
        for patch in patches
    ]


@pytest.mark.parametrize(
    ("files", "arguments", "code"),
    [(FILES, ["--exit-code"], 1), (Diff(), ["--exit-code"], 0), (FILES, [], 0)],
)
def test_exit_code(dsvc, repository, files, arguments, code) -> None:
    repository.diff = lambda a, b: _difference(files)

    assert dsvc("diff", *arguments).code == code
    assert dsvc("diff", "--json", *arguments).code == code
