from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets_vc.errors import InvalidInputError
from loaders import collate
from loaders.batch import Skipped


def test_each_key_becomes_a_value() -> None:
    image = torch.zeros((3, 2, 2), dtype=torch.uint8)
    sample = {"path": "a", "image": image, "label": 1, "score": 0.5, "box": np.ones(4), "n": None}
    batch = collate([sample, sample | {"path": "b", "label": -1, "n": 3}])
    assert batch["path"] == ["a", "b"]
    assert batch["image"].shape == (2, 3, 2, 2)
    assert batch["image"].dtype == torch.uint8
    assert batch["label"].tolist() == [1, -1]
    assert batch["label"].dtype == torch.int64
    assert batch["score"].tolist() == [0.5, 0.5]
    assert batch["box"].shape == (2, 4)
    assert batch["n"] == [None, 3]


def test_tokens_are_padded_beside_their_lengths() -> None:
    samples = [{"tokens": torch.arange(2, 2 + length)} for length in (1, 3, 2)]
    batch = collate(samples)
    assert batch["tokens"].tolist() == [[2, 0, 0], [2, 3, 4], [2, 3, 0]]
    assert batch["lengths"].tolist() == [1, 3, 2]
    assert batch["tokens"].dtype == batch["lengths"].dtype == torch.int64


def test_skipped_samples_are_left_out() -> None:
    assert collate([Skipped("a", "cut off"), {"label": 2}])["label"].tolist() == [2]
    with pytest.raises(InvalidInputError, match="No sample of the batch"):
        collate([Skipped("a", "cut off")])


def test_shapes_that_differ_are_named() -> None:
    samples = [{"image": torch.zeros(3, size, size)} for size in (4, 5)]
    with pytest.raises(
        InvalidInputError, match=r"'image' differ in shape: \(3, 4, 4\) and \(3, 5, 5\)"
    ):
        collate(samples)
