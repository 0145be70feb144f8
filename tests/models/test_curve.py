"""The picture of a training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from models.curve import History, draw_curve


def _picture(folder: Path, history: History) -> np.ndarray:
    draw_curve(history, "cnn", folder / "curve.png")
    with Image.open(folder / "curve.png") as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_a_curve_shows_what_was_measured(tmp_path: Path) -> None:
    losses = [(step, 1 / step) for step in range(1, 30)]
    metrics = [(step, {"train_accuracy": 0.5, "test_accuracy": 0.4}) for step in (10, 20)]

    shown = _picture(tmp_path, History(losses, metrics))
    other = _picture(tmp_path, History(losses[:5], []))

    assert shown.shape == (720, 960, 3)
    assert (shown != other).any()
