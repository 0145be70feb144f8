"""What differs inside of files, between versions and against a workspace."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets_vc.history.diff import FolderMove
from datasets_vc.repository import Repository
from datasets_vc.repository.differences import Difference
from datasets_vc.samples.changes import Place, PlaceCount, Relabelled
from tests.integration.trees import AUTHOR

TIME = datetime(2026, 1, 2, tzinfo=UTC)
OLD = "file_name,label,split\na.png,cat,train\nb.png,dog,train\nc.png,cat,val\n"
NEW = "file_name,label,split\na.png,dog,train\nc.png,cat,train\nd.png,cat,test\n"

Versions = Callable[..., Repository]


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Make a folder hold these files, beside `.dsvc`, and no others."""
    for path in folder.iterdir():
        if path.name == ".dsvc":
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    """A workspace with a version of each of the given files."""

    def make(*trees: Mapping[str, str | bytes]) -> Repository:
        repository = Repository.init(tmp_path / "work")
        for tree in trees:
            write(repository.folder, tree)
            repository.commit("version", author=AUTHOR, time=TIME)
        return repository

    return make


def changed(found: Difference, path: str) -> dict[str, dict[str, tuple[str | None, str | None]]]:
    (table,) = [table for table in found.tables if table.path == path]
    assert table.rows is not None, table.problem
    return {
        change.key: {field.column: (field.old, field.new) for field in change.fields}
        for change in table.rows.changed
    }


def test_rows_between_versions_and_against_the_workspace(versions: Versions) -> None:
    repository = versions({"metadata.csv": OLD, "a.txt": "x\n"}, {"metadata.csv": NEW})
    between = repository.diff("HEAD~1", "HEAD")
    write(repository.folder, {"metadata.csv": OLD})

    assert changed(between, "metadata.csv") == {
        "a.png": {"label": ("cat", "dog")},
        "c.png": {"split": ("val", "train")},
    }
    assert changed(repository.diff(), "metadata.csv") == {
        "a.png": {"label": ("dog", "cat")},
        "c.png": {"split": ("train", "val")},
    }
    assert repository.diff("HEAD~1").tables == []


def test_samples_are_counted_by_rows(versions: Versions) -> None:
    tally = versions({"metadata.csv": OLD}, {"metadata.csv": NEW}).diff("HEAD~1", "HEAD").tally

    assert tally.places == [
        PlaceCount(Place("test", "cat"), 1, 0, 0),
        PlaceCount(Place("train", "cat"), 0, 0, 1),
        PlaceCount(Place("train", "dog"), 0, 1, 1),
    ]
    assert tally.relabelled == [
        Relabelled("label", "cat", "dog", 1),
        Relabelled("split", "val", "train", 1),
    ]


def test_samples_are_counted_by_folders(versions: Versions) -> None:
    old = {"train/cat/1.png": "1", "train/cat/2.png": "2", "train/dog/3.png": "3", "README": "x"}
    new = {"train/cat/1.png": "one", "train/dog/2.png": "2", "val/dog/4.png": "4", "README": "y"}
    repository = versions(old, new)
    expected = [
        PlaceCount(Place("train", "cat"), 0, 0, 1),
        PlaceCount(Place("train", "dog"), 0, 1, 1),
        PlaceCount(Place("val", "dog"), 1, 0, 0),
    ]

    between = repository.diff("HEAD~1", "HEAD").tally
    repository.checkout("HEAD~1")
    write(repository.folder, new)

    for tally in (between, repository.diff().tally):
        assert tally.places == expected
        assert tally.relabelled == [Relabelled("label", "cat", "dog", 1)]


def test_keys_are_declared_by_the_new_version_and_by_the_workspace(versions: Versions) -> None:
    table = {"labels/x.csv": "id,n\n1,2\n"}
    keys = {"dsvc.toml": '[tables]\n"labels/*.csv" = "id"\n'}
    repository = versions(table, keys | {"labels/x.csv": "id,n\n1,3\n"})

    assert changed(repository.diff("HEAD~1", "HEAD"), "labels/x.csv") == {"1": {"n": ("2", "3")}}
    assert repository.diff("HEAD", "HEAD~1").tables == []
    config = repository.folder / ".dsvc" / "config.toml"
    config.write_text('[tables]\n"labels/*.csv" = "n"\n')
    (rows,) = [table.rows for table in repository.diff("HEAD", "HEAD~1").tables]
    assert rows is not None
    assert [row.key for row in (*rows.added, *rows.removed)] == ["2", "3"]
    config.unlink()
    write(repository.folder, keys | {"labels/x.csv": "id,n\n1,4\n"})
    assert changed(repository.diff(), "labels/x.csv") == {"1": {"n": ("3", "4")}}


def test_keys_are_known_where_only_a_part_of_the_files_is(versions: Versions) -> None:
    keys = {"dsvc.toml": '[tables]\n"labels/*.csv" = "id"\n'}
    repository = versions(keys | {"labels/x.csv": "id,n\n1,2\n"})
    (repository.folder / ".dsvc" / "config.toml").write_text('only = ["labels"]\n')
    write(repository.folder, {"labels/x.csv": "id,n\n1,3\n"})

    assert changed(repository.diff(), "labels/x.csv") == {"1": {"n": ("2", "3")}}


def test_a_version_whose_keys_are_nonsense_can_be_looked_at(versions: Versions) -> None:
    repository = versions(
        {"metadata.csv": OLD, "dsvc.toml": "[tables"}, {"metadata.csv": NEW, "dsvc.toml": "[tables"}
    )
    found = repository.diff("HEAD~1", "HEAD")

    assert len(changed(found, "metadata.csv")) == 2
    assert "'dsvc.toml' is not valid TOML" in found.problem


def test_a_table_that_is_none_says_why(versions: Versions) -> None:
    found = versions({"metadata.csv": OLD}, {"metadata.csv": "a\n1\n"}).diff("HEAD~1", "HEAD")

    assert [(table.rows, table.problem) for table in found.tables] == [
        (None, "'metadata.csv' has no column 'file_name'")
    ]


@pytest.fixture
def clone(versions: Versions, tmp_path: Path) -> Repository:
    """A clone of the second of two versions, the bytes of the first only at the remote."""
    origin = versions({"metadata.csv": OLD, "a.txt": "1\n"}, {"metadata.csv": NEW, "a.txt": "2\n"})
    Repository.clone(origin.store.url, tmp_path / "clone")
    return Repository.open(tmp_path / "clone")


def test_bytes_that_are_elsewhere_are_no_reason_to_fail(clone: Repository) -> None:
    away = "its bytes are not here; dsvc fetch REMOTE REV brings them"

    for found in (clone.diff("HEAD~1", "HEAD"), clone.diff("HEAD~1")):
        assert [new.path for _, new in found.files.modified] == ["a.txt", "metadata.csv"]
        assert [(table.rows, table.problem) for table in found.tables] == [(None, away)]
        assert [patch.problem for patch in found.patches()] == [away, away]
        assert found.tally.places == []

    clone.fetch(revisions=["main~1"])
    assert len(changed(clone.diff("HEAD~1"), "metadata.csv")) == 2


def test_a_folder_that_moved_is_told_as_such(versions: Versions) -> None:
    old, new = ({f"{folder}/x/{number}.png": str(number) for number in "12"} for folder in "ab")
    repository = versions(old, new)
    move = [FolderMove("a", "b", 2)]

    assert repository.diff("HEAD~1", "HEAD").files.moved == move
    assert repository.diff("HEAD~1").files.moved == move


def test_patches_of_the_workspace(versions: Versions) -> None:
    repository = versions({"a.txt": "1\n2\n", "b.png": b"\0", "gone.txt": "x"})
    write(repository.folder, {"a.txt": "1\n3\n", "b.png": b"\0\0"})

    assert [(patch.old, patch.new, patch.lines) for patch in repository.diff().patches()] == [
        ("a.txt", "a.txt", ["@@ -1,2 +1,2 @@", " 1", "-2", "+3"]),
        ("b.png", "b.png", None),
        ("gone.txt", None, ["@@ -1 +0,0 @@", "-x", "\\ No newline at end of file"]),
    ]
