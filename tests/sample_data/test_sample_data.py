"""What the sample data promises: sizes, decodable files, splits that share nothing."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

SAMPLE_DATA = Path(__file__).parents[2] / "sample_data"
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
FRAMES, CANVAS, MIDDLE = 16, 32, 8


def _files(pattern: str) -> list[Path]:
    return sorted(SAMPLE_DATA.glob(pattern))


def _frames(path: Path) -> np.ndarray:
    """Grey frames (T, H, W)."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        planes = [frame.to_ndarray()[:CANVAS, :CANVAS] for frame in container.decode(video=0)]
    return np.stack(planes).astype(np.float64)


@pytest.fixture(scope="module")
def clips() -> dict[str, dict[str, np.ndarray]]:
    """Frames of the test split by direction and scene."""
    return {
        direction: {path.stem: _frames(path) for path in _files(f"clips/test/{direction}/*.mp4")}
        for direction in DIRECTIONS
    }


def _place(frames: np.ndarray, axis: int) -> np.ndarray:
    """Where the ink of each frame is on a canvas that wraps around: its circular mean."""
    profile = (frames - frames.min()).sum(axis=2 - axis)
    angles = np.exp(2j * np.pi * np.arange(CANVAS) / CANVAS)
    return np.angle(profile @ angles) * CANVAS / (2 * np.pi)


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in _files("**/*") if path.is_file()) < 5e6


@pytest.mark.parametrize(
    ("pattern", "count", "classes"),
    [
        ("digits/train/*/*.png", 1437, 10),
        ("digits/test/*/*.png", 360, 10),
        ("clips/train/*/*.mp4", 480, 4),
        ("clips/test/*/*.mp4", 140, 4),
        ("texts/train/*/*.txt", 1085, 6),
        ("texts/test/*/*.txt", 270, 6),
    ],
)
def test_every_split_has_every_class(pattern: str, count: int, classes: int) -> None:
    labels = Counter(path.parent.name for path in _files(pattern))

    assert sum(labels.values()) == count
    assert len(labels) == classes
    assert min(labels.values()) > 0.5 * count / classes


def test_digits_are_grey_and_no_two_are_alike() -> None:
    seen = set()
    for path in _files("digits/*/*/*.png"):
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("L", (8, 8))
            seen.add(image.tobytes())
    assert len(seen) == 1797


def test_texts_of_the_splits_share_no_long_runs_of_words() -> None:
    runs: dict[str, set[str]] = {"train": set(), "test": set()}
    shared = []
    for split in runs:
        for path in _files(f"texts/{split}/*/*.txt"):
            words = re.findall(r"[a-z]+", path.read_text(encoding="utf-8").lower())
            found = {" ".join(words[at : at + 5]) for at in range(len(words) - 4)}
            if split == "test":
                shared.append(len(found & runs["train"]) / len(found))
            runs[split] |= found
    assert max(shared) <= 0.4
    assert np.mean(shared) < 0.02


def test_methods_of_a_class_are_in_one_split() -> None:
    method = re.compile(r"(?!xml\.etree\.ElementTree\.[a-z])(.+\.[A-Z]\w*)\.[a-z]\w*")
    owners = {
        split: {
            found[1]
            for path in _files(f"texts/{split}/*/*.txt")
            if (found := method.fullmatch(path.stem))
        }
        for split in ("train", "test")
    }

    assert len(owners["test"]) > 20
    assert not owners["train"] & owners["test"]


def test_no_two_names_differ_only_in_case() -> None:
    names = Counter(path.relative_to(SAMPLE_DATA).as_posix().lower() for path in _files("*/*/*/*"))

    assert max(names.values()) == 1


def test_train_clips_can_be_decoded() -> None:
    for path in _files("clips/train/*/*.mp4"):
        assert _frames(path).shape == (FRAMES, CANVAS, CANVAS)


def test_clips_move_the_way_their_label_says(clips: dict[str, dict[str, np.ndarray]]) -> None:
    for direction, (down, right) in DIRECTIONS.items():
        for frames in clips[direction].values():
            for axis, step in enumerate((down, right)):
                moved = np.diff(_place(frames, axis))
                moved = (moved + CANVAS / 2) % CANVAS - CANVAS / 2
                assert np.median(moved) == pytest.approx(2 * step, abs=0.2)


def test_middle_frames_are_the_same_picture_in_every_direction(
    clips: dict[str, dict[str, np.ndarray]],
) -> None:
    for scene, frames in clips["left"].items():
        for other in ("right", "up", "down"):
            difference = np.abs(frames[MIDDLE] - clips[other][scene][MIDDLE])
            # What remains is the encoder's.
            assert difference.mean() < 4


@pytest.mark.parametrize("frame", [0, 5, FRAMES - 1])
def test_places_in_a_frame_are_spread_alike_for_all_directions(
    clips: dict[str, dict[str, np.ndarray]], frame: int
) -> None:
    for axis in (0, 1):
        for scenes in clips.values():
            places = np.array(
                [_place(frames[frame : frame + 1], axis)[0] for frames in scenes.values()]
            )
            # Of 35 uniform places on a circle, the resultant exceeds 0.45 once in 1,000 times.
            assert abs(np.exp(2j * np.pi * places / CANVAS).mean()) < 0.45


def test_clips_of_the_splits_show_digits_of_their_split(
    clips: dict[str, dict[str, np.ndarray]],
) -> None:
    digits = {
        split: np.stack(
            [np.asarray(Image.open(path), np.float64) for path in _files(f"digits/{split}/*/*.png")]
        )
        for split in ("train", "test")
    }
    shown = {
        "test": [clips["left"][scene][MIDDLE] for scene in sorted(clips["left"])[::4]],
        "train": [_frames(path)[MIDDLE] for path in _files("clips/train/left/*.mp4")[::10]],
    }
    for split, pictures in shown.items():
        for picture in pictures:
            distance = {name: _distance(picture, images) for name, images in digits.items()}
            assert min(distance, key=lambda name: distance[name]) == split


def _distance(picture: np.ndarray, digits: np.ndarray) -> float:
    """To the nearest digit at any place, by the mean square, through the Fourier transform."""
    canvas = np.zeros((len(digits), CANVAS, CANVAS))
    canvas[:, :16, :16] = digits.repeat(2, axis=1).repeat(2, axis=2)
    product = np.conj(np.fft.rfft2(canvas)) * np.fft.rfft2(picture - picture.min())
    overlap = np.fft.irfft2(product, s=(CANVAS, CANVAS)).max(axis=(1, 2))
    energy = (canvas**2).sum(axis=(1, 2))
    return float((energy - 2 * overlap).min())
