"""Remotes that refuse, stumble, say nothing, hang up, cut short, lie, and do things unheard."""

from __future__ import annotations

import shutil
from pathlib import Path

from datasets_vc.repository import Repository
from tests.integration.trees import AUTHOR, Tree, committed_tree, make_tree, tree_of
from tests.torture.campaign import Setting, Tally, Trial, campaign
from tests.torture.forking import Ended, Forking, Order
from tests.torture.proxy import NONE, READS, WRITES, Faults, Proxy, proxied
from tests.torture.s3 import BUCKET, environment, s3_server
from tests.torture.world import ONE, THREE, TWO

_SHARES = 0.05, 0.5
_KINDS = frozenset({*READS, *WRITES})
_BASE = f"s3://{BUCKET}/base"


class Stumbles:
    """Tries for `campaign`: a command over a bad line, then the same over a good one."""

    def __init__(self, folder: Path, server: Forking, proxy: Proxy) -> None:
        self._folder = folder
        self._server = server
        self._proxy = proxy
        self._environment = environment(proxy.url)
        self._build()

    def __call__(self, trial: Trial, tally: Tally) -> None:
        trial.folder.mkdir()
        act = ("push", "pull", "clone")[trial.number % 3]
        # Half of the lines never lie: what is only slow or broken must never look like damage.
        lies = trial.chance.random() < 0.5
        kinds = _KINDS if lies else _KINDS - {"wrong bytes"}
        share = trial.chance.uniform(*_SHARES)
        getattr(self, f"_{act}")(trial, tally, Faults(trial.number, share, kinds))

    def _push(self, trial: Trial, tally: Tally, faults: Faults) -> None:
        work = trial.folder / "work"
        shutil.copytree(self._folder / "work", work, symlinks=True)
        url = f"s3://{BUCKET}/{trial.number}"
        self._good(trial.folder, "-C", str(work), "remote", "add", "new", url)
        argv = ["-C", str(work), "push", "new"]
        self._bad(trial.folder, argv, tally, faults)
        self._good(trial.folder, *argv)
        assert tree_of(work) == THREE
        self._good(trial.folder, "clone", url, str(trial.folder / "copy"))
        _check(trial.folder / "copy", THREE)

    def _pull(self, trial: Trial, tally: Tally, faults: Faults) -> None:
        work = trial.folder / "old"
        shutil.copytree(self._folder / "old", work, symlinks=True)
        argv = ["-C", str(work), "pull"]
        self._bad(trial.folder, argv, tally, faults)
        assert tree_of(work) in (ONE, TWO)
        self._good(trial.folder, *argv)
        _check(work, TWO)

    def _clone(self, trial: Trial, tally: Tally, faults: Faults) -> None:
        work = trial.folder / "new"
        argv = ["clone", _BASE, str(work)]
        ended = self._bad(trial.folder, argv, tally, faults)
        if ended.code:
            assert not work.exists() or not tree_of(work)
        else:
            argv = ["-C", str(work), "pull"]
        self._good(trial.folder, *argv)
        _check(work, TWO)

    def _bad(self, folder: Path, argv: list[str], tally: Tally, faults: Faults) -> Ended:
        self._proxy.faults = faults
        ended = self._server.run(
            Order(argv, str(folder), environment=self._environment, hurry=True)
        )
        self._proxy.faults = NONE
        tally.counts[f"exit {ended.code}"] += 1
        tally.counts.update({f"faults: {kind}": count for kind, count in faults.made.items()})
        assert ended.code in {0, 13, 14}, ended
        assert ended.code != 13 or faults.made["wrong bytes"], ended
        assert ended.code == 0 or faults.made, ended
        assert "Traceback" not in ended.output, ended
        errors = [line for line in ended.output.splitlines() if line.startswith("error: ")]
        assert len(errors) == bool(ended.code), ended
        return ended

    def _good(self, folder: Path, *argv: str) -> None:
        ended = self._server.run(Order([*argv], str(folder), environment=self._environment))
        assert ended.code == 0, (argv, ended)

    def _build(self) -> None:
        """`work`, with a version that nobody has; `old`, which lacks one that the remote has."""
        self._folder.mkdir()
        work = Repository.init(self._folder / "work")
        for message, tree in (("one", ONE), ("two", TWO), ("three", THREE)):
            make_tree(work.folder, tree)
            work.commit(message, author=AUTHOR)
            if message == "one":
                self._good(self._folder, "-C", str(work.folder), "remote", "add", "origin", _BASE)
            if message != "three":
                self._good(self._folder, "-C", str(work.folder), "push")
            if message == "one":
                self._good(self._folder, "clone", _BASE, str(self._folder / "old"))


def _check(folder: Path, tree: Tree) -> None:
    repository = Repository.open(folder)
    assert tree_of(folder) == tree
    assert committed_tree(repository) == tree
    assert repository.status().clean
    checked = repository.maintenance.fsck()
    assert not checked.errors, checked.errors


def run(setting: Setting) -> Tally:
    """The campaign."""
    with s3_server() as server, proxied(server) as proxy, Forking() as forking:
        return campaign("remotes", Stumbles(setting.folder / "built", forking, proxy), setting)
