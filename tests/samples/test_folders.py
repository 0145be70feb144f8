from __future__ import annotations

import pyarrow as pa
import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.folders import common_folder, read_folders


def read(*paths: str) -> tuple[str, list[tuple[str, str | None, str | None]]]:
    ordered = sorted(paths, key=str.encode)
    folders = read_folders(pa.chunked_array([ordered], pa.string()))
    rows = zip(ordered, folders.split.to_pylist(), folders.label.to_pylist(), strict=True)
    return folders.convention, list(rows)


def test_split_label_file() -> None:
    convention, rows = read("digits/train/3/a.png", "digits/train/5/b.png", "digits/test/3/c.png")
    assert convention == "split/label/file"
    assert rows == [
        ("digits/test/3/c.png", "test", "3"),
        ("digits/train/3/a.png", "train", "3"),
        ("digits/train/5/b.png", "train", "5"),
    ]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "Validation", "VAL"])
def test_names_of_the_validation_split(name: str) -> None:
    _, rows = read(f"{name}/a/1.png", "train/a/2.png")
    assert {path: split for path, split, _ in rows}[f"{name}/a/1.png"] == "val"


def test_split_without_labels() -> None:
    convention, rows = read("train/1.png", "test/2.png")
    assert convention == "split/file"
    assert rows == [("test/2.png", "test", None), ("train/1.png", "train", None)]


def test_label_file() -> None:
    convention, rows = read("pets/cat/1.png", "pets/dog/2.png")
    assert convention == "label/file"
    assert rows == [("pets/cat/1.png", None, "cat"), ("pets/dog/2.png", None, "dog")]


def test_plain_files() -> None:
    assert read("a/1.png", "a/2.png") == (
        "file",
        [("a/1.png", None, None), ("a/2.png", None, None)],
    )
    assert read("1.png")[0] == "file"


def test_a_lone_sample_keeps_its_split_and_label() -> None:
    assert read("digits/train/3/1.png")[1] == [("digits/train/3/1.png", "train", "3")]


def test_the_only_split_of_a_selection_is_still_a_split() -> None:
    _, rows = read("digits/train/3/1.png", "digits/train/4/2.png")
    assert [row[1:] for row in rows] == [("train", "3"), ("train", "4")]


def test_a_folder_named_like_a_split_far_above_means_nothing() -> None:
    _, rows = read("test/digits/a/1.png", "test/digits/b/2.png")
    assert [row[1:] for row in rows] == [(None, "a"), (None, "b")]


def test_a_split_below_a_folder_named_like_one() -> None:
    _, rows = read("test/train/a/1.png", "test/val/b/2.png")
    assert [row[1:] for row in rows] == [("train", "a"), ("val", "b")]


def test_deeper_folders_belong_to_their_label() -> None:
    _, rows = read("train/cat/tabby/1.png", "test/cat/2.png")
    assert [row[2] for row in rows] == ["cat", "cat"]


def test_a_file_beside_splits_is_in_none_of_them() -> None:
    _, rows = read("logo.png", "train/a/1.png", "test/a/2.png")
    assert rows[0] == ("logo.png", None, None)


def test_labels_may_be_named_like_splits_but_for_train() -> None:
    convention, rows = read("dev/1.txt", "ops/2.txt")
    assert convention == "label/file"
    assert [row[2] for row in rows] == ["dev", "ops"]


def test_splits_beside_other_folders_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"splits \(train\) and partly not \(extra\)"):
        read("d/train/a/1.png", "d/extra/a/2.png")


def test_names_in_any_script() -> None:
    _, rows = read("données/猫/x y.png", "données/🐶/línea\nnueva.png")
    assert [row[2] for row in rows] == ["猫", "🐶"]


@pytest.mark.parametrize(
    ("paths", "common"),
    [
        (["a/b/1", "a/b/2"], "a/b"),
        (["a/b/1", "a/bc/2"], "a"),
        (["a.x/1", "a/2"], ""),
        (["a"], ""),
        (["a/b/c/1"], "a/b/c"),
    ],
)
def test_the_folder_common_to_all(paths: list[str], common: str) -> None:
    assert common_folder(pa.chunked_array([sorted(paths)])) == common
