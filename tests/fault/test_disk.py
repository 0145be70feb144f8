"""A short campaign of disks that fail; the long one is `make torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture import disk
from tests.torture.campaign import Setting

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_failures(tmp_path: Path) -> None:
    tally = disk.run(Setting(tmp_path, count=12, seed=70))
    assert not tally.failures
