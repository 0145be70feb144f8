"""Short campaigns of all faults, with the same seeds every time; `make torture` is the long one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.torture import flips, remotes
from tests.torture.campaign import Setting, Tally, campaign
from tests.torture.crowd import Crowd
from tests.torture.disk import Failures
from tests.torture.forking import Forking
from tests.torture.kills import Kills
from tests.torture.power import PowerLosses
from tests.torture.world import World

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world") / "world")


@pytest.fixture(scope="module")
def server() -> Iterator[Forking]:
    with Forking() as server:
        yield server


@pytest.mark.parametrize("kind", [Kills, PowerLosses, Failures])
def test_every_act_survives(
    tmp_path: Path, world: World, server: Forking, kind: Callable[..., Kills]
) -> None:
    tally = campaign(kind.__name__, kind(world, server, tmp_path), Setting(tmp_path, 14))
    _check(tally)
    assert sum(tally.counts.values()) >= 2 * 14


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    _check(flips.run(Setting(tmp_path, 40)))


def test_remotes_that_go_wrong(tmp_path: Path) -> None:
    tally = remotes.run(Setting(tmp_path, 3))
    _check(tally)
    assert any(what.startswith("faults: ") for what in tally.counts)


def test_a_crowd_at_one_branch_that_is_collected(tmp_path: Path) -> None:
    tally = campaign("crowd", Crowd(people=2, commits=2), Setting(tmp_path, 1))
    _check(tally)
    assert tally.counts["commits in the history"] == 4


def _check(tally: Tally) -> None:
    assert not tally.failures, "\n".join(tally.failures)
