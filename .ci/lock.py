"""Write requirements.lock: `make lock`.

uv resolves pyproject.toml within constraints.txt, for every platform at once, and asks the index
for the hashes of all files of a version. The index has one build of torch; the hashes of CPU builds
are those of wheels that are named as arguments, and those that the file had for this version.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LOCK = PROJECT / "requirements.lock"
HEADER = """\
# Every package that `make setup` installs, with the SHA-256 of each of its files in the index: for
# Python 3.11 to 3.13. Written by `make lock` from pyproject.toml and constraints.txt.
"""
_TORCH = re.compile(r"^torch==(\S+)[^\n]*\\\n(?: +--hash=sha256:\w{64}(?: \\)?\n)+", re.M)


def main(wheels: Iterable[str]) -> None:
    before = LOCK.read_text() if LOCK.exists() else ""
    hashes = {_hash_of(Path(wheel)) for wheel in wheels}
    LOCK.write_text(HEADER + with_torch_hashes(_resolve(), before, hashes))


def with_torch_hashes(lock: str, before: str, hashes: Iterable[str]) -> str:
    """`lock` with `hashes`, and those that `before` has of the same version of torch."""
    found, kept = _TORCH.search(lock), _TORCH.search(before)
    assert found is not None
    every = {*hashes, *_hashes(found[0])}
    if kept and kept[1] == found[1]:
        every |= _hashes(kept[0])
    lines = [found[0].split(" \\\n")[0], *(f"    --hash=sha256:{one}" for one in sorted(every))]
    return lock.replace(found[0], " \\\n".join(lines) + "\n")


def _resolve() -> str:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "requirements.lock")
        command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet"]
        command += ["--extra", "train", "--extra", "dev", "--constraints", "constraints.txt"]
        command += ["--universal", "--python-version", "3.11", "--no-annotate", "--no-header"]
        command += ["--generate-hashes", "--output-file", str(out)]
        subprocess.run(command, cwd=PROJECT, check=True)
        return out.read_text()


def _hashes(text: str) -> set[str]:
    return set(re.findall(r"sha256:([0-9a-f]{64})", text))


def _hash_of(wheel: Path) -> str:
    with wheel.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main(sys.argv[1:])
