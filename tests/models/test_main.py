"""`python -m models`: what it writes, says and returns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from datasets_vc import Snapshot
from datasets_vc.digest import digest_of
from models import __main__ as program
from models.record import Log

PROJECT = Path(__file__).parents[2]
QUICK = ("--set", "epochs=2", "--set", "batch_size=16")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set by the program for its own process.
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def _arguments(snapshot: Snapshot, out: Path, *more: str, model: str = "cnn") -> list[str]:
    address = ["--data", snapshot.url, "--dataset", snapshot.digest]
    return [model, *address, "--out", str(out), *more]


def _events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_training_leaves_log_checkpoint_and_curve(
    pictures: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = program.main(_arguments(pictures, tmp_path, *QUICK))

    events = _events(tmp_path)
    kinds = [event["event"] for event in events]
    assert status == 0
    assert kinds == [
        "inputs",
        "init",
        *["step"] * 4,
        "epoch",
        *["step"] * 4,
        "epoch",
        "checkpoint",
        "end",
    ]
    saved, end = events[-2:]
    assert digest_of((tmp_path / saved["name"]).read_bytes()).hex() == saved["digest"]
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert end["status"] == "done"
    assert end["params"] == events[-4]["params"]
    assert end["metrics"]["majority_accuracy"] == 0.5
    assert end["metrics"]["skipped"] == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 2
    assert "epoch   2/2" in said.err


def test_an_rnn_is_reported_beside_counting_words(words: Snapshot, tmp_path: Path) -> None:
    assert program.main(_arguments(words, tmp_path, "--steps", "1", model="rnn")) == 0

    metrics = _events(tmp_path)[-1]["metrics"]
    assert metrics["bag_of_words_accuracy"] == 1
    assert metrics["majority_accuracy"] == 0.5


def test_a_folder_of_the_dataset_can_be_chosen(samples: Snapshot, tmp_path: Path) -> None:
    arguments = _arguments(samples, tmp_path, "--under", "clips", "--steps", "1", model="crnn")

    assert program.main(arguments) == 0
    assert _events(tmp_path)[0]["plan"]["samples"] == 480


def test_a_training_goes_on_from_a_checkpoint(pictures: Snapshot, tmp_path: Path) -> None:
    program.main(_arguments(pictures, tmp_path / "whole", *QUICK))
    program.main(_arguments(pictures, tmp_path / "part", *QUICK, "--steps", "3"))
    checkpoint = str(tmp_path / "part" / "step-000003.safetensors")
    program.main(_arguments(pictures, tmp_path / "rest", *QUICK, "--resume", checkpoint))

    whole, rest = _events(tmp_path / "whole"), _events(tmp_path / "rest")
    assert rest[-1]["params"] == whole[-1]["params"]
    assert rest[-1]["metrics"] == whole[-1]["metrics"]


@pytest.mark.parametrize(
    ("more", "kind", "message"),
    [
        (("--set", "epoch=3"), "invalid_input", "no setting 'epoch'"),
        (("--config", "none.toml"), "not_found", "'none.toml'"),
        (("--set", "test_split=val"), "invalid_input", "no split 'val'"),
        (("--set", "device=abacus"), "invalid_input", "'abacus'"),
        (("--under", "nowhere"), "invalid_input", "nowhere"),
    ],
)
def test_an_error_is_one_sentence_and_the_end_of_the_log(
    pictures: Snapshot,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    kind: str,
    message: str,
) -> None:
    status = program.main(_arguments(pictures, tmp_path, *more))

    (end,) = _events(tmp_path)
    assert status == 1
    assert end["status"] == "failed"
    assert end["error"]["kind"] == kind
    assert message in end["error"]["message"]
    assert capsys.readouterr().err.startswith(f"error: {end['error']['message']}\n")


def test_a_bad_sample_fails_the_run_after_its_inputs(
    make_snapshot, picture_files: dict[str, bytes], tmp_path: Path
) -> None:
    path = "train/lower/01.png"
    snapshot = make_snapshot(picture_files | {path: picture_files[path][:50]})

    status = program.main(_arguments(snapshot, tmp_path, *QUICK))

    events = _events(tmp_path)
    assert status == 1
    assert [events[0]["event"], events[1]["event"]] == ["inputs", "init"]
    assert events[-1]["error"]["kind"] == "bad_sample"
    assert path in events[-1]["error"]["message"]


def test_bad_samples_that_are_skipped_are_counted(
    make_snapshot, picture_files: dict[str, bytes], tmp_path: Path
) -> None:
    path = "train/lower/01.png"
    snapshot = make_snapshot(picture_files | {path: picture_files[path][:50]})

    status = program.main(_arguments(snapshot, tmp_path, *QUICK, "--on-bad-sample", "skip"))

    assert status == 0
    assert _events(tmp_path)[-1]["metrics"]["skipped"] == 1


def test_somebody_who_reads_the_log_is_not_told_errors_twice(
    pictures: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program.main(_arguments(pictures, tmp_path, "--set", "epoch=3", "--recorded"))

    assert capsys.readouterr().err == ""
    assert _events(tmp_path)[-1]["status"] == "failed"


def test_the_log_of_another_training_is_kept(
    pictures: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Log(tmp_path).close()

    assert program.main(_arguments(pictures, tmp_path)) == 1
    assert "another training" in capsys.readouterr().err
    assert _events(tmp_path) == []


@pytest.mark.parametrize(
    "more", [("--threads", "0"), ("--workers", "-1"), ("--steps", "x"), ("--on-bad-sample", "fix")]
)
def test_wrong_usage_ends_with_2(pictures: Snapshot, tmp_path: Path, more: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(_arguments(pictures, tmp_path, *more))

    assert caught.value.code == 2


def test_an_interrupt_keeps_what_there_is(
    pictures: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(terminal: object, epoch: int, step: int, *told: object) -> None:
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(program.Terminal, "step", interrupt)

    status = program.main(_arguments(pictures, tmp_path, *QUICK))

    events = _events(tmp_path)
    assert status == 130
    assert [event["event"] for event in events[-2:]] == ["checkpoint", "end"]
    assert events[-1]["status"] == "interrupted"
    assert (tmp_path / "step-000003.safetensors").is_file()
    assert (tmp_path / "curve.png").is_file()


def test_a_process_of_its_own_says_nothing_on_stdout(pictures: Snapshot, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models", *_arguments(pictures, tmp_path, "--steps", "2")]
    environment = {k: v for k, v in os.environ.items() if k != "CUBLAS_WORKSPACE_CONFIG"}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )

    inputs = _events(tmp_path)[0]
    assert (done.returncode, done.stdout) == (0, "")
    assert inputs["environment"]["flags"]["deterministic_algorithms"] is True
    assert inputs["environment"]["variables"]["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert inputs["environment"]["threads"] == 1
