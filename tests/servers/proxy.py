"""A proxy on this machine, for plain requests and for tunnels, that says what came through."""

from __future__ import annotations

import http.client
import http.server
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.servers.web import running


@dataclass
class Proxy:
    """What a proxy has seen.

    Attributes:
        asked: the first line of each request, without the version.
        said: the value of `Proxy-Authorization` in each.
        headers: all headers of each.
    """

    url: str = ""
    asked: list[str] = field(default_factory=list)
    said: list[str | None] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def proxy(refuses: int = 0) -> Iterator[Proxy]:
    """A proxy; names of the domain `example` lead to this machine.

    Args:
        refuses: the HTTP status with which it refuses everything.
    """
    seen = Proxy()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> bool:
            seen.asked.append(f"{self.command} {self.path}")
            seen.said.append(self.headers.get("Proxy-Authorization"))
            seen.headers.append(dict(self.headers))
            if refuses:
                self.send_response(refuses)
                self.send_header("Content-Length", "0")
                self.end_headers()
            return not refuses

        def do_GET(self) -> None:
            if not self.handle_one():
                return
            parts = urlsplit(self.path)
            host = "127.0.0.1" if (parts.hostname or "").endswith(".example") else parts.hostname
            server = http.client.HTTPConnection(host or "", parts.port or 80)
            sent = {
                name: value for name, value in self.headers.items() if name != "Proxy-Authorization"
            }
            length = int(self.headers.get("Content-Length", 0))
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            server.request(self.command, target, self.rfile.read(length) or None, sent)
            answer = server.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            server.close()

        do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

        def do_CONNECT(self) -> None:
            if not self.handle_one():
                return
            host, _, port = self.path.rpartition(":")
            host = "127.0.0.1" if host.endswith(".example") else host
            with socket.create_connection((host, int(port))) as server:
                self.send_response(200)
                self.end_headers()
                _tunnel(self.connection, server)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with running(Handler) as url:
        seen.url = url
        yield seen


def _tunnel(one: socket.socket, other: socket.socket) -> None:
    ways = {one: other, other: one}
    while True:
        for source in select.select(list(ways), [], [])[0]:
            data = source.recv(1 << 16)
            if not data:
                return
            ways[source].sendall(data)
