"""Renames of files, and moves of whole folders, found among what was deleted and what was added."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from datasets_vc.format.columns import rows_below, whole_column
from datasets_vc.format.entries import Entry
from datasets_vc.paths import inherited

Pair = tuple[Entry, Entry]
Below = Callable[[str], int]
"""How many files a dataset has below a folder, at any depth."""


@dataclass(frozen=True, slots=True)
class FolderMove:
    """All files of folder `old`, at any depth, went to the same places below folder `new`.

    There are two files or more; `new` may have had others before.
    """

    old: str
    new: str
    files: int


def renames(deleted: Sequence[Entry], added: Sequence[Entry]) -> list[Pair]:
    """Pairs of equal content; those that kept their file name first.

    Empty files are all alike: one is renamed only if it kept its name and went where other files
    of its folder went.
    """
    left = _by_path(entry for entry in deleted if entry.size)
    right = _by_path(entry for entry in added if entry.size)
    pairs = _paired(left, right, lambda entry: (entry.kind, entry.digest, _name(entry)))
    paired = {entry.path for pair in pairs for entry in pair}
    left = [entry for entry in left if entry.path not in paired]
    right = [entry for entry in right if entry.path not in paired]
    pairs += _paired(left, right, lambda entry: (entry.kind, entry.digest))
    return pairs + _empty_ones(deleted, added, pairs)


def folder_moves(renamed: Iterable[Pair], below: Below) -> list[FolderMove]:
    """The outermost folders of which all files went to the same places in another one, by path.

    Args:
        below: how many files the old dataset has below a folder: some may have stayed.
    """
    files = _with_folders_above(_by_folders(renamed))
    moves: dict[str, FolderMove] = {}
    known = {"": False}
    for old in sorted(files):
        new, count = files[old].most_common(1)[0]
        above = old.rpartition("/")[0]
        inside = inherited(above, known, lambda path, above: above or path in moves)
        if count > 1 and not inside and below(old) == count:
            moves[old] = FolderMove(old, new, count)
    return list(moves.values())


def files_below(entries: pa.Table) -> Below:
    """How many files a table of entries has below a folder."""
    paths = whole_column(entries, "path")

    def count(folder: str) -> int:
        start, stop = rows_below(paths, folder)
        return stop - start

    return count


def _paired(
    left: Sequence[Entry], right: Sequence[Entry], key: Callable[[Entry], Hashable]
) -> list[Pair]:
    waiting: dict[Hashable, list[Entry]] = defaultdict(list)
    for entry in reversed(left):
        waiting[key(entry)].append(entry)
    return [(waiting[key(entry)].pop(), entry) for entry in right if waiting.get(key(entry))]


def _empty_ones(
    deleted: Sequence[Entry], added: Sequence[Entry], pairs: Iterable[Pair]
) -> list[Pair]:
    empty = {(entry.kind, entry.path): entry for entry in added if not entry.size}
    gone = [entry for entry in deleted if not entry.size] if empty else []
    if not gone:
        return []
    went: dict[str, str] = {}
    for (old, new), _ in _by_folders(pairs).most_common():
        went.setdefault(old, new)
    found = []
    for entry in _by_path(gone):
        folder = went.get(_folder(entry))
        if folder is not None:
            path = f"{folder}/{_name(entry)}".lstrip("/")
            other = empty.pop((entry.kind, path), None)
            found += [(entry, other)] if other else []
    return found


def _by_folders(pairs: Iterable[Pair]) -> Counter[tuple[str, str]]:
    """How many files went from one folder to another under the same name."""
    return Counter((_folder(old), _folder(new)) for old, new in pairs if _name(old) == _name(new))


def _with_folders_above(
    went: Mapping[tuple[str, str], int],
) -> Mapping[str, Counter[str]]:
    """How many files went from each folder to others, those in the folders below it with them."""
    levels: dict[int, Counter[tuple[str, str]]] = defaultdict(Counter)
    for pair, count in went.items():
        levels[pair[0].count("/")][pair] += count
    files: dict[str, Counter[str]] = defaultdict(Counter)
    # The deepest first, so that each pair of folders is looked at once.
    for depth in range(max(levels, default=-1), -1, -1):
        for (old, new), count in levels.pop(depth, Counter()).items():
            if not (old and new):
                continue
            files[old][new] += count
            (above, _, name), (other, _, other_name) = old.rpartition("/"), new.rpartition("/")
            if name == other_name:
                levels[depth - 1][above, other] += count
    return files


def _folder(entry: Entry) -> str:
    return entry.path.rpartition("/")[0]


def _name(entry: Entry) -> str:
    return entry.path.rpartition("/")[2]


def _by_path(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.path)
