from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import Vocabulary
from loaders.vocabulary import tokenise


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, World!", ["hello", ",", "world", "!"]),
        ("don't  stop\n", ["don", "'", "t", "stop"]),
        ("ÜBER größe 2_x", ["über", "größe", "2_x"]),
        ("", []),
    ],
)
def test_tokens_of_a_text(text: str, tokens: list[str]) -> None:
    assert tokenise(text) == tokens


@given(st.lists(st.text("ab ,", max_size=12), max_size=8), st.integers(2, 8), st.randoms())
def test_the_order_of_texts_does_not_matter(texts: list[str], size: int, random: object) -> None:
    vocabulary = Vocabulary.build(texts, size)
    random.shuffle(texts)  # type: ignore[attr-defined]
    again = Vocabulary.build(texts, size)
    assert again == vocabulary
    assert again.digest == vocabulary.digest
    assert len(again) <= size


def test_frequent_tokens_first_then_by_their_text() -> None:
    vocabulary = Vocabulary.build(["b a", "b c"], 4)
    assert vocabulary.tokens == ("<pad>", "<unk>", "b", "a")
    assert vocabulary.encode("A b zebra") == [3, 2, 1]
    assert vocabulary.decode([3, 2, 1, 0, 0]) == ["a", "b", "<unk>"]


def test_a_text_without_tokens_is_one_unknown_token() -> None:
    assert Vocabulary.build([], 10).encode("  ") == [1]


def test_vocabularies_differ_by_digest_and_survive_pickling() -> None:
    one, other = Vocabulary.build(["a"], 9), Vocabulary.build(["b"], 9)
    assert one.digest != other.digest
    assert one != other
    one.encode("a")
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(Vocabulary(one.tokens)) == hash(one)


@pytest.mark.parametrize("tokens", [[], ["a"], ["<pad>", "<unk>", "a", "a"]])
def test_lists_that_are_no_vocabulary(tokens: list[str]) -> None:
    with pytest.raises(ValueError, match="a vocabulary starts with"):
        Vocabulary(tokens)
