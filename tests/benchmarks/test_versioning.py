"""The benchmarks run, in all cases, and measure what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import CommandFailedError, Contender, Runner, hold
from benchmarks.report import Figure, Row, at_most, markdown, more, times
from benchmarks.trees import TREE, Content, Trees, put, scaled

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / "benchmarks/versioning.py"
SCALE = 0.002


def test_every_case_yields_a_ratio(tmp_path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, SCRIPT, "--list"], capture_output=True, text=True, check=True
    )
    cases = {line.split()[0] for line in listed.stdout.splitlines()}
    options = ["--scale", str(SCALE), "--repeat", "1", "--cache", "warm", "--peers", "none"]
    files = ["--output", tmp_path / "report.md", "--json", tmp_path / "rows.json"]

    done = subprocess.run(
        [sys.executable, SCRIPT, "--work", tmp_path / "work", *options, *files],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "rows.json").read_text())
    ratios = {row["case"]: row["ratio"] for row in found["rows"] if row["ratio"] is not None}
    assert ratios.keys() == cases
    assert min(ratios.values()) > 0
    report = (tmp_path / "report.md").read_text()
    assert all(f"| {case} |" in report for case in cases)
    # Nothing is left but the trees, as they were made.
    kept = [path.name for path in (tmp_path / "work").rglob(".dsvc")]
    assert (kept, (tmp_path / "work/runs").exists()) == ([], False)
    for name, tree in scaled(SCALE).items():
        root = tmp_path / f"work/trees/{name}-{SCALE}"
        assert len([path for path in root.rglob("*") if path.is_file()]) == tree.files
    _same(Trees(tmp_path / "work/trees", SCALE, 0), Trees(tmp_path / "again", SCALE, 0), "tiny")


def _same(some: Trees, others: Trees, name: str) -> None:
    assert not some.missing(name)
    assert others.missing(name)
    assert _contents(some.make(name)) == _contents(others.make(name))


def _contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_trees_hold_what_they_say(tmp_path: Path) -> None:
    trees = Trees(tmp_path, 0.0005, 7)
    for name in ("small", "corpus"):
        tree, contents = trees.specs[name], _contents(trees.make(name) / TREE)
        assert len(contents) == len(set(contents.values())) == tree.files
        assert all(tree.low <= len(data) <= tree.high for data in contents.values())
        for path, data in contents.items():
            if not path.endswith("bin"):
                assert all(json.loads(line)["text"] for line in data.splitlines()[:-1])


def test_another_seed_makes_another_tree(tmp_path: Path) -> None:
    before = _contents(Trees(tmp_path, 0.0001, 0).make("small"))

    assert _contents(Trees(tmp_path, 0.0001, 1).make("small")).values() != before.values()


def test_changed_files_are_put_back(tmp_path: Path) -> None:
    trees = Trees(tmp_path, 0.0005, 0)
    root = trees.make("tiny")
    before = _contents(root)

    def change() -> None:
        with trees.changed("tiny", 5, 2) as sets:
            for changes in sets:
                put(root / TREE, changes)
            now = _contents(root)
            assert 5 <= sum(now[path] != before[path] for path in before) <= 10
            assert trees.missing("tiny")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change()

    assert _contents(root) == before
    assert not trees.missing("tiny")


def test_appended_lines_are_lines() -> None:
    content = Content(0)

    data = b"".join(content.lines(content.rng("x"), 100_000))

    assert len(data) == 100_000
    assert data.endswith(b"\n")


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path, {"PATH": os.environ["PATH"]})


HOLD_64_MB = "data = b'x' * 64_000_000; import time; time.sleep(0.2)"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the largest process is known")
def test_memory_is_that_of_all_processes_together(runner: Runner) -> None:
    shell = f'{sys.executable} -c "{HOLD_64_MB}" & {sys.executable} -c "{HOLD_64_MB}"; wait'

    measured = runner.run(["sh", "-c", shell], runner.scratch)

    assert 120e6 < measured.memory < 250e6


def test_failure_is_told_in_words(runner: Runner) -> None:
    with pytest.raises(CommandFailedError, match="code 3: went wrong") as caught:
        runner.run(["sh", "-c", "echo went wrong >&2; exit 3"], runner.scratch)

    assert caught.value.code == 3


def test_contenders_take_turns_and_an_optional_one_may_fail(runner: Runner) -> None:
    folder, turns = runner.scratch, list[str]()

    def contender(name: str, command: str, *, optional: bool = False) -> Contender:
        return Contender(
            name,
            [["sh", "-c", command]],
            folder,
            prepare=lambda: turns.append(name),
            finish=lambda runs: turns.append(f"{name} {len(runs)}"),
            optional=optional,
        )

    some = [contender("a", "echo 1"), contender("b", "exit 1", optional=True)]
    contest = hold(runner, some, 2, cold=False)

    assert turns == ["a", "a 1", "b", "b 0", "a", "a 1"]
    assert [[step.out for step in run] for run in contest.runs["a"]] == [[b"1\n"]] * 2
    assert "code 1" in contest.failures["b"]
    with pytest.raises(CommandFailedError):
        hold(runner, [contender("c", "exit 1")], 1, cold=False)


def test_aims_are_judged_by_medians_and_only_at_full_size() -> None:
    two, three = Figure.of(2, "s"), Figure.of(3, "s")

    def met(aim: object, ours: Figure = two, theirs: Figure | str = three) -> bool | None:
        return Row("case", "what", "", ours, "cp", theirs, aim).met  # type: ignore[arg-type]

    assert [met(times(0.7)), met(times(0.6))] == [True, False]
    assert [met(at_most(2, "s")), met(at_most(1.9, "s"))] == [True, False]
    assert [met(more(1, "s", "cp"), three, two), met(more(0.9, "s", "cp"), three, two)] == [
        True,
        False,
    ]
    assert met(times(0.7), theirs="not installed") is None
    row = Row("case", "what", "", two, "cp", three, times(0.5))
    assert "| 0.67 | ≤ 0.50 × | **no** |" in markdown([row], {}, [], judged=True)
    assert "| 0.67 | ≤ 0.50 × | – |" in markdown([row], {}, [], judged=False)
