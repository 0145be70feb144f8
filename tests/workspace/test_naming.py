from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from datasets_vc.errors import InvalidInputError
from datasets_vc.workspace.naming import check_distinct, folding_of


def test_this_file_system_is_asked(tmp_path: Path) -> None:
    (tmp_path / ".dsvc").mkdir()
    (tmp_path / "case").touch()
    (tmp_path / unicodedata.normalize("NFC", "é")).touch()
    folding = folding_of(tmp_path)
    folds_case = (tmp_path / "CASE").exists()
    folds_form = (tmp_path / unicodedata.normalize("NFD", "é")).exists()
    assert (folding is not None) == (folds_case or folds_form)
    assert list((tmp_path / ".dsvc").iterdir()) == []


def test_a_file_system_that_folds_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".dsvc").mkdir()
    monkeypatch.setattr(Path, "exists", lambda _: True)
    folding = folding_of(tmp_path)
    assert folding is not None
    assert folding("A/E\u0301") == folding("a/\u00e9")


def test_where_nothing_can_be_written_there_is_no_answer(tmp_path: Path) -> None:
    assert folding_of(tmp_path / "missing") is None


@pytest.mark.parametrize("paths", [["a", "A"], ["x/a", "X/b"], ["a/b", "A"], ["ß", "ss"]])
def test_collisions_name_both(paths: list[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_distinct(paths, str.casefold)
    assert all(f"'{path.split('/')[0]}" in caught.value.message for path in paths)


def test_distinct_names_pass() -> None:
    check_distinct(["a", "b/a", "b/c", "c/a"], str.casefold)
