"""How fast dsvc is, beside `cp`, `find` and the tools that are here.

    python benchmarks/versioning.py --list
    python benchmarks/versioning.py --work /mnt/disk/bench --case commit-small --peers dvc,restic
    python benchmarks/versioning.py --scale 0.01 --repeat 1        # everything, small: does it run?

benchmarks/README.md tells more.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import committing, lasting, looking, restoring, syncing
from benchmarks.bench import COLD, PROJECT, WARM, Bench
from benchmarks.machine import header
from benchmarks.measure import HAS_PROC, BenchmarkError
from benchmarks.peers import KINDS, find
from benchmarks.report import Row, markdown, raw
from benchmarks.trees import Tree

_SPARE = 2 << 30


@dataclass(frozen=True, slots=True)
class Case:
    """Something that is measured.

    Args:
        tree: what it is measured on; empty, if it makes its own.
        copies: of the tree, beside it, that the disk has to have room for at a time.
    """

    summary: str
    run: Callable[[Bench], list[Row]]
    tree: str
    copies: float


# In an order in which a version that one case commits serves the next ones.
CASES = {
    "commit-small": Case("50,000 files of 4-36 KB", committing.commit_small, "small", 2),
    "status-small": Case("nothing changed", looking.status_small, "small", 6),
    "checkout-small": Case("into an empty folder", restoring.checkout_small, "small", 7),
    "sync-small": Case("push and clone through S3, and DVC", syncing.sync_small, "small", 6),
    "switch-small": Case("between versions", restoring.switch_small, "small", 3),
    "sync-photos": Case("push and clone through S3", syncing.sync_photos, "photos", 4),
    "commit-large": Case("4 files of 1 GiB", committing.commit_large, "large", 1),
    "sync-large": Case("push and clone through S3", syncing.sync_large, "large", 3),
    "append-corpus": Case("1 MiB to a text of 1 GiB", committing.append_corpus, "corpus", 3),
    "commit-tiny": Case("1,000,000 files of 0.1-2 kB", committing.commit_tiny, "tiny", 1),
    "status-tiny": Case("nothing changed", looking.status_tiny, "tiny", 1),
    "commit-changed": Case("1,000 of 1,000,000", committing.commit_changed, "tiny", 1),
    "diff-tiny": Case("1,000 of 1,000,000 differ", looking.diff_tiny, "tiny", 1),
    "memory-tiny": Case("every verb, peak of all processes", lasting.memory_tiny, "tiny", 2.5),
    "many-commits": Case("1,000 of 100 files, against one", lasting.many_commits, "", 0),
}


def main() -> int:
    options = _parser().parse_args()
    if options.list:
        for name, case in CASES.items():
            print(f"{name:<16}{case.summary}")
        return 0
    chosen = list(dict.fromkeys(options.case or CASES))
    given = {"dvc": options.dvc, "oxen": options.oxen_python}
    given |= {"restic": options.restic, "git-lfs": options.git_lfs}
    here, absent = find(options.peers, {name: path for name, path in given.items() if path})
    wanted = options.rclone or options.peers
    rclone = shutil.which(options.rclone or "rclone") if wanted else None
    bench = Bench(
        options.work,
        options.scale,
        options.repeat,
        options.cache,
        options.seed,
        here,
        absent,
        rclone,
    )
    if not _room(bench, chosen):
        return 1
    try:
        return _measure(bench, chosen, options.output, options.json)
    except KeyboardInterrupt:
        return 130
    finally:
        bench.close()


def _measure(bench: Bench, chosen: Sequence[str], output: Path | None, raw_to: Path | None) -> int:
    head = header(bench.work, PROJECT, bench.peers)
    head["Measured"] = f"{bench.repeat} times in turns; median (least–most)"
    if bench.scale != 1:
        bench.notes.append(
            f"The trees are {bench.scale:g} times their size: the aims say nothing about these."
        )
    if not HAS_PROC:
        bench.notes.append("Peak memory is that of the largest process: there is no /proc here.")
    rows: list[Row] = []
    took: dict[str, float] = {}
    failed: list[str] = []
    for name in chosen:
        print(f"{name} …", file=sys.stderr, flush=True)
        start = time.perf_counter()
        try:
            rows += CASES[name].run(bench)
        except BenchmarkError as error:
            failed.append(name)
            bench.notes.append(f"{name} failed: {error}")
            print(f"{name}: {error}", file=sys.stderr)
        took[name] = time.perf_counter() - start
        head["Took"] = ", ".join(f"{case} {seconds:.0f} s" for case, seconds in took.items())
        # After each case: a run takes hours, and what it has found should survive its end.
        report = markdown(rows, head, bench.notes, judged=bench.scale == 1)
        if output:
            output.write_text(report)
        if raw_to:
            content = {"header": head, "notes": bench.notes, "rows": raw(rows)}
            raw_to.write_text(json.dumps(content, indent=1) + "\n")
    if not output:
        print(report)
    return 1 if failed else 0


def _room(bench: Bench, chosen: Sequence[str]) -> bool:
    """Whether the disk has room for what is chosen; says so if not."""
    specs = bench.trees.specs
    trees = {name: specs[tree] for name in chosen if (tree := CASES[name].tree)}
    to_make = [tree for tree in set(trees.values()) if bench.trees.missing(tree.name)]

    def need(size: Callable[[Tree], int]) -> float:
        most = max((CASES[name].copies * size(tree) for name, tree in trees.items()), default=0)
        return sum(map(size, to_make)) + most

    disk = os.statvfs(bench.work)
    space = need(lambda tree: tree.disk) + _SPARE * max(bench.scale, 0.1)
    files = need(lambda tree: tree.files)
    free = disk.f_bavail * disk.f_frsize
    # Some file systems do not count files: they say that there is room for none.
    if free >= space and (disk.f_favail >= files or not disk.f_files):
        return True
    print(
        f"{bench.work} has room for {free / 1e9:.1f} GB in {disk.f_favail:,} files, and this "
        f"needs {space / 1e9:.1f} GB in {files:,.0f}: name another disk (--work), fewer cases "
        "(--case).",
        file=sys.stderr,
    )
    return False


def _parser() -> argparse.ArgumentParser:
    def names(known: Sequence[str]) -> Callable[[str], list[str]]:
        def parse(words: str) -> list[str]:
            some = [] if words == "none" else words.split(",")
            if unknown := set(some) - set(known):
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not of {', '.join(known)}")
            return some

        return parse

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--list", action="store_true", help="list the cases and end")
    add("--case", action="append", choices=CASES, help="measure this; may be said again; else all")
    add(
        "--work",
        type=Path,
        default=PROJECT / "build/benchmarks",
        help="folder for trees and copies",
    )
    add("--repeat", type=int, default=3, help="how often each thing is measured (3)")
    add("--scale", type=float, default=1, help="of the trees (1)")
    add("--seed", type=int, default=0, help="of the trees (0)")
    add("--cache", type=names([WARM, COLD]), default=[WARM, COLD], help="warm,cold")
    add(
        "--peers",
        type=names(list(KINDS)),
        default=list(KINDS),
        help="dvc,oxen,restic,git-lfs; none",
    )
    add("--dvc", help="the command, if it is not found by itself")
    add("--oxen-python", help="the interpreter that has the package oxenai")
    add("--restic", help="the command")
    add("--git-lfs", help="the command")
    add("--rclone", help="the command, despite --peers none; it serves, too: else moto does")
    add("--output", type=Path, help="write the report here, as Markdown; else it is printed")
    add("--json", type=Path, help="write all values here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
