"""What tests of all rooms share: hypothesis's profiles, an S3 server with fresh buckets, keys."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from hypothesis import settings
from moto.server import ThreadedMotoServer

from tests.signing.keys import Keys, make_keys, problem_with_ssh

# No test asserts how long something takes. Where every change is checked, the examples are the
# same every time: a failure there is the change's; new examples are for those who work on it.
settings.register_profile("work", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "work")

_BUCKETS = itertools.count()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 server over real HTTP, on a free port of the loopback device."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_environment(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and endpoint in the environment, as a user has them, and nothing else."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)


@pytest.fixture
def s3_url(request: pytest.FixtureRequest) -> str:
    """A prefix of a fresh bucket; `open_backend` reaches it as it is."""
    request.getfixturevalue("s3_environment")
    bucket = f"bucket-{next(_BUCKETS)}"
    client = boto3.client("s3")
    client.create_bucket(Bucket=bucket)
    client.close()
    return f"s3://{bucket}/stores/one"


@pytest.fixture(scope="session")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """SSH keys, made by the real ssh-keygen."""
    problem = problem_with_ssh()
    if problem:
        pytest.skip(problem)
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def keys(made_keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """The same, where there is no agent, and nobody to ask for a passphrase."""
    for name in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "never")
    return made_keys
