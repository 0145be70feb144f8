"""Texts: files of their own, or rows of `.jsonl` and `.csv` files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from datasets_vc.digest import Buffer
from datasets_vc.samples import text_of
from loaders.datasets import OnBadSample, Sample, SampleDataset, Transform
from loaders.decode import UndecodableError
from loaders.vocabulary import Vocabulary

if TYPE_CHECKING:
    from datasets_vc import Snapshot


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
            return text_of(data, self._files.header(row["digest"]))
        except ValueError as error:
            raise UndecodableError(str(error).rstrip(".")) from error

    def _label(self, number: int) -> int:
        return number
