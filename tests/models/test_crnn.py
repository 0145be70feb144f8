"""The hybrid: shapes, and that it sees both the frames and their order."""

from __future__ import annotations

import pytest
import torch

from models.crnn import Crnn, CrnnConfig


def _clips(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def _model(shape: tuple[int, int, int] = (1, 16, 16)) -> Crnn:
    torch.manual_seed(0)
    return Crnn(CrnnConfig(shape, classes=4)).eval()


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 21, 34)])
@pytest.mark.parametrize("frames", [1, 7])
def test_gives_a_logit_for_each_class(shape: tuple[int, int, int], frames: int) -> None:
    assert _model(shape)(_clips(2, frames, *shape)).shape == (2, 4)


def test_features_are_of_frames_alone() -> None:
    model = _model()
    frames = _clips(5, 1, 16, 16).float()

    features = model.cnn(frames)

    assert features.shape == (5, 192)
    torch.testing.assert_close(model.cnn(frames[2:3])[0], features[2])


def test_the_order_of_frames_counts() -> None:
    model, clips = _model(), _clips(2, 6, 1, 16, 16)

    assert not torch.allclose(model(clips.flip(1)), model(clips))


def test_the_place_in_a_frame_counts() -> None:
    model, clips = _model(), torch.zeros(2, 6, 1, 16, 16, dtype=torch.uint8)
    clips[0, :, :, 2:5, 2:5] = 255
    clips[1, :, :, 9:12, 9:12] = 255

    one, other = model(clips)

    assert not torch.allclose(one, other)


def test_every_parameter_learns() -> None:
    model = _model().train()

    model(_clips(4, 5, 1, 16, 16)).square().sum().backward()

    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
