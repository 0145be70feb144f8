"""Web servers of a folder: one with ranges, and Python's own, which has none."""

from __future__ import annotations

import http.server
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class PlainHandler(http.server.SimpleHTTPRequestHandler):
    """Python's own server, silent."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass


class RangeHandler(PlainHandler):
    """Sends the bytes that were asked for, as nearly every web server does."""

    def send_head(self) -> BinaryIO | None:  # type: ignore[override]
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not found or not path.is_file():
            return super().send_head()  # type: ignore[return-value]
        size = path.stat().st_size
        start, end = int(found[1]), min(size, int(found[2] or size) + 1)
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file:
                self.wfile.write(os.pread(file.fileno(), end - start, start))
        return None


@contextmanager
def web(
    folder: Path, handler: type[http.server.SimpleHTTPRequestHandler] = RangeHandler
) -> Iterator[str]:
    """Serve the files of a folder; gives its URL."""
    make = partial(handler, directory=str(folder))
    with running(make) as url:
        yield url


@contextmanager
def running(handler: object) -> Iterator[str]:
    """Serve with a handler of `http.server`, a thread a connection; gives the URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
