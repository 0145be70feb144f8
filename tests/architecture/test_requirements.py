"""What `make setup` installs: requirements.lock says it whole, and of each file by its hash."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[2]
LOCK = (PROJECT / "requirements.lock").read_text()
PINS = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.M)
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")

SMALL = """\
# a header
nvidia-cublas==13.1 ; sys_platform == 'linux' \\
    --hash=sha256:{cublas}
torch==2.13.0 \\
    --hash=sha256:{index} \\
    --hash=sha256:{cpu}
xxhash==4.1.0 \\
    --hash=sha256:{xxhash}
""".format(cublas="a" * 64, index="b" * 64, cpu="c" * 64, xxhash="d" * 64)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ci_{name}", PROJECT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_versions_are_those_of_the_constraints() -> None:
    constraints = dict(PINS.findall((PROJECT / "constraints.txt").read_text()))
    locked = dict(PINS.findall(LOCK))
    # What only Windows needs is in no constraint.
    assert {n: v for n, v in locked.items() if n not in ("colorama", "pywin32")}.items() <= (
        constraints.items()
    )


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    groups = [project["project"]["dependencies"], project["build-system"]["requires"]]
    groups += [packages for name, packages in extras.items() if name != "torture"]
    wanted = {re.split(r"[\[>=; ]", package)[0] for group in groups for package in group}
    assert wanted - {"datasets-vc"} <= dict(PINS.findall(LOCK)).keys()


def test_every_line_is_a_package_or_a_hash() -> None:
    lines = LOCK.splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if PINS.match(line):
            assert HASH.fullmatch(following), line
        else:
            assert line.startswith("#") or HASH.fullmatch(line)


@pytest.mark.parametrize(
    ("version", "sha256", "names"),
    [
        ("2.13.0", "b" * 64, ["nvidia-cublas==13.1", "torch==2.13.0", "xxhash==4.1.0"]),
        ("2.13.0+cpu", "c" * 64, ["torch==2.13.0+cpu", "xxhash==4.1.0"]),
        ("2.13.0+cpu", "e" * 64, ["xxhash==4.1.0"]),
    ],
)
def test_what_is_installed_by_hash_beside_a_build_of_torch(
    version: str, sha256: str, names: list[str]
) -> None:
    install = script("install")
    chosen = install.needed(SMALL, install.Build(version, sha256))
    assert ["==".join(pin) for pin in PINS.findall(chosen)] == names
    assert ("b" * 64 in chosen) == ("c" * 64 in chosen) == any("torch" in name for name in names)


def test_hashes_of_torch_are_kept_while_its_version_is() -> None:
    lock = script("lock")
    fresh = SMALL.replace(f" \\\n    --hash=sha256:{'c' * 64}", "")
    assert "c" * 64 not in fresh
    assert lock.with_torch_hashes(fresh, SMALL, []) == SMALL
    assert lock.with_torch_hashes(fresh, "", ["c" * 64]) == SMALL
    other = SMALL.replace("torch==2.13.0", "torch==2.12.0")
    assert lock.with_torch_hashes(fresh, other, []) == fresh
