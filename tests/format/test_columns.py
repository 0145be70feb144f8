from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets_vc.format import columns
from datasets_vc.paths import is_under

TEXTS = st.text("ab/-0\u00e9\U0001f993", min_size=1, max_size=3)
PATHS = st.lists(TEXTS, unique=True, max_size=40)


def column_of(paths: list[str]) -> pa.StringArray:
    return pa.array(["sliced off", *paths], pa.string()).slice(1)


@pytest.mark.parametrize(
    ("small", "few_among", "at_once"), [(1000, 64, 1000), (0, 1000, 4), (0, 2, 4)]
)
@given(paths=PATHS, others=PATHS, more=PATHS)
def test_each_path_is_found_in_its_row(
    small: int, few_among: int, at_once: int, paths: list[str], others: list[str], more: list[str]
) -> None:
    left, right = (sorted({*side, *more}) for side in (paths, others))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_SMALL", small)
        patch.setattr(columns, "_FEW_AMONG", few_among)
        patch.setattr(columns, "_AT_ONCE", at_once)
        found = columns.align(column_of(left), pa.array(right, pa.string())).tolist()
    assert found == [right.index(path) if path in right else -1 for path in left]


@given(paths=PATHS.map(sorted), path=TEXTS)
def test_a_path_and_what_lies_below_it_are_found(paths: list[str], path: str) -> None:
    column = column_of(paths)
    assert columns.row_of(path, column) == (paths.index(path) if path in paths else -1)
    here = [other for other in paths if other != path and is_under(other, path)]
    assert paths[slice(*columns.rows_below(column, path))] == here


@pytest.mark.parametrize(("small", "few_among"), [(1000, 64), (0, 64), (0, 2)])
@given(paths=PATHS, others=PATHS)
def test_two_columns_are_put_in_one_order(
    small: int, few_among: int, paths: list[str], others: list[str]
) -> None:
    left, right = sorted(paths), sorted(set(others) - set(paths))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_SMALL", small)
        patch.setattr(columns, "_FEW_AMONG", few_among)
        order = columns.merged_order(column_of(left), column_of(right)).tolist()
    assert [(left + right)[row] for row in order] == sorted(left + right)
