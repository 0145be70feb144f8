"""What a remote can do to a client: refuse, break, stumble, ignore what it was asked."""

from __future__ import annotations

import errno
import http.server
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datasets_vc.backends import FsspecBackend, RetryingBackend, RetryPolicy, open_backend, probe
from datasets_vc.backends import s3 as s3_module
from datasets_vc.errors import InvalidInputError, RemoteError
from tests.servers.web import running

ONE_TRY = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """An HTTP server whose requests are answered by `answer`; gives its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a PUT waits for "100 Continue"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 - http.server looks for them

        def log_message(self, *_: object) -> None:
            pass

    with running(Handler) as url:
        yield url


def status(number: int, body: bytes = b"") -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(number)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def reset(request: http.server.BaseHTTPRequestHandler) -> None:
    """Break the connection instead of answering."""
    at_once = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    request.connection.close()
    request.close_connection = True


def cut_short(request: http.server.BaseHTTPRequestHandler) -> None:
    """Promise more bytes than are sent."""
    request.send_response(200)
    request.send_header("Content-Length", "100")
    request.send_header("ETag", '"1"')
    request.end_headers()
    request.wfile.write(b"ten bytes.")
    request.close_connection = True


def s3(endpoint: str) -> FsspecBackend:
    return FsspecBackend("s3://bucket/store", {"endpoint_url": endpoint, **ONE_TRY})


def closed_port() -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return int(probe_socket.getsockname()[1])


@pytest.mark.usefixtures("s3_environment")
def test_a_refused_connection() -> None:
    backend = s3(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(RemoteError, match="'s3://bucket/store' cannot be reached") as caught:
        backend.get("packs/a")
    assert not caught.value.transient
    assert caught.value.hint
    assert not probe(backend).reachable
    backend.close()


@pytest.mark.usefixtures("s3_environment")
def test_a_missing_bucket_is_no_empty_store() -> None:
    backend = FsspecBackend("s3://there-is-no-such-bucket/store")
    for act in (
        lambda: backend.read_root("root.json"),
        lambda: backend.get("packs/a"),
        lambda: list(backend.list("")),
        lambda: backend.put("packs/a", b""),
        lambda: backend.swap("root.json", b"1", None),
        lambda: backend.swap("root.json", b"1", '"etag"'),
    ):
        with pytest.raises(RemoteError, match=r"The bucket of .* does not exist") as caught:
            act()
        assert not caught.value.transient
    backend.close()


@pytest.mark.usefixtures("s3_environment")
def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    backend = FsspecBackend("s3://bucket/store")
    with pytest.raises(RemoteError, match="needs credentials"):
        backend.get("packs/a")
    backend.close()


@pytest.mark.parametrize("number", [500, 502, 503, 429])
@pytest.mark.usefixtures("s3_environment")
def test_a_server_that_stumbles(number: int) -> None:
    with server(status(number)) as endpoint:
        backend = s3(endpoint)
        for act in (
            lambda: backend.get("packs/a"),
            lambda: backend.swap("root.json", b"1", None),
            lambda: list(backend.list("")),
        ):
            with pytest.raises(RemoteError) as caught:
                act()
            assert caught.value.transient
        backend.close()


@pytest.mark.usefixtures("s3_environment")
def test_a_server_that_refuses() -> None:
    with server(status(403)) as endpoint:
        backend = s3(endpoint)
        with pytest.raises(RemoteError, match="refuses access") as caught:
            backend.get("packs/a")
        assert not caught.value.transient
        result = probe(backend)
        assert result.reachable
        assert not result.readable
        assert "refuses access" in result.problem
        backend.close()


@pytest.mark.parametrize("answer", [reset, cut_short])
@pytest.mark.usefixtures("s3_environment")
def test_a_connection_that_breaks(answer: Answer) -> None:
    with server(answer) as endpoint:
        backend = s3(endpoint)
        with pytest.raises(RemoteError) as caught:
            backend.get("packs/a")
        assert caught.value.transient
        backend.close()


@pytest.mark.usefixtures("s3_environment")
def test_a_body_that_is_cut_short_is_gone_on_with() -> None:
    data = bytes(range(256)) * 10_000
    asked: list[str | None] = []

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(request.headers.get("Range"))
        start = int((asked[-1] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if asked[-1] else 200)
        request.send_header("Content-Length", str(len(data) - start))
        if asked[-1]:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.end_headers()
        # Half of what was promised, and at last all of it.
        request.wfile.write(data[start : start + (len(data) - start) // 2])
        if len(asked) == 3:
            request.wfile.write(data[start + (len(data) - start) // 2 :])
        else:
            request.close_connection = True

    with server(answer) as endpoint:
        backend = RetryingBackend(s3(endpoint), RetryPolicy(sleep=lambda _: None))
        assert b"".join(backend.stream("packs/a")) == data
        assert len(asked) == 3
        assert asked[0] is None
        assert backend.stumbles == 2
        backend.close()


@pytest.mark.usefixtures("s3_environment")
def test_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        patience = {"retries": {"total_max_attempts": 1}, "read_timeout": 0.2}
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        backend = FsspecBackend(
            "s3://bucket/store", {"endpoint_url": endpoint, "config_kwargs": patience}
        )
        with pytest.raises(RemoteError, match="in time") as caught:
            backend.get("packs/a")
        assert caught.value.transient
        backend.close()


@pytest.mark.usefixtures("s3_environment")
def test_a_server_that_ignores_ranges() -> None:
    with server(status(200, b"0123456789")) as endpoint:
        backend = s3(endpoint)
        with pytest.raises(RemoteError, match="ignores ranges"):
            backend.get("packs/a", 2, None)
        backend.close()


def test_objects_over_the_limit_go_up_another_way(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_module, "SINGLE_PUT_LIMIT", 10)
    backend = FsspecBackend(s3_url)
    backend.put("packs/a", b"0123456789", b"abc")
    assert backend.get("packs/a", 8) == b"89abc"
    backend.close()


def test_a_bucket_without_prefix(s3_url: str) -> None:
    backend = FsspecBackend(s3_url.removesuffix("/stores/one") + "/")
    backend.put("packs/a", b"data")
    assert [found.name for found in backend.list("")] == ["packs/a"]
    backend.close()


def test_a_store_does_not_see_its_neighbour(s3_url: str) -> None:
    one, other = FsspecBackend(s3_url), FsspecBackend(f"{s3_url}-more")
    other.put("packs/a", b"data")
    assert list(one.list("")) == []
    one.close()
    other.close()


def test_a_failed_rename_leaves_no_temporary(tmp_path: Path) -> None:
    backend = FsspecBackend(tmp_path.as_uri())
    backend.put("packs/b", b"data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shutil.move", _broken_move)
        with pytest.raises(RemoteError, match="Input/output error"):
            backend.put("packs/c", b"data")
    assert sorted(path.name for path in (tmp_path / "packs").iterdir()) == ["b"]


def _broken_move(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_the_environment_is_enough(s3_url: str) -> None:
    backend = open_backend(s3_url)
    backend.put("packs/a", b"data")
    assert backend.get("packs/a") == b"data"
    backend.close()


def test_options_reach_the_client() -> None:
    backend = FsspecBackend("s3://bucket/x", {"no_such_option": object})
    with pytest.raises((InvalidInputError, RemoteError)):
        backend.get("packs/a")


def test_a_url_is_needed() -> None:
    with pytest.raises(InvalidInputError, match="not the URL of a remote"):
        FsspecBackend("/just/a/folder")
