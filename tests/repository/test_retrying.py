"""Push, pull and push again, with others who are first."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datasets_vc.cli.main import main
from datasets_vc.errors import ConflictError, UnsavedChangesError
from datasets_vc.progress import SILENT
from datasets_vc.repository import RefChoice, Repository, SyncResult, Transfer, retrying
from datasets_vc.repository.choice import CURRENT
from datasets_vc.repository.retrying import PACE, Pace, push_until_done
from datasets_vc.repository.unfinished import Recorder
from datasets_vc.store import Written
from datasets_vc.sync import push as module
from datasets_vc.sync.sending import send
from tests.integration.trees import AUTHOR, tree_of

RECORDER = Recorder(AUTHOR, None, None)


@pytest.fixture
def both(tmp_path: Path) -> tuple[Repository, Repository]:
    """Two workspaces on the same version of one remote."""
    one = Repository.init(tmp_path / "one")
    record(one, "begin")
    one.remotes.add("origin", str(tmp_path / "remote"))
    one.push()
    Repository.clone(str(tmp_path / "remote"), tmp_path / "other")
    return one, Repository.open(tmp_path / "other")


def record(repository: Repository, name: str, data: bytes = b"") -> None:
    (repository.folder / name).write_bytes(data or name.encode())
    repository.commit(name, author=AUTHOR)


def push(
    repository: Repository, pace: Pace, choice: RefChoice = CURRENT, remote: str = "origin"
) -> SyncResult:
    return push_until_done(repository._context, remote, choice, RECORDER, SILENT, pace=pace)


def others_first(other: Repository, times: int) -> Callable[[float], None]:
    """In every pause another workspace is faster, so many times."""
    numbers = itertools.count(1)

    def sleep(_: float) -> None:
        number = next(numbers)
        if number <= times:
            other.pull(author=AUTHOR)
            record(other, f"other-{number}")
            other.push()

    return sleep


def test_who_was_second_is_first_some_time(both: tuple[Repository, Repository]) -> None:
    one, other = both
    record(other, "other")
    other.push()
    record(one, "one")
    result = push(one, replace(PACE, sleep=others_first(other, 0)))
    assert result.merge is None
    assert [update.outcome for update in result.refs] == ["updated"]
    other.pull()
    assert result.commit
    assert other.head.commit == one.head.commit == result.commit
    assert set(tree_of(one.folder)) == {"begin", "one", "other"}


def test_others_that_are_first_each_time_end_it(
    both: tuple[Repository, Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    record(other, "other")
    other.push()
    record(one, "one")
    waits: list[float] = []

    def lost(*_: object, **__: object) -> SyncResult:
        raise ConflictError("somebody was first")

    def pulled(*_: object, **__: object) -> SyncResult:
        return SyncResult(None, None, None, Transfer(), updated=True)

    monkeypatch.setattr(retrying, "push", lost)
    monkeypatch.setattr(retrying, "pull", pulled)
    drawn = itertools.cycle([0.2, 0.9, 0.4])
    pace = Pace(4, 1.0, sleep=waits.append, uniform=lambda: next(drawn))
    with pytest.raises(ConflictError, match="somebody was first"):
        push(one, pace)
    assert waits == [0.2, 0.9, 0.4]


def test_conflicts_end_it_as_they_end_a_pull(both: tuple[Repository, Repository]) -> None:
    one, other = both
    record(other, "begin", b"theirs")
    other.push()
    record(one, "begin", b"ours")
    there = one.remotes.connect("origin").root
    result = push(one, replace(PACE, sleep=lambda _: None))
    assert result.merge
    assert [conflict.path for conflict in result.merge.conflicts] == ["begin"]
    assert one.remotes.connect("origin").root == there


def test_the_command_line_tells_what_it_did(
    both: tuple[Repository, Repository],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DSVC_AUTHOR", AUTHOR)
    one, other = both
    push = ["push", "--retry", "--json"]
    for name in ("other", "begin"):
        record(other, name, b"theirs")
        other.push()
        record(one, "one" if name == "other" else name, b"ours")
        capsys.readouterr()
        code = main(["-C", str(one.folder), *push])
        told = json.loads(capsys.readouterr().out)
        if name == "other":
            assert code == 0
            assert told["refs"][0]["outcome"] == "updated"
            other.pull(author=AUTHOR)
        else:
            assert code == 12
            assert [each["path"] for each in told["conflicts"]] == ["begin"]


def test_what_a_pull_does_not_help_is_not_tried_again(both: tuple[Repository, Repository]) -> None:
    one, other = both
    other.tags.create("v1")
    other.push(choice=RefChoice(tags=True))
    record(one, "one")
    one.tags.create("v1")
    waits: list[float] = []
    with pytest.raises(ConflictError, match="v1"):
        push(one, replace(PACE, sleep=waits.append))
    assert len(waits) == 2  # before the first try, and before the pull


def test_uncommitted_changes_are_not_overwritten(both: tuple[Repository, Repository]) -> None:
    one, other = both
    record(other, "begin", b"theirs")
    other.push()
    record(one, "one")
    (one.folder / "begin").write_bytes(b"mine")
    with pytest.raises(UnsavedChangesError):
        push(one, replace(PACE, sleep=lambda _: None))
    assert (one.folder / "begin").read_bytes() == b"mine"


def test_what_was_sent_too_late_is_not_sent_again(
    both: tuple[Repository, Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = both
    record(one, "large", random.Random(0).randbytes(3 << 20))
    record(other, "other")
    sent: list[int] = []

    def slow(*given: Any, **named: Any) -> Written:
        written = send(*given, **named)
        sent.append(written.bytes)
        if len(sent) == 1:
            other.push()
        return written

    monkeypatch.setattr(module, "send", slow)
    push(one, replace(PACE, sleep=lambda _: None))
    assert sent[0] > 3 << 20
    assert sum(sent[1:]) < 1 << 20  # the other's, and a merge
    other.pull()
    assert (other.folder / "large").read_bytes() == (one.folder / "large").read_bytes()


def test_who_was_first_the_last_time_gives_way(both: tuple[Repository, Repository]) -> None:
    one, other = both
    waits: list[float] = []
    ticks = itertools.count(0.0, 0.05)
    pace = Pace(sleep=waits.append, uniform=lambda: 0.5, clock=lambda: next(ticks))
    record(one, "one")
    push(one, pace)
    assert waits == [pytest.approx(0.05 * pace.way / 2)]  # as long as asking takes, so many times
    record(other, "other")
    push(other, pace)
    assert len(waits) == 2  # somebody else was: only the pause after the lost race
    assert waits[1] == pace.after_loss / 2
    slow = replace(pace, clock=itertools.count(0.0, 60.0).__next__)
    record(other, "again")
    push(other, slow)
    assert waits[2] == pace.longest_way / 2


@pytest.mark.parametrize("pull", [0.2, 0.9, 2.0], ids="pull takes {}".format)
@pytest.mark.parametrize("seed", range(3))
def test_of_four_that_never_pause_nobody_starves(pull: float, seed: int) -> None:
    """The pace, by a clock that is made up: a commit takes 0.5, a push 0.3, to ask the remote 0.1.

    Where nobody gives way, two of the four starve as soon as a pull takes longer than a commit.
    """
    fair, unfair = (_race(pull, seed, pace) for pace in (PACE, replace(PACE, way=0.0)))
    assert min(fair) * 10 > max(fair), fair
    if pull > 1:
        assert min(unfair) * 10 < max(unfair), unfair


def _race(pull: float, seed: int, pace: Pace) -> list[int]:
    """How often each of four pushes in 1,000 seconds."""
    draw = random.Random(seed)
    pauses: list[float] = []
    pace = replace(pace, sleep=pauses.append, uniform=draw.random)
    now, moved, done = 0.0, 0.0, [0] * 4
    # When each swaps the root, and when it has read it.
    queue = [(1.0 + draw.random(), 0.0, number) for number in range(4)]
    heapq.heapify(queue)
    while now < 1000:
        now, read, number = heapq.heappop(queue)
        took = draw.uniform(0.9, 1.1)
        if read < moved:  # somebody else was first
            pace.wait()
            begin = now + pauses[-1]
            heapq.heappush(queue, (begin + (pull + 0.3) * took, begin, number))
            continue
        done[number] += 1
        moved = now
        pace.give_way(0.1)
        begin = now + 0.5 * took + pauses[-1]
        heapq.heappush(queue, (begin + 0.3 * took, now, number))
    return done
