"""Training from packs and proving it reproduced, on parts of the sample data."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datasets_vc.errors import BadSampleError, InvalidInputError, NotRestorableError
from datasets_vc.repository import Overrides, Repository, TrainRequest
from datasets_vc.runs import recording
from datasets_vc.runs.origin import Caller

SAMPLES = Path(__file__).parents[2] / "sample_data"
AUTHOR = "Ada <ada@example.org>"
PER_CLASS = {"digits": 6, "clips": 3, "texts": 8}
MODEL_OF = {"digits": "cnn", "texts": "rnn", "clips": "crnn"}
ALLOWED = Caller(environment=os.environ, allow=lambda _: None)
SHORT = {"epochs": "1", "params_every": "2", "batch_size": "4"}


def copy_part(media: str, folder: Path) -> None:
    """A few samples of each class of both splits."""
    for source in (SAMPLES / media).glob("*/*"):
        target = folder / media / source.relative_to(SAMPLES / media)
        target.mkdir(parents=True)
        for file in sorted(source.iterdir())[: PER_CLASS[media]]:
            shutil.copy(file, target)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """A workspace with a run of each model, pushed to a remote."""
    folder = tmp_path_factory.mktemp("trainer")
    repository = Repository.init(folder)
    for media in PER_CLASS:
        copy_part(media, folder)
    repository.commit("samples", author=AUTHOR)
    repository.remotes.add("origin", str(tmp_path_factory.mktemp("far") / "remote"))
    for model in MODEL_OF.values():
        repository.runs.train(TrainRequest(model, settings=SHORT, quiet=True))
    repository.push(every_run=True)
    return repository


def run_of(repository: Repository, model: str) -> str:
    return next(record.id for record in repository.runs.list() if record.model == model)


@pytest.fixture(scope="module")
def prover(trainer: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A workspace that knows nothing but the remote's address."""
    repository = Repository.init(tmp_path_factory.mktemp("prover"))
    repository.remotes.add("origin", trainer.remotes.list()["origin"].url)
    return repository


@pytest.mark.parametrize("model", MODEL_OF.values())
@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_is_reproduced_to_the_bit(
    trainer: Repository, prover: Repository, model: str, workers: int
) -> None:
    run = run_of(trainer, model)
    found = prover.runs.reproduce(run[:12], Overrides(workers=workers, quiet=True), caller=ALLOWED)
    assert found.comparison.verdict == "BIT-IDENTICAL"
    assert found.comparison.first_difference is None
    assert found.comparison.steps > 1
    changed = [difference.name for difference in found.comparison.inputs]
    assert changed == (["topology.workers"] if workers else [])
    assert found.again.head.reproduces is not None
    assert found.again.head.reproduces.hex() == run
    assert prover.runs.show(found.again.id).verdict == "BIT-IDENTICAL"


def test_a_changed_seed_shows_in_the_initial_parameters(
    trainer: Repository, prover: Repository
) -> None:
    overrides = Overrides(settings={"seed": "1"}, quiet=True)
    found = prover.runs.reproduce(run_of(trainer, "cnn"), overrides, caller=ALLOWED).comparison
    assert found.verdict == "DIVERGED"
    assert found.first_difference is not None
    assert found.first_difference.part == "init"
    assert found.inputs[0].name.startswith("seeds")


def test_a_changed_label_shows_in_a_batch(trainer: Repository) -> None:
    folder = trainer.folder
    image = sorted((folder / "digits/train/3").iterdir())[0]
    image.rename(folder / "digits/train/5" / f"relabelled-{image.name}")
    trainer.commit("relabel", author=AUTHOR)
    overrides = Overrides(data="HEAD", quiet=True)
    found = trainer.runs.reproduce(run_of(trainer, "cnn"), overrides, caller=ALLOWED).comparison
    assert found.verdict == "DIVERGED"
    assert found.first_difference is not None
    assert (found.first_difference.part, found.first_difference.step) == ("batch", 0)
    assert found.inputs[0].name == "dataset"


def test_another_number_of_threads_is_named(trainer: Repository, prover: Repository) -> None:
    overrides = Overrides(threads=2, quiet=True)
    found = prover.runs.reproduce(run_of(trainer, "crnn"), overrides, caller=ALLOWED).comparison
    assert "environment.threads" in [difference.name for difference in found.inputs]
    # On some processors two threads happen to give the same bits; where not, the loss tells.
    if found.verdict == "DIVERGED":
        assert found.first_difference is not None
        assert found.first_difference.part in ("loss", "params", "end")
        assert found.inputs[0].name == "environment.threads"


def test_some_steps_can_be_repeated_alone(trainer: Repository, prover: Repository) -> None:
    overrides = Overrides(steps=1, quiet=True)
    found = prover.runs.reproduce(run_of(trainer, "rnn"), overrides, caller=ALLOWED).comparison
    assert found.verdict == "TRACE-IDENTICAL(1)"


def test_what_the_remote_lacks_cannot_be_restored(trainer: Repository, tmp_path: Path) -> None:
    lonely = Repository.init(tmp_path / "lonely")
    for run in trainer.store.backend.list("runs/"):
        lonely.store.backend.put(run.name, trainer.store.backend.get(run.name))
    record = trainer.runs.show(run_of(trainer, "cnn"))
    writer = lonely.store.writer()
    writer.add_meta(trainer.store.read(record.head.input))
    lonely.store.publish(writer.finish())
    with pytest.raises(NotRestorableError, match=record.dataset):
        lonely.runs.reproduce(record.id, caller=ALLOWED)


def test_a_run_that_cannot_begin_leaves_nothing(trainer: Repository) -> None:
    before = [record.id for record in trainer.runs.list()]
    folders = set((trainer.folder / ".dsvc/runs").iterdir())
    with pytest.raises(InvalidInputError, match="colour"):
        trainer.runs.train(TrainRequest("cnn", settings={"colour": "red"}, quiet=True))
    assert [record.id for record in trainer.runs.list()] == before
    assert set((trainer.folder / ".dsvc/runs").iterdir()) == folders


def test_a_truncated_image_is_named_or_skipped(tmp_path: Path) -> None:
    repository = Repository.init(tmp_path)
    copy_part("digits", tmp_path)
    bad = sorted((tmp_path / "digits/train/4").iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:-30])
    commit = repository.commit("one image is cut off", author=AUTHOR).commit.hex()
    path = bad.relative_to(tmp_path).as_posix()

    with pytest.raises(BadSampleError) as caught:
        repository.runs.train(TrainRequest("cnn", settings=SHORT, quiet=True))
    assert path in caught.value.message
    assert commit[:12] in caught.value.message
    assert repository.runs.list()[-1].status == "failed"

    request = TrainRequest("cnn", settings=SHORT, on_bad_sample="skip", quiet=True)
    record = repository.runs.train(request)
    assert record.status == "done"
    assert int(record.metrics["skipped"]) >= 1
    assert path in [event["path"] for event in record.events if event["event"] == "skipped"]


def test_training_needs_no_second_copy_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a training the folder holds 1.03 times the dataset at most."""
    origin = Repository.init(tmp_path / "origin")
    noise = np.random.default_rng(0)
    for number in range(1000):
        folder = tmp_path / "origin" / random.Random(number).choice(["train", "test"])
        target = folder / str(number % 2) / f"{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (110, 110, 3), np.uint8)).save(
            target, compress_level=0
        )
    size = origin.commit("noise", author=AUTHOR).bytes
    origin.remotes.add("origin", str(tmp_path / "remote"))
    origin.push()
    machine = tmp_path / "machine"
    Repository.clone(str(tmp_path / "remote"), machine, checkout=False)

    sizes: list[int] = []
    run = recording.run

    def measured(command: Any, listener: Callable[[dict[str, Any]], None]) -> int:
        def listen(event: dict[str, Any]) -> None:
            if event["event"] == "step":
                files = (file for file in machine.rglob("*") if file.is_file())
                sizes.append(sum(file.stat().st_size for file in files))
            listener(event)

        return run(command, listen)

    monkeypatch.setattr(recording, "run", measured)
    Repository.open(machine).runs.train(
        TrainRequest("cnn", settings={"size": "8"}, steps=4, quiet=True)
    )
    assert len(sizes) == 4
    assert max(sizes) <= 1.03 * size
