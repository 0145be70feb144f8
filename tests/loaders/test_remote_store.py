from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from datasets_vc import Snapshot
from loaders import DataLoader, ImageDataset

Encode = Callable[..., bytes]

# Python 3.12 and later warn of what this test is about.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def test_forked_workers_read_from_a_bucket(
    fill_store: Callable[[str, Mapping[str, bytes]], Snapshot],
    image_file: Encode,
    s3_url: str,
) -> None:
    files = {f"{n}.png": image_file(np.full((4, 4), n, np.uint8)) for n in range(8)}
    dataset = ImageDataset(fill_store(s3_url, files), mode="L")
    loader = DataLoader(dataset, 4, num_workers=2, multiprocessing_context="fork")
    # This process reads first: workers then inherit connections that are not theirs.
    alone = [batch["image"][:, 0, 0, 0].tolist() for batch in DataLoader(dataset, 4)]
    assert [batch["image"][:, 0, 0, 0].tolist() for batch in loader] == alone
    assert sorted(alone[0] + alone[1]) == list(range(8))
