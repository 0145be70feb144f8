"""What a model trains on, and how a batch goes into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from datasets_vc import Snapshot
from datasets_vc.errors import BadSampleError, InvalidInputError
from datasets_vc.samples import present_media
from loaders import ImageDataset, SampleDataset, TextDataset, VideoDataset, Vocabulary
from loaders.datasets import OnBadSample, Sample
from models.cnn import Cnn, CnnConfig
from models.config import Config
from models.crnn import Crnn, CrnnConfig
from models.rnn import CELLS, Rnn, RnnConfig

_READ_AT_ONCE = 256
_KEEP = 256 << 20  # bytes of decoded samples that a process keeps


@dataclass(frozen=True)
class Selection:
    """Which samples of a dataset, and what to do about bad ones."""

    snapshot: Snapshot
    under: str = ""
    on_bad_sample: OnBadSample = "raise"


@dataclass(frozen=True)
class Task:
    """A model with its data.

    Attributes:
        train, test: what it learns from, and what it is judged by.
        model: gives logits (B, classes).
        inputs: the members of a batch that are the model's arguments, in order.
        vocabulary: of texts, else None.
    """

    train: SampleDataset
    test: SampleDataset
    model: nn.Module
    inputs: tuple[str, ...]
    vocabulary: Vocabulary | None = None

    @property
    def classes(self) -> list[str]:
        return self.train.classes


@dataclass(frozen=True)
class Truncate:
    """A transform that keeps the first `length` tokens."""

    length: int

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        del rng
        return sample | {"tokens": sample["tokens"][: self.length]}


def build_task(name: str, selection: Selection, config: Config) -> Task:
    """The model `name` (`cnn`, `rnn`, `crnn`) with random parameters, and its data.

    Raises:
        InvalidInputError: the dataset has no such samples, or a setting makes no sense.
    """
    options: dict[str, Any] = dict(config)
    return {"cnn": _image_task, "rnn": _text_task, "crnn": _clip_task}[name](selection, options)


def _image_task(selection: Selection, config: dict[str, Any]) -> Task:
    options = _visual_options(config)
    kind: type[SampleDataset] = ImageDataset
    present = present_media(selection.snapshot, selection.under)
    if "video" in present and "image" not in present:
        kind, options = VideoDataset, options | {"frame": "middle"}
    train, test = _splits(kind, selection, config, options)
    model = CnnConfig(
        _shape(train, "image"),
        len(train.classes),
        channels=_positive("channels", config),
        residual=config["residual"],
        hidden=_positive("hidden", config),
        dropout=_dropout(config),
    )
    _check_size(model.shape, 2 ** len(model.channels))
    return Task(train, test, Cnn(model), ("image",))


def _clip_task(selection: Selection, config: dict[str, Any]) -> Task:
    options = _visual_options(config) | {"frames": _positive("frames", config)}
    train, test = _splits(VideoDataset, selection, config, options)
    model = CrnnConfig(
        _shape(train, "video"),
        len(train.classes),
        channels=_positive("channels", config),
        features=_positive("features", config),
        hidden=_positive("hidden", config),
        dropout=_dropout(config),
    )
    _check_size(model.shape, 2 ** (len(model.channels) + 1))
    return Task(train, test, Crnn(model), ("video",))


def _text_task(selection: Selection, config: dict[str, Any]) -> Task:
    if config["cell"] not in CELLS:
        raise InvalidInputError(
            f"'cell' must be one of {', '.join(CELLS)}, not '{config['cell']}'."
        )
    words = _splits(TextDataset, selection, config, {})[0]
    vocabulary = Vocabulary.build(labelled_texts(words)[0], _positive("vocabulary", config))
    options = {"vocabulary": vocabulary, "transform": Truncate(_positive("max_tokens", config))}
    train, test = _splits(TextDataset, selection, config, options)
    model = RnnConfig(
        len(vocabulary),
        len(train.classes),
        cell=config["cell"],
        embedding=_positive("embedding", config),
        hidden=_positive("hidden", config),
        bidirectional=config["bidirectional"],
        dropout=_dropout(config),
    )
    return Task(train, test, Rnn(model), ("tokens", "lengths"), vocabulary)


def labelled_texts(dataset: SampleDataset) -> tuple[list[str], list[int]]:
    """All texts in order and their labels' numbers, without bad ones if these may be skipped."""
    found = []
    for start in range(0, len(dataset), _READ_AT_ONCE):
        indices = range(start, min(start + _READ_AT_ONCE, len(dataset)))
        found += [item for item in dataset.__getitems__(indices) if isinstance(item, dict)]
    return [sample["text"] for sample in found], [int(sample["label"]) for sample in found]


def _splits(
    kind: type[SampleDataset], selection: Selection, config: dict[str, Any], options: dict[str, Any]
) -> Sequence[SampleDataset]:
    """The train and the test split, every sample of which has a label."""
    datasets = []
    for key in ("train_split", "test_split"):
        dataset = kind(
            selection.snapshot,
            config[key],
            under=selection.under,
            on_bad_sample=selection.on_bad_sample,
            **options,
        )
        missing = int((dataset.labels() < 0).sum())
        if missing or not dataset.classes:
            raise InvalidInputError(
                f"{missing or len(dataset)} of the {len(dataset)} samples of the split "
                f"'{config[key]}' have no label.",
                "Put them in folders named after their labels, or list these in metadata.csv.",
            )
        datasets.append(dataset)
    return datasets


def _visual_options(config: dict[str, Any]) -> dict[str, Any]:
    size = config["size"]
    if size < 0:
        raise InvalidInputError(f"'size' must be 0 or more pixels, not {size}.")
    return {"mode": config["mode"], "size": (size, size) if size else None, "keep": _KEEP}


def _shape(dataset: SampleDataset, key: str) -> tuple[int, int, int]:
    """Channels, height and width of the first image that can be decoded.

    Those before it are left for the training to complain of or to skip.
    """
    for index in range(len(dataset)):
        try:
            channels, height, width = dataset[index][key].shape[-3:]
        except BadSampleError as error:
            first_error = error
            continue
        return int(channels), int(height), int(width)
    raise first_error


def _check_size(shape: tuple[int, int, int], smallest: int) -> None:
    if min(shape[1:]) < smallest:
        raise InvalidInputError(
            f"Images of {shape[1]} x {shape[2]} pixels are too small for this network.",
            f"Set size to {smallest} or more, or give it fewer channels.",
        )


def _positive(key: str, config: dict[str, Any]) -> Any:
    """A number, or a tuple of numbers, all above 0."""
    value = config[key]
    numbers = value if isinstance(value, list) else [value]
    if min(numbers) < 1:
        raise InvalidInputError(f"'{key}' must be above 0, not {value}.")
    return tuple(value) if isinstance(value, list) else value


def _dropout(config: dict[str, Any]) -> float:
    value = float(config["dropout"])
    if not 0 <= value < 1:
        raise InvalidInputError(f"'dropout' must be at least 0 and below 1, not {value}.")
    return value


def arguments_of(task: Task, batch: dict[str, Any], device: Any) -> list[Tensor]:
    """The model's arguments in a batch, on its device."""
    return [batch[name].to(device) for name in task.inputs]
