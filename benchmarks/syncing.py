"""Cases that go through a remote: push, pull and what they cost, beside rclone and DVC."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.bench import OURS, Bench
from benchmarks.measure import Contender, Contest, Measured, remove
from benchmarks.peers import Peer
from benchmarks.report import Aim, Figure, Row, at_most, compared, missing, times
from benchmarks.servers import BUCKET, S3Server
from benchmarks.trees import TREE
from datasets_vc.sync.flow import TransferConfig

_LIMIT = 400e6
_REQUEST = 16 << 20
_REQUESTS_MORE = 20
_NOTHING_NEW = 3
_URL = f"s3://{BUCKET}/dsvc"
_RCLONE = "rclone copy"
_PACKS = ".dsvc/store/packs"


def sync_small(bench: Bench) -> list[Row]:
    """Many small files: our packs against rclone's copy of them, the files against DVC."""
    with _served(bench) as server:
        rows = _beside_rclone(bench, server, "sync-small", "small")
        return rows + _beside_dvc(bench, server, "sync-small", "small")


def sync_photos(bench: Bench) -> list[Row]:
    """Files of the size of photographs, which nothing compresses."""
    with _served(bench) as server:
        return _beside_rclone(bench, server, "sync-photos", "photos")


def sync_large(bench: Bench) -> list[Row]:
    """Few large files."""
    with _served(bench) as server:
        return _beside_rclone(bench, server, "sync-large", "large")


@contextmanager
def _served(bench: Bench) -> Iterator[S3Server]:
    server = S3Server(bench.runs / "server", bench.rclone)
    before = dict(bench.environment)
    bench.environment.update(server.environment)
    try:
        yield server
    finally:
        server.stop()
        bench.environment.clear()
        bench.environment.update(before)


def _beside_rclone(bench: Bench, server: S3Server, case: str, tree: str) -> list[Row]:
    root, _ = bench.committed(tree)
    _name_remote(bench, root)
    clone, copied = bench.runs / "clone", bench.runs / "copied"
    # Each time to a server that was made empty again.
    push = _counted(bench, root, "push", "--new")
    pull = _counted(bench, bench.runs, "clone", "--no-checkout", _URL, clone)
    up, down = f"server:{BUCKET}/dsvc/packs", f"server:{BUCKET}/rclone"

    sending = [Contender(OURS, [push], root, server.restart)]
    receiving = [Contender(OURS, [pull], bench.runs, partial(remove, clone))]
    if bench.rclone:
        copy = [bench.rclone, "copy", "--transfers", str(TransferConfig().most_connections)]
        there = [*copy, str(root / _PACKS), down]
        back = _with_sync([*copy, up, str(copied)])
        sending.append(Contender(_RCLONE, [there], root, server.restart))
        receiving.append(Contender(_RCLONE, [back], bench.runs, partial(remove, copied)))

    sent = bench.contest(sending, "", [root / ".dsvc"])
    rows = _rows(bench, case, f"push to {server.name}", sent)
    server.restart()
    bench.quietly(push, root)
    received = bench.contest(receiving, "")
    rows += _rows(bench, case, f"clone without files from {server.name}", received)
    rows += [*_costs(case, "push", sent, "sent"), *_costs(case, "clone", received, "received")]

    nothing = bench.runner.run(_counted(bench, clone, "pull"), clone)
    counted = json.loads(nothing.out)["requests"]
    limit = Figure.of(_NOTHING_NEW)
    what = "requests of a pull, nothing new"
    rows.append(Row(case, what, "", Figure.of(counted), "the limit", limit, times(1)))
    remove(clone, copied)
    return rows


def _rows(bench: Bench, case: str, what: str, contest: Contest) -> list[Row]:
    if not bench.rclone:
        return missing(case, what, [_RCLONE])
    return compared(case, what, "", contest, OURS, {_RCLONE: times(1.3)})


def _costs(case: str, verb: str, contest: Contest, way: str) -> Iterator[Row]:
    """Requests and memory of the last run of ours."""
    answer = json.loads(contest.runs[OURS][-1][0].out)
    most = math.floor(answer[f"bytes_{way}"] / _REQUEST) + _REQUESTS_MORE
    requests = Figure.of(answer["requests"]), Figure.of(most)
    aim = Aim("≤ bytes / 16 MiB + 20", lambda ours, limit: ours <= limit)
    yield Row(case, f"requests of a {verb}", "", requests[0], "the limit", requests[1], aim)
    peak, limit = Figure.of(contest.memory(OURS), "B"), Figure.of(_LIMIT, "B")
    yield Row(case, f"peak memory: {verb}", "", peak, "the limit", limit, at_most(_LIMIT, "B"))


def _beside_dvc(bench: Bench, server: S3Server, case: str, tree: str) -> list[Row]:
    """Push, and pull until all is there to be trained on: our packs, DVC's files."""
    what = "push and pull, ready to train"
    peers = [peer for peer in bench.peers if peer.name == "DVC"]
    if not peers:
        return missing(case, what, [name for name in bench.absent if name == "DVC"])
    root, _ = bench.committed(tree)
    clone = bench.runs / "clone"
    steps = [
        _counted(bench, root, "push", "--new"),
        _counted(bench, bench.runs, "clone", "--no-checkout", _URL, clone),
    ]

    def begin() -> None:
        remove(clone)
        server.restart()

    ours = Contender(OURS, steps, root, begin)
    contest = bench.contest([ours, _dvc(bench, server, peers[0], root)], "", [root / TREE])
    remove(clone)
    return compared(case, what, "", contest, OURS, {"DVC": times(1 / 15)})


def _dvc(bench: Bench, server: S3Server, peer: Peer, root: Path) -> Contender:
    """One that pushes from a folder of its own, and pulls into another that knows it by git."""
    one, other = bench.runs / "dvc-one", bench.runs / "dvc-other"

    def begin() -> None:
        server.restart()
        remove(one, other)
        one.mkdir()
        shutil.copytree(root / TREE, one / TREE)
        remote = ["remote", "add", "-q", "-d", "server", f"s3://{BUCKET}/dvc"]
        endpoint = ["remote", "modify", "-q", "server", "endpointurl", server.endpoint]
        for command in (
            *peer.begin(),
            [peer.program, *remote],
            [peer.program, *endpoint],
            *(command for _, command in peer.add()),
            ["git", "add", "."],
            ["git", "commit", "-q", "-m", "version"],
            ["git", "clone", "-q", str(one), str(other)],
        ):
            bench.quietly(command, one)

    def end(_: list[Measured]) -> None:
        remove(one, other)

    pull = [peer.program, "--cd", str(other), "pull", "-q"]
    return Contender("DVC", [[peer.program, "push", "-q"], pull], one, begin, end, optional=True)


def _name_remote(bench: Bench, root: Path) -> None:
    if "origin" not in {remote["name"] for remote in bench.do(root, "remote", "list")["remotes"]}:
        # Nobody else pushes; rclone's server takes conditions and does not heed them.
        with (root / ".dsvc/config.toml").open("a") as config:
            config.write(f'\n[remote.origin]\nurl = "{_URL}"\nsingle_writer = true\n')


def _counted(bench: Bench, folder: Path, *words: object) -> list[str]:
    return bench.dsvc(folder, *words, "--json")


def _with_sync(command: list[str]) -> list[str]:
    return ["sh", "-c", '"$@" && sync', "sh", *command]
