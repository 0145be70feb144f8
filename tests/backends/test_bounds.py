"""A server may send what it likes: no more is taken than was asked for, or than there can be."""

from __future__ import annotations

import gzip
import http.server
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from datasets_vc.backends import FsspecBackend, LocalBackend, base, files, web
from datasets_vc.backends.base import ObjectInfo
from datasets_vc.errors import DatasetError, IntegrityError, InvalidInputError, RemoteError
from datasets_vc.format.root import Root
from datasets_vc.store import rootobject
from datasets_vc.store.rootobject import RootObject
from tests.backends.test_remote import Answer, server

Get = Callable[[FsspecBackend], object]

MIB = 1 << 20
ENDLESS = 256 * MIB
"""What the server sends before it gives up; nobody may take nearly as much."""


class Sender:
    """Sends without end, and counts.

    Args:
        status: of the answer.
        headers: more headers.
    """

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.sent = 0
        self._status = status
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def __call__(self, request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(self._status)
        request.send_header("Transfer-Encoding", "chunked")
        for name, value in self._headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.close_connection = True
        piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
        with suppress(OSError):
            while self.sent < ENDLESS:
                request.wfile.write(piece)
                self.sent += 1 << 16


def web_remote(endpoint: str) -> FsspecBackend:
    return FsspecBackend(f"{endpoint}/store")


def s3_remote(endpoint: str) -> FsspecBackend:
    return FsspecBackend("s3://bucket/store", {"endpoint_url": endpoint})


def gcs_remote(endpoint: str) -> FsspecBackend:
    pytest.importorskip("gcsfs")
    return FsspecBackend("gs://bucket/store", {"endpoint_url": endpoint, "token": "anon"})


REMOTES = [web_remote, s3_remote, gcs_remote]


@pytest.fixture(params=REMOTES, ids=["web", "s3", "gcs"])
def remote(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], FsspecBackend]:
    request.getfixturevalue("s3_environment")
    for module in ("web", "s3", "gcs"):
        monkeypatch.setattr(f"datasets_vc.backends.{module}.MAX_OBJECT", 8 * MIB)
        monkeypatch.setattr(f"datasets_vc.backends.{module}.MAX_ROOT", 2 * MIB)
    made: Callable[[str], FsspecBackend] = request.param
    return made


@pytest.mark.parametrize(
    "get",
    [
        lambda backend: backend.get("packs/a"),
        lambda backend: backend.get("packs/a", 5, 100),
        lambda backend: backend.get("packs/a", 5),
        lambda backend: backend.read_root("root.json"),
    ],
    ids=["whole", "range", "rest", "root"],
)
@pytest.mark.parametrize("status", [200, 206])
def test_a_body_without_end(remote: Callable[[str], FsspecBackend], get: Get, status: int) -> None:
    sender = Sender(status, Content_Range="bytes 5-99/1000", ETag='"1"', X_Goog_Generation="1")
    with server(sender) as endpoint, suppress(RemoteError):
        # A server without ranges is read up to where the range ends.
        got = get(remote(endpoint))
        assert isinstance(got, bytes)
        assert len(got) <= 95
    assert sender.sent < ENDLESS // 2


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_an_error_without_end(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    sender = Sender(status)
    for make in (web_remote, gcs_remote):
        with server(sender) as endpoint, pytest.raises(DatasetError) as found:
            make(endpoint).get("packs/a")
        assert len(found.value.message) < 1000
    assert sender.sent < ENDLESS // 2


def test_an_index_page_without_end() -> None:
    sender = Sender(Content_Type="text/html")
    with server(sender) as endpoint, pytest.raises(RemoteError, match="sends more"):
        list(web_remote(endpoint).list("runs/"))
    assert sender.sent < ENDLESS // 2


def test_a_length_that_is_too_much_is_refused_before_anything_is_read() -> None:
    def claims(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(1 << 50))
        request.end_headers()
        request.close_connection = True

    with server(claims) as endpoint:
        for get in (
            lambda backend: backend.get("packs/a"),
            lambda backend: backend.read_root("root.json"),
        ):
            with pytest.raises(RemoteError, match="sends more than"):
                get(web_remote(endpoint))


def test_what_is_packed_by_the_server_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(64 * MIB))

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(len(bomb)))
        request.end_headers()
        request.wfile.write(bomb)

    with server(answer) as endpoint, pytest.raises(RemoteError, match="another encoding"):
        web_remote(endpoint).get("packs/a")


def many(body: bytes, kind: str) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


XML = (
    b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t"
    b"</NextContinuationToken>%s</ListBucketResult>"
)
ROW = (
    b"<Contents><Key>store/packs/a</Key><Size>1</Size>"
    b"<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
)


@pytest.mark.parametrize(
    ("make", "body", "kind"),
    [
        (s3_remote, XML % b"", "application/xml"),
        (s3_remote, XML % ROW, "application/xml"),
        (gcs_remote, b'{"nextPageToken": "t"}', "application/json"),
    ],
)
@pytest.mark.usefixtures("s3_environment")
def test_a_listing_without_end(
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[str], FsspecBackend],
    body: bytes,
    kind: str,
) -> None:
    monkeypatch.setattr(files, "MAX_LISTED", 20)
    with server(many(body, kind)) as endpoint, pytest.raises(RemoteError, match="its listing"):
        list(make(endpoint).list("packs/"))


def test_a_listing_of_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LISTED", 20)
    drawn: list[int] = []

    def rows() -> Iterator[ObjectInfo]:
        for number in range(1000):
            drawn.append(number)
            yield ObjectInfo(str(number), 1, 0.0)

    with pytest.raises(OSError, match="more than 20"):
        list(files.bounded(rows()))
    assert len(drawn) == 21


def test_a_root_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalBackend(tmp_path)
    with (tmp_path / "root.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(IntegrityError, match="too long for the root"):
        backend.read_root("root.json")
    (tmp_path / "root.json").unlink()
    RootObject(backend).create()
    monkeypatch.setattr(rootobject, "MAX_ROOT", 10_000)
    before = (tmp_path / "root.json").read_bytes()

    def crowded(root: Root) -> Root:
        return Root(root.write_id, tags={f"t{number}": bytes(32) for number in range(1000)})  # type: ignore[misc]

    with pytest.raises(InvalidInputError, match="branches and tags"):
        RootObject(backend).swap(crowded)
    assert (tmp_path / "root.json").read_bytes() == before


def test_what_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path)
    os.mkfifo(tmp_path / "root.json")
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert backend.read_root("root.json") is None
    for name in ("root.json", "zero"):
        with pytest.raises(DatasetError):
            backend.get(name)
        with pytest.raises(DatasetError):
            backend.map(name)
        with pytest.raises(DatasetError):
            list(backend.stream(name))


def test_the_limits_leave_room() -> None:
    assert base.MAX_ROOT >= 500_000 * 100
    assert web.MAX_OBJECT >= 50_000_000 * 64


def test_an_object_that_cannot_be_long(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path)
    backend.put("runs/a/head.json", b"12345")
    assert backend.get_whole("runs/a/head.json", 5) == b"12345"
    with pytest.raises(IntegrityError, match="more than the 4 bytes"):
        backend.get_whole("runs/a/head.json", 4)
    with (tmp_path / "runs/a/log.jsonl").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(IntegrityError, match="more than"):
        backend.get_whole("runs/a/log.jsonl", 1 << 16)
