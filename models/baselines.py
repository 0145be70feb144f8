"""What to compare a model with: guessing the commonest label, and counting words."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from loaders import SampleDataset, Vocabulary
from models.task import labelled_texts

_WORDS = 20_000
_ITERATIONS = 100
_PENALTY = 1e-4  # on the squares of the weights, beside the mean loss


def majority_accuracy(train: SampleDataset, test: SampleDataset) -> float:
    """The share of test samples that have the commonest label of the train split."""
    counts = np.bincount(train.labels())
    return float((test.labels() == int(counts.argmax())).mean())


def bag_of_words_accuracy(train: SampleDataset, test: SampleDataset) -> float:
    """The accuracy of logistic regression on how often each word occurs in a text.

    The loss is convex and the weights start from 0, so nothing is drawn at random.
    """
    texts, labels = labelled_texts(train)
    vocabulary = Vocabulary.build(texts, _WORDS)
    counted = [_counted(text, vocabulary) for text in texts]
    rarity = _rarity(counted, len(vocabulary))
    x, y = _features(counted, rarity), torch.tensor(labels)
    weights = torch.zeros(len(vocabulary), len(train.classes), requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=_ITERATIONS, line_search_fn="strong_wolfe", tolerance_grad=1e-5
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(torch.sparse.mm(x, weights), y) + _PENALTY * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    texts, labels = labelled_texts(test)
    x = _features([_counted(text, vocabulary) for text in texts], rarity)
    with torch.no_grad():
        guessed = torch.sparse.mm(x, weights).argmax(1)
    return float((guessed == torch.tensor(labels)).float().mean())


def _counted(text: str, vocabulary: Vocabulary) -> tuple[Tensor, Tensor]:
    """The different words of a text, and how often each occurs."""
    words: tuple[Tensor, Tensor] = torch.tensor(vocabulary.encode(text)).unique(  # type: ignore[no-untyped-call]
        return_counts=True
    )
    return words


def _rarity(counted: list[tuple[Tensor, Tensor]], words: int) -> Tensor:
    """The inverse document frequency of each word: 1 + log((1 + texts) / (1 + texts with it))."""
    having = torch.cat([found for found, _ in counted]).bincount(minlength=words)
    return 1 + math.log(1 + len(counted)) - having.float().log1p()


def _features(counted: list[tuple[Tensor, Tensor]], rarity: Tensor) -> Tensor:
    """(1 + log count) * rarity of each word; sparse, (texts, words), each text of length 1."""
    rows = [torch.full_like(words, row) for row, (words, _) in enumerate(counted)]
    values = [
        F.normalize((1 + counts.float().log()) * rarity[words], dim=0) for words, counts in counted
    ]
    indices = torch.stack([torch.cat(rows), torch.cat([words for words, _ in counted])])
    shape = (len(counted), len(rarity))
    return torch.sparse_coo_tensor(indices, torch.cat(values), shape, check_invariants=False)
