from __future__ import annotations

import pyarrow as pa
import pytest

from datasets_vc.workspace import columns


def test_digests_are_compared_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_AT_ONCE", 2)
    left = columns.digests_of(pa.array([bytes([n]) * 32 for n in range(4)], pa.binary(32)))
    rows = columns.np.array([3, -1, 0, 1, 2])
    right = left[[3, 3, 1, 1, 3]]
    assert columns.same_digests_at(left, rows, right).tolist() == [True, True, False, True, False]
    assert columns.same_digests_at(left[:0], rows, right).tolist() == [False] * 5
