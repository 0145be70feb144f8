"""Cases that put files there: all of them into an empty folder, those that differ."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from benchmarks.bench import COPY, OURS, Bench, synced
from benchmarks.measure import BenchmarkError, Contender, Measured, remove
from benchmarks.peers import Peer
from benchmarks.report import Figure, Row, compared, missing, times
from benchmarks.trees import TREE, put

_BARE = "cp -r"
_OURS_BARE = "dsvc, no sync"


def checkout_small(bench: Bench) -> list[Row]:
    """With the disk told to have it, as cp is; and both without, since ours leaves that out."""
    case = "checkout-small"
    root, version = bench.committed("small")
    out = bench.runs / "out"
    begin = partial(bench.fresh, out, root / ".dsvc/store")
    checkout = bench.dsvc(out, "checkout", version)

    def end(runs: list[Measured]) -> None:
        if runs:
            _check(root / TREE, out / TREE)
        remove(out)

    copy = bench.copying(root)
    bare = ["cp", "-r", str(root / TREE), str(bench.runs / "copy")]
    others = {peer: bench.shelf(peer, root) for peer in bench.peers}
    contenders = [
        Contender(OURS, [synced(checkout)], bench.runs, begin, end),
        copy,
        Contender(_OURS_BARE, [checkout], bench.runs, begin, end),
        Contender(_BARE, [bare], bench.runs, copy.prepare, copy.finish),
        *(_other(bench, peer, root, shelf, out) for peer, shelf in others.items()),
    ]
    rows: list[Row] = []
    for cache in bench.caches:
        warm_up = [root / TREE, root / ".dsvc", *others.values()]
        contest = bench.contest(contenders, cache, warm_up)
        what = "checkout into an empty folder, sync"
        rows += compared(case, what, cache, contest, OURS, {COPY: times(0.80)})
        rows += compared(case, what, cache, contest, OURS, {peer.name: None for peer in others})
        what = "checkout into an empty folder"
        rows += compared(case, what, cache, contest, _OURS_BARE, {_BARE: None})
    remove(*others.values())
    return rows + missing(case, "checkout into an empty folder, sync", bench.absent)


def _other(bench: Bench, peer: Peer, root: Path, shelf: Path, out: Path) -> Contender:
    def begin() -> None:
        bench.place(out.name)
        bench.move(peer.places, shelf, out)

    def end(runs: list[Measured]) -> None:
        if runs:
            _check(root / TREE, out / TREE)
        bench.move(peer.places, out, shelf)
        remove(out)

    (command,) = peer.checkout()
    return Contender(peer.name, [synced(command)], out, begin, end, optional=True)


def _check(made: Path, found: Path) -> None:
    """Whoever brings files must have brought all of them."""
    if _sizes(made) != _sizes(found):
        raise BenchmarkError(f"a checkout into {found} did not bring what lies in {made}")


def _sizes(folder: Path) -> dict[str, int]:
    return {
        f"{Path(place).relative_to(folder)}/{name}": os.lstat(f"{place}/{name}").st_size
        for place, _, names in os.walk(folder)
        for name in names
    }


def switch_small(bench: Bench) -> list[Row]:
    """From one version to another where a hundredth of the files differ."""
    case = "switch-small"
    root, base = bench.committed("small")
    count = max(2, bench.trees.specs["small"].files // 100)
    with bench.trees.changed("small", count, 1) as (changes,):
        put(root / TREE, changes)
        changed = bench.do(root, "commit", "-m", "changed")["commit"]
        ours = Contender(
            OURS,
            [synced(bench.dsvc(root, "checkout", base))],
            root,
            prepare=lambda: bench.do(root, "checkout", changed),
        )
        rows: list[Row] = []
        for cache in bench.caches:
            contest = bench.contest([ours, bench.copying(root)], cache, [root])
            what = f"switch, {count:,} files differ, sync"
            rows += compared(case, what, cache, contest, OURS, {COPY: None})
        before = _stats(root / TREE)
        bench.do(root, "checkout", changed)
        after = _stats(root / TREE)
        bench.do(root, "checkout", "main")
    bench.commit_again("small")
    touched = sum(before.get(path) != stat for path, stat in after.items())
    figures = Figure.of(touched + len(before.keys() - after.keys())), Figure.of(count)
    what = "switch: files touched"
    return [*rows, Row(case, what, "", figures[0], "files that differ", figures[1], times(1.0))]


def _stats(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What changes if anybody writes a file, or puts another one in its place."""
    found: dict[str, tuple[int, int, int]] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            stat = os.lstat(f"{place}/{name}")
            found[f"{place}/{name}"] = stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns
    return found
