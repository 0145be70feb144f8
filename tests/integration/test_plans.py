"""`--plan`: what push, fetch, pull and clone say that they would move, against what they move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Dsvc
from tests.sync.stores import noise

MORE_REQUESTS = 6
"""A plan does not know what others do meanwhile, and counts the swap of a root roughly."""


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def origin(dsvc: Dsvc, home: Path) -> Path:
    folder = home / "origin"
    dsvc("init", folder)
    (folder / "train").mkdir()
    for number in range(30):
        (folder / f"train/{number}.bin").write_bytes(noise(20_000, number))
    (folder / "large.bin").write_bytes(noise(3 << 20))
    dsvc("-C", folder, "commit", "-m", "first")
    (home / "remote").mkdir()
    dsvc("-C", folder, "remote", "add", "origin", home / "remote")
    return folder


def close(plan: dict[str, Any], done: dict[str, Any], way: str) -> None:
    assert plan["plan"] is True
    for name in ("commit", "dataset", "branch", "chunks", "packs"):
        assert plan[name] == done[name]
    assert plan[f"bytes_{way}"] == pytest.approx(done[f"bytes_{way}"], rel=0.02, abs=6000)
    assert abs(plan["requests"] - done["requests"]) <= MORE_REQUESTS


def test_a_push_moves_what_its_plan_says(dsvc: Dsvc, origin: Path, home: Path) -> None:
    before = everything(home)
    plan = dsvc("-C", origin, "push", "--plan", "--json")
    assert everything(home) == before
    close(plan.data, dsvc("-C", origin, "push", "--json").data, "sent")
    nothing = dsvc("-C", origin, "push", "--plan", "--json").data
    assert (nothing["bytes_sent"], nothing["chunks"], nothing["packs"]) == (0, 0, 0)
    (origin / "new.bin").write_bytes(noise(50_000, 99))
    dsvc("-C", origin, "commit", "-m", "second")
    plan = dsvc("-C", origin, "push", "--plan", "--json")
    close(plan.data, dsvc("-C", origin, "push", "--json").data, "sent")


@pytest.mark.parametrize("options", [[], ["--only", "train/1*"]])
def test_a_clone_and_pulls_move_what_their_plans_say(
    dsvc: Dsvc, origin: Path, home: Path, options: list[str]
) -> None:
    dsvc("-C", origin, "push")
    before = everything(home)
    plan = dsvc("clone", home / "remote", home / "clone", *options, "--plan", "--json")
    assert everything(home) == before
    assert not (home / "clone").exists()
    done = dsvc("clone", home / "remote", home / "clone", *options, "--json")
    close(plan.data, done.data, "received")

    (origin / "train/new.bin").write_bytes(noise(70_000, 99))
    (origin / "train/1.bin").write_bytes(noise(60_000, 98))
    dsvc("-C", origin, "commit", "-m", "second")
    dsvc("-C", origin, "push")
    before = everything(home)
    plans = [dsvc("-C", home / "clone", verb, "--plan", "--json") for verb in ("pull", "fetch")]
    assert everything(home) == before
    assert plans[0].data == plans[1].data
    close(plans[0].data, dsvc("-C", home / "clone", "pull", "--json").data, "received")
    nothing = dsvc("-C", home / "clone", "pull", "--plan")
    assert b"Nothing new." in nothing.out


def test_a_push_that_would_be_refused_has_no_plan(dsvc: Dsvc, origin: Path, home: Path) -> None:
    dsvc("-C", origin, "push")
    dsvc("clone", home / "remote", home / "clone")
    for folder in (origin, home / "clone"):
        (folder / "new.bin").write_bytes(noise(50, len(folder.name)))
        dsvc("-C", folder, "commit", "-m", "second")
    dsvc("-C", origin, "push")
    plan, push = (dsvc("-C", home / "clone", "push", *more) for more in (["--plan"], []))
    assert plan.code == push.code == 12
    assert plan.err == push.err


def test_plans_are_told_in_words(dsvc: Dsvc, origin: Path, home: Path) -> None:
    told = dsvc("-C", origin, "push", "--plan").out.decode()
    assert "MiB would be sent: " in told
    assert "about " in told


def test_what_a_plan_cannot_be_made_of(dsvc: Dsvc, origin: Path, home: Path) -> None:
    assert dsvc("-C", origin, "push", "nowhere", "--plan").code == 1
    assert dsvc("-C", origin, "fetch", "--plan").code == dsvc("-C", origin, "fetch").code != 0
    assert dsvc("-C", origin, "pull", "--plan", "--lock").code == 2
    assert dsvc("clone", "--plan", "--from", "dataset.lock").code == 2
    assert dsvc("clone", "--plan", home / "remote", origin).code == 1
