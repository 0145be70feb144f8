from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from datasets_vc import Snapshot
from datasets_vc.samples import MediaSummary, summarise


def test_each_media_is_told_of(make_snapshot: Callable[..., Snapshot]) -> None:
    snapshot = make_snapshot(
        {
            "digits/train/1/a.png": b"",
            "digits/train/0/b.png": b"",
            "digits/train/0/c.png": b"",
            "digits/test/0/d.png": b"",
            "texts/train.jsonl": b'{"text":"x"}\n',
            "logo.svg": b"",
        }
    )
    assert summarise(snapshot).media == (
        MediaSummary(
            "image", 4, "split/label/file", {"test": {"0": 1}, "train": {"0": 2, "1": 1}}, 0
        ),
        MediaSummary("text", 1, "rows of .jsonl", {"train": {"": 1}}, 0),
    )


def test_a_problem_is_told_too(make_snapshot: Callable[..., Snapshot]) -> None:
    snapshot = make_snapshot({"metadata.csv": b"file_name\ngone.png\n", "a.png": b""})
    (images,) = summarise(snapshot).media
    assert images.samples == 0
    assert "gone.png" in images.problem


def test_no_media_no_summary(make_snapshot: Callable[..., Snapshot]) -> None:
    assert summarise(make_snapshot({"a.bin": b""})).media == ()


def test_what_is_slow_to_import_is_not_imported_before_it_is_used() -> None:
    code = "import sys, datasets_vc.samples; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    slow = {"torch", "fsspec", "pyarrow.compute", "pyarrow.parquet", "pyarrow.csv", "pyarrow.json"}
    assert not slow & set(loaded.stdout.split())
