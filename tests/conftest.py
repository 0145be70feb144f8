"""What tests of all rooms share: hypothesis's profiles, servers on the loopback device, SSH keys.

A server starts when the first test wants it, and runs until the last test of the process is done.
"""

from __future__ import annotations

import itertools
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from moto.server import ThreadedMotoServer

from tests.servers.azurite import azurite
from tests.servers.gcs import FakeGcs, fake_gcs
from tests.servers.openssh import SshServer, openssh
from tests.servers.rclone import rclone_s3
from tests.signing.keys import Keys, make_keys, problem_with_ssh

# No test asserts how long something takes. Where every change is checked, the examples are the
# same every time: a failure there is the change's; new examples are for those who work on it.
settings.register_profile("work", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "work")

_BUCKETS = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def _state_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the command line keeps of its user does not come into the home of who tests it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


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
    return f"s3://{_new_bucket(request.getfixturevalue('s3_endpoint'))}/stores/one"


def _new_bucket(endpoint: str) -> str:
    """Make a bucket; these servers ask nobody who he is, and a client of boto3 takes 0.2 s."""
    bucket = f"bucket-{next(_BUCKETS)}"
    request = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        return bucket


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of an S3 server that ignores conditions."""
    folder = tmp_path_factory.mktemp("rclone") / "buckets"
    folder.mkdir()
    with rclone_s3(folder) as endpoint:
        yield endpoint


@pytest.fixture
def rclone_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of a fresh bucket of that server."""
    endpoint = request.getfixturevalue("rclone_server")
    request.getfixturevalue("s3_environment")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    return f"s3://{_new_bucket(endpoint)}/stores/one"


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an emulator of Azure."""
    with azurite(tmp_path_factory.mktemp("azurite")) as connection:
        yield connection


@pytest.fixture
def azure_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of a fresh container."""
    pytest.importorskip("adlfs")
    connection = request.getfixturevalue("azure_server")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    from azure.storage.blob import BlobServiceClient

    container = f"container-{next(_BUCKETS)}"
    with BlobServiceClient.from_connection_string(connection) as client:
        client.create_container(container)
    return f"az://{container}/stores/one"


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[FakeGcs]:
    """A server that speaks as Google Cloud Storage does."""
    with fake_gcs() as server:
        yield server


@pytest.fixture
def gcs_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of a fresh bucket of it."""
    pytest.importorskip("gcsfs")
    server: FakeGcs = request.getfixturevalue("gcs_server")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.endpoint)
    bucket = f"bucket-{next(_BUCKETS)}"
    server.buckets[bucket] = {}
    return f"gs://{bucket}/stores/one"


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """OpenSSH's server for this user."""
    pytest.importorskip("sshfs")
    with openssh(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture
def ssh_home(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> SshServer:
    """That server, and a home folder from where one may log in there, without an agent."""
    monkeypatch.setenv("HOME", str(ssh_server.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return ssh_server


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
