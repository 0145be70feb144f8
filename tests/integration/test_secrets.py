"""Credentials stay where they are kept: none is in anything that a whole session writes or says."""

from __future__ import annotations

import http.server
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from datasets_vc.backends import LocalBackend, open_backend
from datasets_vc.store import Store
from tests.backends.test_remote import closed_port, server, status
from tests.integration.conftest import Dsvc, Outcome
from tests.servers.openssh import SshServer, make_key

AWS = "aws/Secret+Key0123456789"
TOKEN = "aws-session-token-0123456789"
AZURE = "YXp1cmUtYWNjb3VudC1rZXktMDEyMzQ1Njc4OQ=="
CLIENT = "azure-client-secret-0123456789"
SIGNED = "signature0123456789abcdef"
PASSWORD = "pa55/w0rd-of-a-url"
PASSPHRASE = "passphrase of a key"


@pytest.fixture
def google_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def secrets(
    google_key: str,
    s3_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """What is planted where the clouds' own tools look for it."""
    planted = tmp_path_factory.mktemp("planted")
    account = {
        "type": "service_account",
        "project_id": "signs",
        "private_key_id": "1",
        "private_key": google_key,
        "client_email": "ada@signs.iam.gserviceaccount.com",
        "token_uri": f"http://127.0.0.1:{closed_port()}/token",
    }
    (planted / "google.json").write_text(json.dumps(account))
    make_key(planted / "id_ed25519", PASSPHRASE)
    for name, value in {
        "AWS_SECRET_ACCESS_KEY": AWS,
        "AWS_SESSION_TOKEN": TOKEN,
        "AZURE_STORAGE_ACCOUNT_NAME": "signs",
        "AZURE_STORAGE_ACCOUNT_KEY": AZURE,
        "AZURE_STORAGE_KEY": AZURE,
        "AZURE_CLIENT_SECRET": CLIENT,
        "GOOGLE_APPLICATION_CREDENTIALS": str(planted / "google.json"),
        "SSH_KEY_PASSPHRASE": PASSPHRASE,
    }.items():
        monkeypatch.setenv(name, value)
    keys = [google_key, (planted / "id_ed25519").read_text()]
    lines = [line for key in keys for line in key.splitlines() if len(line) > 40]
    return [AWS, TOKEN, AZURE, CLIENT, SIGNED, PASSWORD, PASSPHRASE, *lines]


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder, and what the chunks of every store are before compression."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
        elif (path / "root.json").is_file():
            yield from unpacked(path)


def unpacked(folder: Path) -> Iterator[tuple[str, bytes]]:
    store = Store.open(LocalBackend(folder))
    yield from everything_in(store)


def everything_in(store: Store) -> Iterator[tuple[str, bytes]]:
    for table in store.index.tables:
        for place in store.index.places_in(*table.packs):
            yield f"{store.url}: {place.digest.hex()}", bytes(store.read(place.digest))


def check(secrets: list[str], found: Iterator[tuple[str, bytes]]) -> int:
    count = 0
    for where, data in found:
        count += 1
        for secret in secrets:
            assert secret.encode() not in data, where
    return count


def test_nothing_that_a_session_writes_or_says_has_a_secret(
    secrets: list[str], s3_url: str, s3_endpoint: str, home: Path, dsvc: Dsvc
) -> None:
    work = home / "work"
    session: list[Outcome] = [dsvc("init", work)]
    (work / "a").write_text("one")
    os.chdir(work)
    dead = f"http://127.0.0.1:{closed_port()}"
    for words in (
        ("commit", "-m", "one", "-v"),
        ("remote", "add", "origin", s3_url, "--endpoint", s3_endpoint, "-v"),
        ("push", "--json"),
        ("tag", "v1"),
        ("push", "-v"),
        ("pin", "-o", "../dataset.lock"),
        ("clone", s3_url, "../new", "-v", "--endpoint", s3_endpoint),
        ("clone", "--from", "../dataset.lock", "../other", "--json"),
        ("remote", "list", "-v"),
        ("remote", "list", "--json"),
        ("pull", "-v"),
    ):
        session.append(dsvc(*words))
        assert session[-1].code == 0, (words, session[-1])
    refused = [
        ("remote", "add", "x", f"s3://KEY:{PASSWORD}@bucket/x"),
        ("remote", "add", "x", f"https://ada:{PASSWORD}@host/x"),
        ("remote", "add", "x", f"sftp://ada:{PASSWORD}@127.0.0.1/x"),
        ("remote", "add", "x", f"https://bucket.s3.amazonaws.com/x?X-Amz-Signature={SIGNED}"),
        ("remote", "add", "x", f"https://signs.blob.core.windows.net/box?sv=1&sig={SIGNED}"),
        ("remote", "add", "x", f"az://box/x?sig={SIGNED}"),
        ("remote", "add", "x", "s3://bucket/x", "--endpoint", f"https://ada:{PASSWORD}@host"),
        ("remote", "add", "x", "s3://bucket/x", "--endpoint", dead),
        ("remote", "add", "x", "gs://bucket/x", "--endpoint", dead),
        ("clone", f"https://ada:{PASSWORD}@host/x", "../bad"),
        ("clone", f"https://host/x?token={SIGNED}", "../bad"),
        ("init", "../bad", "--store", f"s3://KEY:{PASSWORD}@bucket/x"),
        ("-C", "..", "clone", f"s3://KEY:{PASSWORD}@bucket/x"),
    ]
    for words in refused:
        for more in ([], ["--json"], ["-v"]):
            session.append(dsvc(*words, *more))
            assert session[-1].code in (2, 14), (words, session[-1])
    for words in (
        ("remote", "add", "x", f"https://host/x;sig={SIGNED}"),
        ("remote", "add", "x", f"https://host/x#token={SIGNED}"),
        ("remote", "add", "x", f"https://ada%3A{SIGNED}%40host/x"),
        ("clone", f"AccountName=signs;AccountKey={SIGNED}", "../bad"),
        ("clone", "https://host/x", "../bad", f"https://ada:{PASSWORD}@host/x"),
    ):
        session.append(dsvc(*words, "-v"))
        assert session[-1].code in (2, 14), (words, session[-1])
    spoken = b"\n".join(said.out + said.err.encode() for said in session)
    assert b"Traceback" not in spoken

    check(secrets, iter([("what was said", spoken)]))
    assert check(secrets, written(home)) > 20
    assert check(secrets, everything_in(Store.open(open_backend(s3_url)))) > 2


@pytest.mark.parametrize("number", [403, 400])
def test_no_refusal_repeats_a_secret(
    number: int, secrets: list[str], home: Path, dsvc: Dsvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers that send back all that they were sent."""

    def echo(request: http.server.BaseHTTPRequestHandler) -> None:
        sent = f"http://{request.headers['Host']}{request.path} {request.headers}"
        body = f"<Error><Code>Denied</Code><Message>{sent}</Message></Error>"
        status(number, body.encode())(request)

    dsvc("init", home)
    with server(echo) as endpoint:
        monkeypatch.setenv(
            "AZURE_STORAGE_CONNECTION_STRING",
            f"DefaultEndpointsProtocol=http;AccountName=signs;AccountKey={AZURE};"
            f"BlobEndpoint={endpoint}/signs;SharedAccessSignature=sv=1&sig={SIGNED}",
        )
        for words in (
            ["s3://bucket/x", "--endpoint", endpoint],
            ["az://box/x"],
            ["gs://bucket/x", "--endpoint", endpoint, "--anonymous"],
            [f"{endpoint}/x"],
        ):
            said = dsvc("remote", "add", "x", *words, "-v")
            assert said.code == 14, (words, said)
            check(secrets, iter([(str(words), said.out + said.err.encode())]))


def test_a_key_that_is_locked_is_not_unlocked_aloud(
    ssh_home: SshServer, secrets: list[str], home: Path, dsvc: Dsvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = home / "me" / ".ssh"
    keys.mkdir(parents=True)
    make_key(keys / "id_ed25519", PASSPHRASE)
    (keys / "known_hosts").write_text((ssh_home.home / ".ssh" / "known_hosts").read_text())
    monkeypatch.setenv("HOME", str(keys.parent))
    dsvc("init", home / "work")
    said = dsvc("-C", home / "work", "remote", "add", "x", ssh_home.url(home / "x"), "-v")
    assert said.code == 14
    assert "refuses access" in said.err
    check(secrets, iter([("what was said", said.out + said.err.encode())]))
