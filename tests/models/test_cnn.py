"""The CNN: shapes, variants."""

from __future__ import annotations

import pytest
import torch

from models.cnn import Block, Cnn, CnnConfig


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 22)])
def test_gives_a_logit_for_each_class(shape: tuple[int, int, int], residual: bool) -> None:
    model = Cnn(CnnConfig(shape, classes=5, residual=residual))

    logits = model(torch.randint(0, 256, (4, *shape), dtype=torch.uint8))

    assert logits.shape == (4, 5)
    assert logits.dtype == torch.float32


def test_each_stage_halves_height_and_width() -> None:
    model = Cnn(CnnConfig((1, 16, 16), classes=2, channels=(4, 8, 12)))

    assert [stage(x).shape for stage, x in _through(model)] == [
        (2, 4, 8, 8),
        (2, 8, 4, 4),
        (2, 12, 2, 2),
    ]
    assert model.flat == 12 * 2 * 2


def _through(model: Cnn):
    x = torch.zeros(2, 1, 16, 16)
    for stage in model.stages:
        yield stage, x
        x = stage(x)


def test_a_block_that_has_learned_nothing_changes_nothing() -> None:
    block = Block(4)
    torch.nn.init.zeros_(block.norm2.weight)
    x = torch.rand(2, 4, 6, 6)

    assert torch.equal(block(x), x)


def test_only_the_residual_variant_has_blocks() -> None:
    plain, residual = (Cnn(CnnConfig((1, 8, 8), 2, residual=value)) for value in (False, True))

    assert not any(isinstance(module, Block) for module in plain.modules())
    assert sum(isinstance(module, Block) for module in residual.modules()) == 2


def test_every_parameter_learns() -> None:
    model = Cnn(CnnConfig((1, 8, 8), classes=3, residual=True))

    model(torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8)).square().sum().backward()

    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
