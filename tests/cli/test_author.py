from __future__ import annotations

import shutil

import pytest

from datasets_vc.cli import author
from datasets_vc.cli.author import author_of
from datasets_vc.config import set_author


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    (tmp_path / ".dsvc").mkdir()
    monkeypatch.delenv("DSVC_AUTHOR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(author.getpass, "getuser", lambda: "ada")
    monkeypatch.setattr(author.socket, "gethostname", lambda: "engine")
    return tmp_path


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_first_that_is_known_is_the_author(workspace, monkeypatch) -> None:
    assert author_of(None, workspace) == "ada@engine"

    (workspace / ".gitconfig").write_text("[user]\n\temail = ada@git\n")
    assert author_of(None, workspace) == "ada@git"

    (workspace / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@git\n")
    assert author_of(None, workspace) == "Ada <ada@git>"

    set_author(workspace, "Config")
    assert author_of(None, workspace) == "Config"

    monkeypatch.setenv("DSVC_AUTHOR", "Environment")
    assert author_of(None, workspace) == "Environment"
    assert author_of("Option", workspace) == "Option"


def test_without_git_the_login_is_the_author(workspace, monkeypatch) -> None:
    monkeypatch.setattr(author.shutil, "which", lambda _: None)

    assert author_of(None, workspace) == "ada@engine"


def test_a_login_without_a_name_has_its_number(workspace, monkeypatch) -> None:
    def getuser() -> str:
        raise OSError("no such user")

    monkeypatch.setattr(author.shutil, "which", lambda _: None)
    monkeypatch.setattr(author.getpass, "getuser", getuser)
    monkeypatch.setattr(author.os, "getuid", lambda: 1234)

    assert author_of(None, workspace) == "1234@engine"
