"""From samples to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import data as torch_data

from datasets_vc.errors import InvalidInputError
from loaders.batch import Skipped

TOKENS = "tokens"
LENGTHS = "lengths"
PAD = 0


def collate(samples: Sequence[Mapping[str, Any] | Skipped]) -> dict[str, Any]:
    """A batch of samples: a value for each of their keys.

    Tensors and arrays of one shape are stacked, numbers become a tensor, `tokens` of different
    lengths are padded with 0 to (B, Lmax) beside their `lengths` (B,). Everything else stays a
    list. Samples that were skipped are left out.

    Raises:
        InvalidInputError: tensors differ in shape, or no sample is left.
    """
    kept = [sample for sample in samples if not isinstance(sample, Skipped)]
    if not kept:
        raise InvalidInputError("No sample of the batch could be decoded.")
    batch: dict[str, Any] = {}
    for key in kept[0]:
        values: list[Any] = [sample.get(key) for sample in kept]
        if key == TOKENS:
            batch[TOKENS], batch[LENGTHS] = pad(values)
        else:
            batch[key] = _join(key, values)
    return batch


def pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Token sequences (L,) as (B, Lmax), padded with 0, and their lengths (B,); int64."""
    lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    return torch.nn.utils.rnn.pad_sequence(
        list(sequences), batch_first=True, padding_value=PAD
    ), lengths


def _join(key: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, np.ndarray):
        values = [torch.from_numpy(value) for value in values]
        first = values[0]
    if isinstance(first, Tensor):
        return _stack(key, values)
    if all(isinstance(value, Number) for value in values):
        return torch.tensor(values)
    return values


def _stack(key: str, tensors: list[Tensor]) -> Tensor:
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        one, other = sorted(shapes)[:2]
        raise InvalidInputError(
            f"The samples' '{key}' differ in shape: {one} and {other} cannot be one batch.",
            "Give the dataset a size=(height, width), or the loader a collate_fn.",
        )
    # In a worker torch's own function stacks them in shared memory, which saves a copy.
    stacked: Tensor = torch_data.default_collate(tensors)
    return stacked
