"""Histories made twice: in a store of ours, and in a repository of git's, to compare the two."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import strategies as st

from datasets_vc.digest import Digest
from datasets_vc.history.commits import read_commit
from datasets_vc.store import Store
from tests.sync.stores import START, Files, commit, new_store

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

PATHS = ("a", "d/x", "d/y", "d-z", "d0")


@dataclass(frozen=True)
class Planned:
    """A commit, its parents by number, and what of the files it changes: None deletes."""

    parents: Sequence[int]
    changes: Mapping[str, bytes | None]


@st.composite
def histories(draw: st.DrawFn, most: int = 10) -> list[Planned]:
    """Commits with up to two parents among those before, the files of a merge from either side."""
    plan: list[Planned] = []
    contents = st.sampled_from([b"1", b"2", None])
    for number in range(draw(st.integers(1, most))):
        near = st.integers(max(0, number - 4), number - 1) if number else st.nothing()
        parents = draw(st.lists(near, min_size=1, max_size=2, unique=True)) if number else []
        sizes = st.integers(0, 2)
        names = draw(st.lists(st.sampled_from(PATHS), max_size=draw(sizes), unique=True))
        plan.append(Planned(parents, {name: draw(contents) for name in names}))
    return plan


@dataclass
class Twins:
    """One history in both; commit `n` has the message `step n` and the branch `bn`."""

    store: Store
    folder: Path
    commits: list[Digest] = field(default_factory=list)

    def git(self, *arguments: str, time: datetime = START) -> str:
        result = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**_SURROUNDINGS, "GIT_COMMITTER_DATE": time.isoformat()},
            capture_output=True,
            check=True,
        )
        return result.stdout.decode()

    def graph(self, *arguments: str) -> list[list[int]]:
        """Every commit of `git log --graph` with its parents there, by number."""
        subjects = dict(
            line.split(" step ") for line in self.git("log", "--all", "--format=%H %s").splitlines()
        )
        shown = self.git("log", "--topo-order", "--parents", "--format=%H %P", *arguments)
        return [[int(subjects[name]) for name in line.split()] for line in shown.splitlines()]

    def number(self, digest: Digest) -> int:
        """Which commit this is."""
        return int(read_commit(self.store, digest).message.split()[1])


def make_twins(plan: Sequence[Planned], folder: Path) -> Twins:
    twins = Twins(new_store(), folder)
    trees: list[Files] = []
    stream = []
    for number, planned in enumerate(plan):
        tree = {k: v for parent in planned.parents[::-1] for k, v in trees[parent].items()}
        tree |= {path: data for path, data in planned.changes.items() if data is not None}
        gone = {path for path, data in planned.changes.items() if data is None}
        trees.append({path: data for path, data in tree.items() if path not in gone})
        parents = [twins.commits[parent] for parent in planned.parents]
        made = commit(twins.store, trees[-1], parents, f"b{number}", step=number)
        twins.commits.append(made)
        stream.append(_for_git(number, planned.parents, trees[-1]))
    twins.git("init", "--quiet")
    subprocess.run(
        ["git", "fast-import", "--quiet"],
        cwd=folder,
        env=_SURROUNDINGS,
        input=b"".join(stream),
        check=True,
    )
    return twins


def _for_git(number: int, parents: Sequence[int], tree: Files) -> bytes:
    time = int(START.timestamp()) + number
    lines = [
        f"commit refs/heads/b{number}\nmark :{number + 1}\n",
        f"committer Ada <ada> {time} +0000\ndata {len(f'step {number}')}\nstep {number}\n",
    ]
    lines += [f"{'merge' if n else 'from'} :{parent + 1}\n" for n, parent in enumerate(parents)]
    lines.append("deleteall\n")
    for path, data in tree.items():
        lines.append(f"M 100644 inline {path}\ndata {len(data)}\n{data.decode()}\n")
    return "".join([*lines, "\n"]).encode()


_SURROUNDINGS = {
    **os.environ,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada",
}
