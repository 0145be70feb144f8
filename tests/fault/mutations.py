"""Bytes changed as somebody would who knows the formats: bits, counts, ends, foreign pieces."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal, NamedTuple, get_args

from hypothesis import strategies as st

Kind = Literal["bit", "number", "cut", "drop", "repeat", "splice", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NUMBERS = (0, 1, 2, 7, 10**9, 2**28, 2**28 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
TEXTS = (
    b"\x00",
    b"../",
    b"\n",
    b'"',
    b"\xff",
    b"\xed\xa0\x80",
    b"[" * 5000,
    b'{"a":' * 3000,
    b"9" * 5000,
    b"1e999",
    b"NaN",
    b"\\ud83d",
    b".dsvc/",
    b"**/" * 50,
    b"\x1b[2J",
    "\u202e\u200c".encode(),
)


class Mutation(NamedTuple):
    """One change; `at` and `other` are places modulo the length of what is changed."""

    kind: Kind
    at: int
    other: int


def mutated(data: bytes, mutations: Sequence[Mutation], elsewhere: bytes) -> bytes:
    """`data` after some changes; `elsewhere` is what is spliced in."""
    for kind, at, other in mutations:
        if not data:
            return elsewhere
        at %= len(data)
        end = at + other % (len(data) - at + 1)
        if kind == "bit":
            data = data[:at] + bytes([data[at] ^ (1 << other % 8)]) + data[at + 1 :]
        elif kind == "number":
            width = (4, 8)[other % 2]
            number = NUMBERS[other // 2 % len(NUMBERS)] % 2 ** (8 * width)
            at -= at % width
            data = data[:at] + number.to_bytes(width, "little") + data[at + width :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[end:]
        elif kind == "repeat":
            data = data[:end] + data[at:end][:4096] + data[end:]
        elif kind == "splice":
            start = other % (len(elsewhere) + 1)
            data = data[:at] + elsewhere[start : start + 64] + data[at + 64 :]
        else:
            data = data[:at] + TEXTS[other % len(TEXTS)] + data[at:]
    return data


def any_mutations() -> st.SearchStrategy[list[Mutation]]:
    """For hypothesis: one to four changes, early bytes and late ones more often than others."""
    places = st.integers(0, 64) | st.integers(-128, -1) | st.integers(0, 1 << 24)
    return st.lists(
        st.builds(Mutation, st.sampled_from(KINDS), places, st.integers(0, 1 << 16)),
        min_size=1,
        max_size=4,
    )


def random_mutations(random: Random) -> list[Mutation]:
    """The same for a loop that runs for hours."""
    places = (
        lambda: random.randint(0, 64),
        lambda: -random.randint(1, 128),
        lambda: random.getrandbits(24),
    )
    return [
        Mutation(random.choice(KINDS), random.choice(places)(), random.getrandbits(16))
        for _ in range(random.randint(1, 4))
    ]
