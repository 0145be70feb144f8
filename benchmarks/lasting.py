"""Cases about what adds up: memory of every verb, a history of many small commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.bench import OURS, Bench
from benchmarks.measure import BenchmarkError, CommandFailedError, Contender, remove
from benchmarks.report import Aim, Figure, Row, at_most, compared, times
from benchmarks.trees import TREE, put

_LIMIT = 400e6
_USAGE = 2
_ONE = "one commit"


def memory_tiny(bench: Bench) -> list[Row]:
    """Each verb once: how much memory it takes hardly varies."""
    root = bench.trees.make("tiny")
    bench.fresh(root)
    rows: list[Row] = []
    with bench.trees.changed("tiny", bench.some(1000), 1) as (changes,):
        for what, folder, words in _verbs(bench, root, changes):
            try:
                run = bench.runner.run(bench.dsvc(folder, *words), bench.runs)
            except CommandFailedError as error:
                if error.code != _USAGE:
                    raise
                continue  # A verb that this version does not have.
            peak, limit = Figure.of(run.memory, "B"), Figure.of(_LIMIT, "B")
            what = f"peak memory: {what}"
            rows.append(
                Row("memory-tiny", what, "", peak, "the limit", limit, at_most(_LIMIT, "B"))
            )
    bench.forget(root)
    remove(bench.runs / "remote", bench.runs / "clone")
    return rows


def _verbs(
    bench: Bench, root: Path, changes: dict[str, bytes]
) -> Iterator[tuple[str, Path, Sequence[str]]]:
    """Verbs whose work grows with the dataset: what each does, where, and its arguments.

    What has to be done before each is done when it is asked for.
    """
    remote, clone = bench.runs / "remote", bench.runs / "clone"
    remove(remote, clone)
    some = f"of {len(changes):,} files"
    yield "commit of all files", root, ["commit", "-m", "base"]
    yield "status", root, ["status"]
    bench.do(root, "remote", "add", "origin", remote)
    yield "push of all files", root, ["push"]
    words = ["clone", str(remote), str(clone), "--no-checkout"]
    yield "clone without files", bench.runs, words
    yield "checkout of all files", clone, ["checkout", "main"]
    put(root / TREE, changes)
    yield f"diff {some} against the workspace", root, ["diff"]
    yield f"commit {some}", root, ["commit", "-m", "changed"]
    bench.do(root, "push")
    yield f"pull {some}", clone, ["pull"]
    yield f"diff {some}", root, ["diff", "main~1", "main"]
    yield "show", root, ["show"]
    yield "ls", root, ["ls", "main"]
    bench.do(root, "branch", "other", "main~1")
    yield f"checkout {some}", root, ["checkout", "other"]
    yield f"merge {some}", root, ["merge", "main"]
    bench.do(root, "checkout", "main")
    yield f"revert {some}", root, ["revert", "main"]
    yield f"restore {some}", root, ["restore", "--source", "main~1", TREE]
    yield "fsck", root, ["fsck"]
    yield "gc", root, ["gc"]


def many_commits(bench: Bench) -> list[Row]:
    """A thousand commits of a hundred files each, and the same files in one commit."""
    case, count, files = "many-commits", bench.some(1000, 3), 100
    many, one = bench.place("many"), bench.place("one")
    bench.fresh(many)
    bench.quietly(bench.inside("commits", many, count, files, bench.seed), many)
    bench.quietly(["cp", "-r", str(many / TREE), str(one)], bench.runs)
    bench.fresh(one)
    bench.do(one, "commit", "-m", "all")
    if bench.do(many, "show", "HEAD")["dataset"] != bench.do(one, "show", "HEAD")["dataset"]:
        raise BenchmarkError("the same files have different digests")
    rows: list[Row] = []
    for cache in bench.caches:
        rows += _both(bench, "status, nothing changed", cache, many, one, status=True)
        rows += _both(bench, "read all files, shuffled", cache, many, one, status=False)
    packs = [len(list((root / ".dsvc/store/packs").rglob("*"))) for root in (many, one)]
    aim = Aim("≤ 0.1 a commit", lambda ours, _: ours <= 0.1 * count)
    what = f"packs after {count:,} commits"
    rows.append(Row(case, what, "", Figure.of(packs[0]), _ONE, Figure.of(packs[1]), aim))
    remove(many, one)
    return rows


def _both(bench: Bench, what: str, cache: str, many: Path, one: Path, *, status: bool) -> list[Row]:
    contenders = [
        Contender(
            name, [bench.dsvc(root, "status") if status else bench.inside("read", root)], root
        )
        for name, root in ((OURS, many), (_ONE, one))
    ]
    contest = bench.contest(contenders, cache, [many, one])
    return compared("many-commits", what, cache, contest, OURS, {_ONE: times(1.3)})
