"""Nothing that comes from a dataset or a remote is run: no module knows how."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SOURCES = sorted(
    path.relative_to(PROJECT)
    for package in ("datasets_vc", "loaders", "models")
    for path in (PROJECT / package).rglob("*.py")
)

# Reading what these write can call any function.
EXECUTING_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve"}
EXECUTING_MODULES |= {"joblib", "code", "codeop", "runpy", "yaml", "jsonpickle"}
EXECUTING_MODULES |= {"multiprocessing.reduction"}
EXECUTING_NAMES = {"eval", "exec", "compile", "__import__"}
EXECUTING_CALLS = {"os.system", "os.popen", "torch.load", "torch.hub.load", "numpy.load", "np.load"}
EXECUTING_CALLS |= {"pandas.read_pickle", "pd.read_pickle", "pa.deserialize", "pyarrow.deserialize"}

PICKLING = {"imports pickle", "imports multiprocessing.reduction"}
MAY_PICKLE = {
    "loaders/workers.py": "a batch on its way from a worker that we started, as torch sends it",
}

MAY_START_PROCESSES = {
    "datasets_vc/cli/author.py": "git config, for the author's name",
    "datasets_vc/signing/keygen.py": "ssh-keygen, to sign and to check signatures",
    "datasets_vc/runs/process.py": "`dsvc train` and `dsvc reproduce`, which people ask for",
}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_nothing_that_executes_data(path: Path) -> None:
    found = _executing(ast.parse((PROJECT / path).read_text()))
    if path.as_posix() in MAY_PICKLE:
        found = (what for what in found if what not in PICKLING)
    assert list(found) == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_few_files_start_processes(path: Path) -> None:
    found = _imported(ast.parse((PROJECT / path).read_text()))
    starts = {"subprocess", "multiprocessing.spawn", "pty"} & set(found)
    assert not starts or path.as_posix() in MAY_START_PROCESSES


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import importlib, marshal",
        "import yaml",
        "eval('1')",
        "exec(text)",
        "import os\nos.system('ls')",
        "import torch\ntorch.load(file)",
        "import torch\ntorch.load(file, weights_only=False)",
        "import numpy as np\nnp.load(file, allow_pickle=True)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
    ],
)
def test_check_of_execution_can_fail(source: str) -> None:
    assert list(_executing(ast.parse(source)))


def test_methods_that_are_called_alike_are_none() -> None:
    assert list(_executing(ast.parse("model.eval()\nre.compile('x')\nself.exec(1)"))) == []


def _executing(tree: ast.Module) -> Iterator[str]:
    for name in _imported(tree):
        if {name, name.partition(".")[0]} & EXECUTING_MODULES:
            yield f"imports {name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {word.arg: word.value for word in node.keywords}
        if called in EXECUTING_NAMES or called in EXECUTING_CALLS:
            yield f"calls {called} in line {node.lineno}"
        for flag in ("shell", "allow_pickle"):
            ours = flag == "allow_pickle" or called.startswith("subprocess.")
            if ours and flag in keywords and ast.unparse(keywords[flag]) != "False":
                yield f"{flag} in line {node.lineno}"


def _imported(tree: ast.Module) -> list[str]:
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found
