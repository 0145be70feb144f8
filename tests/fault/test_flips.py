"""A short campaign of flipped bits; the long one is `make torture`."""

from __future__ import annotations

from pathlib import Path

from tests.torture import flips
from tests.torture.campaign import Setting


def test_flips(tmp_path: Path) -> None:
    tally = flips.run(Setting(tmp_path, count=40, seed=1))
    assert not tally.failures
