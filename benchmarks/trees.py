"""The trees that are measured on: made from a seed, once for each work folder.

Half of what most hold is text that compresses as text does (JSON, words drawn by Zipf's law), half
is noise, as photographs and videos are to a compressor. No two files are alike.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

VERSION = 1
"""Raised when the same seed makes other bytes than before: trees on disk are made anew then."""

TREE = "tree"
"""The folder of the files; beside it lies what a tool needs to version them."""

_WORDS = 4096
_DRAWN_AT_ONCE = 1 << 20
_BLOCK = 8 << 20
_POOL = 16 << 20


@dataclass(frozen=True, slots=True)
class Tree:
    """What a tree is made of: `files` files of `low` to `high` bytes in `folders` folders.

    With `lines`, all are text of many lines, with `noise` none is; a folder count of 0 puts the
    files at the top.
    """

    name: str
    files: int
    folders: int
    low: int
    high: int
    lines: bool = False
    noise: bool = False

    @property
    def bytes(self) -> int:
        """Bytes in all files, on average over seeds."""
        return self.files * (self.low + self.high) // 2

    @property
    def disk(self) -> int:
        """Bytes that a copy takes at most, on a disk with blocks of 4 KiB."""
        return self.bytes + self.files * 3400 + (self.folders + 1) * 4096

    def path(self, number: int) -> str:
        """Where file `number` lies."""
        suffix = "jsonl" if self.lines else "bin" if number % 2 or self.noise else "json"
        name = f"{number:07d}.{suffix}"
        return f"{number * self.folders // self.files:04d}/{name}" if self.folders else name


def scaled(scale: float) -> dict[str, Tree]:
    """The trees at a scale; 1 is what the aims are said of."""

    def some(count: int, least: int) -> int:
        return max(least, round(count * scale))

    gib = some(1 << 30, 1 << 20)
    trees = [
        Tree("small", some(50_000, 20), some(100, 2), 4 << 10, 36 << 10),
        Tree("tiny", some(1_000_000, 100), some(1000, 2), 100, 2000),
        Tree("photos", some(10_000, 20), some(100, 2), 60 << 10, 150 << 10, noise=True),
        Tree("large", 4, 0, gib, gib),
        Tree("corpus", 1, 0, gib, gib, lines=True),
    ]
    return {tree.name: tree for tree in trees}


class Content:
    """Bytes of files, drawn from a seed: the same for the same seed and names."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        rng = self.rng("words")
        letters = np.frombuffer(b"etaoinshrdlucmfwypvbgk", "S1")
        words = [
            b"".join(letters[rng.integers(0, len(letters), length)]) + b" "
            for length in rng.integers(2, 10, _WORDS)
        ]
        self._words = np.array(words)
        # Zipf's law: the n-th word is as frequent as 1/n.
        weights = 1 / np.arange(1, _WORDS + 1)
        self._ends = np.cumsum(weights / weights.sum())
        self._pool = b""

    def rng(self, *names: object) -> np.random.Generator:
        """Random numbers of their own for each thing that is named."""
        keys = [crc32(str(name).encode()) for name in names]
        return np.random.Generator(np.random.PCG64([self.seed, *keys]))

    def text(self, rng: np.random.Generator, size: int) -> bytes:
        """About `size` bytes of words; at least so many."""
        found: list[bytes] = []
        while size > 0:
            drawn = np.searchsorted(self._ends, rng.random(min(size // 4 + 64, _DRAWN_AT_ONCE)))
            found.append(
                self._words[np.minimum(drawn, _WORDS - 1)].tobytes().translate(None, b"\0")
            )
            size -= len(found[-1])
        return b"".join(found)

    def lines(self, rng: np.random.Generator, size: int) -> Iterator[bytes]:
        """Exactly `size` bytes of JSON lines, a document of 0.5 to 4 kB each, in blocks."""
        number = 0
        while size > 0:
            text = self.text(rng, min(size, _BLOCK))
            ends = np.cumsum(rng.integers(500, 4000, len(text) // 500 + 1)).tolist()
            records: list[bytes] = []
            start = 0
            for end in ends:
                if start >= len(text):
                    break
                records.append(b'{"id": %d, "text": "%s"}\n' % (number, text[start:end]))
                start, number = end, number + 1
            block = b"".join(records)
            if len(block) >= size:
                block = block[: size - 1] + b"\n"
            size -= len(block)
            yield block

    def noise(self, rng: np.random.Generator, size: int) -> Iterator[bytes]:
        """Exactly `size` bytes that no compressor makes smaller, in blocks."""
        for start in range(0, size, _BLOCK):
            yield rng.bytes(min(_BLOCK, size - start))

    def file(self, rng: np.random.Generator, number: int, size: int) -> bytes:
        """One small file, from 64 bytes on: JSON for an even number, noise for an odd one."""
        if number % 2:
            return rng.bytes(size)
        if not self._pool:
            self._pool = self.text(self.rng("pool"), _POOL)
        head, tail = b'{"id": %d, "key": %d, "text": "' % (number, rng.integers(1 << 32)), b'"}\n'
        start = int(rng.integers(0, len(self._pool) - size))
        return head + self._pool[start : start + size - len(head) - len(tail)] + tail


class Trees:
    """The trees of a work folder."""

    def __init__(self, folder: Path, scale: float, seed: int) -> None:
        self.specs = scaled(scale)
        self.content = Content(seed)
        self._folder = folder
        self._changes = 0
        self._suffix = "" if scale == 1 else f"-{scale:g}"

    def root(self, name: str) -> Path:
        """The folder that the folder of files lies in."""
        return self._folder / f"{name}{self._suffix}"

    def missing(self, name: str) -> bool:
        """Whether the tree has to be made yet."""
        marker = self._marker(name)
        return not marker.is_file() or json.loads(marker.read_text()) != self._recipe(name)

    def make(self, name: str) -> Path:
        """Make the tree if it is not there as it should be; returns its root."""
        root = self.root(name)
        if self.missing(name):
            self._marker(name).unlink(missing_ok=True)
            shutil.rmtree(root, ignore_errors=True)
            write_tree(root / TREE, self.specs[name], self.content)
            self._mark(name)
        return root

    @contextmanager
    def changed(self, name: str, count: int, times: int) -> Iterator[list[dict[str, bytes]]]:
        """Sets of `count` other contents for files drawn at random; the files are put back after.

        Whoever asked writes them, with `put`. A tree that was not put back is made anew next time.
        """
        self._changes += 1  # Never the same twice: a store would have the contents already.
        tree, rng = self.specs[name], self.content.rng("changes", name, self._changes)
        sets: list[dict[str, bytes]] = []
        for _ in range(times):
            numbers = sorted(rng.choice(tree.files, count, replace=False).tolist())
            sizes = rng.integers(tree.low, tree.high + 1, count).tolist()
            sets.append(
                {
                    tree.path(number): self.content.file(rng, number, size)
                    for number, size in zip(numbers, sizes, strict=True)
                }
            )
        folder = self.root(name) / TREE
        before = {path: (folder / path).read_bytes() for changes in sets for path in changes}
        self._marker(name).unlink()
        try:
            yield sets
        finally:
            put(folder, before)
            self._mark(name)

    def _marker(self, name: str) -> Path:
        """A file that is there while the tree is as it should be."""
        return self._folder / f"{name}{self._suffix}.json"

    def _mark(self, name: str) -> None:
        self._marker(name).write_text(json.dumps(self._recipe(name)))

    def _recipe(self, name: str) -> dict[str, object]:
        tree = self.specs[name]
        sizes = [tree.files, tree.folders, tree.low, tree.high]
        return {"version": VERSION, "tree": name, "sizes": sizes, "seed": self.content.seed}


def put(folder: Path, files: dict[str, bytes]) -> None:
    """Write files in place."""
    for path, data in files.items():
        (folder / path).write_bytes(data)


def write_tree(folder: Path, tree: Tree, content: Content) -> None:
    """Write all files of a tree into a new folder."""
    folder.mkdir(parents=True)
    rng = content.rng("tree", tree.name)
    sizes = rng.integers(tree.low, tree.high + 1, tree.files).tolist()
    last = ""
    for number, size in enumerate(sizes):
        path = f"{folder}/{tree.path(number)}"
        parent = path.rpartition("/")[0]
        if parent != last:
            Path(parent).mkdir(exist_ok=True)
            last = parent
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - a million of them
            if tree.folders:
                file.write(content.file(rng, 1 if tree.noise else number, size))
                continue
            even = tree.lines or number % 2 == 0
            for block in (content.lines if even else content.noise)(rng, size):
                file.write(block)
