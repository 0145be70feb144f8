"""How many samples came, went and changed, by split and label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from datasets_vc.errors import InvalidInputError
from datasets_vc.format.entries import FILE
from datasets_vc.samples.folders import folders_above, read_folders
from datasets_vc.samples.media import (
    MEDIA,
    ROW_SUFFIXES,
    media_files,
    metadata_files,
    visible_files,
    with_suffix,
)
from datasets_vc.samples.splits import canonical_split


class Place(NamedTuple):
    """The split and the label of a sample; empty where there is none."""

    split: str
    label: str


@dataclass(frozen=True, slots=True)
class PlaceCount:
    """How many samples of one split and label came, went, and changed otherwise or came over."""

    place: Place
    added: int
    removed: int
    changed: int


@dataclass(frozen=True, slots=True)
class Relabelled:
    """How many samples' `column`, which is "label" or "split", became `new` and was `old`."""

    column: str
    old: str
    new: str
    samples: int


class Tally:
    """Counts samples that have a split or a label."""

    def __init__(self) -> None:
        self._added: Counter[Place] = Counter()
        self._removed: Counter[Place] = Counter()
        self._changed: Counter[Place] = Counter()
        self._moves: Counter[tuple[str, str, str]] = Counter()

    def add(self, place: Place) -> None:
        self._added[place] += any(place)

    def remove(self, place: Place) -> None:
        self._removed[place] += any(place)

    def change(self, old: Place, new: Place) -> None:
        """A sample that stayed; counted where it is now."""
        self._changed[new] += any((*old, *new))
        for column, before, after in zip(("split", "label"), old, new, strict=True):
            if before != after:
                self._moves[column, before, after] += 1

    @property
    def places(self) -> Sequence[PlaceCount]:
        """By split and label."""
        counters = self._added, self._removed, self._changed
        places = sorted({place for counter in counters for place in +counter})
        return [PlaceCount(place, *(counter[place] for counter in counters)) for place in places]

    @property
    def relabelled(self) -> Sequence[Relabelled]:
        """The most frequent first."""
        moves = sorted(self._moves.items(), key=lambda item: (-item[1], item[0]))
        return [Relabelled(*move, count) for move, count in moves]


def place_of(split: str | None, label: str | None) -> Place:
    """The place that a row of a table names."""
    return Place(canonical_split(split or ""), label or "")


def places_by_folder(
    entries: Callable[[], pa.Table], paths: Collection[str]
) -> Mapping[str, Place]:
    """What folders say of some paths: of those that are samples, by the conventions for folders.

    Samples that metadata files describe are left out: their labels are there.

    Args:
        entries: columns `path` and `kind`, in the order of the paths; of all files, since what a
            folder means depends on those beside it. Not asked for if no path can be a sample.
    """
    import pyarrow.compute as pc

    possible = _possible_media(paths)
    if not possible:
        return {}
    everything = visible_files(entries())
    described = {
        path.rpartition("/")[0] for path in metadata_files(everything).column("path").to_pylist()
    }
    wanted = pa.array(paths, pa.string())
    places: dict[str, Place] = {}
    for media in possible:
        found = media_files(everything, media)
        if not found.num_rows or described & folders_above(found.column("path")):
            continue
        try:
            folders = read_folders(found.column("path"))
        except InvalidInputError:
            continue  # Folders that are partly splits say nothing for sure.
        table = pa.table([found.column("path"), folders.split, folders.label], _NAMES)
        keep = pc.is_in(table.column("path"), value_set=wanted)
        # Of such a file rows are the samples.
        keep = pc.and_not(keep, with_suffix(table.column("path"), ROW_SUFFIXES))
        for row in table.filter(keep).to_pylist():
            if row["split"] or row["label"]:
                places[row["path"]] = Place(row["split"] or "", row["label"] or "")
    return places


def _possible_media(paths: Collection[str]) -> list[str]:
    """Of which media some of these paths may be samples, going by their names."""
    import pyarrow.compute as pc

    table = pa.table({"path": pa.array(paths, pa.string())})
    named = visible_files(table.append_column("kind", pa.array([FILE] * len(paths), pa.uint8())))
    files = named.filter(pc.invert(with_suffix(named.column("path"), ROW_SUFFIXES)))
    return [media for media in MEDIA if media_files(files, media).num_rows]


_NAMES = ["path", "split", "label"]
