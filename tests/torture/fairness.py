"""Four processes that never pause push to one branch with `push --retry`: nobody starves.

Each commits and pushes, again and again; one of them has eight times as much to send. In a folder,
and in a bucket.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.torture.campaign import Setting, Tally, Trial, campaign
from tests.torture.forking import Forking, Order
from tests.torture.s3 import BUCKET, environment, s3_server

PEOPLE = 4

_SIZE = 2000


@dataclass(frozen=True)
class Fairness:
    """A try for `campaign`: so many seconds in a folder (even numbers) or a bucket (odd ones)."""

    seconds: float

    def __call__(self, trial: Trial, tally: Tally) -> None:
        trial.folder.mkdir()
        kind = "bucket" if trial.number % 2 else "folder"
        with _remote(kind, trial.folder) as (url, settings):
            self._begin(trial.folder, url, settings)
            ready = threading.Barrier(PEOPLE)
            with ThreadPoolExecutor(PEOPLE) as pool:
                work = [
                    pool.submit(self._work, trial.folder, number, url, settings, ready)
                    for number in range(PEOPLE)
                ]
                pushes = [each.result() for each in work]
        tally.counts[f"{kind}: pushes of whoever had most"] += max(pushes)
        tally.counts[f"{kind}: pushes of whoever had least"] += min(pushes)
        assert min(pushes) * 10 >= max(pushes), pushes

    def _begin(self, folder: Path, url: str, settings: dict[str, str]) -> None:
        first = folder / "first"
        first.mkdir()
        (first / "begin").write_bytes(b"begin")
        with Forking() as server:
            for argv in (["init"], ["commit", "-m", "begin"]):
                _done(server, first, argv, settings)
            _done(server, first, ["remote", "add", "origin", url], settings)
            _done(server, first, ["push"], settings)

    def _work(
        self,
        folder: Path,
        number: int,
        url: str,
        settings: dict[str, str],
        ready: threading.Barrier,
    ) -> int:
        home = folder / f"person-{number}"
        home.mkdir()
        work = home / "work"
        size = _SIZE if number else 8 * _SIZE
        pushes = 0
        with Forking() as server:
            _done(server, home, ["clone", url, str(work)], settings)
            (work / str(number)).mkdir()
            ready.wait()
            end = time.monotonic() + self.seconds
            while True:
                (work / str(number) / str(pushes)).write_bytes(os.urandom(size))
                _done(server, work, ["commit", "-m", f"{pushes} of {number}"], settings)
                _done(server, work, ["push", "--retry"], settings)
                if time.monotonic() > end:
                    return pushes
                pushes += 1


@contextmanager
def _remote(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    if kind == "folder":
        yield str(folder / "remote"), {}
        return
    with s3_server() as server:
        yield f"s3://{BUCKET}/{folder.name}", environment(f"http://{server}")


def _done(server: Forking, folder: Path, argv: list[str], settings: dict[str, str]) -> None:
    ended = server.run(Order(argv, str(folder), environment=settings))
    assert ended.code == 0, (argv, ended)


def run(setting: Setting) -> Tally:
    """The campaign: the count is that of seconds for each kind of remote."""
    return campaign("fairness", Fairness(setting.count), Setting(setting.folder, 2, setting.seed))
