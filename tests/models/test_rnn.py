"""The RNN: shapes, kinds of cells, and padding that is never read."""

from __future__ import annotations

import pytest
import torch

from models.rnn import Rnn, RnnConfig

TOKENS = torch.tensor([[5, 3, 7, 2], [4, 6, 0, 0], [9, 0, 0, 0]])
LENGTHS = torch.tensor([4, 2, 1])


def _model(**options: object) -> Rnn:
    torch.manual_seed(0)
    return Rnn(RnnConfig(vocabulary=10, classes=3, **options)).eval()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_gives_a_logit_for_each_class(cell: str, bidirectional: bool) -> None:
    assert _model(cell=cell, bidirectional=bidirectional)(TOKENS, LENGTHS).shape == (3, 3)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_more_padding_changes_no_bit(cell: str, bidirectional: bool) -> None:
    model = _model(cell=cell, bidirectional=bidirectional)
    padded = torch.cat([TOKENS, torch.zeros(3, 5, dtype=torch.int64)], dim=1)

    assert torch.equal(model(padded, LENGTHS), model(TOKENS, LENGTHS))


def test_what_stands_in_the_padding_is_not_read() -> None:
    model = _model()
    scribbled = TOKENS.clone()
    scribbled[1, 2:] = 8

    assert torch.equal(model(scribbled, LENGTHS), model(TOKENS, LENGTHS))


def test_a_text_gives_the_same_in_any_company() -> None:
    model = _model(bidirectional=True)

    together = model(TOKENS, LENGTHS)

    for row, length in enumerate(LENGTHS):
        alone = model(TOKENS[row : row + 1, :length], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])


def test_the_order_of_words_counts() -> None:
    model = _model()

    assert not torch.allclose(
        model(TOKENS[:1].flip(1), LENGTHS[:1]), model(TOKENS[:1], LENGTHS[:1])
    )


def test_padding_learns_nothing() -> None:
    model = _model().train()

    model(TOKENS, LENGTHS).sum().backward()

    assert model.embedding.weight.grad[0].abs().sum() == 0
    assert model.embedding.weight.grad[9].abs().sum() > 0
