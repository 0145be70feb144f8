"""Map-style datasets over a snapshot: samples by index, read a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch.utils.data import Dataset

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import BadSampleError, DatasetError, InvalidInputError
from datasets_vc.samples import FRACTIONS, canonical_split, present_media, sample_table
from loaders.batch import Batch, Failure, Skipped, rng_keys, sample_rng
from loaders.decode import UndecodableError
from loaders.rows import RowFiles

if TYPE_CHECKING:
    from datasets_vc import Snapshot

Sample: TypeAlias = dict[str, Any]
Transform: TypeAlias = Callable[[Sample, np.random.Generator], Sample]
OnBadSample: TypeAlias = Literal["raise", "skip"]

NO_LABEL = -1
# Columns of a sample table that are no fields of a sample.
_COLUMNS = ("path", "digest", "size", "label", "split", "row", "row_start", "row_end")


@dataclass(frozen=True)
class _Selected:
    """The samples of one split, and what is known of those of all."""

    rows: pa.Table
    fields: list[str]
    classes: list[str]
    convention: str


class SampleDataset(Dataset[Sample]):
    """Samples with their bytes as they are: the base of all.

    An item is `{"path", "data", "label", other fields}`, the label being its name; there is no
    label if the dataset has none. Pickles as the snapshot's address and the arguments; the table of
    samples is made again where it is needed.

    Args:
        snapshot: the dataset.
        split: `train`, `val`, `test` or another that the dataset has; all samples if None.
        under: the folder to look at; all of the dataset if empty.
        media: `image`, `video` or `text`; may be None if the dataset has only one of them.
        fractions: how to divide samples that have no split; see `datasets_vc.samples.sample_table`.
        transform: called with each sample and a random generator keyed by (seed, epoch, position),
            so that what it draws depends on no worker. It should draw from nothing else.
        on_bad_sample: whether a sample that cannot be decoded is an error, or left out of its
        batch.

    Raises:
        InvalidInputError: there are no such samples.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        split: str | None = None,
        *,
        under: str = "",
        media: str | None = None,
        fractions: Mapping[str, float] | None = None,
        transform: Transform | None = None,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        if on_bad_sample not in ("raise", "skip"):
            raise InvalidInputError(f"on_bad_sample is 'raise' or 'skip', not '{on_bad_sample}'.")
        self.snapshot = snapshot
        self.split = None if split is None else canonical_split(split)
        self.under = under.strip("/")
        self.media = media or _only_media(snapshot, self.under)
        self.fractions = fractions
        self.transform = transform
        self.on_bad_sample = on_bad_sample
        # Made now, so that a wrong argument is an error here and not in a worker.
        _ = self._selected

    @property
    def digest(self) -> str:
        """The dataset digest, 64 hex digits."""
        return self.snapshot.digest

    @property
    def classes(self) -> list[str]:
        """The labels over all splits, sorted; a label's place is its number."""
        return self._selected.classes

    @property
    def convention(self) -> str:
        """How the dataset says what its samples are."""
        return self._selected.convention

    @property
    def selection(self) -> str:
        """What says which samples of the dataset these are: canonical JSON, part of a plan."""
        fractions = self.fractions or FRACTIONS
        value = {
            "media": self.media,
            "under": self.under,
            "split": self.split,
            # Pairs, for their order counts; text, for floating-point numbers have many spellings.
            "fractions": [[name, repr(float(part))] for name, part in fractions.items()],
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def sample_ids(self, indices: Sequence[int]) -> list[tuple[str, Digest]]:
        """What names samples in the record of a run: their path and the digest of their file.

        The path of a sample that is a row of a file ends with `:` and the row's number.
        """
        return [(_name(row), row["digest"]) for row in self._rows(indices)]

    def labels(self) -> NDArray[np.int64]:
        """The label's number of every sample, in their order; -1 where there is none."""
        return np.array(self._selected.rows.column("label"), np.int64)

    def __len__(self) -> int:
        return int(self._selected.rows.num_rows)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            # What ends Python's iteration over a sequence.
            raise IndexError(f"there is no sample {index} of {len(self)}")
        samples: list[Sample] = self._samples([index % len(self)], "raise")
        return samples[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The samples at `indices`, their bytes read at once.

        In the hands of a plain torch loader, generators are keyed by the index. A bad sample that
        is to be skipped is replaced by a `Skipped`, which `loaders.collate` leaves out.
        """
        try:
            return self._samples(indices, self.on_bad_sample)
        except DatasetError as error:
            if not isinstance(indices, Batch):
                raise
            return [Failure(error)]

    def __getstate__(self) -> dict[str, Any]:
        # Names with an underscore are caches.
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def _samples(self, indices: Sequence[int], on_bad_sample: OnBadSample) -> list[Any]:
        rows = self._rows(indices)
        samples: list[Any] = []
        for row, data, key in zip(rows, self._read(rows), rng_keys(indices), strict=True):
            try:
                sample = self._sample(row, data)
            except BadSampleError as error:
                if on_bad_sample == "raise":
                    raise
                samples.append(Skipped(_name(row), error.message))
                continue
            samples.append(self.transform(sample, sample_rng(*key)) if self.transform else sample)
        return samples

    def _sample(self, row: Mapping[str, Any], data: Buffer) -> Sample:
        try:
            content = self._content(row, data)
        except UndecodableError as error:
            raise BadSampleError(
                f"'{_name(row)}' of {self.snapshot.name} cannot be decoded: {error}.",
                "Mend or remove the file and commit, or skip bad samples.",
            ) from error
        selected = self._selected
        sample: Sample = {"path": _name(row)} | content
        if selected.classes:
            sample["label"] = self._label(row["label"])
        return sample | {name: row[name] for name in selected.fields if name not in sample}

    def _content(self, row: Mapping[str, Any], data: Buffer) -> Sample:
        """What a sample has of its own kind.

        Raises:
            UndecodableError: the bytes are no sample.
        """
        del row
        return {"data": bytes(data)}

    def _label(self, number: int) -> int | str | None:
        return self.classes[number] if number != NO_LABEL else None

    def _read(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Buffer]:
        """The bytes of each sample: of a file, or of a row of one."""
        whole = [row["digest"] for row in rows if row.get("row") is None]
        contents = iter(self.snapshot.read_many(whole))
        files = self._files.read({row["digest"]: row["path"] for row in rows if row.get("row")})
        return [
            next(contents)
            if row.get("row") is None
            else memoryview(files[row["digest"]])[row["row_start"] : row["row_end"]]
            for row in rows
        ]

    def _rows(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        rows = self._selected.rows.take(pa.array(indices, pa.int64()))
        found: list[dict[str, Any]] = rows.to_pylist()
        return found

    @cached_property
    def _files(self) -> RowFiles:
        return RowFiles(self.snapshot)

    @cached_property
    def _selected(self) -> _Selected:
        import pyarrow.compute as pc

        assert self.media is not None
        samples = sample_table(
            self.snapshot, self.media, under=self.under, fractions=self.fractions or FRACTIONS
        )
        rows = samples.table
        if self.split is not None:
            if self.split not in samples.splits:
                raise InvalidInputError(
                    f"There is no split '{self.split}' among the {self.media} samples.",
                    f"Splits here: {', '.join(samples.splits) or 'none'}.",
                )
            rows = rows.filter(pc.equal(rows.column("split"), self.split))
        numbers = pc.index_in(
            rows.column("label"), value_set=pa.array(samples.classes, pa.string())
        )
        numbers = pc.fill_null(numbers, NO_LABEL).cast(pa.int64())
        rows = rows.set_column(rows.column_names.index("label"), "label", numbers)
        fields = [name for name in rows.column_names if name not in _COLUMNS]
        # One chunk a column: taking rows from many is slow.
        rows = rows.drop_columns("split").combine_chunks()
        return _Selected(rows, fields, samples.classes, samples.convention)


def _name(row: Mapping[str, Any]) -> str:
    """The path of a sample, with the number of its row if it is one."""
    number = row.get("row")
    return str(row["path"]) if number is None else f"{row['path']}:{number}"


def _only_media(snapshot: Snapshot, under: str) -> str:
    present = present_media(snapshot, under)
    if len(present) != 1:
        what = f"has {', '.join(present)}" if present else "has no images, videos or texts"
        place = f"'{under}' of {snapshot.name}" if under else snapshot.name
        raise InvalidInputError(f"{place} {what}.", "Say which media to read, or which folder.")
    return present[0]
