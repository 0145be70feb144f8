"""Cases that look: status of an unchanged tree, the difference of two versions."""

from __future__ import annotations

import json
from functools import partial

from benchmarks.bench import OURS, WARM, Bench
from benchmarks.measure import Contender
from benchmarks.report import Aim, Figure, Row, at_most, compared, missing, times
from benchmarks.trees import TREE, put

FIND = "find -printf"


def finding(bench: Bench, name: str) -> Contender:
    """The least that anybody can do who looks at every file of a tree."""
    command = ["find", TREE, "-printf", r"%s %T@ %p\n"]
    return Contender(FIND, [command], bench.trees.root(name), optional=True)


def status_small(bench: Bench) -> list[Row]:
    """Also against the status of the tools that have one; what they keep takes turns."""
    case, what = "status-small", "status, nothing changed"
    root, _ = bench.committed("small")
    shelves = {peer: bench.shelf(peer, root) for peer in bench.peers if peer.status() is not None}
    others = [
        Contender(
            peer.name,
            [command],
            root,
            prepare=partial(bench.swap_in, peer, root, shelf),
            finish=partial(bench.swap_out, peer, root, shelf),
            optional=True,
        )
        for peer, shelf in shelves.items()
        if (command := peer.status())
    ]
    rows = _status(bench, case, "small", at_most(0.5, "s"), others)
    for peer in shelves:
        bench.clear(peer, root)
    return rows + missing(case, what, bench.absent)


def status_tiny(bench: Bench) -> list[Row]:
    bench.committed("tiny")
    return _status(bench, "status-tiny", "tiny", times(2.5), [])


def _status(bench: Bench, case: str, name: str, aim: Aim, others: list[Contender]) -> list[Row]:
    root = bench.trees.root(name)
    ours = Contender(OURS, [bench.dsvc(root, "status")], root)
    rows: list[Row] = []
    for cache in bench.caches:
        contenders = [ours, finding(bench, name), *others]
        contest = bench.contest(contenders, cache)
        aims = {FIND: aim if cache == WARM else None, **{other.name: None for other in others}}
        rows += compared(case, "status, nothing changed", cache, contest, OURS, aims)
    return rows


def diff_tiny(bench: Bench) -> list[Row]:
    """Two versions of a million files that differ in a thousand."""
    case, count = "diff-tiny", bench.some(1000)
    root, base = bench.committed("tiny")
    with bench.trees.changed("tiny", count, 1) as (changes,):
        put(root / TREE, changes)
        changed = bench.do(root, "commit", "-m", "changed")["commit"]
    bench.commit_again("tiny")
    ours = Contender(OURS, [bench.dsvc(root, "diff", base, changed)], root)
    rows: list[Row] = []
    for cache in bench.caches:
        contest = bench.contest([ours, finding(bench, "tiny")], cache)
        aims = {FIND: at_most(0.7, "s") if cache == WARM else None}
        rows += compared(case, f"diff, {count:,} files differ", cache, contest, OURS, aims)
    return [*rows, _nodes(bench, case, base, changed)]


def _nodes(bench: Bench, case: str, old: str, new: str) -> Row:
    root = bench.trees.root("tiny")
    datasets = [bench.do(root, "show", revision)["dataset"] for revision in (old, new)]
    command = bench.inside("nodes", root / ".dsvc/store", *datasets)
    found = json.loads(bench.quietly(command, root))
    ours, theirs = Figure.of(found["read"]), Figure.of(found["differing"])
    what = "diff: nodes read"
    return Row(case, what, "", ours, "nodes in one version only", theirs, times(1.0))
