"""What `dsvc show` tells of a dataset's samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasets_vc.errors import InvalidInputError
from datasets_vc.samples.media import MEDIA, media_files, visible_files
from datasets_vc.samples.table import SampleTable, sample_table

if TYPE_CHECKING:
    from datasets_vc.history.snapshot import Snapshot


@dataclass(frozen=True)
class MediaSummary:
    """The samples of one media: `counts` by split, then label; the empty name stands for none.

    `problem` says why there are none although there are files of that media.
    """

    media: str
    samples: int
    convention: str
    counts: dict[str, dict[str, int]]
    ignored: int
    problem: str = ""


@dataclass(frozen=True)
class SampleSummary:
    """One part for each media that the dataset has files of."""

    media: tuple[MediaSummary, ...]


def summarise(snapshot: Snapshot) -> SampleSummary:
    """Count the samples of a dataset by media, split and label."""
    return SampleSummary(tuple(_summary(snapshot, media) for media in present_media(snapshot)))


def present_media(snapshot: Snapshot, under: str = "") -> list[str]:
    """The media that the dataset, or its folder `under`, has files of."""
    files = visible_files(snapshot.entries(), under)
    return [media for media in MEDIA if media_files(files, media).num_rows]


def _summary(snapshot: Snapshot, media: str) -> MediaSummary:
    try:
        samples = sample_table(snapshot, media)
    except InvalidInputError as error:
        return MediaSummary(media, 0, "", {}, 0, error.message)
    return MediaSummary(
        media, samples.table.num_rows, samples.convention, _counts(samples), samples.ignored
    )


def _counts(samples: SampleTable) -> dict[str, dict[str, int]]:
    rows = samples.table.group_by(["split", "label"]).aggregate([([], "count_all")]).to_pylist()
    order = {label: place for place, label in enumerate(samples.classes)}
    rows.sort(key=lambda row: (row["split"] or "", order.get(row["label"], -1)))
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        counts.setdefault(row["split"] or "", {})[row["label"] or ""] = row["count_all"]
    return counts
