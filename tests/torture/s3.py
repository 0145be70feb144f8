"""An S3 server of its own process, and the environment that reaches it or a proxy of it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import boto3

BUCKET = "torture"


@contextmanager
def s3_server() -> Iterator[str]:
    """Start moto's server with one empty bucket; gives its "host:port"."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        said = ""
        while not (found := re.search(r"http://(127\.0\.0\.1:\d+)", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        _drain(process)
        client = boto3.client("s3", endpoint_url=f"http://{found[1]}", **_KEYS)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield found[1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


_KEYS = {
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
    "region_name": "us-east-1",
}


def environment(url: str) -> dict[str, str]:
    """What reaches an S3 server at `url`."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
        "AWS_ENDPOINT_URL": url,
    }


def _drain(process: subprocess.Popen[str]) -> None:
    """Let nobody wait for a full pipe."""
    assert process.stderr is not None
    threading.Thread(target=process.stderr.read, daemon=True).start()
