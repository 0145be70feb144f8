"""Google's and Azure's storage, and S3 servers of other makes: what each does in its own way."""

from __future__ import annotations

import http.server
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from datasets_vc.addresses import Access
from datasets_vc.backends import FsspecBackend, open_backend, probe
from datasets_vc.errors import ConflictError, InvalidInputError, RemoteError
from tests.backends.test_remote import ONE_TRY, closed_port, server, status
from tests.servers.gcs import FakeGcs

ANONYMOUS = Access(anonymous=True)


@pytest.fixture
def gcs(gcs_url: str) -> FsspecBackend:
    return FsspecBackend(gcs_url, access=ANONYMOUS)


def everything(backend: FsspecBackend) -> list[Callable[[], object]]:
    return [
        lambda: backend.read_root("root.json"),
        lambda: backend.get("packs/a"),
        lambda: backend.get("packs/a", 3, 5),
        lambda: backend.stat("packs/a"),
        lambda: list(backend.list("")),
        lambda: backend.put("packs/a", b""),
        lambda: backend.delete("packs/a"),
        lambda: backend.swap("root.json", b"1", None),
        lambda: backend.swap("root.json", b"1", "123"),
    ]


def test_a_missing_bucket_of_google_is_no_empty_store(gcs_server: FakeGcs, gcs_url: str) -> None:
    backend = FsspecBackend("gs://no-such-bucket/store", access=ANONYMOUS)
    for act in everything(backend):
        # What a HEAD would be is a GET there, so that the answer says which of the two is missing.
        with pytest.raises(RemoteError, match=r"The bucket of .* does not exist") as caught:
            act()
        assert not caught.value.transient


def test_a_missing_container_of_azure_is_no_empty_store(azure_url: str) -> None:
    backend = FsspecBackend("az://no-such-container/store")
    for act in everything(backend):
        with pytest.raises(RemoteError, match=r"The container of .* does not exist") as caught:
            act()
        assert not caught.value.transient


@pytest.mark.parametrize(
    ("number", "words", "transient"),
    [(500, "failed", True), (503, "failed", True), (429, "failed", True), (403, "refuses", False)],
)
def test_google_says_no(
    gcs: FsspecBackend, gcs_server: FakeGcs, number: int, words: str, transient: bool
) -> None:
    gcs_server.failing = number
    try:
        for act in everything(gcs):
            with pytest.raises(RemoteError, match=words) as caught:
                act()
            assert caught.value.transient == transient
            assert "\n" not in caught.value.message
        assert probe(gcs).reachable == (number == 403)
    finally:
        gcs_server.failing = 0


def test_google_lists_and_names_what_has_to_be_quoted(gcs: FsspecBackend) -> None:
    backend = FsspecBackend(f"{gcs.url}/a b+c%2f?#/ä", access=ANONYMOUS)
    backend.put("packs/a", b"data")
    assert backend.get("packs/a", 1, 3) == b"at"
    assert backend.stat("packs/a").size == 4
    assert [found.name for found in backend.list("")] == ["packs/a"]
    backend.delete("packs/a")
    assert list(backend.list("")) == []


def test_a_generation_names_a_state_though_the_bytes_are_the_same(gcs: FsspecBackend) -> None:
    gcs.swap("root.json", b"1", None)
    first = gcs.read_root("root.json")
    assert first
    gcs.swap("root.json", b"2", first.token)
    second = gcs.read_root("root.json")
    assert second
    gcs.swap("root.json", b"1", second.token)
    with pytest.raises(ConflictError):
        gcs.swap("root.json", b"3", first.token)


def _azure_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> FsspecBackend:
    pytest.importorskip("adlfs")
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"DefaultEndpointsProtocol=http;AccountName=me;AccountKey=a2V5;BlobEndpoint={endpoint}/me;",
    )
    return FsspecBackend("az://box/store")


@pytest.mark.parametrize(
    ("number", "words", "transient"),
    [(500, "failed", True), (503, "failed", True), (429, "failed", True), (403, "refuses", False)],
)
def test_azure_says_no(
    number: int, words: str, transient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(status(number)) as endpoint:
        backend = _azure_at(endpoint, monkeypatch)
        for act in everything(backend):
            with pytest.raises(RemoteError, match=words) as caught:
                act()
            assert caught.value.transient == transient
            assert "\n" not in caught.value.message
        assert probe(backend).reachable == (number == 403)


def test_folders_of_azure_are_no_objects(azure_url: str, azure_server: str) -> None:
    from azure.storage.blob import BlobServiceClient

    backend = FsspecBackend(azure_url)
    backend.put("packs/a", b"data")
    container = azure_url.split("/")[2]
    with BlobServiceClient.from_connection_string(azure_server) as client:
        folder = client.get_blob_client(container, "stores/one/packs")
        folder.upload_blob(b"", metadata={"hdi_isfolder": "true"})
    assert [found.name for found in backend.list("")] == ["packs/a"]


def test_the_account_may_be_in_the_url(azure_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FsspecBackend(azure_url).put("packs/a", b"data")
    container = azure_url.split("/")[2]
    backend = open_backend(f"az://{container}@me.blob.core.windows.net/stores/one")
    assert backend.get("packs/a") == b"data"
    backend.close()


def test_azure_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _azure_at(f"http://127.0.0.1:{closed_port()}", monkeypatch)
    with pytest.raises(RemoteError, match="cannot be reached"):
        backend.get("packs/a")


def test_google_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gcsfs")
    access = Access(f"http://127.0.0.1:{closed_port()}", anonymous=True)
    with pytest.raises(RemoteError, match="cannot be reached"):
        FsspecBackend("gs://bucket/store", access=access).get("packs/a")


def test_azure_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adlfs")
    for name in ("CONNECTION_STRING", "ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    backend = FsspecBackend("az://box/store", access=ANONYMOUS)
    with pytest.raises(InvalidInputError, match="which Azure account"):
        backend.get("packs/a")


def test_what_a_console_leaves_as_a_folder_is_no_object(s3_url: str) -> None:
    backend = FsspecBackend(s3_url)
    backend.put("packs/a", b"data")
    bucket = s3_url.split("/")[2]
    client = boto3.Session().client("s3")
    for folder in ("stores/one/", "stores/one/packs/"):
        client.put_object(Bucket=bucket, Key=folder, Body=b"")
    client.close()
    assert [found.name for found in backend.list("")] == ["packs/a"]
    assert [found.name for found in backend.list("packs/")] == ["packs/a"]
    backend.close()


@pytest.fixture
def rclone(rclone_url: str) -> Iterator[FsspecBackend]:
    backend = FsspecBackend(rclone_url)
    yield backend
    backend.close()


def test_a_server_that_takes_conditions_and_ignores_them_is_found_out(
    rclone: FsspecBackend,
) -> None:
    found = probe(rclone)
    assert (found.readable, found.writable, found.ranges) == (True, True, True)
    assert not found.conditional_writes
    assert "no conditional writes" in found.problem
    assert list(rclone.list("")) == []


def test_the_only_writer_compares_by_itself(rclone: FsspecBackend) -> None:
    alone = FsspecBackend(rclone.url, single_writer=True)
    alone.swap("root.json", b"1", None)
    first = alone.read_root("root.json")
    assert first
    alone.swap("root.json", b"2", first.token)
    for stale in (None, first.token):
        with pytest.raises(ConflictError):
            alone.swap("root.json", b"3", stale)
    second = alone.read_root("root.json")
    assert second
    assert second.data == b"2"
    assert pickle.loads(pickle.dumps(alone)).single_writer
    alone.close()


@pytest.mark.usefixtures("s3_environment")
def test_the_only_writer_writes_where_conditions_are_refused(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise NotImplementedError("A header you provided implies functionality we lack.")

    monkeypatch.setattr("datasets_vc.backends.s3.S3Files.swap", refuse)
    with pytest.raises(RemoteError, match="cannot do"):
        FsspecBackend(s3_url).swap("root.json", b"1", None)
    alone = FsspecBackend(s3_url, single_writer=True)
    alone.swap("root.json", b"1", None)
    with pytest.raises(ConflictError):
        alone.swap("root.json", b"2", None)
    assert alone.get("root.json") == b"1"
    alone.close()


@pytest.mark.usefixtures("s3_environment")
def test_endpoint_region_and_profile_reach_the_requests_of_s3(
    s3_endpoint: str, s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[str] = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(request.headers.get("Authorization", ""))
        status(404)(request)

    credentials = tmp_path / "credentials"
    credentials.write_text("[lab]\naws_access_key_id = LABKEY\naws_secret_access_key = x\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    with server(answer) as endpoint:
        for access, words in (
            (Access(endpoint, "mars-north-1", "lab"), "Credential=LABKEY/.*/mars-north-1/s3"),
            (Access(endpoint, anonymous=True), "^$"),
        ):
            backend = FsspecBackend("s3://bucket/store", ONE_TRY, access=access)
            assert backend.read_root("root.json") is None
            assert re.search(words, seen[-1])
            again = pickle.loads(pickle.dumps(backend))
            assert again.access == access
            backend.close()


@pytest.mark.parametrize(
    ("url", "access", "word"),
    [
        ("gs://bucket/x", Access(region="eu"), "region"),
        ("az://box/x", Access(profile="lab"), "profile"),
        ("sftp://host/x", Access("https://host"), "endpoint"),
        ("https://host/x", ANONYMOUS, "anonymous"),
        ("ftp://host/x", ANONYMOUS, "anonymous"),
    ],
)
def test_what_means_nothing_is_refused(url: str, access: Access, word: str) -> None:
    for package in ("gcsfs", "adlfs", "sshfs"):
        pytest.importorskip(package)
    with pytest.raises(InvalidInputError, match=f"'{word}' means nothing"):
        open_backend(url, access=access)


def test_a_folder_has_no_endpoint(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is a folder"):
        open_backend(str(tmp_path), access=Access("https://host"))


def test_an_azure_endpoint_is_the_host_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adlfs")
    for name in ("CONNECTION_STRING", "ACCOUNT_KEY", "SAS_TOKEN"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "me")
    backend = FsspecBackend("az://box/x", access=Access("https://blobs.example", anonymous=True))
    assert backend._connect().account_url == "https://blobs.example"
    with pytest.raises(InvalidInputError, match="needs https"):
        FsspecBackend("az://box/x", access=Access("http://blobs.example")).get("packs/a")


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sshfs", None)
    with pytest.raises(InvalidInputError, match="not installed") as caught:
        FsspecBackend("sftp://host/x")
    assert "datasets-vc[sftp]" in caught.value.hint
