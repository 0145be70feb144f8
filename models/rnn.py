"""A recurrent network for texts: simple (Elman 1990), GRU (Cho et al. 2014) or LSTM (Hochreiter and
Schmidhuber 1997).

Texts of a batch differ in length. They are packed, so that padding is never read and a text gives
the same logits in whatever company it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

PAD = 0


@dataclass(frozen=True)
class RnnConfig:
    vocabulary: int  # different tokens; 0 is padding
    classes: int
    cell: Literal["rnn", "gru", "lstm"] = "gru"
    embedding: int = 48
    hidden: int = 32
    bidirectional: bool = False
    dropout: float = 0.5


CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Rnn(nn.Module):
    def __init__(self, config: RnnConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocabulary, config.embedding, padding_idx=PAD)
        self.recurrent = CELLS[config.cell](
            config.embedding, config.hidden, batch_first=True, bidirectional=config.bidirectional
        )
        self.dropout = nn.Dropout(config.dropout)
        directions = 2 if config.bidirectional else 1
        self.out = nn.Linear(directions * config.hidden, config.classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Tokens (B, L) and how many of each row count (B,) -> logits (B, classes)"""
        x = self.dropout(self.embedding(tokens))  # (B, L, embedding)
        # Packing wants the lengths in main memory, wherever the tokens are.
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        # (B, L, directions * hidden), zero where the padding was
        mean = states.sum(1) / lengths.to(states.device).unsqueeze(1)
        return self.out(self.dropout(mean))  # type: ignore[no-any-return]
