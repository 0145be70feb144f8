"""What a training says of itself."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from blake3 import blake3

from datasets_vc import Snapshot
from datasets_vc.errors import AlreadyExistsError
from loaders import DataLoader, ImageDataset
from models.config import resolve
from models.record import Log, inputs, loss_bits, params_digest, probe


def test_the_digest_of_parameters_is_that_of_the_format() -> None:
    model = torch.nn.BatchNorm1d(2, affine=False)
    named = [
        (b"num_batches_tracked\0int64\0\0", bytes(8)),
        (b"running_mean\0float32\0" + b"2\0", bytes(8)),
        (b"running_var\0float32\0" + b"2\0", b"\0\0\x80\x3f" * 2),
    ]

    assert params_digest(model) == blake3(b"".join(a + b for a, b in named)).hexdigest()


def test_the_digest_of_parameters_sees_every_bit() -> None:
    model = torch.nn.Linear(3, 2)
    before = params_digest(model)
    with torch.no_grad():
        model.bias[1] = torch.nextafter(model.bias[1], torch.tensor(torch.inf))

    assert params_digest(model) != before


def test_the_bits_of_a_loss_are_big_endian() -> None:
    assert loss_bits(1.0) == "3f800000"
    assert loss_bits(-0.0) == "80000000"


def test_a_log_has_a_line_for_each_event_at_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "new")
    log.write("step", epoch=0, step=1)
    log.write("skipped", path="ä\n", reason="it is cut off")

    lines = (tmp_path / "new" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    log.close()

    assert [json.loads(line) for line in lines] == [
        {"event": "step", "epoch": 0, "step": 1},
        {"event": "skipped", "path": "ä\n", "reason": "it is cut off"},
    ]


def test_a_log_is_never_overwritten(tmp_path: Path) -> None:
    Log(tmp_path).close()

    with pytest.raises(AlreadyExistsError, match="another training"):
        Log(tmp_path)


def test_inputs_have_every_member_and_no_fraction(pictures: Snapshot) -> None:
    train = ImageDataset(pictures, "train", mode="L")
    plan = DataLoader(train, 16).plan
    variables = {"OMP_NUM_THREADS": "1", "SECRET_TOKEN": "abc"}

    found = inputs(resolve("cnn"), plan.describe(), train, torch.device("cpu"), variables)

    assert set(found) == {"config", "seeds", "plan", "packages", "environment", "probes"}
    assert found["config"]["learning_rate"] == "0.004"
    assert found["plan"]["digest"] == plan.digest
    assert found["packages"]["torch"] == version("torch")
    assert found["environment"]["torch"] == torch.__version__
    assert found["environment"]["threads"] == torch.get_num_threads()
    assert found["environment"]["variables"] == {"OMP_NUM_THREADS": "1"}
    assert len(found["probes"]["samples"]) == 4
    json.dumps(found, allow_nan=False)
    assert not list(_fractions(found))


def _fractions(value: object):
    if isinstance(value, float):
        yield value
    for member in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _fractions(member)


def test_probes_tell_decoding_that_differs(pictures: Snapshot) -> None:
    grey, again, colour = (
        probe(ImageDataset(pictures, "train", mode=mode)) for mode in ("L", "L", "RGB")
    )

    assert grey == again
    assert grey.keys() == colour.keys()
    assert not set(grey.values()) & set(colour.values())


def test_a_probe_of_a_damaged_sample_says_so(make_snapshot, pictures: Snapshot) -> None:
    damaged = make_snapshot({"train/a/0.png": b"no image", "train/b/1.png": b"none"})

    found = probe(ImageDataset(damaged, "train"))

    assert set(found.values()) == {"cannot be decoded"}
