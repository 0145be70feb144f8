from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.workspace import columns

PATHS = st.lists(st.text("ab/\u00e9\U0001f993", min_size=1, max_size=3), unique=True, max_size=40)


@pytest.mark.parametrize(("small", "at_once"), [(1000, 1000), (0, 4)])
@given(paths=PATHS, others=PATHS, more=PATHS)
def test_each_path_is_found_in_its_row(
    small: int, at_once: int, paths: list[str], others: list[str], more: list[str]
) -> None:
    left, right = (sorted({*side, *more}) for side in (paths, others))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_SMALL", small)
        patch.setattr(columns, "_AT_ONCE", at_once)
        column = pa.array(["sliced off", *left], pa.string()).slice(1)
        found = columns.align(column, pa.array(right, pa.string())).tolist()
    assert found == [right.index(path) if path in right else -1 for path in left]


def test_digests_are_compared_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_AT_ONCE", 2)
    left = columns.digests_of(pa.array([bytes([n]) * 32 for n in range(4)], pa.binary(32)))
    rows = columns.np.array([3, -1, 0, 1, 2])
    right = left[[3, 3, 1, 1, 3]]
    assert columns.same_digests_at(left, rows, right).tolist() == [True, True, False, True, False]
    assert columns.same_digests_at(left[:0], rows, right).tolist() == [False] * 5
