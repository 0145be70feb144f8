"""Training straight from a store: samples, their order, decoders, and a torch `DataLoader`."""

from __future__ import annotations

from loaders.collate import collate
from loaders.datasets import SampleDataset
from loaders.decode import decoder_versions
from loaders.loader import DataLoader
from loaders.plan import Plan
from loaders.text import TextDataset
from loaders.visual import ImageDataset, VideoDataset
from loaders.vocabulary import Vocabulary

__all__ = [
    "DataLoader",
    "ImageDataset",
    "Plan",
    "SampleDataset",
    "TextDataset",
    "VideoDataset",
    "Vocabulary",
    "collate",
    "decoder_versions",
]
