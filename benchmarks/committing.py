"""Cases that commit: whole trees, few changes in many files, a large file that grew."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.bench import COLD, COPY, OURS, WARM, Bench
from benchmarks.measure import Contender, Measured, Series
from benchmarks.peers import Peer
from benchmarks.report import (
    Aim,
    Figure,
    Row,
    at_most,
    compared,
    missing,
    more,
    peer_rows,
    times,
    written,
)
from benchmarks.trees import TREE, put

_MIB = 1 << 20
_STATUS = "dsvc status, nothing changed"


def commit_small(bench: Bench) -> list[Row]:
    aims = {"DVC": times(0.10), "Oxen": times(0.10)}
    return _commit(bench, "small", bench.caches, times(0.40), aims)


def commit_large(bench: Bench) -> list[Row]:
    return _commit(bench, "large", bench.caches, times(1.20), {})


def commit_tiny(bench: Bench) -> list[Row]:
    """From a cold cache, and against cp alone: the other tools would take hours."""
    cache = COLD if COLD in bench.caches else WARM
    return _commit(bench, "tiny", [cache], times(0.20), {}, with_peers=False)


def _commit(
    bench: Bench,
    name: str,
    caches: Sequence[str],
    aim: Aim,
    peer_aims: Mapping[str, Aim],
    *,
    with_peers: bool = True,
) -> list[Row]:
    peers = bench.peers if with_peers else ()
    case, what = f"commit-{name}", "commit all files"
    root = bench.trees.make(name)
    ours = Contender(
        OURS,
        [bench.dsvc(root, "commit", "-m", "version")],
        root,
        prepare=partial(bench.fresh, root),
        finish=lambda _: bench.forget(root),
    )
    bench.forget(root)
    rows: list[Row] = []
    for cache in caches:
        others = [bench.adding(peer, root) for peer in peers]
        contest = bench.contest([ours, bench.copying(root), *others], cache, [root / TREE])
        rows += compared(case, what, cache, contest, OURS, {COPY: aim})
        for peer in peers:
            steps = [label for label, _ in peer.add()]
            rows += peer_rows(
                case, what, cache, contest, OURS, peer.name, steps, peer_aims.get(peer.name)
            )
    return rows + missing(case, what, bench.absent if with_peers else [])


def commit_changed(bench: Bench) -> list[Row]:
    """A thousand of a million files changed, at random places."""
    case, count = "commit-changed", bench.some(1000)
    root, _ = bench.committed("tiny")
    rows: list[Row] = []
    for cache in bench.caches:
        told: list[int] = []
        with bench.trees.changed("tiny", count, bench.repeat) as sets:
            contenders = [
                Contender(_STATUS, [bench.dsvc(root, "status")], root),
                Contender(
                    OURS,
                    [bench.dsvc(root, "commit", "-m", "changed", "--json")],
                    root,
                    prepare=partial(_put_next, root, iter(sets)),
                    finish=partial(_keep_told, told),
                ),
            ]
            contest = bench.contest(contenders, cache)
            sizes = [sum(map(len, changes.values())) for changes in sets]
        changed = Figure(Series(sizes), "B")
        bench.commit_again("tiny")
        what = f"commit {count:,} changed files"
        aim = more(1.5, "s", "status")
        rows += compared(case, what, cache, contest, OURS, {_STATUS: aim})
        stored = Figure(Series(told), "B")
        given = Figure(contest.series(OURS, written), "B")
        limit = more(20e6, "B", "changed")
        what = f"{what}: bytes into the store"
        rows.append(Row(case, what, cache, stored, "bytes changed", changed, limit))
        what = what.replace("into the store", "written, with all bookkeeping")
        rows.append(Row(case, what, cache, given, "bytes changed", changed, limit))
    return rows


def _put_next(root: Path, sets: Iterator[dict[str, bytes]]) -> None:
    put(root / TREE, next(sets))


def _keep_told(told: list[int], runs: list[Measured]) -> None:
    told += [json.loads(run.out)["bytes_written"] for run in runs]


def append_corpus(bench: Bench) -> list[Row]:
    """A text of many lines that got more lines at its end."""
    case, what = "append-corpus", "commit after lines were appended"
    size = bench.some(_MIB, _MIB // 16)
    source = bench.trees.make("corpus")
    root = bench.place("append")
    bench.quietly(["cp", "-r", str(source / TREE), str(root)], source)
    text = root / TREE / bench.trees.specs["corpus"].path(0)
    whole = text.stat().st_size
    content = bench.trees.content
    lines = b"".join(content.lines(content.rng("appended"), size))
    grown: dict[str, list[int]] = {OURS: [], **{peer.name: [] for peer in bench.peers}}

    def before(name: str, places: Sequence[str], first: Sequence[Sequence[str]]) -> None:
        os.truncate(text, whole)
        for command in first:
            bench.quietly(command, root)
        grown[name].append(-bench.on_disk(root, places))
        with text.open("ab") as file:
            file.write(lines)

    def after(name: str, places: Sequence[str]) -> None:
        if grown[name] and grown[name][-1] < 0:
            grown[name][-1] += bench.on_disk(root, places)

    commit = bench.dsvc(root, "commit", "-m", "version")

    def begin() -> None:
        bench.fresh(root)
        before(OURS, [".dsvc"], [commit])

    def end(_: object) -> None:
        after(OURS, [".dsvc"])
        bench.forget(root)

    def other(peer: Peer) -> Contender:
        first = [command for _, command in peer.add()]
        return bench.adding(
            peer,
            root,
            partial(before, peer.name, peer.places, first),
            partial(after, peer.name, peer.places),
        )

    others = [other(peer) for peer in bench.peers]
    contenders = [Contender(OURS, [commit], root, begin, end), bench.copying(root), *others]
    contest = bench.contest(contenders, WARM, [root / TREE])
    rows = compared(case, what, WARM, contest, OURS, {COPY: None})
    for peer in bench.peers:
        labels = [label for label, _ in peer.add()]
        rows += peer_rows(case, what, WARM, contest, OURS, peer.name, labels)
    what = f"{what}: new in the store"
    ours = Figure(Series(grown[OURS]), "B")
    appended = Figure.of(len(lines), "B")
    rows.append(Row(case, what, "", ours, "bytes appended", appended, at_most(6 * _MIB, "B")))
    for peer in bench.peers:
        theirs = Figure(Series(grown[peer.name]), "B")
        failed = peer.name in contest.failures
        rows.append(Row(case, what, "", ours, peer.name, "failed" if failed else theirs))
    return rows + missing(case, what, bench.absent)
