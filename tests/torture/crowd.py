"""Many processes push to one branch at once, while its remote is being collected.

Each time: pull, commit, push; and again from the pull where somebody else was first. Answers of
writes are lost on the way. In the end every commit is in the history, once.
"""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from datasets_vc.repository import Repository
from tests.integration.trees import AUTHOR, tree_of
from tests.torture.campaign import Setting, Tally, Trial, campaign
from tests.torture.forking import Ended, Forking, Order
from tests.torture.proxy import Faults, proxied
from tests.torture.s3 import BUCKET, environment, s3_server

COMMITS = 25
GRACE = "90s"
"""Longer than any push here takes between its first write and its last."""

_LOST = 0.05
_CONFLICT = 12


@dataclass
class Crowd:
    """A try for `campaign`: `people` processes with `commits` commits each.

    Attributes:
        faults: drawn for each request.
    """

    people: int
    commits: int
    counts: Counter[str] = field(default_factory=Counter)

    def __call__(self, trial: Trial, tally: Tally) -> None:
        trial.folder.mkdir()
        with s3_server() as server, proxied(server) as proxy:
            proxy.faults = Faults(trial.number, _LOST, frozenset({"answer lost"}))
            settings = environment(proxy.url)
            self._begin(trial.folder, settings)
            over = threading.Event()
            with ThreadPoolExecutor(self.people + 1) as pool:
                collector = pool.submit(self._collect, trial.folder / "collector", settings, over)
                workers = [
                    pool.submit(self._work, trial.folder / f"person-{number}", number, settings)
                    for number in range(self.people)
                ]
                try:
                    for worker in workers:
                        worker.result()
                finally:
                    over.set()
                collector.result()
            tally.counts += self.counts
            tally.counts += Counter({f"faults: {k}": n for k, n in proxy.faults.made.items()})
            self._check(trial.folder / "copy", settings, tally)

    def _begin(self, folder: Path, settings: dict[str, str]) -> None:
        first = Repository.init(folder / "first")
        (first.folder / "begin").write_bytes(b"begin")
        first.commit("begin", author=AUTHOR)
        with Forking() as server:
            at = ["-C", str(first.folder)]
            _done(
                server, [*at, "remote", "add", "origin", f"s3://{BUCKET}/{folder.name}"], settings
            )
            _done(server, [*at, "push"], settings)

    def _work(self, folder: Path, number: int, settings: dict[str, str]) -> None:
        folder.mkdir()
        work = folder / "work"
        at = ["-C", str(work)]
        with Forking() as server:
            _done(server, ["clone", f"s3://{BUCKET}/{folder.parent.name}", str(work)], settings)
            for each in range(self.commits):
                (work / str(number)).mkdir(exist_ok=True)
                (work / str(number) / str(each)).write_bytes(b"%d %d" % (number, each))
                _done(server, [*at, "commit", "-m", _message(number, each)], settings)
                while not self._sent(server, at, settings):
                    self.counts["pushes that were not first"] += 1
                self.counts["commits pushed"] += 1

    def _sent(self, server: Forking, at: list[str], settings: dict[str, str]) -> bool:
        _done(server, [*at, "pull"], settings)
        return _done(server, [*at, "push"], settings, _CONFLICT).code == 0

    def _collect(self, folder: Path, settings: dict[str, str], over: threading.Event) -> None:
        folder.mkdir()
        work = folder / "work"
        with Forking() as server:
            _done(server, ["clone", f"s3://{BUCKET}/{folder.parent.name}", str(work)], settings)
            while not over.wait(0.5):
                argv = ["-C", str(work), "gc", "--remote", "origin", "--grace", GRACE]
                ended = _done(server, argv, settings, _CONFLICT)
                self.counts["collections" if ended.code == 0 else "collections put off"] += 1

    def _check(self, folder: Path, settings: dict[str, str], tally: Tally) -> None:
        with Forking() as server:
            argv = ["clone", f"s3://{BUCKET}/{folder.parent.name}", str(folder)]
            _done(server, argv, settings)
            _done(server, ["-C", str(folder), "fsck", "--remote", "origin"], settings)
        repository = Repository.open(folder)
        messages = Counter(info.message for info in repository.log())
        everything = [(n, each) for n in range(self.people) for each in range(self.commits)]
        assert all(messages[_message(*which)] == 1 for which in everything)
        files = {f"{number}/{each}" for number, each in everything}
        assert {path for path in tree_of(folder) if path != "begin"} == files
        tally.counts["commits in the history"] += len(everything)


def _message(number: int, each: int) -> str:
    return f"commit {each} of {number}"


def _done(server: Forking, argv: list[str], settings: dict[str, str], *codes: int) -> Ended:
    folder = argv[1] if argv[0] == "-C" else str(Path(argv[2]).parent)
    ended = server.run(Order(argv, folder, environment=settings))
    assert ended.code in {0, *codes}, (argv, ended)
    return ended


def run(setting: Setting) -> Tally:
    """The campaign: the count is that of processes, in one case."""
    crowd = Crowd(setting.count, COMMITS)
    return campaign("crowd", crowd, Setting(setting.folder, 1, setting.seed, setting.until))
