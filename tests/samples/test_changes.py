"""Samples that came, went and changed, by split and label."""

from __future__ import annotations

import pyarrow as pa
import pytest

from datasets_vc.digest import digest_of
from datasets_vc.format.entries import FILE, SYMLINK, Entry, entry_table
from datasets_vc.samples.changes import Place, PlaceCount, Relabelled, Tally, places_by_folder


@pytest.mark.parametrize(
    ("paths", "places"),
    [
        (
            ["train/cat/1.png", "valid/dog/2.png", "train/3.png"],
            {
                "train/cat/1.png": Place("train", "cat"),
                "valid/dog/2.png": Place("val", "dog"),
                "train/3.png": Place("train", ""),
            },
        ),
        (["cat/1.png", "2.png"], {"cat/1.png": Place("", "cat")}),
        (["1.png", "2.png"], {}),
        # Folders that are partly splits.
        (["train/1.png", "other/2.png"], {}),
        # What metadata describes, and what it does not.
        (["a/metadata.csv", "a/x/1.png", "a/y/2.png"], {}),
        (
            ["a/metadata.csv", "b/x/1.png", "b/y/2.png"],
            {"b/x/1.png": Place("", "x"), "b/y/2.png": Place("", "y")},
        ),
        # Rows are the samples of such files, and hidden files are none.
        (
            ["train/pos/1.txt", "train/a.csv", ".x/1.txt"],
            {"train/pos/1.txt": Place("train", "pos")},
        ),
        (["train/a/1.mp4", "train/b.bin"], {"train/a/1.mp4": Place("train", "a")}),
    ],
)
def test_folders_say_what_they_say_of_samples(paths: list[str], places: dict[str, Place]) -> None:
    entries = [Entry(path, FILE, 1, digest_of(path.encode())) for path in paths]
    link = Entry("link.png", SYMLINK, 1, digest_of(b""))

    assert places_by_folder(lambda: entry_table([*entries, link]), {*paths, "link.png"}) == places
    if places:
        path = next(iter(places))
        assert places_by_folder(lambda: entry_table(entries), {path}) == {path: places[path]}


@pytest.mark.parametrize(
    "path", ["train/cat/1.bin", "train/cat/rows.jsonl", "train/.cat/1.png", "train/README.txt"]
)
def test_all_files_are_looked_at_only_where_a_sample_may_be(path: str) -> None:
    def all_files() -> pa.Table:
        raise AssertionError

    assert places_by_folder(all_files, {path}) == {}
    with pytest.raises(AssertionError):
        places_by_folder(all_files, {path, "train/cat/1.png"})


def test_a_tally() -> None:
    tally = Tally()
    for _ in range(2):
        tally.add(Place("train", "cat"))
        tally.change(Place("train", "cat"), Place("val", "dog"))
    tally.remove(Place("", "cat"))
    tally.change(Place("", "cat"), Place("", "fox"))
    tally.change(Place("", ""), Place("", ""))
    tally.add(Place("", ""))

    assert tally.places == [
        PlaceCount(Place("", "cat"), 0, 1, 0),
        PlaceCount(Place("", "fox"), 0, 0, 1),
        PlaceCount(Place("train", "cat"), 2, 0, 0),
        PlaceCount(Place("val", "dog"), 0, 0, 2),
    ]
    assert tally.relabelled == [
        Relabelled("label", "cat", "dog", 2),
        Relabelled("split", "train", "val", 2),
        Relabelled("label", "cat", "fox", 1),
    ]
