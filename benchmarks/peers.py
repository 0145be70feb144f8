"""The other tools: how each of them commits, looks at and brings back a tree.

Commands run in the folder that the tree lies in. No tool gets options that make it faster or
slower than it is after installation; git's `gc` is off.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.trees import TREE

Command = list[str]


@dataclass(frozen=True, slots=True)
class Peer(ABC):
    """A tool; `program` is the command, or the interpreter, that it runs by."""

    program: str

    name: ClassVar[str]
    places: ClassVar[Sequence[str]]
    """What it puts beside the tree; moved elsewhere, it still knows the tree."""

    @abstractmethod
    def version(self) -> str: ...

    @abstractmethod
    def begin(self) -> list[Command]:
        """Before there is any version; not measured."""

    @abstractmethod
    def add(self) -> list[tuple[str, Command]]:
        """What makes a version: the name and the command of each step."""

    def status(self) -> Command | None:
        """What tells changes since the last version."""
        return None

    @abstractmethod
    def checkout(self) -> list[Command]:
        """What brings the files back where they are missing."""

    def environment(self, home: Path) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def kept(self, home: Path) -> Sequence[Path]:  # noqa: ARG002
        """What it remembers of a tree elsewhere."""
        return ()


class Dvc(Peer):
    """https://dvc.org; its add neither makes a git commit nor waits for the disk."""

    name = "DVC"
    places = (".git", ".dvc", ".dvcignore", ".gitignore", f"{TREE}.dvc")

    def version(self) -> str:
        return _said(self.program, "--version")

    def begin(self) -> list[Command]:
        return [["git", "init", "-q"], [self.program, "init", "-q"]]

    def add(self) -> list[tuple[str, Command]]:
        return [("dvc add", [self.program, "add", "-q", TREE])]

    def status(self) -> Command:
        return [self.program, "status", "-q"]

    def checkout(self) -> list[Command]:
        return [[self.program, "checkout", "-q"]]

    def environment(self, home: Path) -> Mapping[str, str]:
        # Digests that it remembers between runs lie in the first.
        return {"DVC_SITE_CACHE_DIR": str(home / "dvc"), "DVC_NO_ANALYTICS": "1"}

    def kept(self, home: Path) -> Sequence[Path]:
        return (home / "dvc",)


class Oxen(Peer):
    """https://oxen.ai, by its Python package; `program` is an interpreter that has it."""

    name = "Oxen"
    places = (".oxen", ".oxenignore")

    def version(self) -> str:
        return _said(self.program, "-c", _OXEN_VERSION)

    def begin(self) -> list[Command]:
        user = "from oxen.user import config_user; config_user('Benchmark', 'b@example.org'); "
        return [self._python(user + "repo.init()")]

    def add(self) -> list[tuple[str, Command]]:
        return [
            ("oxen add", self._python(f"repo.add({TREE!r})")),
            ("oxen commit", self._python("repo.commit('version')")),
        ]

    def status(self) -> Command:
        return self._python("print(repo.status())")

    def checkout(self) -> list[Command]:
        return [self._python(f"repo.restore({TREE!r})")]

    def _python(self, code: str) -> Command:
        return [self.program, "-c", f"import oxen; repo = oxen.Repo('.'); {code}"]


class Restic(Peer):
    """https://restic.net, a backup program: it reads the tree and has no work area."""

    name = "restic"
    places = ("restic",)

    def version(self) -> str:
        return _said(self.program, "version").split(" compiled")[0].removeprefix("restic ")

    def begin(self) -> list[Command]:
        return [[self.program, "init", "-q", "-r", "restic"]]

    def add(self) -> list[tuple[str, Command]]:
        return [("restic backup", [self.program, "backup", "-q", "-r", "restic", TREE])]

    def checkout(self) -> list[Command]:
        return [[self.program, "restore", "-q", "-r", "restic", "latest", "--target", "."]]

    def environment(self, home: Path) -> Mapping[str, str]:
        return {"RESTIC_PASSWORD": "benchmark", "RESTIC_CACHE_DIR": str(home / "restic")}

    def kept(self, home: Path) -> Sequence[Path]:
        return (home / "restic",)


class GitLfs(Peer):
    """https://git-lfs.com; `program` is git-lfs, git calls it."""

    name = "git-lfs"
    places = (".git", ".gitattributes")

    def version(self) -> str:
        lfs = _said(self.program, "version").split()[0].removeprefix("git-lfs/")
        return f"{lfs} with {_said('git', '--version')}"

    def begin(self) -> list[Command]:
        return [
            ["git", "init", "-q"],
            # What git does by itself now and then would go on during the next measurement.
            ["git", "config", "gc.auto", "0"],
            [self.program, "install", "--local"],
            [self.program, "track", f"{TREE}/**"],
        ]

    def add(self) -> list[tuple[str, Command]]:
        return [
            ("git add", ["git", "add", "."]),
            ("git commit", ["git", "commit", "-q", "-m", "version"]),
        ]

    def status(self) -> Command:
        return ["git", "status", "--porcelain"]

    def checkout(self) -> list[Command]:
        return [["git", "checkout", "-q", "HEAD", "--", TREE]]

    def environment(self, home: Path) -> Mapping[str, str]:  # noqa: ARG002
        folders = [str(Path(self.program).parent), os.environ.get("PATH", os.defpath)]
        return {"PATH": os.pathsep.join(folders)}


KINDS: Mapping[str, type[Peer]] = {"dvc": Dvc, "oxen": Oxen, "restic": Restic, "git-lfs": GitLfs}

_OXEN_VERSION = "from importlib.metadata import version as v; print(v('oxenai'))"


def find(wanted: Sequence[str], given: Mapping[str, str]) -> tuple[list[Peer], list[str]]:
    """The tools that are here, and the names of those that are not.

    Args:
        wanted: of KINDS.
        given: programs for some of them; others are looked for where commands are.
    """
    here: list[Peer] = []
    absent: list[str] = []
    for name in wanted:
        default = sys.executable if name == "oxen" else name
        program = shutil.which(given.get(name) or default)
        peer = KINDS[name](str(Path(program).absolute())) if program else None
        if peer and _runs(peer):
            here.append(peer)
        else:
            absent.append(KINDS[name].name)
    return here, absent


def _runs(peer: Peer) -> bool:
    try:
        return bool(peer.version())
    except (OSError, subprocess.CalledProcessError):
        return False


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
