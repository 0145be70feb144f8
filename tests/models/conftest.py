"""Snapshots of small datasets, and trainings on them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets_vc import Snapshot
from datasets_vc.backends import open_backend
from datasets_vc.format.entries import FILE, Entry, entry_table
from datasets_vc.history.manifest import write_manifest
from datasets_vc.store import Store

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"

MakeSnapshot = Callable[[Mapping[str, bytes]], Snapshot]


@pytest.fixture(autouse=True)
def _torch_settings() -> Iterator[None]:
    """Trainings change the settings of the whole process."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode(mode)


@pytest.fixture(scope="session")
def make_snapshot(tmp_path_factory: pytest.TempPathFactory) -> MakeSnapshot:
    """A snapshot of the files given by path, in a local store of its own."""

    def make(files: Mapping[str, bytes]) -> Snapshot:
        folder = tmp_path_factory.mktemp("store")
        store = Store.create(open_backend(str(folder), create=True))
        with store.writer() as writer:
            entries = [
                Entry(path, FILE, len(files[path]), writer.add_file(files[path]))
                for path in sorted(files, key=str.encode)
            ]
            dataset = write_manifest(writer, entry_table(entries))
            store.publish(writer.finish(), lambda root: root)
        return Snapshot(store.url, dataset.hex())

    return make


@pytest.fixture(scope="session")
def pictures(make_snapshot: MakeSnapshot) -> Snapshot:
    """60 + 24 pictures, 8 x 8, bright in the upper or in the lower half."""
    return make_snapshot(_picture_files())


@pytest.fixture
def picture_files() -> dict[str, bytes]:
    """The files of `pictures`, to be changed."""
    return _picture_files()


@pytest.fixture(scope="session")
def words(make_snapshot: MakeSnapshot) -> Snapshot:
    """Texts of 1 to 12 words, of which one says what they are about."""
    rng = np.random.default_rng(0)
    files = {}
    for split, count in (("train", 40), ("test", 20)):
        for number in range(count):
            label = ("sea", "sky")[number % 2]
            text = ["the", "a", "one", "some"] * 3
            text = [*text[: rng.integers(0, 12)], label]
            files[f"{split}/{label}/{number}.txt"] = " ".join(text).encode()
    return make_snapshot(files)


@pytest.fixture(scope="session")
def samples(make_snapshot: MakeSnapshot) -> Snapshot:
    """All of sample_data/."""
    return make_snapshot(
        {
            path.relative_to(SAMPLE_DATA).as_posix(): path.read_bytes()
            for path in sorted(SAMPLE_DATA.glob("*/*/*/*"))
            if path.is_file()
        }
    )


def _picture_files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {}
    for split, count in (("train", 60), ("test", 24)):
        for number in range(count):
            half = number % 2
            pixels = rng.integers(0, 120, (8, 8), dtype=np.uint8)
            pixels[4 * half : 4 * half + 4] += 100
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "png")
            files[f"{split}/{('upper', 'lower')[half]}/{number:02d}.png"] = file.getvalue()
    return files
