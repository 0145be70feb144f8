"""Samples that are decoded once."""

from __future__ import annotations

import torch

from loaders import ImageDataset
from loaders.visual import Kept


def test_a_sample_is_decoded_once() -> None:
    decoded = []
    kept = Kept(limit=100)
    for _ in range(3):
        kept.get(b"a", lambda: decoded.append(1) or {"image": torch.zeros(4)})

    assert len(decoded) == 1


def test_what_does_not_fit_is_decoded_again() -> None:
    decoded = []
    kept = Kept(limit=20)
    for name in (b"a", b"b", b"a", b"b"):
        kept.get(name, lambda name=name: decoded.append(name) or {"image": torch.zeros(4)})

    assert decoded == [b"a", b"b", b"b"]


def test_kept_samples_are_the_same(make_snapshot, image_file, pixels) -> None:
    files = {f"train/{label}/{label}.png": image_file(pixels + label) for label in range(4)}
    pictures = make_snapshot(files)
    plain, kept = (ImageDataset(pictures, "train", keep=keep) for keep in (0, 1 << 20))

    for _ in range(2):
        for index in range(len(plain)):
            one, other = plain[index], kept[index]
            assert torch.equal(one.pop("image"), other.pop("image"))
            assert one == other
    assert kept[0]["image"] is kept[0]["image"]
    assert plain[0]["image"] is not plain[0]["image"]
