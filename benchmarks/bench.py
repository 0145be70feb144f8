"""What every case works with: the work folder, the trees, dsvc, the other tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import (
    BenchmarkError,
    CommandFailedError,
    Contender,
    Contest,
    Measured,
    Runner,
    bytes_on_disk,
    drop_caches,
    hold,
    remove,
)
from benchmarks.peers import Peer
from benchmarks.trees import TREE, Trees

PROJECT = Path(__file__).resolve().parent.parent
OURS = "dsvc"
COPY = "cp -r, sync"
WARM, COLD = "warm", "cold"


@dataclass
class Bench:
    """One run of the benchmarks.

    Args:
        work: a folder for trees and whatever is made of them.
        scale: of the trees; the aims are said of 1.
        repeat: how often each thing is measured.
        caches: of WARM and COLD, what is asked for.
        peers: the tools that were found.
        absent: tools that were asked for and not found.
        rclone: its command, if it is here: a server for remotes, and what copies to them.
    """

    work: Path
    scale: float
    repeat: int
    caches: Sequence[str]
    seed: int
    peers: Sequence[Peer] = ()
    absent: Sequence[str] = ()
    rclone: str | None = None
    notes: list[str] = field(default_factory=list)
    trees: Trees = field(init=False)
    environment: dict[str, str] = field(init=False)
    runner: Runner = field(init=False)
    _versions: dict[str, str] = field(default_factory=dict)
    _server: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.work = self.work.resolve()
        self.runs = self.work / "runs"
        self.trees = Trees(self.work / "trees", self.scale, self.seed)
        self.tidy()
        home = self.runs / "home"
        home.mkdir(parents=True)
        self.environment = _environment(home)
        for peer in self.peers:
            self.environment |= peer.environment(home)
        self.runner = Runner(self.runs, self.environment)
        if COLD in self.caches and not drop_caches():
            self.notes.append("Cold: not possible, since caches cannot be dropped here.")
            self.caches = [cache for cache in self.caches if cache != COLD]

    # Ours

    def dsvc(self, folder: Path, *arguments: object) -> list[str]:
        """The command line of dsvc in a workspace."""
        return [*_dsvc(), "-C", str(folder), *map(str, arguments)]

    def do(self, folder: Path, *arguments: object) -> Any:
        """Run dsvc unmeasured; what it answers with --json."""
        if self._server is None:
            self._server = subprocess.Popen(
                self.inside("serve"),
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        to, back = self._server.stdin, self._server.stdout
        assert to is not None
        assert back is not None
        words = ["-C", str(folder), *map(str, arguments), "--json"]
        print(json.dumps(words), file=to, flush=True)
        code, out = json.loads(back.readline())
        if code:
            raise CommandFailedError([OURS, *words], code, out)
        return json.loads(out)

    def close(self) -> None:
        """End what runs beside this, and leave nothing but the trees."""
        if self._server is not None:
            self._server.communicate()
        self.tidy()

    def tidy(self) -> None:
        """Remove all but the trees; an earlier run may have been killed."""
        roots = [self.trees.root(name) for name in self.trees.specs]
        beside = [path for root in roots for path in root.glob("*") if path.name != TREE]
        remove(self.runs, *beside)

    def quietly(self, command: Sequence[str], folder: Path) -> bytes:
        """Run any command unmeasured; what it printed."""
        done = subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            words = (done.stderr or done.stdout).decode(errors="replace")
            raise CommandFailedError(command, done.returncode, words)
        return done.stdout

    def inside(self, *arguments: object) -> list[str]:
        """The command line of inside.py, for what no verb does."""
        return [sys.executable, str(PROJECT / "benchmarks/inside.py"), *map(str, arguments)]

    def fresh(self, root: Path, store: Path | None = None) -> None:
        """Make the root of a tree a workspace without any version."""
        self.forget(root)
        root.mkdir(parents=True, exist_ok=True)
        self.do(root, "init", *(("--store", store) if store else ()))

    def forget(self, root: Path) -> None:
        """Remove what dsvc keeps beside a tree."""
        self._versions = {
            name: commit for name, commit in self._versions.items() if self.trees.root(name) != root
        }
        remove(root / ".dsvc")

    def committed(self, name: str) -> tuple[Path, str]:
        """The root of a tree all of which is committed, and that commit."""
        root = self.trees.make(name)
        if name not in self._versions:
            self.fresh(root)
            self._versions[name] = self.do(root, "commit", "-m", "base")["commit"]
        return root, self._versions[name]

    def commit_again(self, name: str) -> None:
        """Commit a tree that was put back as it was made: there is no other version of it."""
        root = self.trees.root(name)
        old = self.do(root, "show", self._versions[name])
        self.do(root, "commit", "-m", "as it was")
        if self.do(root, "show", "HEAD")["dataset"] != old["dataset"]:
            raise BenchmarkError(f"the same files in {root} have another digest than before")

    # What all cases need

    def place(self, name: str) -> Path:
        """A new, empty folder."""
        folder = self.runs / name
        remove(folder)
        folder.mkdir(parents=True)
        return folder

    def some(self, count: int, least: int = 10) -> int:
        """A count at this scale."""
        return max(least, round(count * self.scale))

    def contest(
        self, contenders: Sequence[Contender], cache: str, warm_up: Sequence[Path] = ()
    ) -> Contest:
        return hold(self.runner, contenders, self.repeat, cold=cache == COLD, warm_up=warm_up)

    def copying(self, root: Path) -> Contender:
        """The measure of all things: the tree copied by cp, and the disk told to have it."""
        copy = self.runs / "copy"
        return Contender(
            COPY,
            [["sh", "-c", 'cp -r "$1" "$2" && sync', "sh", str(root / TREE), str(copy)]],
            self.runs,
            prepare=partial(remove, copy),
            finish=lambda _: remove(copy),
        )

    def adding(
        self,
        peer: Peer,
        root: Path,
        prepare: Callable[[], object] | None = None,
        finish: Callable[[], object] | None = None,
    ) -> Contender:
        """Another tool commits a tree."""

        def begin() -> None:
            self.clear(peer, root)
            for command in peer.begin():
                self.quietly(command, root)
            if prepare:
                prepare()

        def end(_: list[Measured]) -> None:
            if finish:
                finish()
            self.clear(peer, root)

        steps = [command for _, command in peer.add()]
        return Contender(peer.name, steps, root, begin, end, optional=True)

    def clear(self, peer: Peer, root: Path) -> None:
        """Remove what a tool keeps beside a tree and at home."""
        remove(*(root / place for place in peer.places), *peer.kept(self.runs / "home"))

    def shelf(self, peer: Peer, root: Path) -> Path:
        """A folder with what a tool keeps of a tree after it has committed it.

        It stays empty if the tool fails, which then fails where it is measured, too.
        """
        shelf = self.place(f"{peer.name}-shelf")
        self.clear(peer, root)
        self.move([".dsvc"], root, self.place("dsvc-shelf"))
        with suppress(CommandFailedError):
            for command in (*peer.begin(), *(command for _, command in peer.add())):
                self.quietly(command, root)
            self.move(peer.places, root, shelf)
        self.move([".dsvc"], self.runs / "dsvc-shelf", root)
        return shelf

    def swap_in(self, peer: Peer, root: Path, shelf: Path) -> None:
        """Put what a tool keeps of a tree in the place of what dsvc keeps of it."""
        self.move([".dsvc"], root, self.place("dsvc-shelf"))
        self.move(peer.places, shelf, root)

    def swap_out(self, peer: Peer, root: Path, shelf: Path, _: object = None) -> None:
        self.move(peer.places, root, shelf)
        self.move([".dsvc"], self.runs / "dsvc-shelf", root)

    def move(self, names: Iterable[str], source: Path, target: Path) -> None:
        """Move files and folders, as far as they are there."""
        for name in names:
            if (source / name).exists():
                (source / name).rename(target / name)

    def on_disk(self, root: Path, places: Iterable[str]) -> int:
        """Bytes that a tool keeps beside a tree."""
        os.sync()
        return bytes_on_disk(*(root / place for place in places))


def synced(command: Sequence[str]) -> list[str]:
    """A command, and then the disk told to have it."""
    return ["sh", "-c", '"$@" && sync', "sh", *command]


def _dsvc() -> list[str]:
    script = Path(sys.executable).with_name("dsvc")
    return [str(script)] if script.exists() else [sys.executable, "-m", "datasets_vc.cli"]


def _environment(home: Path) -> dict[str, str]:
    """What commands see: nothing of whoever runs the benchmarks but where programs are."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")
        if name in os.environ
    }
    who = "Benchmark", "benchmark@example.org"
    return {
        **kept,
        "HOME": str(home),
        "PYTHONPATH": str(PROJECT),
        "DSVC_AUTHOR": f"{who[0]} <{who[1]}>",
        **{f"GIT_{role}_NAME": who[0] for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": who[1] for role in ("AUTHOR", "COMMITTER")},
    }
