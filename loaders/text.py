"""Texts: files of their own, or rows of `.jsonl` and `.csv` files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from datasets_vc.digest import Buffer, Digest
from datasets_vc.samples import csv_header, text_of
from loaders.datasets import OnBadSample, Sample, SampleDataset, Transform
from loaders.decode import UndecodableError
from loaders.vocabulary import Vocabulary

if TYPE_CHECKING:
    from datasets_vc import Snapshot

CACHE_BYTES = 256 << 20


@dataclass(frozen=True)
class RowFile:
    """A file whose rows are samples: its bytes, and its header if it is a CSV."""

    data: Buffer
    header: Buffer | None


class RowFiles:
    """The files read last, up to `CACHE_BYTES` of them and always the last one.

    Rows are read from whole files, for a store hands out whole files: from a local store they are
    mapped, or decompressed once; from a remote one they are fetched once.
    """

    def __init__(self, snapshot: Snapshot, limit: int = CACHE_BYTES) -> None:
        self._snapshot = snapshot
        self._limit = limit
        self._files: OrderedDict[Digest, RowFile] = OrderedDict()

    def get(self, wanted: Mapping[Digest, str]) -> dict[Digest, RowFile]:
        """The files of the digests `wanted`, which are at these paths."""
        absent = [digest for digest in wanted if digest not in self._files]
        for digest, data in zip(absent, self._snapshot.read_many(absent), strict=True):
            is_csv = wanted[digest].lower().endswith(".csv")
            self._files[digest] = RowFile(data, csv_header(data) if is_csv else None)
        found = {}
        for digest in wanted:
            self._files.move_to_end(digest)
            found[digest] = self._files[digest]
        self._evict()
        return found

    def _evict(self) -> None:
        held = sum(len(file.data) for file in self._files.values())
        while held > self._limit and len(self._files) > 1:
            _, file = self._files.popitem(last=False)
            held -= len(file.data)


class TextDataset(SampleDataset):
    """Texts: an item is `{"path", "text", "tokens", "label", other fields}`.

    `text` is a string, `label` the number of its class (-1 without one). `tokens`, int64 (L,), are
    there if there is a vocabulary. A sample's path ends with `:` and a number if it is a row of a
    file.

    Args:
        vocabulary: turns texts into tokens.
        snapshot, split, under, fractions, transform, on_bad_sample: as of `SampleDataset`.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        split: str | None = None,
        *,
        under: str = "",
        vocabulary: Vocabulary | None = None,
        fractions: Mapping[str, float] | None = None,
        transform: Transform | None = None,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        self.vocabulary = vocabulary
        super().__init__(
            snapshot,
            split,
            under=under,
            media="text",
            fractions=fractions,
            transform=transform,
            on_bad_sample=on_bad_sample,
        )

    def texts(self, batch_size: int = 256) -> Iterator[str]:
        """All texts in order, without transforms: what to build a vocabulary from."""
        for start in range(0, len(self), batch_size):
            rows = self._rows(range(start, min(start + batch_size, len(self))))
            for row, data in zip(rows, self._read(rows), strict=True):
                yield self._sample(row, data)["text"]

    def _content(self, row: Mapping[str, Any], data: Buffer) -> Sample:
        text = self._text(row, data)
        if self.vocabulary is None:
            return {"text": text}
        return {
            "text": text,
            "tokens": torch.tensor(self.vocabulary.encode(text), dtype=torch.int64),
        }

    def _text(self, row: Mapping[str, Any], data: Buffer) -> str:
        try:
            if row.get("row") is None:
                return bytes(data).decode("utf-8-sig")
            return text_of(
                data, self._files.get({row["digest"]: row["path"]})[row["digest"]].header
            )
        except (ValueError, LookupError, TypeError, StopIteration) as error:
            raise UndecodableError(str(error).rstrip(".") or type(error).__name__) from error

    def _read(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Buffer]:
        whole = [row["digest"] for row in rows if row.get("row") is None]
        texts = iter(self.snapshot.read_many(whole))
        files = self._files.get({row["digest"]: row["path"] for row in rows if row.get("row")})
        return [
            next(texts)
            if row.get("row") is None
            else memoryview(files[row["digest"]].data)[row["row_start"] : row["row_end"]]
            for row in rows
        ]

    def _label(self, number: int) -> int:
        return number

    @cached_property
    def _files(self) -> RowFiles:
        return RowFiles(self.snapshot)
