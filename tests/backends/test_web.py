"""Web servers: read with ranges or without, never written."""

from __future__ import annotations

import http.server
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from datasets_vc.addresses import Access
from datasets_vc.backends import FsspecBackend, LocalBackend, probe
from datasets_vc.errors import NotFoundError, RemoteError
from tests.backends.test_remote import Answer, closed_port, reset, server, status
from tests.servers.web import PlainHandler, RangeHandler, web

DATA = bytes(range(256)) * 4


class Silent(PlainHandler):
    """Shows no index pages."""

    def list_directory(self, path: object) -> None:  # type: ignore[override]
        self.send_error(403)


@pytest.fixture(params=[RangeHandler, PlainHandler], ids=["ranges", "no ranges"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FsspecBackend]:
    LocalBackend(tmp_path / "store", create=True).put("packs/a", DATA)
    with web(tmp_path, request.param) as url:
        yield FsspecBackend(f"{url}/store")


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 1), (3, 7), (1023, 1024), (1000, 5000), (2000, 3000), (9, 9)]
)
def test_a_part_is_that_part_whatever_the_server_sends(
    backend: FsspecBackend, start: int, end: int | None
) -> None:
    assert backend.get("packs/a", start, end) == DATA[start:end]


def test_a_server_without_ranges_is_known_for_it(
    backend: FsspecBackend, request: pytest.FixtureRequest
) -> None:
    ranges = "no ranges" not in request.node.callspec.id
    backend.get("packs/a")
    assert backend.ranges
    found = probe(backend, known="packs/a")
    assert (found.reachable, found.readable, found.writable) == (True, True, False)
    assert found.ranges == ranges
    assert "can only be read" in found.problem


def test_nothing_can_be_written(backend: FsspecBackend) -> None:
    acts: list[Callable[[], object]] = [
        lambda: backend.put("packs/b", b"data"),
        lambda: backend.delete("packs/a"),
        lambda: backend.swap("root.json", b"1", None),
    ]
    for act in acts:
        with pytest.raises(RemoteError, match="can only be read") as caught:
            act()
        assert not caught.value.transient
    assert backend.get("packs/a") == DATA
    assert backend.read_root("root.json") is None


def test_a_server_without_index_pages_has_no_listings(tmp_path: Path) -> None:
    LocalBackend(tmp_path / "store", create=True).put("runs/1/head.json", b"{}")
    with web(tmp_path, Silent) as url:
        backend = FsspecBackend(f"{url}/store")
        assert list(backend.list("runs/")) == []
        assert backend.get("runs/1/head.json") == b"{}"


def shows(page: bytes) -> Answer:
    """Every address is this page."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(page)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(page)

    return answer


def test_a_page_that_links_elsewhere_lists_nothing_of_it(tmp_path: Path) -> None:
    page = (
        b"<a href='../up'>u</a> <a href='/etc/x'>r</a> <a href='http://other/store/packs/y'>o</a>"
        b"<a href='?C=M'>sort</a> <a href='a'>a</a> <a href='a'>again</a> <a href='b/c'>deep</a>"
        b"<a href='..%2f..%2fz'>z</a>"
    )

    with server(shows(page)) as url:
        found = [each.name for each in FsspecBackend(f"{url}/store").list("packs/")]
    assert found == ["packs/a", "packs/y"]


def test_folders_without_end_come_to_an_end() -> None:
    page = b"<a href='deeper/'>d</a> <a href='a'>a</a>"

    with server(shows(page)) as url:
        found = [each.name for each in FsspecBackend(f"{url}/store").list("")]
    assert found[0] == "a"
    assert 3 <= len(found) < 10


def _other_bytes(request: http.server.BaseHTTPRequestHandler) -> None:
    """Answer a range with another one."""
    request.send_response(206)
    request.send_header("Content-Range", "bytes 0-2/10")
    request.send_header("Content-Length", "3")
    request.end_headers()
    request.wfile.write(b"012")


def test_a_server_that_answers_with_other_bytes() -> None:
    with server(_other_bytes) as url, pytest.raises(RemoteError, match="other bytes"):
        FsspecBackend(f"{url}/store").get("packs/a", 2, 5)


@pytest.mark.parametrize(
    ("answer", "words", "transient"),
    [
        (status(500), "failed: HTTP 500", True),
        (status(503), "failed: HTTP 503", True),
        (status(429), "failed: HTTP 429", True),
        (status(401), "refuses access", False),
        (status(403), "refuses access", False),
        (reset, "connection .* broke", True),
    ],
    ids=["500", "503", "429", "401", "403", "reset"],
)
def test_servers_that_fail(answer: Answer, words: str, transient: bool) -> None:
    with server(answer) as url:
        backend = FsspecBackend(f"{url}/store")
        with pytest.raises(RemoteError, match=words) as caught:
            backend.get("packs/a")
        assert caught.value.transient == transient
        assert "\n" not in caught.value.message


def test_nobody_there() -> None:
    with pytest.raises(RemoteError, match="cannot be reached") as caught:
        FsspecBackend(f"http://127.0.0.1:{closed_port()}/store").get("packs/a")
    assert not caught.value.transient


@pytest.mark.parametrize("kind", ["http", "gs"])
def test_a_server_that_never_answers(kind: str) -> None:
    short = {"timeout": aiohttp.ClientTimeout(sock_read=0.2)}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        if kind == "gs":
            pytest.importorskip("gcsfs")
            access = Access(endpoint, anonymous=True)
            backend = FsspecBackend("gs://box/x", {"session_kwargs": short}, access=access)
        else:
            backend = FsspecBackend(f"{endpoint}/x", {"client_kwargs": short})
        with pytest.raises(RemoteError, match="did not answer in time") as caught:
            backend.get("packs/a")
    assert caught.value.transient


def test_an_object_that_is_not_there(backend: FsspecBackend) -> None:
    with pytest.raises(NotFoundError):
        backend.get("packs/none")
    with pytest.raises(NotFoundError):
        backend.get("packs")
