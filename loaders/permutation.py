"""A keyed permutation of 0 .. size-1 that needs no memory and can be inverted.

A balanced Feistel network over the smallest 4^h >= size (M. Luby, C. Rackoff, "How to construct
pseudorandom permutations from pseudorandom functions", SIAM J. Comput. 17(2), 1988), brought down
to `size` by cycle walking (J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA
2002): a value that falls outside is enciphered again until it falls inside. The round function is
the finaliser of SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014). A shuffle, not a secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from datasets_vc.digest import Hasher

Words: TypeAlias = NDArray[np.uint64]
Indices: TypeAlias = NDArray[np.int64]

# Four rounds are enough for large domains. On those below about 100, chi-squared tests of where
# the first two positions go still fail with six rounds, and pass with eight.
_ROUNDS = 8
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = tuple(np.uint64(shift) for shift in (30, 27, 31))


class Permutation:
    """A permutation of the integers below `size`, chosen by `key`.

    Args:
        size: from 1 to 2^62.
        key: any bytes; round keys are drawn from BLAKE3 of it.
    """

    def __init__(self, size: int, key: bytes) -> None:
        half = max(1, ((size - 1).bit_length() + 1) // 2)
        self._size = np.uint64(size)
        self._half = np.uint64(half)
        self._low = np.uint64((1 << half) - 1)
        self._top = np.uint64(64 - half)
        self._keys = np.frombuffer(Hasher(key).digest(length=8 * _ROUNDS), "<u8").astype(np.uint64)

    def forward(self, positions: Indices) -> Indices:
        """Where each position goes: the images of `positions`, all in 0 .. size-1."""
        return self._walk(positions, self._encipher)

    def inverse(self, images: Indices) -> Indices:
        """Where each image comes from: `inverse(forward(x)) == x`."""
        return self._walk(images, self._decipher)

    def _walk(self, values: Indices, step: Callable[[Words], Words]) -> Indices:
        words = step(np.atleast_1d(values).astype(np.uint64))
        outside = np.flatnonzero(words >= self._size)
        while outside.size:
            words[outside] = step(words[outside])
            outside = outside[words[outside] >= self._size]
        return words.astype(np.int64)

    def _encipher(self, words: Words) -> Words:
        left, right = words >> self._half, words & self._low
        for key in self._keys:
            left, right = right, left ^ self._round(right, key)
        return (left << self._half) | right

    def _decipher(self, words: Words) -> Words:
        left, right = words >> self._half, words & self._low
        for key in self._keys[::-1]:
            left, right = right ^ self._round(left, key), left
        return (left << self._half) | right

    def _round(self, half: Words, key: np.uint64) -> Words:
        mixed = half + key
        mixed = (mixed ^ (mixed >> _SHIFTS[0])) * _MIX_1
        mixed = (mixed ^ (mixed >> _SHIFTS[1])) * _MIX_2
        mixed ^= mixed >> _SHIFTS[2]
        return mixed >> self._top
