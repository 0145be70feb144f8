"""Makes the sample data: digits as PNG, clips of moving digits as MP4, docstrings as text.

    python sample_data/make.py [FOLDER]

Needs scikit-learn, Pillow and PyAV. Every choice comes from one seed; the bytes also depend on the
versions of the encoders and, for the texts, on the Python that runs this. What is committed counts:
README.md tells where it is from, and how the splits were made.
"""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SEED = 2026

TEST_DIGITS = 36  # of each class

CANVAS = 32  # pixels, both ways
FRAMES = 16
MIDDLE = FRAMES // 2
SPEED = 2  # pixels a frame: a clip is one turn around the canvas
SCENES = {"train": 120, "test": 35}  # a scene gives one clip for each direction
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}

MIN_WORDS = 12
MAX_WORDS = 150
TEXTS_PER_AREA = 240
TEST_SHARE = 0.2  # of an area's texts, at most
SHINGLE = 5  # words
MAX_SHARED = 0.2  # of the shingles of the shorter of two texts

AREAS = {
    "concurrency": """threading multiprocessing multiprocessing.connection multiprocessing.context
        multiprocessing.managers multiprocessing.pool multiprocessing.process multiprocessing.queues
        multiprocessing.shared_memory multiprocessing.synchronize concurrent.futures.process
        concurrent.futures.thread concurrent.futures._base asyncio.base_events asyncio.events
        asyncio.futures asyncio.locks asyncio.queues asyncio.runners asyncio.subprocess
        asyncio.taskgroups asyncio.tasks asyncio.timeouts asyncio.transports asyncio.protocols
        queue subprocess sched signal contextvars""",
    "files": """pathlib shutil glob fnmatch tempfile zipfile tarfile gzip bz2 lzma io _pyio
        fileinput filecmp stat mmap zlib os posixpath ntpath genericpath linecache dbm shelve""",
    "net": """socket ssl http.client http.server http.cookiejar http.cookies urllib.request
        urllib.parse urllib.error urllib.response urllib.robotparser ftplib smtplib poplib imaplib
        socketserver xmlrpc.client xmlrpc.server ipaddress select selectors asyncio.streams
        asyncio.sslproto wsgiref.handlers wsgiref.util wsgiref.headers webbrowser""",
    "numbers": """math cmath decimal _pydecimal fractions statistics random numbers _pydatetime
        datetime calendar time zoneinfo colorsys""",
    "testing": """unittest unittest.case unittest.loader unittest.main unittest.mock unittest.result
        unittest.runner unittest.signals unittest.suite unittest.util unittest.async_case doctest
        pdb bdb trace timeit profile cProfile pstats tracemalloc""",
    "text": """string re textwrap difflib unicodedata codecs html html.parser html.entities json
        json.decoder json.encoder csv configparser gettext locale stringprep shlex tokenize
        email.message email.header email.charset email.generator email.parser email.policy
        email.utils email.headerregistry email.contentmanager email.mime.text xml.sax.saxutils
        xml.dom.minidom xml.etree.ElementTree xml.sax.handler pprint reprlib argparse optparse""",
}
BUILTINS: dict[str, tuple[type, ...]] = {"text": (str, bytes), "numbers": (int, float, complex)}


class Text(NamedTuple):
    area: str
    name: str
    group: str  # goes to one split as a whole
    words: str


def make_digits(folder: Path) -> dict[str, list[np.ndarray]]:
    """Writes digits/<split>/<class>/<row of the source>.png; returns each split's images."""
    source = load_digits()
    rng = np.random.default_rng([SEED, 1])
    images: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for digit in range(10):
        rows = np.flatnonzero(source.target == digit)
        test = set(rng.permutation(rows)[:TEST_DIGITS].tolist())
        for row in rows.tolist():
            split = "test" if row in test else "train"
            pixels = np.round(source.images[row] * (255 / 16)).astype(np.uint8)
            path = folder / "digits" / split / str(digit) / f"{row:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, optimize=True)
            images[split].append(pixels)
    return images


def make_clips(folder: Path, digits: dict[str, list[np.ndarray]]) -> None:
    """Writes clips/<split>/<direction>/<scene>.mp4.

    A scene is a digit and a place. Its four clips pass through that place in the middle frame, so
    that the middle frames are one picture with four labels. Places are uniform on the canvas, which
    wraps around: so they are in every frame, whatever the direction.
    """
    rng = np.random.default_rng([SEED, 2])
    for split, scenes in SCENES.items():
        for scene, row in enumerate(rng.choice(len(digits[split]), scenes, replace=False)):
            sprite = np.kron(digits[split][row], np.ones((2, 2), np.uint8))
            place = rng.integers(0, CANVAS, 2)
            for name, direction in DIRECTIONS.items():
                path = folder / "clips" / split / name / f"{scene:03d}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_clip(path, moving(sprite, place, SPEED * np.array(direction)))


def moving(sprite: np.ndarray, place: np.ndarray, velocity: np.ndarray) -> Iterator[np.ndarray]:
    """The frames of a sprite that is at `place` (row, column) in the middle one."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    canvas[: sprite.shape[0], : sprite.shape[1]] = sprite
    for frame in range(FRAMES):
        yield np.roll(canvas, place + (frame - MIDDLE) * velocity, axis=(0, 1))


def write_clip(path: Path, frames: Iterable[np.ndarray]) -> None:
    """H.264 in MP4; one thread and no B-frames, so that the same frames give the same bytes."""
    options = {"crf": "16", "preset": "slow", "threads": "1", "x264-params": "bframes=0"}
    with av.open(path, "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(16), options=options)
        stream.width = stream.height = CANVAS
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="gray")))
        container.mux(stream.encode())


def make_texts(folder: Path) -> None:
    """Writes texts/<split>/<area>/<name>.txt.

    The texts of one class, and those of a module's functions whose names begin with the same
    word, go to the same split.
    """
    rng = np.random.default_rng([SEED, 3])
    texts = distinct([text for area in AREAS for text in docstrings(area)])
    for area in sorted(AREAS):
        named = sorted(text for text in texts if text.area == area)
        chosen = [named[row] for row in rng.permutation(len(named))[:TEXTS_PER_AREA]]
        groups: dict[str, list[Text]] = defaultdict(list)
        for text in chosen:
            groups[text.group].append(text)
        test = 0
        for group in rng.permutation(sorted(groups)).tolist():
            fits = test + len(groups[group]) <= TEST_SHARE * len(chosen)
            split = "test" if fits else "train"
            test += len(groups[group]) * fits
            for text in groups[group]:
                path = folder / "texts" / split / area / f"{text.name}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text.words + "\n", encoding="utf-8", newline="\n")


def docstrings(area: str) -> Iterator[Text]:
    """Every docstring of an area: of modules, classes, functions and methods."""
    for kind in BUILTINS.get(area, ()):
        yield from docstrings_of_class(area, kind.__name__, kind)
    for name in AREAS[area].split():
        try:
            module = importlib.import_module(name)
        except ImportError:  # not in this version of Python, or not on this platform
            continue
        yield Text(area, name, name, words_of(module))
        for key, value in sorted(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__ or key.startswith("__"):
                continue
            if inspect.isclass(value):
                yield from docstrings_of_class(area, f"{name}.{key}", value)
            else:
                group = key.strip("_").split("_")[0]
                yield Text(area, f"{name}.{key}", f"{name}.{group}", words_of(value))


def docstrings_of_class(area: str, name: str, kind: type) -> Iterator[Text]:
    yield Text(area, name, name, words_of(kind))
    for key, value in sorted(vars(kind).items()):
        if not key.startswith("_"):
            yield Text(area, f"{name}.{key}", name, words_of(value))


def words_of(value: object) -> str:
    """The docstring of something, cut after the paragraph in which it reaches `MAX_WORDS`."""
    raw = value.__doc__
    if not isinstance(raw, str):
        return ""
    text, words = "", 0
    for paragraph in inspect.cleandoc(raw).split("\n\n"):
        if words >= MAX_WORDS:
            break
        text += paragraph + "\n\n"
        words += len(paragraph.split())
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


def distinct(texts: Iterable[Text]) -> list[Text]:
    """Those that are long enough and unlike all others, whatever their area.

    Long ones come first, so that one that is a part of another is left out.
    """
    shingles = {text: shingles_of(text.words) for text in texts}
    seen: set[str] = set()
    names: set[str] = set()
    kept = []
    for text in sorted(shingles, key=lambda text: (-len(shingles[text]), text)):
        found = shingles[text]
        if len(text.words.split()) < MIN_WORDS or not found or not text.words.isascii():
            continue
        if len(found & seen) > MAX_SHARED * len(found) or text.name.casefold() in names:
            continue
        seen |= found
        names.add(text.name.casefold())
        kept.append(text)
    return kept


def shingles_of(words: str) -> set[str]:
    found = re.findall(r"[a-z]+", words.lower())
    return {" ".join(found[at : at + SHINGLE]) for at in range(len(found) - SHINGLE + 1)}


def main(folder: Path) -> None:
    for kind in ("digits", "clips", "texts"):
        shutil.rmtree(folder / kind, ignore_errors=True)
    make_clips(folder, make_digits(folder))
    make_texts(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
