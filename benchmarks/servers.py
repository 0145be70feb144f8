"""An S3 server on this machine, in a process of its own: rclone's if it is here, else moto's."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import BenchmarkError, remove

BUCKET = "bench"
_KEY, _SECRET = "benchmark", "benchmark-secret"
_PATIENCE = 30.0


class S3Server:
    """One bucket, empty after each `restart`.

    Args:
        folder: what it keeps.
        rclone: the command, if there is one.
    """

    def __init__(self, folder: Path, rclone: str | None) -> None:
        self.name = "rclone serve s3" if rclone else "moto server"
        self._folder = folder
        self._rclone = rclone
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What clients of AWS's libraries need to reach it, and no other."""
        return {
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "RCLONE_CONFIG": str(self._folder.with_suffix(".conf")),
            "RCLONE_CONFIG_SERVER_TYPE": "s3",
            "RCLONE_CONFIG_SERVER_PROVIDER": "Other",
            "RCLONE_CONFIG_SERVER_ACCESS_KEY_ID": _KEY,
            "RCLONE_CONFIG_SERVER_SECRET_ACCESS_KEY": _SECRET,
            "RCLONE_CONFIG_SERVER_ENDPOINT": self.endpoint,
            "RCLONE_CONFIG_SERVER_REGION": "us-east-1",
        }

    def restart(self) -> None:
        """Begin with an empty bucket."""
        self.stop()
        (self._folder / BUCKET).mkdir(parents=True)
        with self._folder.with_suffix(".log").open("wb") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        self._wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
        remove(self._folder)

    def _command(self) -> list[str]:
        if not self._rclone:
            server = ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
            return [sys.executable, *server]
        keys = f"{_KEY},{_SECRET}"
        address = f"127.0.0.1:{self._port}"
        config = str(self._folder.with_suffix(".conf"))
        options = ["--config", config, "--addr", address, "--auth-key", keys]
        return [self._rclone, "serve", "s3", *options, str(self._folder)]

    def _wait(self) -> None:
        """Until it takes requests; moto has to be told to make the bucket."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                request = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")
                with contextlib.closing(urllib.request.urlopen(request)):
                    return
            except urllib.error.HTTPError as error:
                error.close()
                if self._rclone:
                    return  # It answers, and refuses those who do not sign.
            except OSError:
                pass
            time.sleep(0.05)
        raise BenchmarkError(f"{self.name} does not start")
