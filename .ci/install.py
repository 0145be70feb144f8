"""Install what requirements.lock names, every file checked against its hash, then this project.

pip refuses hashes beside `-e .`, so the project comes last, without dependencies. torch has builds
that the index does not have: one for the CPU alone is taken where pip is told of a place that has
one (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS). If the lock has its hash, it is checked like all others;
if not, it is installed by its version, and this says so. Builds for the CPU need none of CUDA's
packages.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[1]
LOCK = PROJECT / "requirements.lock"

_NAME = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.M)
_CUDA = ("nvidia-", "cuda-", "triton")


class Build(NamedTuple):
    """What pip would install of torch here."""

    version: str
    sha256: str

    @property
    def is_the_index_s(self) -> bool:
        return "+" not in self.version

    @property
    def for_cpu(self) -> bool:
        return self.version.endswith("+cpu")


def main() -> None:
    lock = LOCK.read_text()
    build = _torch_here(_version(lock, "torch"))
    if not build.is_the_index_s and not _is_locked(lock, build):
        print(
            f"requirements.lock has no hash of torch {build.version} for this machine: it is"
            " installed by its version alone.",
            flush=True,
        )
        dependencies = ["--no-deps"] if build.for_cpu else ["-c", str(PROJECT / "constraints.txt")]
        _pip("install", *dependencies, f"torch=={build.version}")
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder, "requirements.txt")
        chosen.write_text(needed(lock, build))
        _pip("install", "--require-hashes", "--only-binary", ":all:", "-r", str(chosen))
    editable = ("--no-deps", "--no-build-isolation", "--config-settings", "editable_mode=compat")
    _pip("install", *editable, "-e", str(PROJECT))


def needed(lock: str, build: Build) -> str:
    """The part of the lock that is installed by hash where torch is this build."""
    if build.is_the_index_s:
        return lock
    # By its whole version, as pip would rather have a file of which the index says the hash.
    lock = re.sub(r"^torch==\S+", f"torch=={build.version}", lock, flags=re.M)
    left_out = _CUDA if _is_locked(lock, build) else (*_CUDA, "torch==")
    # A package's line begins with its name; those of its hashes are indented.
    packages = re.split(r"^(?=[a-z0-9])", lock, flags=re.M)
    return "".join(package for package in packages if not package.startswith(left_out))


def _torch_here(version: str) -> Build:
    """What pip finds: nothing is installed, and of the index no wheel is fetched."""
    answer = _pip(
        *("install", "--dry-run", "--ignore-installed", "--no-deps", "--report", "-"),
        f"torch=={version}",
        capture=True,
    )
    (found,) = json.loads(answer)["install"]
    return Build(
        found["metadata"]["version"], found["download_info"]["archive_info"]["hashes"]["sha256"]
    )


def _version(lock: str, package: str) -> str:
    return dict(_NAME.findall(lock))[package]


def _is_locked(lock: str, build: Build) -> bool:
    return f"sha256:{build.sha256}" in lock


def _pip(*arguments: str, capture: bool = False) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE if capture else None, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout or ""


if __name__ == "__main__":
    main()
