"""Baselines that the models are compared with."""

from __future__ import annotations

import pytest

from loaders import TextDataset
from models.baselines import bag_of_words_accuracy, majority_accuracy


def _files(split: str, texts: dict[str, list[str]]) -> dict[str, bytes]:
    return {
        f"{split}/{label}/{number}.txt": text.encode()
        for label, of_label in texts.items()
        for number, text in enumerate(of_label)
    }


@pytest.fixture
def weather(make_snapshot):
    train = {"wet": ["rain and fog", "some rain", "fog"], "dry": ["sun", "some sun and wind"]}
    test = {"wet": ["the rain", "fog and some"], "dry": ["sun and some", "the wind", "much"]}
    snapshot = make_snapshot(_files("train", train) | _files("test", test))
    return TextDataset(snapshot, "train"), TextDataset(snapshot, "test")


def test_majority_is_of_the_train_split(weather) -> None:
    assert majority_accuracy(*weather) == pytest.approx(2 / 5)


def test_bag_of_words_learns_which_words_tell(weather) -> None:
    assert bag_of_words_accuracy(*weather) >= 4 / 5


def test_bag_of_words_draws_nothing_at_random(weather) -> None:
    assert bag_of_words_accuracy(*weather) == bag_of_words_accuracy(*weather)


def test_bag_of_words_skips_what_is_to_be_skipped(make_snapshot) -> None:
    files = _files("train", {"a": ["x y"], "b": ["z"]}) | _files("test", {"a": ["x"], "b": ["z"]})
    snapshot = make_snapshot(
        files | {"train/a/bad.txt": b"\xff\xfe\xfd", "test/b/bad.txt": b"\xff"}
    )

    train, test = (
        TextDataset(snapshot, split, on_bad_sample="skip") for split in ("train", "test")
    )

    assert bag_of_words_accuracy(train, test) == 1
