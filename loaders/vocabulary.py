"""Words as numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

from datasets_vc.digest import digest_of

PAD = "<pad>"
UNKNOWN = "<unk>"
PAD_ID = 0
UNKNOWN_ID = 1

# Runs of word characters, or single other ones that are not white space.
_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokenise(text: str) -> list[str]:
    """The words and punctuation marks of `text`, in lower case."""
    return _TOKEN.findall(text.lower())


class Vocabulary:
    """A fixed list of tokens; a token's place in it is its id. 0 is padding, 1 any unknown token.

    Args:
        tokens: all tokens, `<pad>` and `<unk>` first.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if list(tokens[:2]) != [PAD, UNKNOWN] or len(set(tokens)) != len(tokens):
            raise ValueError(f"a vocabulary starts with {PAD}, {UNKNOWN} and has no token twice")
        self.tokens = tuple(tokens)

    @classmethod
    def build(cls, texts: Iterable[str], size: int) -> Vocabulary:
        """The `size` - 2 most frequent tokens of `texts`; equally frequent ones by their text."""
        counts = Counter(token for text in texts for token in tokenise(text))
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        return cls([PAD, UNKNOWN, *ranked[: max(0, size - 2)]])

    def encode(self, text: str) -> list[int]:
        """The ids of the tokens of `text`; a text without any is one unknown token."""
        ids = self._ids
        return [ids.get(token, UNKNOWN_ID) for token in tokenise(text)] or [UNKNOWN_ID]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The tokens of `ids`, without padding."""
        return [self.tokens[number] for number in ids if number != PAD_ID]

    @cached_property
    def digest(self) -> str:
        """BLAKE3-256 of the tokens, a line each: 64 hex digits."""
        return digest_of("\n".join(self.tokens).encode()).hex()

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    def __getstate__(self) -> dict[str, object]:
        return {"tokens": self.tokens}
