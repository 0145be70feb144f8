"""The layers of docs/architecture.md hold, and the check that says so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGES = ("datasets_vc", "loaders", "models")

SEEDS = {
    "datasets_vc/store/seed.py": "def read():\n    import torch\n    return torch\n",
    "datasets_vc/sync/seed.py": "import fsspec\n",
    "datasets_vc/format/seed.py": "from datasets_vc.store import store\n",
    "datasets_vc/utils.py": "",
    "datasets_vc/workspace/seed.py": "from datasets_vc.sync import seed\n",
    "datasets_vc/history/seed.py": "import rich\n",
    "loaders/seed.py": "from datasets_vc.backends import local\n",
}
CAUGHT = {
    "The library knows no torch": "datasets_vc.store.seed -> torch",
    "One file names fsspec": "datasets_vc.sync.seed -> fsspec",
    "Rooms import downwards only": "datasets_vc.workspace.seed -> datasets_vc.sync.seed",
    "Below the command line there is no terminal": "datasets_vc.history.seed -> rich",
    "Loaders and models use public names only": "loaders.seed -> datasets_vc.backends.local",
}


def _check(folder: Path) -> subprocess.CompletedProcess[str]:
    lint = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [lint, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_layers_hold() -> None:
    result = _check(PROJECT)

    assert result.returncode == 0, result.stdout


def test_seeded_violations_are_caught(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=ignored)
    for name, source in SEEDS.items():
        (tmp_path / name).write_text(source)

    result = _check(tmp_path)

    assert result.returncode != 0
    for contract, line in CAUGHT.items():
        assert f"{contract} BROKEN" in result.stdout
        assert line in result.stdout
    assert "datasets_vc.format.seed -> datasets_vc.store.store" in result.stdout
    assert "utils" in result.stdout  # a new room has to be given its place
