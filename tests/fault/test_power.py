"""A short campaign of power losses; the long one is `make torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture import power
from tests.torture.campaign import Setting

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_power_losses(tmp_path: Path) -> None:
    tally = power.run(Setting(tmp_path, count=18, seed=1))
    assert not tally.failures
