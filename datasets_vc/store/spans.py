"""Runs of bytes: the pieces that a file is made of, where they lie, and what one request reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from datasets_vc.digest import Buffer, Digest
from datasets_vc.store.index import Place

_MAX_GAP = 1 << 20


class Extent(NamedTuple):
    """Bytes of a file; with a pack, they are those from `offset` on of that pack, a local file."""

    data: Buffer
    pack: Digest | None = None
    offset: int = 0


class Piece(NamedTuple):
    """A chunk of `size` bytes; if it is one of several of a file, of the one with that recipe."""

    digest: Digest
    size: int
    recipe: Digest | None = None


class RecipeId(NamedTuple):
    """These very bytes of a recipe, stored under that file: what a proof is about."""

    file: Digest
    content: Digest


class Pieces(NamedTuple):
    """The chunks of a file; `recipe` tells by which recipe, where it is not a single chunk."""

    pieces: list[Piece]
    recipe: RecipeId | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Places in one pack that one request reads: bytes [start, end)."""

    start: int
    end: int
    places: tuple[Place, ...]


def coalesce(places: Sequence[Place], gap: int = _MAX_GAP) -> list[Span]:
    """Group places of one pack into requests, bridging at most `gap` unwanted bytes at a time."""
    spans: list[Span] = []
    for place in sorted(places, key=lambda place: place.offset):
        if spans and place.offset - spans[-1].end <= gap:
            last = spans.pop()
            spans.append(Span(last.start, max(last.end, place.end), (*last.places, place)))
        else:
            spans.append(Span(place.offset, place.end, (place,)))
    return spans
