"""Keys and tables of `.dsvc/config.toml` that nothing reads."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from datasets_vc.cli.unknown_keys import _KEYS, _SIGNING_KEYS, unknown_keys
from datasets_vc.config import Config, RemoteConfig, add_remote, read_config
from datasets_vc.repository import Repository
from datasets_vc.signing.settings import SigningSettings
from tests.cli.conftest import Dsvc

KNOWN = """
author = "Ada"
only = ["a"]
[remote.origin]
url = "/x"
single_writer = true
[tables]
"*.csv" = "anything"
[signing]
verify = true
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (KNOWN, {}),
        ("[remotes.origin]\nurl = '/x'", {"remotes": "remote"}),
        ("Author = 'x'\nzzz = 1", {"Author": "author", "zzz": ""}),
        (
            "[remote.o]\nurl = '/x'\nsingle-writer = 1",
            {"remote.o.single-writer": "remote.o.single_writer"},
        ),
        (
            "[signing]\nallowed-signers = 'x'",
            {"signing.allowed-signers": "signing.allowed_signers"},
        ),
    ],
)
def test_what_nothing_reads(tmp_path: Path, text: str, told: dict[str, str]) -> None:
    (tmp_path / ".dsvc").mkdir()
    (tmp_path / ".dsvc" / "config.toml").write_text(text)
    assert unknown_keys(tmp_path) == told


def test_all_that_is_read_is_known(tmp_path: Path) -> None:
    assert {field.name for field in fields(Config)} - {"remotes"} == {*_KEYS} - {"remote"}
    assert {field.name for field in fields(SigningSettings)} == {*_SIGNING_KEYS}
    (tmp_path / ".dsvc").mkdir()
    add_remote(tmp_path, RemoteConfig("origin", "/x", single_writer=True, id="none"))
    assert read_config(tmp_path).remotes
    assert unknown_keys(tmp_path) == {}


def test_it_is_told_once_and_stops_nothing(dsvc: Dsvc, tmp_path: Path) -> None:
    Repository.init(tmp_path)
    assert dsvc("status").err == ""
    (tmp_path / ".dsvc" / "config.toml").write_text("[remotes.origin]\nurl = '/x'\n")
    outcome = dsvc("status", "--json")
    assert outcome.code == 0
    assert outcome.data["clean"]
    assert outcome.err == (
        "warning: nothing reads the key 'remotes' of .dsvc/config.toml; did you mean 'remote'?\n"
    )
    assert dsvc("status", "-q").err == ""
