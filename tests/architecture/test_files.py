"""What every source file keeps to."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MAX_LINES = 350
CATCH_ALL = {"util", "utils", "helpers", "common", "misc"}

# These talk to people; everything else is told what it needs.
MAY_READ_SURROUNDINGS = ("datasets_vc/cli/", "models/__main__.py")

SOURCES = sorted(
    path.relative_to(PROJECT)
    for package in ("datasets_vc", "loaders", "models")
    for path in (PROJECT / package).rglob("*.py")
)
LIBRARY = [path for path in SOURCES if not path.as_posix().startswith(MAY_READ_SURROUNDINGS)]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_file_is_short_and_named_after_what_it_is(path: Path) -> None:
    assert len((PROJECT / path).read_text().splitlines()) <= MAX_LINES
    assert path.stem not in CATCH_ALL


@pytest.mark.parametrize("path", LIBRARY, ids=str)
def test_library_neither_prints_nor_reads_its_surroundings(path: Path) -> None:
    assert list(_surroundings(ast.parse((PROJECT / path).read_text()))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['HOME']",
        "from os import environ",
        "import os\nos.getenv('HOME')",
        "from pathlib import Path\nPath.home()",
        "import os\nos.path.expanduser('~')",
        "print('hello')",
        "import sys\nsys.stdout.write('hello')",
    ],
)
def test_check_of_surroundings_can_fail(source: str) -> None:
    assert list(_surroundings(ast.parse(source)))


NAMES = {
    "os": {"environ", "environb", "getenv"},
    "os.path": {"expanduser"},
    "Path": {"home"},
    "sys": {"stdout", "stderr", "stdin", "argv"},
}


def _surroundings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute() if node.attr in NAMES.get(ast.unparse(node.value), ()):
                yield f"{ast.unparse(node)} in line {node.lineno}"
            case ast.Attribute(attr="expanduser"):
                yield f"{ast.unparse(node)} in line {node.lineno}"
            case ast.ImportFrom() if any(
                a.name in NAMES.get(node.module or "", ()) for a in node.names
            ):
                yield f"{ast.unparse(node)} in line {node.lineno}"
            case ast.Call(func=ast.Name(id="print" | "input")):
                yield f"{node.func.id} in line {node.lineno}"


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["status"], ["-C", ".", "status"]], ids=str
)
def test_quick_verbs_load_neither_torch_nor_fsspec(arguments: list[str], tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    if "status" in arguments:
        _run("from datasets_vc.cli.main import main; assert main(['init']) == 0", workspace)
    loaded = _loaded_by(arguments, workspace)

    assert "typer" in loaded
    assert not {"torch", "fsspec", "s3fs", "pyarrow.dataset", "rich", "pydantic"} & loaded
    assert not {"filelock", "pathspec", "pyfastcdc", "tomlkit"} & loaded
    rooms = ("runs", "samples", "tables", "sync.transfer", "repository.exchange")
    assert not {f"datasets_vc.{room}" for room in rooms} & loaded


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["status", "--help"], ["clone", "--help"]], ids=str
)
def test_help_is_there_at_once(arguments: list[str], tmp_path: Path) -> None:
    loaded = _loaded_by(arguments, tmp_path)

    assert "typer" in loaded
    assert not {"numpy", "pyarrow", "datasets_vc.repository.repository"} & loaded


def _loaded_by(arguments: list[str], folder: Path) -> set[str]:
    code = (
        "import sys; from datasets_vc.cli.main import main; "
        f"code = main({arguments!r}); print('LOADED', *sorted(sys.modules)); sys.exit(code)"
    )
    return set(_run(code, folder).partition("LOADED")[2].split())


def _run(code: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
