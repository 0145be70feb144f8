"""What no verb of dsvc does, in a process of its own, so that it can be measured like one.

Said to it, as arguments:

    nodes STORE A B             count nodes that a diff of two datasets reads, and those that differ
    read WORKSPACE              read every file of HEAD, as a training does
    commits WORKSPACE N K SEED  commit N times, K new small files each
    serve                       run dsvc with each list of arguments that comes from stdin

It answers in JSON.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.trees import TREE, Content
from datasets_vc import Snapshot
from datasets_vc.backends.local import LocalBackend
from datasets_vc.cli.main import main as dsvc
from datasets_vc.digest import Buffer, Digest
from datasets_vc.history.diff import differing_rows
from datasets_vc.history.manifest import read_nodes
from datasets_vc.store import Store

_BATCH = 256
_LOW, _HIGH = 100, 2000


class Counting:
    """A source of nodes that keeps which ones were read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read: list[Digest] = []

    def read_many(self, digests: Sequence[Digest]) -> list[Buffer]:
        self.read += digests
        return self._store.read_many(digests)


def nodes(store_folder: str, a: str, b: str) -> None:
    """Print how many nodes a diff reads, and how many one dataset has and the other has not."""
    store = Store.open(LocalBackend(Path(store_folder)))
    old, new = Digest(bytes.fromhex(a)), Digest(bytes.fromhex(b))
    source = Counting(store)
    left, right = differing_rows(source, old, new)
    differing = len(_all_nodes(store, old) ^ _all_nodes(store, new))
    found = {"read": len(source.read), "differing": differing, "rows": len(left) + len(right)}
    print(json.dumps(found))


def _all_nodes(store: Store, dataset: Digest) -> set[Digest]:
    found: set[Digest] = set()
    level = [dataset]
    while level:
        found.update(level)
        inner = [node for node in read_nodes(store, level) if node.level]
        level = [child for node in inner for child in node.rows.column("digest").to_pylist()]
    return found


def read(workspace: str) -> None:
    """Read every file once, in an order drawn at random, a batch at a time."""
    snapshot = Snapshot.open(workspace, "HEAD")
    digests = snapshot.entries().column("digest").combine_chunks()
    order = np.random.default_rng(0).permutation(len(digests))
    total = 0
    for start in range(0, len(order), _BATCH):
        batch = digests.take(order[start : start + _BATCH]).to_pylist()
        total += sum(len(data) for data in snapshot.read_many(batch))
    print(json.dumps({"files": len(digests), "bytes": total}))


def commits(workspace: str, count: int, files: int, seed: int) -> None:
    """Add a folder of files and commit it, again and again."""
    content = Content(seed)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123
        for number in range(count):
            folder = Path(workspace, TREE, f"{number:04d}")
            folder.mkdir(parents=True)
            rng = content.rng("commits", number)
            for at, size in enumerate(rng.integers(_LOW, _HIGH + 1, files).tolist()):
                data = content.file(rng, number * files + at, size)
                (folder / f"{at:03d}").write_bytes(data)
            if code := dsvc(["-C", workspace, "commit", "-m", f"version {number}"]):
                sys.exit(code)


def serve() -> None:
    """Spares what is not measured the start of a process. Answers with exit code and output."""
    for line in sys.stdin:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = dsvc(json.loads(line))
        print(json.dumps([code, said.getvalue()]), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["nodes", store, old, new]:
            nodes(store, old, new)
        case ["read", folder]:
            read(folder)
        case ["commits", folder, count, files, seed]:
            commits(folder, int(count), int(files), int(seed))
        case ["serve"]:
            serve()
        case _:
            sys.exit(__doc__)
