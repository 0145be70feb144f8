"""Samples that are decoded once."""

from __future__ import annotations

import torch

from datasets_vc import Snapshot
from loaders import ImageDataset
from models.kept import Kept, KeptImages


def test_a_sample_is_decoded_once() -> None:
    decoded = []
    kept = Kept()
    for _ in range(3):
        kept.get(b"a", lambda: decoded.append(1) or {"image": torch.zeros(4)})

    assert len(decoded) == 1


def test_what_does_not_fit_is_decoded_again() -> None:
    decoded = []
    kept = Kept(limit=20)
    for name in (b"a", b"b", b"a", b"b"):
        kept.get(name, lambda name=name: decoded.append(name) or {"image": torch.zeros(4)})

    assert decoded == [b"a", b"b", b"b"]


def test_kept_samples_are_the_same(pictures: Snapshot) -> None:
    plain, kept = ImageDataset(pictures, "train"), KeptImages(pictures, "train")

    for _ in range(2):
        for index in range(len(plain)):
            one, other = plain[index], kept[index]
            assert torch.equal(one.pop("image"), other.pop("image"))
            assert one == other
