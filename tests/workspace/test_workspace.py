from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from datasets_vc.config import Head
from datasets_vc.digest import digest_of
from datasets_vc.errors import AlreadyExistsError, DatasetError, LockedError
from datasets_vc.workspace import Workspace
from tests.workspace.bench import Bench


def test_a_new_workspace_stands_on_a_branch(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "some" / "where", "main")
    assert workspace.head == Head("main", None)
    workspace.set_head(Head(None, digest_of(b"")))
    assert Workspace(workspace.folder).head == Head(None, digest_of(b""))


def test_a_workspace_is_made_once(tmp_path: Path) -> None:
    Workspace.create(tmp_path, "main")
    with pytest.raises(AlreadyExistsError, match="is a dataset repository already"):
        Workspace.create(tmp_path, "main")


def test_where_no_folder_can_be_there_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="cannot be made a repository: Not a directory"):
        Workspace.create(tmp_path / "file" / "sub", "main")


def test_only_one_holds_the_lock(bench: Bench) -> None:
    with (
        bench.workspace.lock(),
        pytest.raises(LockedError, match="Another dsvc is at work"),
        Workspace(bench.folder).lock(),
    ):
        pass
    with bench.workspace.lock():
        pass


def test_the_lock_is_given_up_on_failure(bench: Bench) -> None:
    with pytest.raises(KeyError), bench.workspace.lock():
        raise KeyError
    with bench.workspace.lock():
        pass


def test_a_workspace_that_cannot_be_written_to_cannot_be_locked(bench: Bench) -> None:
    (bench.folder / ".dsvc" / "lock").mkdir()
    with pytest.raises(DatasetError, match="cannot be locked"), bench.workspace.lock():
        pass


def test_a_status_needs_no_lock(bench: Bench) -> None:
    with bench.workspace.lock():
        assert bench.workspace.status(bench.version).clean


def test_a_status_of_a_small_tree_loads_little(bench: Bench) -> None:
    bench.put("a", b"1")
    program = (
        "import sys; from pathlib import Path; from datasets_vc.workspace import Workspace;"
        "from datasets_vc.format.entries import ENTRY_SCHEMA;"
        f"Workspace(Path({str(bench.folder)!r})).status(ENTRY_SCHEMA.empty_table());"
        "slow = {'pyarrow.compute', 'filelock', 'pathspec', 'tomlkit', 'fsspec', 'torch'};"
        "print(slow & sys.modules.keys())"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout == "set()\n"


def test_who_holds_the_lock_clears_away_what_a_killed_checkout_left(bench: Bench) -> None:
    temporary = bench.folder / ".dsvc" / "tmp"
    left, code = temporary / "checkout-0123" / "folder-0", temporary / "code-0123"
    for folder in (left, code):
        folder.mkdir(parents=True)
    (left / "half a file").write_bytes(b"half")

    with bench.workspace.lock():
        pass

    # A run that is being reproduced needs no lock.
    assert list(temporary.iterdir()) == [code]
