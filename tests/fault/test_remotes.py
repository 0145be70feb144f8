"""A short campaign of remotes that go wrong; the long one is `make torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.torture import remotes
from tests.torture.campaign import Setting

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_remotes(tmp_path: Path) -> None:
    tally = remotes.run(Setting(tmp_path, count=6, seed=1))
    assert not tally.failures
    assert any(what.startswith("faults: ") for what in tally.counts)
