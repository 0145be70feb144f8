"""Settings: what replaces what, and what is refused."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from datasets_vc.errors import InvalidInputError, NotFoundError
from models.config import MODELS, resolve
from models.train import TrainConfig


@pytest.mark.parametrize("model", MODELS)
def test_defaults_are_complete(model: str) -> None:
    config = resolve(model)

    assert TrainConfig.of(config).batch_size == config["batch_size"]
    assert not any(isinstance(value, dict) for value in config.values())


def test_a_models_table_replaces_the_common_one() -> None:
    assert resolve("cnn")["epochs"] == 6
    assert resolve("rnn")["epochs"] == 8


def test_a_file_replaces_defaults_and_settings_replace_both(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        "seed = 3\nepochs = 2\n[train]\nbatch_size = 8\n[cnn]\nhidden = 5\n[rnn]\nhidden = 7\n"
    )

    config = resolve("cnn", file, ["epochs=4", "channels=[3, 4]", "residual=true", "device=cpu"])

    assert config["seed"] == 3
    assert config["epochs"] == 4
    assert config["batch_size"] == 8
    assert config["hidden"] == 5
    assert config["channels"] == [3, 4]
    assert config["residual"] is True
    assert config["device"] == "cpu"


def test_a_record_of_a_run_resolves_to_itself(tmp_path: Path) -> None:
    config = resolve("cnn", None, ["learning_rate=0.1", "channels=8"])
    file = tmp_path / "config.json"
    recorded = {k: repr(v) if isinstance(v, float) else v for k, v in config.items()}
    file.write_text(json.dumps(recorded))

    assert resolve("cnn", file) == config


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("dropout=0", 0.0),
        ("learning_rate=1e-3", 0.001),
        ("channels=4,5", [4, 5]),
        ("mode=RGB", "RGB"),
    ],
)
def test_values_may_be_written_shortly(setting: str, value: object) -> None:
    found = resolve("cnn", None, [setting])[setting.partition("=")[0]]

    assert found == value
    assert type(found) is type(value)


def test_an_unknown_key_is_named_with_those_known() -> None:
    with pytest.raises(InvalidInputError, match="'epoch'") as caught:
        resolve("cnn", None, ["epoch=3"])

    assert "epochs" in caught.value.hint
    assert "residual" in caught.value.hint


def test_settings_of_other_models_are_unknown() -> None:
    with pytest.raises(InvalidInputError, match="'cell'"):
        resolve("cnn", None, ["cell=gru"])


@pytest.mark.parametrize(
    "setting",
    [
        "epochs=2.5",
        "epochs=many",
        "epochs=true",
        "residual=1",
        "dropout=much",
        "dropout=true",
        "channels=[]",
        "channels=[1.5]",
        "channels=[true]",
        "channels=wide",
        "mode=3",
    ],
)
def test_a_value_of_the_wrong_type_is_refused(setting: str) -> None:
    with pytest.raises(InvalidInputError, match=f"'{setting.partition('=')[0]}' must be"):
        resolve("cnn", None, [setting])


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="KEY=VALUE"):
        resolve("cnn", None, ["epochs"])


@pytest.mark.parametrize(("name", "text"), [("a.toml", "seed = 3"), ("a.json", '{"seed": 3}')])
def test_a_mark_that_an_editor_put_before_the_text_is_no_fault(
    tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / name
    file.write_text(f"\ufeff{text}", encoding="utf-8")
    assert resolve("cnn", file, []) == resolve("cnn", None, ["seed=3"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "seed = ", "not valid TOML"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", "[1]", "not a table"),
        ("a.toml", "[optimizer]\nlr = 1", "no setting 'optimizer'"),
        ("a.toml", "[train]\nlr = 1", "no setting 'lr'"),
        ("a.toml", "train = 1", "no setting 'train'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(text)

    with pytest.raises(InvalidInputError, match=message):
        resolve("cnn", file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.toml"):
        resolve("cnn", tmp_path / "none.toml")


@pytest.mark.parametrize(
    "setting", ["epochs=0", "batch_size=-1", "learning_rate=-1", "params_every=0"]
)
def test_a_number_out_of_range_is_refused(setting: str) -> None:
    with pytest.raises(InvalidInputError, match=setting.partition("=")[0]):
        TrainConfig.of(resolve("cnn", None, [setting]))


def test_every_default_says_what_it_is() -> None:
    text = (Path(__file__).parents[2] / "models" / "defaults.toml").read_text()

    assert set(tomllib.loads(text)) == {"train", *MODELS}
