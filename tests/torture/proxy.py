"""A server in front of another that answers wrongly now and then, by the seed that it was given.

What happens to a request depends on the seed, the request, and how often it was made: not on the
order in which threads make requests.
"""

from __future__ import annotations

import http.client
import http.server
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

STATUSES = {"429": 429, "500": 500, "503": 503}
BEFORE = ("429", "500", "503", "dropped", "timed out")
"""Faults that keep a request from the server."""

READS = (*BEFORE, "cut short", "wrong bytes")
WRITES = (*BEFORE, "answer lost")

_HOP = {"connection", "expect", "host", "keep-alive", "transfer-encoding"}


class Faults:
    """Which requests fail, and how: a share of them, of some kinds."""

    def __init__(self, seed: int, share: float, kinds: frozenset[str]) -> None:
        self._seed = seed
        self._share = share
        self._kinds = kinds
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.made: Counter[str] = Counter()

    def draw(self, method: str, path: str) -> str:
        """The fault of this request, or nothing."""
        request = f"{method} {path}"
        with self._lock:
            self._times[request] += 1
            chance = random.Random(f"{self._seed} {request} {self._times[request]}")
            kinds = [kind for kind in _kinds_of(method) if kind in self._kinds]
            if not kinds or chance.random() >= self._share:
                return ""
            kind = chance.choice(kinds)
            self.made[kind] += 1
        return kind


def _kinds_of(method: str) -> tuple[str, ...]:
    if method == "GET":
        return READS
    return WRITES if method in {"PUT", "POST", "DELETE"} else BEFORE


NONE = Faults(0, 0, frozenset())


class Proxy:
    """Where the proxy listens, and what it does wrong just now."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.faults = NONE
        self.url = ""


@contextmanager
def proxied(server: str) -> Iterator[Proxy]:
    """A proxy of the HTTP server at `server`, "host:port"."""
    proxy = Proxy(server)

    class Handler(_Handler):
        pass

    Handler.proxy = proxy
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    proxy.url = f"http://127.0.0.1:{running.server_port}"
    try:
        yield proxy
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.faults.draw(self.command, self.path)
        if fault in STATUSES:
            self._send(STATUSES[fault], [], b"<Error><Code>SlowDown</Code></Error>")
            return
        if fault == "timed out":
            self.rfile.read(1)  # until the client has had enough
        if fault in {"dropped", "timed out"}:
            self._hang_up()
            return
        status, headers, answer = self._forward(body)
        if fault == "answer lost":
            self._hang_up()
        elif fault == "cut short" and answer:
            self._send(status, headers, answer, sent=len(answer) // 2)
            self._hang_up()
        elif fault == "wrong bytes" and answer and status in (200, 206):
            at = len(answer) // 2
            self._send(status, headers, answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :])
        else:
            self._send(status, headers, answer)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _handle  # noqa: N815 - http.server's names

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.proxy.server)
        headers = {name: text for name, text in self.headers.items() if name.lower() not in _HOP}
        connection.request(self.command, self.path, body or None, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), data

    def _send(
        self, status: int, headers: list[tuple[str, str]], body: bytes, sent: int | None = None
    ) -> None:
        self.send_response_only(status)
        length = str(len(body))
        for name, text in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = text
            if name.lower() not in _HOP | {"content-length"}:
                self.send_header(name, text)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):  # the client was first
            self.wfile.flush()
            self.connection.shutdown(2)

    def log_message(self, *_: Any) -> None:
        pass
