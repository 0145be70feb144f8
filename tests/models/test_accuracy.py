"""What the models reach on the sample data, beside what they have to beat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datasets_vc import Snapshot
from models import __main__ as program

SEEDS = (0, 1, 2)


class Trainings:
    """Final metrics of models trained on the sample data with the default settings."""

    def __init__(self, snapshot: Snapshot, folder: Path) -> None:
        self._snapshot = snapshot
        self._folder = folder

    def run(self, model: str, under: str, *settings: str) -> dict[str, Any]:
        out = self._folder / f"run-{len(list(self._folder.iterdir()))}"
        arguments = [model, "--data", self._snapshot.url, "--dataset", self._snapshot.digest]
        arguments += ["--under", under, "--out", str(out)]
        for setting in settings:
            arguments += ["--set", setting]
        assert program.main(arguments) == 0
        end = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
        return dict(end["metrics"])


@pytest.fixture
def trainings(samples: Snapshot, tmp_path: Path) -> Trainings:
    return Trainings(samples, tmp_path)


def test_a_cnn_soon_reads_digits(trainings: Trainings) -> None:
    metrics = trainings.run("cnn", "digits", "epochs=3")

    assert metrics["test_accuracy"] >= 0.95


def test_an_rnn_soon_knows_more_than_the_majority(trainings: Trainings) -> None:
    metrics = trainings.run("rnn", "texts", "epochs=4", "max_tokens=24")

    assert metrics["test_accuracy"] >= metrics["majority_accuracy"] + 0.15
    assert metrics["bag_of_words_accuracy"] >= metrics["majority_accuracy"] + 0.4


def test_a_crnn_soon_tells_directions_and_a_single_frame_does_not(trainings: Trainings) -> None:
    clips = trainings.run("crnn", "clips", "epochs=6")
    middle = trainings.run("cnn", "clips", "epochs=3")

    assert clips["test_accuracy"] >= 0.80
    assert middle["test_accuracy"] <= 0.40


@pytest.mark.slow
def test_models_reach_what_they_should(
    trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints a table: accuracy on the test split for each seed, and the bar that it has to take."""
    rows: list[tuple[str, str, list[float]]] = []

    def train(name: str, bar: str, model: str, under: str, *settings: str) -> list[dict[str, Any]]:
        found = [trainings.run(model, under, f"seed={seed}", *settings) for seed in SEEDS]
        rows.append((name, bar, [metrics["test_accuracy"] for metrics in found]))
        return found

    digits = train("digits  CNN", ">= 97", "cnn", "digits")
    residual = train("digits  CNN, residual", ">= 97", "cnn", "digits", "residual=true")
    texts = train("texts   GRU", ">= majority + 25", "rnn", "texts")
    lstm = train("texts   LSTM", ">= majority + 25", "rnn", "texts", "cell=lstm")
    simple = train("texts   simple RNN", ">= majority + 25", "rnn", "texts", "cell=rnn")
    clips = train("clips   CNN-LSTM", ">= 95", "crnn", "clips")
    middle = train("clips   CNN, middle frame", "<= 40", "cnn", "clips", "epochs=12")
    majority, words = texts[0]["majority_accuracy"], texts[0]["bag_of_words_accuracy"]
    rows.insert(2, ("texts   majority class", "", [majority]))
    rows.insert(3, ("texts   bag of words", "", [words]))
    with capsys.disabled():
        print("\n\naccuracy on the test split, %, for seeds 0, 1, 2\n")
        for name, bar, values in rows:
            print(f"{name:<28}" + "".join(f"{value:8.1%}" for value in values) + f"   {bar}")

    assert min(metrics["test_accuracy"] for metrics in digits + residual) >= 0.97
    assert min(metrics["test_accuracy"] for metrics in texts + lstm + simple) >= majority + 0.25
    assert min(metrics["test_accuracy"] for metrics in clips) >= 0.95
    assert max(metrics["test_accuracy"] for metrics in middle) <= 0.40
