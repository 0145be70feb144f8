"""`dsvc diff` on bundled digits that two versions label differently."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.integration.conftest import ROOT, Dsvc

DIGITS = ROOT / "sample_data" / "digits" / "train"


def _labels(work: Path, **changed: str) -> None:
    """A metadata.csv of the digits in a folder; `changed` labels some differently."""
    names = sorted(path.name for path in (work / "photos").iterdir())
    rows = [f"photos/{name},{changed.get(Path(name).stem, name[0])},train" for name in names]
    (work / "metadata.csv").write_text("\n".join(["file_name,label,split", *rows, ""]))


def test_relabelled_digits(process: Dsvc, home: Path) -> None:
    work = home / "work"
    (work / "photos").mkdir(parents=True)
    for label in "01":
        for path in sorted((DIGITS / label).iterdir())[:3]:
            shutil.copy(path, work / "photos" / f"{label}_{path.name}")
    _labels(work)
    (work / "notes.txt").write_text("one\ntwo\n")
    assert process("init", work).code == 0
    assert process("-C", work, "commit", "-m", "one").code == 0
    first, *_, last = sorted(path.stem for path in (work / "photos").iterdir())
    (work / "photos" / f"{last}.png").unlink()
    _labels(work, **{first: "7"})
    (work / "notes.txt").write_text("one\nthree\n")
    against_files = process("-C", work, "diff").out.decode()
    assert process("-C", work, "commit", "-m", "two").code == 0

    words = process("-C", work, "diff", "HEAD~1", "HEAD").out.decode()
    data = process("-C", work, "diff", "HEAD~1", "HEAD", "--json").data

    assert words == against_files
    assert "          1 row changed, 1 row removed\n" in words
    assert f"            photos/{first}.png  label: 0 -> 7\n" in words
    (table,) = data["tables"]
    fields = [{"column": "label", "old": "0", "new": "7"}]
    assert table["rows"]["changed"] == [{"key": f"photos/{first}.png", "fields": fields}]
    assert [row["key"] for row in table["rows"]["removed"]] == [f"photos/{last}.png"]
    assert data["stats"]["labels"] == [
        {"split": "train", "label": "1", "added": 0, "removed": 1, "changed": 0},
        {"split": "train", "label": "7", "added": 0, "removed": 0, "changed": 1},
    ]
    patch = process("-C", work, "diff", "HEAD~1", "HEAD", "-p").out.decode().splitlines()
    assert {"-two", "+three", f"-photos/{first}.png,0,train"} <= set(patch)
    assert f"Binary files a/photos/{last}.png and /dev/null differ" in patch
