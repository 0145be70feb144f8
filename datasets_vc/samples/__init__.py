"""Samples: what training consumes, derived from the entries of a dataset by convention."""

from __future__ import annotations

from datasets_vc.samples.media import MEDIA
from datasets_vc.samples.rows import csv_header, text_of
from datasets_vc.samples.splits import FRACTIONS, canonical_split
from datasets_vc.samples.summary import MediaSummary, SampleSummary, present_media, summarise
from datasets_vc.samples.table import SampleTable, sample_table

__all__ = [
    "FRACTIONS",
    "MEDIA",
    "MediaSummary",
    "SampleSummary",
    "SampleTable",
    "canonical_split",
    "csv_header",
    "present_media",
    "sample_table",
    "summarise",
    "text_of",
]
