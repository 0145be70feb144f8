"""The part of Google Cloud Storage's JSON API that a store needs, over real HTTP.

No emulator that can be installed here honours generations as preconditions, which is what has to be
tested: so this is ours, written after the reference (https://cloud.google.com/storage/docs/json_api
and .../request-preconditions), and no proof about Google's own servers.
"""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.web import running

PAGE = 2
"""Objects in one page of a listing: few, so that the pages after the first are asked for."""

_OBJECT = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)")
_BUCKET = re.compile(r"(?:/upload)?/storage/v1/b/([^/]+)/o")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Stored(NamedTuple):
    data: bytes
    generation: int
    updated: str

    def resource(self, name: str) -> dict[str, str]:
        """What the API tells of the object; numbers are texts there."""
        generation = str(self.generation)
        size = str(len(self.data))
        return {"name": name, "size": size, "generation": generation, "updated": self.updated}


class FakeGcs:
    """The buckets; `endpoint` once it is served.

    A test may put a status into `failing`: every request is then answered by it.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.failing = 0
        self.buckets: dict[str, dict[str, Stored]] = {}
        self.lock = threading.Lock()
        self._generation = 1_700_000_000_000_000

    def store(self, bucket: str, name: str, data: bytes) -> Stored:
        self._generation += 1
        updated = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.buckets[bucket][name] = made = Stored(data, self._generation, updated)
        return made


@contextmanager
def fake_gcs() -> Iterator[FakeGcs]:
    """Serve buckets that are kept in memory."""
    fake = FakeGcs()

    class Handler(_Handler):
        gcs = fake

    with running(Handler) as url:
        fake.endpoint = url
        yield fake


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gcs: FakeGcs

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if self.gcs.failing:
            self._fail(self.gcs.failing, "The server says no.")
            return
        with self.gcs.lock:
            self._route(parts.path, query, body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - names that http.server looks for

    def _route(self, path: str, query: dict[str, str], body: bytes) -> None:
        found = _OBJECT.fullmatch(path) or _BUCKET.fullmatch(path)
        if not found:
            self._fail(404, "Not Found")
            return
        objects = self.gcs.buckets.get(unquote(found[1]))
        if objects is None:
            self._fail(404, "The specified bucket does not exist.")
        elif self.command == "POST":
            self._upload(unquote(found[1]), objects, query, body)
        elif found.lastindex == 1:
            self._list(objects, query)
        elif unquote(found[2]) not in objects:
            self._fail(404, f"No such object: {unquote(found[1])}/{unquote(found[2])}")
        elif self.command == "DELETE":
            del objects[unquote(found[2])]
            self._send(204, b"")
        elif query.get("alt") == "media":
            self._media(objects[unquote(found[2])])
        else:
            self._json(objects[unquote(found[2])].resource(unquote(found[2])))

    def _upload(
        self, bucket: str, objects: dict[str, Stored], query: dict[str, str], body: bytes
    ) -> None:
        name = query["name"]
        old = objects[name].generation if name in objects else 0
        if "ifGenerationMatch" in query and int(query["ifGenerationMatch"]) != old:
            self._fail(412, "At least one of the pre-conditions you specified did not hold.")
            return
        self._json(self.gcs.store(bucket, name, body).resource(name))

    def _list(self, objects: dict[str, Stored], query: dict[str, str]) -> None:
        names = sorted(name for name in objects if name.startswith(query.get("prefix", "")))
        names = [name for name in names if name > query.get("pageToken", "")]
        page: dict[str, Any] = {"kind": "storage#objects"}
        if names:
            page["items"] = [objects[name].resource(name) for name in names[:PAGE]]
        if names[PAGE:]:
            page["nextPageToken"] = names[PAGE - 1]
        self._json(page)

    def _media(self, stored: Stored) -> None:
        headers = {"X-Goog-Generation": str(stored.generation)}
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not wanted:
            self._send(200, stored.data, headers)
            return
        size = len(stored.data)
        start, end = int(wanted[1]), min(size, int(wanted[2] or size) + 1)
        if start >= size:
            self._fail(416, "The requested range cannot be satisfied.")
            return
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self._send(206, stored.data[start:end], headers)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _fail(self, status: int, message: str) -> None:
        error = {"error": {"code": status, "message": message}}
        self._send(status, json.dumps(error).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
