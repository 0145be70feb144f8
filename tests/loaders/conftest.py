"""Snapshots of small datasets in local stores, media made on the spot, a transform for workers."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datasets_vc import Snapshot
from datasets_vc.backends import open_backend
from datasets_vc.format.entries import FILE, Entry, entry_table
from datasets_vc.history.manifest import write_manifest
from datasets_vc.store import Store

Pixels = NDArray[np.uint8]

_TRANSFORMS = """
import torch

def add_noise(sample, rng):
    noise = torch.from_numpy(rng.integers(0, 2, sample["image"].shape, "uint8"))
    return sample | {"image": sample["image"] ^ noise, "draw": rng.random()}

def count_threads(sample, rng):
    return sample | {"threads": torch.get_num_threads()}
"""


@pytest.fixture
def fill_store() -> Callable[[str, Mapping[str, bytes]], Snapshot]:
    """Makes a store at an address, and a snapshot of the files given by path in it."""

    def fill(url: str, files: Mapping[str, bytes]) -> Snapshot:
        store = Store.create(open_backend(url, create=True))
        with store.writer() as writer:
            entries = [
                Entry(path, FILE, len(data), writer.add_file(data)) for path, data in files.items()
            ]
            dataset = write_manifest(writer, entry_table(entries))
            store.publish(writer.finish(), lambda root: root)
        return Snapshot(store.url, dataset.hex())

    return fill


@pytest.fixture
def make_snapshot(
    fill_store: Callable[[str, Mapping[str, bytes]], Snapshot], tmp_path: Path
) -> Callable[[Mapping[str, bytes]], Snapshot]:
    """A snapshot of the files given by path, in a local store."""
    return lambda files: fill_store(str(tmp_path / "store"), files)


@pytest.fixture
def transforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that processes of every start method can import, as they cannot import tests."""
    name = f"transforms_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(_TRANSFORMS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return __import__(name)


@pytest.fixture
def image_file() -> Callable[..., bytes]:
    """Encodes pixels (H, W) or (H, W, 3) as an image file."""

    def encode(pixels: NDArray[np.generic], kind: str = "png", **options: object) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind, **options)
        return file.getvalue()

    return encode


@pytest.fixture
def clip_file() -> Callable[..., bytes]:
    """Encodes uint8 frames (T, H, W, 3) as a clip, 25 frames a second."""

    def encode(frames: Pixels, suffix: str = ".mp4", **options: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "clip" + suffix)
            with av.open(str(path), "w", options=options) as container:
                stream = container.add_stream("mpeg4", rate=25)
                stream.height, stream.width = frames.shape[1:3]
                stream.pix_fmt = "yuv420p"
                for pixels in frames:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
                container.mux(stream.encode())
            return path.read_bytes()

    return encode


@pytest.fixture
def pixels() -> Pixels:
    """An image of 24 x 32 pixels in smooth colours, which lossy formats keep nearly as they are."""
    y, x = np.mgrid[:24, :32]
    return np.stack([8 * x, 10 * y, 128 + 0 * x], axis=2).astype(np.uint8)


@pytest.fixture
def frames() -> Pixels:
    """Ten frames of 32 x 32 pixels, each of one grey: 20, 40, ... 200."""
    greys = np.arange(20, 220, 20, dtype=np.uint8)
    return np.broadcast_to(greys[:, None, None, None], (10, 32, 32, 3)).copy()
