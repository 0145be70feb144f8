"""Arrays and objects nested in each other, in every text that is decoded: refused at one depth.

A root with a member nested 972 deep was parsed, and then ended in an internal error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc import Snapshot
from datasets_vc.cli.main import main
from datasets_vc.cli.user_settings import listed_folders
from datasets_vc.config import RemoteConfig, add_remote, edit_config, read_config
from datasets_vc.decoding import MAX_LEVELS, load_json, load_toml
from datasets_vc.errors import DatasetError, IntegrityError, InvalidInputError
from datasets_vc.format.json import canonical, check_of, encode_object, parse
from datasets_vc.format.lock import decode_lock
from datasets_vc.format.root import decode_root
from datasets_vc.format.run import decode_run_log
from datasets_vc.repository import Repository
from datasets_vc.samples.rows import text_of
from datasets_vc.samples.tabular import read_json_lines
from datasets_vc.tables.keyed import declared_keys
from datasets_vc.tables.reading import read_table
from models.config import resolve

DEPTHS = (MAX_LEVELS + 1, 300, 900, 972, 976, 5_000, 200_000)
KINDS = [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")]


def nest(levels: int, kind: tuple[str, str] = ("[", "]")) -> str:
    first, last = kind
    times = levels // (first.count("[") + first.count("{"))
    return first * times + "1" + last * times


@pytest.mark.parametrize("kind", KINDS)
def test_the_depth_that_can_be(kind: tuple[str, str]) -> None:
    assert load_json(nest(MAX_LEVELS, kind)) == json.loads(nest(MAX_LEVELS, kind))
    for levels in DEPTHS:
        with pytest.raises(ValueError, match="100 levels deep"):
            load_json(nest(levels + levels % 2, kind))
    with pytest.raises(ValueError, match="100 levels deep"):
        load_toml(f"a = {nest(MAX_LEVELS)}")
    with pytest.raises(ValueError, match="100 levels deep"):
        load_toml(f"{'.'.join('a' * 2_000)} = 1")


def test_what_is_written_can_be_read() -> None:
    deep = json.loads(nest(MAX_LEVELS))
    assert parse(canonical(deep), "It") == deep
    with pytest.raises(InvalidInputError, match="cannot be recorded"):
        canonical([deep])


def root_with(extra: str) -> bytes:
    data = encode_object(
        "dsvc-root",
        {
            "branches": {},
            "default": "main",
            "doomed": [],
            "gc_generation": 0,
            "id": "0" * 32,
            "indexes": [],
            "tags": {},
            "tracking": {},
            "write_id": "0" * 32,
        },
    )
    return data[:-1] + f',"x-later":{extra}}}'.encode()


def run_log(extra: str) -> bytes:
    line = f'{{"event":"step","x":{extra}}}\n'.encode()
    return line + canonical({"event": "check", "check": check_of(line)}) + b"\n"


def config_of(folder: Path, text: str) -> object:
    (folder / ".dsvc").mkdir(exist_ok=True)
    (folder / ".dsvc" / "config.toml").write_text(text)
    return read_config(folder)


def user_settings(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> object:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    (folder / "dsvc").mkdir(exist_ok=True)
    (folder / "dsvc" / "config.toml").write_text(text)
    return listed_folders()


def config_file(folder: Path, name: str, text: str) -> object:
    (folder / name).write_text(text)
    return resolve("cnn", folder / name)


@pytest.mark.parametrize("levels", DEPTHS)
def test_each_decoder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: int) -> None:
    deep = nest(levels)
    toml = f"x = {deep}\n".encode()
    row = f'{{"file_name":"a","x":{deep}}}'.encode()
    acts: dict[str, Callable[[], object]] = {
        "root": lambda: decode_root(root_with(deep), "The root"),
        "log": lambda: decode_run_log(run_log(deep), "The log"),
        "lock": lambda: decode_lock(toml, "The lock file"),
        "keys": lambda: declared_keys(toml),
        "config": lambda: config_of(tmp_path, toml.decode()),
        "user settings": lambda: user_settings(tmp_path, monkeypatch, toml.decode()),
        "settings of a model": lambda: config_file(tmp_path, "a.toml", toml.decode()),
        "the same in JSON": lambda: config_file(tmp_path, "a.json", row.decode()),
        "table": lambda: read_table("metadata.jsonl", "file_name", row),
        "samples": lambda: read_json_lines(row + b"\n", "metadata.jsonl"),
    }
    for what, act in acts.items():
        with pytest.raises(DatasetError) as caught:
            act()
        assert len(caught.value.message) < 500, what
    with pytest.raises(ValueError, match="levels deep"):
        text_of(b'{"text":"a","x":%b}' % deep.encode(), None)


def test_settings_as_deep_as_can_be_are_rewritten(tmp_path: Path) -> None:
    config_of(tmp_path, f"x = {nest(MAX_LEVELS - 1)}\n")
    add_remote(tmp_path, RemoteConfig("origin", str(tmp_path / "remote")))
    assert list(read_config(tmp_path).remotes) == ["origin"]
    edit_config(tmp_path, lambda document: document.update({"author": "Ada"}))
    assert "[[[[" in (tmp_path / ".dsvc" / "config.toml").read_text()


@pytest.mark.parametrize("levels", [600, 968, 972, 976])
def test_a_remote_whose_root_is_nested(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], levels: int
) -> None:
    remote = Path(Repository.init(tmp_path / "work").store.url)
    root = remote / "root.json"
    members = json.loads(root.read_bytes())
    members["write_flags"].remove("check")
    del members["check"]
    text = json.dumps(members | {"x-later": "deep"}).replace('"deep"', nest(levels))
    root.write_text(text)
    assert main(["clone", str(remote), str(tmp_path / "clone")]) == 13
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert "internal error" not in said
    with pytest.raises(IntegrityError):
        Snapshot.open(str(remote), "main").entries()
