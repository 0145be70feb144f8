"""A `.dsvc` that a stranger's checkout or archive carries, in which something leads elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets_vc import Snapshot
from datasets_vc.cli.main import main
from datasets_vc.errors import UnsafeFolderError
from datasets_vc.repository import Repository

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes and links of POSIX")

AUTHOR = "Ada <ada@example.org>"
Plant = Callable[[Path, Path], object]


def _link(path: Path, target: Path) -> None:
    if path.is_dir():
        path.rename(path.with_name("away"))
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


PLANTS: dict[str, tuple[str, Plant]] = {
    "notes": ("received-runs", lambda at, home: _link(at, home / "rc")),
    "own notes": ("recorded-runs", lambda at, home: _link(at, home / "rc")),
    "endless": ("recorded-runs", lambda at, _: _link(at, Path("/dev/zero"))),
    "nowhere": ("received-runs", lambda at, home: _link(at, home / "not there")),
    "outputs": ("runs", lambda at, home: _link(at, home / "folder")),
    "passing": ("tmp", lambda at, home: _link(at, home / "folder")),
    "unknown": ("whatever", lambda at, home: _link(at, home / "folder")),
    "lock": ("lock", lambda at, home: _link(at, home / "rc")),
    "pipe": ("received-runs", lambda at, _: _pipe(at)),
    "head": ("HEAD", lambda at, _: _pipe(at)),
    "settings": ("config.toml", lambda at, _: _pipe(at)),
    "note": ("cloning.json", lambda at, _: _pipe(at)),
    "folder": ("received-runs", lambda at, _: at.mkdir()),
    "file": ("runs", lambda at, _: at.write_text("")),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "folder").mkdir(parents=True)
    (tmp_path / "home" / "rc").write_text("mine\n")
    return tmp_path / "home"


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    repository = Repository.init(tmp_path / "theirs")
    (tmp_path / "theirs" / "file").write_text("text")
    repository.commit("one", author=AUTHOR)
    repository.remotes.add("origin", str(tmp_path / "remote"))
    repository.push()
    return tmp_path / "theirs"


@pytest.mark.parametrize("kind", PLANTS)
def test_nothing_is_followed(
    planted: Path, home: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    name, plant = PLANTS[kind]
    plant(planted / ".dsvc" / name, home)
    for words in (
        ["status"],
        ["runs", "list"],
        ["fetch"],
        ["push", "--plan"],
        ["commit", "-m", "two"],
        ["init"],
    ):
        assert main(["-C", str(planted), *words]) == 1, words
        err = capfd.readouterr().err
        assert f".dsvc/{name}" in err
        assert "rm -r" in err
    assert main(["clone", str(planted.parent / "remote"), str(planted)]) == 1
    with pytest.raises(UnsafeFolderError, match=name):
        Snapshot.open(str(planted), "HEAD")
    assert (home / "rc").read_text() == "mine\n"
    assert not any((home / "folder").iterdir())


def test_the_store_may_be_a_link_as_a_whole(planted: Path) -> None:
    (planted / ".dsvc" / "store").rename(planted.parent / "versions")
    (planted / ".dsvc" / "store").symlink_to(planted.parent / "versions")
    assert main(["-C", str(planted), "status"]) == 0
