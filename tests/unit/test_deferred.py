from __future__ import annotations

import sys
from pathlib import Path

import pytest

from datasets_vc.deferred import Deferred


def test_a_module_is_loaded_when_something_of_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "put_off.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = Deferred("put_off")
    assert "put_off" not in sys.modules
    try:
        assert module.answer == 42
        assert "put_off" in sys.modules
        with pytest.raises(AttributeError, match="put_off"):
            _ = module.question
    finally:
        sys.modules.pop("put_off", None)


def test_a_module_that_is_not_there_says_so() -> None:
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        _ = Deferred("datasets_vc.nothing").answer
