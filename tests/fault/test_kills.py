"""A short campaign of kills; the long one is `make torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture import kills
from tests.torture.campaign import Setting

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_kills(tmp_path: Path) -> None:
    tally = kills.run(Setting(tmp_path, count=12, seed=1))
    assert not tally.failures
    assert tally.counts["kills"] >= 6
