from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils import data as torch_data

from datasets_vc import Snapshot
from datasets_vc.digest import digest_of
from datasets_vc.errors import BadSampleError, InvalidInputError
from loaders import ImageDataset, SampleDataset, TextDataset, VideoDataset, collate
from loaders.batch import Batch, Skipped, sample_rng

Encode = Callable[..., bytes]
MakeSnapshot = Callable[..., Snapshot]
Pixels = NDArray[np.uint8]

# Python 3.12 and later warn of forks that torch makes by default.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture
def digits(image_file: Encode) -> dict[str, bytes]:
    """Twelve images of one grey each, which is 10 x label + number."""
    greys = {
        f"digits/{split}/{label}/{number}.png": 10 * label + number
        for split, numbers in (("train", range(4)), ("test", range(4, 6)))
        for label in (1, 7)
        for number in numbers
    }
    return {path: image_file(np.full((4, 4), grey, np.uint8)) for path, grey in greys.items()}


def greys_of(samples: list[dict[str, Any]]) -> list[int]:
    return [int(sample["image"].max()) for sample in samples]


def test_images(make_snapshot: MakeSnapshot, digits: dict[str, bytes]) -> None:
    dataset = ImageDataset(make_snapshot(digits), "train", mode="L")
    assert len(dataset) == 8
    assert dataset.classes == ["1", "7"]
    assert dataset.convention == "split/label/file"
    sample = dataset[5]
    assert list(sample) == ["path", "image", "label"]
    assert sample["path"] == "digits/train/7/1.png"
    assert sample["label"] == 1
    assert sample["image"].shape == (1, 4, 4)
    assert sample["image"].dtype == torch.uint8
    assert greys_of(list(dataset)) == [10, 11, 12, 13, 70, 71, 72, 73]
    assert dataset.labels().tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_batches_are_read_at_once_in_their_order(
    make_snapshot: MakeSnapshot, digits: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = ImageDataset(make_snapshot(digits), "test")
    calls = []
    read_many = Snapshot.read_many
    monkeypatch.setattr(Snapshot, "read_many", lambda *args: (calls.append(1), read_many(*args))[1])
    assert greys_of(dataset.__getitems__([3, 0, 3])) == [75, 14, 75]
    assert len(calls) == 1


def test_samples_as_they_are(make_snapshot: MakeSnapshot, digits: dict[str, bytes]) -> None:
    dataset = SampleDataset(make_snapshot(digits), "test")
    sample = dataset[0]
    path = "digits/test/1/4.png"
    assert sample == {"path": path, "data": digits[path], "label": "1"}
    assert dataset.sample_ids([0]) == [(path, digest_of(digits[path]))]


def test_indices_as_of_a_list(make_snapshot: MakeSnapshot, digits: dict[str, bytes]) -> None:
    dataset = SampleDataset(make_snapshot(digits))
    assert dataset[-1]["path"] == "digits/train/7/3.png"
    for index in (12, -13):
        with pytest.raises(IndexError):
            dataset[index]


def test_fields_of_the_metadata(make_snapshot: MakeSnapshot, image_file: Encode) -> None:
    rows = b"file_name,label,n,note,image\na.png,x,1,hi,z\nb.png,,2,,z\n"
    pixels = np.zeros((2, 2), np.uint8)
    files = {"metadata.csv": rows, "a.png": image_file(pixels), "b.png": image_file(pixels)}
    dataset = ImageDataset(make_snapshot(files))
    first, second = dataset
    assert (first["label"], first["n"], first["note"]) == (0, 1, "hi")
    assert (second["label"], second["n"]) == (-1, 2)
    assert first["image"].shape == (3, 2, 2)
    assert SampleDataset(dataset.snapshot)[1]["label"] is None


def test_without_labels_there_is_no_label(make_snapshot: MakeSnapshot, image_file: Encode) -> None:
    dataset = ImageDataset(make_snapshot({"a.png": image_file(np.zeros((2, 2), np.uint8))}))
    assert list(dataset[0]) == ["path", "image"]
    assert dataset.classes == []


@pytest.mark.parametrize("workers", [0, 2])
def test_plain_torch_loaders_work(
    make_snapshot: MakeSnapshot, digits: dict[str, bytes], workers: int
) -> None:
    dataset = ImageDataset(make_snapshot(digits), mode="L")
    loader = torch_data.DataLoader(dataset, batch_size=5, num_workers=workers)
    greys = [int(image.max()) for batch in loader for image in batch["image"]]
    assert greys == greys_of(list(dataset))


@pytest.mark.parametrize(
    "make",
    [
        lambda snapshot: SampleDataset(snapshot, "train", media="image", under="digits"),
        lambda snapshot: ImageDataset(snapshot, "train", under="digits", mode="L", size=(8, 8)),
    ],
)
def test_pickles_hold_an_address_and_arguments(
    make_snapshot: MakeSnapshot, digits: dict[str, bytes], make: Callable[[Snapshot], SampleDataset]
) -> None:
    snapshot = make_snapshot(digits)
    dataset = make(snapshot)
    list(dataset)
    data = pickle.dumps(dataset)
    assert len(data) - len(snapshot.url) < 400
    copy = pickle.loads(data)
    assert copy.selection == dataset.selection
    assert [sample["path"] for sample in copy] == [sample["path"] for sample in dataset]


def test_a_selection_names_what_was_selected(
    make_snapshot: MakeSnapshot, digits: dict[str, bytes]
) -> None:
    snapshot = make_snapshot(digits)
    selections = {
        ImageDataset(snapshot).selection,
        ImageDataset(snapshot, "train").selection,
        ImageDataset(snapshot, "test").selection,
        ImageDataset(snapshot, under="digits/train").selection,
        ImageDataset(snapshot, fractions={"train": 0.5, "val": 0.5}).selection,
        ImageDataset(snapshot, fractions={"val": 0.5, "train": 0.5}).selection,
    }
    assert len(selections) == 6
    same = SampleDataset(snapshot, "train", under="digits/", media="image")
    assert same.selection == ImageDataset(snapshot, "train", under="digits").selection


def test_transforms_draw_by_position(
    make_snapshot: MakeSnapshot, digits: dict[str, bytes], transforms: ModuleType
) -> None:
    dataset = ImageDataset(make_snapshot(digits), transform=transforms.add_noise)
    (sample,) = dataset.__getitems__(Batch([3], seed=5, epoch=2, start=40))
    assert (
        sample["draw"]
        == transforms.add_noise(
            {"image": torch.zeros((3, 4, 4), dtype=torch.uint8)}, sample_rng(5, 2, 40)
        )["draw"]
    )
    assert dataset[3]["draw"] == dataset.__getitems__([0, 3])[1]["draw"] != sample["draw"]
    draws = {sample_rng(*key).random() for key in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 11)]}
    assert len(draws) == 4


def test_random_streams_never_change() -> None:
    # Of what numpy promises never to change.
    assert sample_rng(1, 2, 3).bit_generator.random_raw(2).tolist() == [
        12188503764780412095,
        12845500178271571154,
    ]


def test_a_batch_of_indices_survives_pickling() -> None:
    batch = pickle.loads(pickle.dumps(Batch([4, 2], seed=1, epoch=2, start=3)))
    assert batch == [4, 2]
    assert (batch.seed, batch.epoch, batch.start) == (1, 2, 3)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_bad_images_are_named_or_skipped(
    make_snapshot: MakeSnapshot, image_file: Encode, pixels: Pixels, kind: str
) -> None:
    data = image_file(pixels, kind)
    files = {f"d/{name}.{kind}": data for name in "ac"} | {f"d/b.{kind}": data[:-40]}
    snapshot = make_snapshot(files)
    dataset = ImageDataset(snapshot)
    message = (
        rf"^'d/b.{kind}' of dataset {snapshot.digest[:12]} cannot be decoded: .*(cut off|trunc)"
    )
    with pytest.raises(BadSampleError, match=message):
        dataset[1]
    with pytest.raises(BadSampleError, match=message):
        dataset.__getitems__([0, 1])
    skipping = ImageDataset(snapshot, on_bad_sample="skip")
    first, bad, last = skipping.__getitems__([0, 1, 2])
    assert isinstance(bad, Skipped)
    assert bad.path == f"d/b.{kind}"
    assert "cannot be decoded" in bad.reason
    assert collate([first, bad, last])["path"] == [f"d/a.{kind}", f"d/c.{kind}"]
    with pytest.raises(BadSampleError):
        skipping[1]


def test_a_bad_sample_is_named_with_its_commit(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"a.png": b"x"})
    committed = Snapshot(snapshot.url, snapshot.digest, "cd" * 32)
    with pytest.raises(BadSampleError, match=r"'a.png' of commit cdcdcdcdcdcd cannot"):
        ImageDataset(committed)[0]


def test_clips(make_snapshot: MakeSnapshot, clip_file: Encode, frames: Pixels) -> None:
    data = clip_file(frames)
    files = {"c/train/up/1.mp4": data, "c/train/down/2.mp4": data, "c/test/up/3.mp4": data[:900]}
    snapshot = make_snapshot(files)
    dataset = VideoDataset(snapshot, "train", frames=4, mode="L", size=(16, 16))
    assert dataset[1]["video"].shape == (4, 1, 16, 16)
    assert (dataset[0]["label"], dataset.classes) == (0, ["down", "up"])
    middle = VideoDataset(snapshot, "train", frame="middle")[0]
    assert middle["image"].shape == (3, 32, 32)
    assert "video" not in middle
    with pytest.raises(BadSampleError, match=r"^'c/test/up/3.mp4' of dataset .*cut off"):
        VideoDataset(snapshot, "test")[0]
    (skipped,) = VideoDataset(snapshot, "test", on_bad_sample="skip").__getitems__([0])
    assert isinstance(skipped, Skipped)


def test_the_only_media_need_not_be_named(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"i/a.png": b"", "v/b.mp4": b"", "n/c.bin": b""})
    assert SampleDataset(snapshot, under="v").media == "video"
    with pytest.raises(InvalidInputError, match="has image, video"):
        SampleDataset(snapshot)
    with pytest.raises(InvalidInputError, match=r"'n' of dataset .* has no images"):
        SampleDataset(snapshot, under="n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: ImageDataset(s, "holdout"), "no split 'holdout' among the image samples"),
        (lambda s: ImageDataset(s, mode="BGR"), "mode is 'RGB' or 'L', not 'BGR'"),
        (lambda s: ImageDataset(s, size=(0, 3)), r"size is \(height, width\)"),
        (lambda s: ImageDataset(s, on_bad_sample="drop"), "'raise' or 'skip', not 'drop'"),
        (lambda s: VideoDataset(s, frames=0), "one frame or more"),
        (lambda s: VideoDataset(s, frame="first"), "'middle' is the only one with a name"),
        (lambda s: TextDataset(s), "There are no texts in this dataset: it holds 12 x .png"),
        (lambda s: ImageDataset(s, under="none"), "Nothing lies under 'none'"),
    ],
)
def test_wrong_arguments_are_errors_at_once(
    make_snapshot: MakeSnapshot,
    digits: dict[str, bytes],
    make: Callable[[Snapshot], SampleDataset],
    message: str,
) -> None:
    snapshot = make_snapshot(digits)
    with pytest.raises(InvalidInputError, match=message):
        make(snapshot)


def test_another_name_of_a_split(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot({"train/a.png": b"", "dev/b.png": b""})
    assert len(ImageDataset(snapshot, "validation")) == 1


def test_forked_processes_read_on_their_own(
    make_snapshot: MakeSnapshot, digits: dict[str, bytes]
) -> None:
    dataset = ImageDataset(make_snapshot(digits), mode="L")
    expected = greys_of(list(dataset))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        samples = pool.map(dataset.__getitem__, range(len(dataset)))
    assert greys_of(samples) == expected
