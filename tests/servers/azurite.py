"""Azurite, Microsoft's emulator of Azure Blob Storage, where Node is present.

It is installed once, into build/ (about 20 seconds and 190 MB), from the npm registry.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from tests.servers.processes import listening

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
# The emulator's well-known key, the same everywhere.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_FOLDER = Path(__file__).parents[2] / "build" / "azurite"
_MAIN = _FOLDER / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
_FAILED = _FOLDER / "failed.txt"
_INSTALL_TIMEOUT = 180


@contextmanager
def azurite(logs: Path) -> Iterator[str]:
    """Serve blobs that are kept in memory; gives a connection string."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Azurite needs Node, which is not installed")
    _install()

    def command(port: int) -> list[str]:
        where = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
        how = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        return [node, str(_MAIN), *where, *how]

    with listening(command, logs / "azurite.log") as port:
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        )


def _install() -> None:
    """Install it unless that was done, or did not work, before; `make clean` forgets both."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(_FOLDER / "install.lock"):
        if not _MAIN.exists() and not _FAILED.exists():
            trouble = _npm_install()
            if trouble:
                _FAILED.write_text(trouble)
    if _FAILED.exists():
        pytest.skip(f"Azurite could not be installed: {_FAILED.read_text()}")


def _npm_install() -> str:
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0"]
    command = [npm, "install", *quiet, "--prefix", str(_FOLDER), f"azurite@{VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"npm took more than {_INSTALL_TIMEOUT} s"
    if done.returncode:
        return " ".join(done.stderr.split())[-300:] or f"npm ended with {done.returncode}"
    return "" if _MAIN.exists() else "npm installed something else"
