from __future__ import annotations

import pyarrow as pa
import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.workspace.selection import Selection

PATHS = ["a", "a-b", "a/b", "a/b-c", "a/b/c", "a/b/d", "a/b0", "a0", "b/a", "ä/ö"]


def chosen(*paths: str, above: bool = True) -> list[str]:
    mask = Selection(paths).mask(pa.array(PATHS, pa.string()), above=above)
    return [path for path, taken in zip(PATHS, mask, strict=True) if taken]


@pytest.mark.parametrize("paths", [(), (".",), ("./",), ("a", ".")])
def test_nothing_or_the_top_is_everything(paths: tuple[str, ...]) -> None:
    assert Selection(paths).everything
    assert chosen(*paths) == PATHS


def test_a_path_is_itself_and_what_lies_below() -> None:
    assert chosen("a/b", above=False) == ["a/b", "a/b/c", "a/b/d"]
    assert chosen("a/b/", above=False) == ["a/b", "a/b/c", "a/b/d"]
    assert chosen("a/b/c", "b", above=False) == ["a/b/c", "b/a"]
    assert chosen("ä", above=False) == ["ä/ö"]
    assert chosen("a/b/x", above=False) == []


def test_folders_above_count_where_they_are_files() -> None:
    assert chosen("a/b/c") == ["a", "a/b", "a/b/c"]


def test_paths_that_select_nothing_are_told() -> None:
    column = pa.array(PATHS, pa.string())
    selection = Selection(["a/b", "a/x", "b", "c", "a/b/c"])
    assert selection.unmatched(column) == ["a/x", "c"]
    assert selection.unmatched(column, pa.array(["c/d"], pa.string())) == ["a/x"]
    assert Selection(["a"]).unmatched(pa.array(["a-b", "a/b"], pa.string())) == []


@pytest.mark.parametrize("path", ["/a", "../a", "a//b", "a/../b", ".dsvc", ".dsvc/store", "/"])
def test_paths_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(InvalidInputError):
        Selection([path])
