"""The training loop: the same bits, wherever it starts and however it reads."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from datasets_vc import Snapshot
from datasets_vc.errors import BadSampleError, InvalidInputError, NotFoundError
from models.config import resolve
from models.interrupts import Interrupted, Interrupts
from models.record import Log
from models.task import Selection, build_task
from models.train import Training

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

SMALL = ("epochs=3", "batch_size=16", "params_every=2", "checkpoint_every=2")
STEPS = 12  # 3 epochs of 60 samples

Train = Callable[..., "Result"]


class Result:
    """A training that has ended, and what it logged."""

    def __init__(self, training: Training, folder: Path) -> None:
        self.training = training
        self.folder = folder
        self.metrics: dict[str, float] = {}

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]


@pytest.fixture
def start(tmp_path: Path, pictures: Snapshot) -> Iterator[Train]:
    """A training that has not begun."""
    logs = []

    def start(*settings: str, snapshot=pictures, model="cnn", bad="raise", **options) -> Result:
        config = resolve(model, None, [*SMALL, *settings])
        torch.manual_seed(int(config["seed"]))
        task = build_task(model, Selection(snapshot, on_bad_sample=bad), config)
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        log = Log(folder)
        logs.append(log)
        training = Training(task, config, torch.device("cpu"), log, folder, **options)
        return Result(training, folder)

    yield start
    for log in logs:
        log.close()


@pytest.fixture
def train(start: Train) -> Train:
    """A training to its end."""

    def train(*settings: str, steps: int | None = None, **options) -> Result:
        result = start(*settings, **options)
        result.metrics = result.training.run(steps)
        return result

    return train


def _trace(result: Result) -> list[dict[str, Any]]:
    return [event for event in result.events if event["event"] in ("init", "step", "epoch")]


def test_the_log_tells_every_step(train: Train) -> None:
    result = train()

    steps = result.of("step")
    assert [(event["epoch"], event["step"]) for event in steps] == [
        (epoch, step) for epoch in range(3) for step in range(4)
    ]
    # Every second step, and the last of an epoch, which here is a second one too.
    assert ["params" in event for event in steps] == [False, True] * 6
    assert steps[-1]["params"] == result.training.params()
    assert [event["epoch"] for event in result.of("epoch")] == [0, 1, 2]
    assert result.of("epoch")[-1]["metrics"] == result.metrics
    assert all(len(event["batch"]) == 64 and len(event["loss"]) == 8 for event in steps)


def test_it_learns(train: Train) -> None:
    assert train("epochs=6").metrics["test_accuracy"] > 0.9


def test_two_trainings_give_the_same_bits(train: Train) -> None:
    assert _trace(train()) == _trace(train())


def test_two_trainings_on_texts_give_the_same_bits(train: Train, words: Snapshot) -> None:
    one, other = (train(model="rnn", snapshot=words) for _ in range(2))

    assert _trace(one) == _trace(other)
    assert one.of("step")


def test_another_seed_gives_other_parameters_and_another_order(train: Train) -> None:
    one, other = train(steps=2), train("seed=1", steps=2)

    assert one.of("init") != other.of("init")
    assert one.of("step")[0]["batch"] != other.of("step")[0]["batch"]


def test_workers_change_no_bit(train: Train) -> None:
    assert _trace(train(workers=2)) == _trace(train())


@pytest.mark.parametrize("steps", [3, 4, 9])
def test_a_resumed_training_ends_with_the_same_bits(start: Train, train: Train, steps: int) -> None:
    whole = train()
    part = train(steps=steps)
    resumed = start()
    resumed.training.resume(part.folder / f"step-{steps:06d}.safetensors")
    metrics = resumed.training.run()

    assert metrics == whole.metrics
    assert part.of("step") + resumed.of("step") == whole.of("step")
    assert resumed.training.params() == whole.training.params()


def test_a_resumed_training_needs_no_workers_as_before(start: Train, train: Train) -> None:
    whole = train()
    part = train(steps=5)
    resumed = start(workers=1)
    resumed.training.resume(part.folder / "step-000005.safetensors")
    resumed.training.run()

    assert resumed.training.params() == whole.training.params()


def test_stopping_early_follows_the_same_path(train: Train) -> None:
    part = train(steps=6)

    assert _trace(part) == _trace(train())[: len(_trace(part))]
    assert len(part.of("step")) == 6
    assert set(part.metrics) == {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}


def test_checkpoints_are_written_now_and_then_and_at_the_end(train: Train) -> None:
    result = train()

    names = [event["name"] for event in result.of("checkpoint")]
    assert names == ["step-000008.safetensors", "step-000012.safetensors"]
    assert all((result.folder / name).stat().st_size for name in names)


def test_settings_of_a_resumed_training_must_be_the_same(start: Train, train: Train) -> None:
    part = train(steps=2)

    with pytest.raises(InvalidInputError, match="another dropout, learning_rate"):
        start("learning_rate=0.1", "dropout=0").training.resume(
            part.folder / "step-000002.safetensors"
        )


def test_a_checkpoint_of_other_data_is_refused(
    start: Train, train: Train, make_snapshot, picture_files: dict[str, bytes]
) -> None:
    part = train(steps=2)
    picture_files.pop(sorted(picture_files)[-1])

    with pytest.raises(InvalidInputError, match="order of samples"):
        start(snapshot=make_snapshot(picture_files)).training.resume(
            part.folder / "step-000002.safetensors"
        )


def test_a_checkpoint_of_another_model_is_refused(start: Train, train: Train) -> None:
    part = train(steps=2)

    with pytest.raises(InvalidInputError, match="another model"):
        start("residual=true").training.resume(part.folder / "step-000002.safetensors")


def test_what_is_no_checkpoint_is_refused(start: Train, tmp_path: Path) -> None:
    (tmp_path / "torn").write_bytes(b"\0" * 100)

    with pytest.raises(InvalidInputError, match="not a checkpoint"):
        start().training.resume(tmp_path / "torn")
    with pytest.raises(NotFoundError, match="none"):
        start().training.resume(tmp_path / "none")


def test_an_interrupt_waits_for_the_step_and_leaves_a_checkpoint(
    start: Train, train: Train
) -> None:
    with Interrupts().held() as interrupts:
        interrupted = start(interrupts=interrupts, listener=_InterruptAt(5))
        with pytest.raises(Interrupted):
            interrupted.training.run()

    assert [event["name"] for event in interrupted.of("checkpoint")] == ["step-000005.safetensors"]
    resumed = start()
    resumed.training.resume(interrupted.folder / "step-000005.safetensors")
    resumed.training.run()
    assert resumed.training.params() == train().training.params()


class _InterruptAt:
    def __init__(self, step: int) -> None:
        self._step = step

    def step(self, epoch: int, step: int, loss: float, samples: int) -> None:
        if step == self._step:
            signal.raise_signal(signal.SIGINT)

    def epoch(self, *told: object) -> None: ...


def test_a_loss_that_is_no_number_ends_it(start: Train) -> None:
    started = start("learning_rate=1e30", "gradient_clip=1e30")

    with pytest.raises(InvalidInputError, match="no longer a number"):
        started.training.run()


def test_the_learning_rate_rises_and_falls(start: Train) -> None:
    training = start("epochs=10").training
    rates = [training._learning_rate(step) for step in range(40)]

    assert rates.index(max(rates)) in (3, 4)
    assert max(rates) == training.config.learning_rate
    assert 0 < rates[0] < rates[1]
    assert 0 < rates[-1] < 0.01 * max(rates)
    assert not any(math.isnan(rate) for rate in rates)


def _damaged(files: dict[str, bytes], *paths: str) -> dict[str, bytes]:
    return files | {path: files[path][:40] for path in paths}


def test_a_truncated_sample_ends_it_by_name(
    train: Train, make_snapshot, picture_files: dict[str, bytes]
) -> None:
    snapshot = make_snapshot(_damaged(picture_files, "train/upper/00.png"))

    with pytest.raises(BadSampleError, match=r"train/upper/00\.png.*" + snapshot.digest[:12]):
        train(snapshot=snapshot)


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_samples_may_be_skipped_and_are_counted_once(
    train: Train, make_snapshot, picture_files: dict[str, bytes], workers: int
) -> None:
    bad = ("train/lower/01.png", "train/upper/00.png", "test/upper/02.png")
    snapshot = make_snapshot(_damaged(picture_files, *bad))

    result = train(snapshot=snapshot, bad="skip", workers=workers)

    assert sorted(event["path"] for event in result.of("skipped")) == sorted(bad)
    assert result.training.skipped == set(bad)
    assert len(result.of("step")) == STEPS


def test_a_task_needs_labels(start: Train, make_snapshot, picture_files: dict[str, bytes]) -> None:
    pictures = {f"{path[:5].rstrip('/')}/{path[-6:]}": data for path, data in picture_files.items()}
    names = "".join(f"{path},{path.split('/')[0]}\n" for path in pictures)
    metadata = {"metadata.csv": f"file_name,split\n{names}".encode()}

    with pytest.raises(InvalidInputError, match="no label"):
        start(snapshot=make_snapshot(pictures | metadata))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("hidden=0", "'hidden' must be above 0"),
        ("dropout=1.0", "'dropout'"),
        ("size=-1", "'size'"),
        ("mode=CMYK", "mode"),
        ("channels=[4, 4, 4, 4]", "too small"),
        ("test_split=val", "no split 'val'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(start: Train, setting: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        start(setting)


def test_an_unknown_cell_is_refused(start: Train, words: Snapshot) -> None:
    with pytest.raises(InvalidInputError, match="rnn, gru, lstm"):
        start("cell=transformer", model="rnn", snapshot=words)


def test_a_cnn_looks_at_the_middle_frames_of_clips(start: Train, samples: Snapshot) -> None:
    config = resolve("cnn")
    task = build_task("cnn", Selection(samples, "clips"), config)

    assert task.inputs == ("image",)
    assert task.train[0]["image"].shape == (1, 32, 32)
    assert task.classes == ["down", "left", "right", "up"]
