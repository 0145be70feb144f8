"""Objects that a web server shows: read-only, whatever the server can do.

Ranges are asked for and not relied on: a server that answers with the whole object is read up to
where the range ends. What a listing shows is taken from the links of the server's own index pages;
a server that makes none has no listings, which costs the runs and nothing else.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from datasets_vc.addresses import Access
from datasets_vc.backends.base import MAX_OBJECT, MAX_ROOT, ObjectInfo, Versioned
from datasets_vc.backends.failures import ReadOnlyError, UnableError
from datasets_vc.backends.following import Guard, asked, following
from datasets_vc.backends.loop import wait_for

# A store has three levels; a server may make up any number.
_DEPTH = 4
_PIECE = 2**20
_SAID = 4096
_MAX_PAGE = 16 * 2**20
_LINK = re.compile(r"<a\s[^<>]*?\bhref\s*=\s*[\"']?([^\"'\s>]+)", re.IGNORECASE)
_RANGE = re.compile(r"bytes ([0-9]{1,19})-")
_LENGTH = re.compile(r"[0-9]{1,19}")
# Ours to check and to cut, so as it lies there.
_AS_IT_IS = {"Accept-Encoding": "identity"}
_NO_INDEX_PAGE = frozenset({403, 404, 405, 410})


class StatusError(OSError):
    """A web server's refusal, with its HTTP status and, where it gave one, its word for it."""

    def __init__(self, status: int, reason: str, error_code: str = "") -> None:
        super().__init__(f"HTTP {status}: {reason}" if reason else f"HTTP {status}")
        self.status = status
        self.error_code = error_code


class Answer(NamedTuple):
    """What a web server answered: the headers, the body, and where it came from in the end."""

    headers: Mapping[str, str]
    body: bytes
    path: str = ""


def client_options() -> dict[str, Any]:
    """How long an aiohttp session waits: for an answer to begin or go on, never for its end."""
    import aiohttp

    return {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=20, sock_read=60)}


def options_of(_: Access) -> dict[str, Any]:
    """What fsspec's HTTP file system is told: to make its session as we need it."""
    return {"get_client": _session, "client_kwargs": client_options()}


async def _session(**arguments: Any) -> Any:
    """An aiohttp session that keeps no cookies, unpacks nothing, and leads nowhere unasked."""
    import aiohttp

    guard = arguments.pop("guard")
    del arguments["loop"]
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=guard),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        **arguments,
    )


class WebFiles:
    """The objects below a URL.

    Args:
        filesystem: an fsspec `HTTPFileSystem`, for its session.

    Attributes:
        ranges: no range that was asked for so far was answered with the whole object.
    """

    def __init__(self, filesystem: Any) -> None:
        self._guard = Guard()
        filesystem.client_kwargs = {**filesystem.client_kwargs, "guard": self._guard}
        self._filesystem = filesystem
        self.ranges = True

    def read(self, path: str, start: int, end: int | None) -> bytes:
        most = (MAX_OBJECT if end is None else end) - start
        return wait_for(self._filesystem.loop, self._read(path, start, end, most))

    def write(self, path: str, data: bytes) -> None:
        del path, data
        raise ReadOnlyError("a web server is only read")

    def info(self, path: str) -> ObjectInfo:
        answer = wait_for(self._filesystem.loop, self._fetch("HEAD", path))
        if answer.path.endswith("/"):
            raise FileNotFoundError(path)
        return ObjectInfo(path, _length(answer), _modified(answer))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._below(prefix, _DEPTH)

    def _below(self, prefix: str, depth: int) -> Iterator[ObjectInfo]:
        try:
            page = wait_for(self._filesystem.loop, self._fetch("GET", prefix))
        except StatusError as error:
            if error.status in _NO_INDEX_PAGE:
                return
            raise
        if "html" not in page.headers.get("Content-Type", ""):
            return
        for name in _links(page.body.decode(errors="replace"), page.path):
            if name.endswith("/"):
                if depth > 1:
                    yield from self._below(prefix + name, depth - 1)
                continue
            with suppress(FileNotFoundError):
                yield self.info(prefix + name)

    def delete(self, path: str) -> None:
        del path
        raise ReadOnlyError("a web server is only read")

    def read_root(self, path: str) -> Versioned:
        data = wait_for(self._filesystem.loop, self._read(path, 0, None, MAX_ROOT))
        return Versioned(data, data)

    def swap(self, path: str, data: bytes, expected: object | None) -> None:
        del path, data, expected
        raise ReadOnlyError("a web server is only read")

    async def _read(self, path: str, start: int, end: int | None, most: int) -> bytes:
        headers = dict(_AS_IT_IS)
        if (start, end) != (0, None):
            headers["Range"] = range_header(start, end)
        async with self._asked("GET", path, headers) as answer:
            if answer.status == 416:
                return b""
            refuse(answer.status, answer.reason or "")
            if answer.url.path.endswith("/"):
                raise FileNotFoundError(path)
            if answer.status == 206:
                _check_range(answer.headers.get("Content-Range", ""), start)
                return await body_of(answer, most)
            self.ranges = self.ranges and "Range" not in headers
            if (start, end) == (0, None):
                return await body_of(answer, most)
            return await _cut(answer, start, end)

    async def _fetch(self, method: str, path: str) -> Answer:
        async with self._asked(method, path, _AS_IT_IS) as answer:
            return await _answered(answer, _MAX_PAGE)

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Any]:
        session = await self._filesystem.set_session()
        url = self._filesystem.encode_url(path)
        async with following(session, method, url, self._guard, headers) as answer:
            if answer.headers.get("Content-Encoding", "identity") not in ("identity", ""):
                raise UnableError("the server sends in another encoding than it was asked for")
            yield answer


async def fetch(session: Any, method: str, url: Any, *, most: int, **arguments: Any) -> Answer:
    """One request of an aiohttp session, through the proxy that is set, and never redirected.

    Args:
        most: how many bytes are taken, at most.

    Raises:
        StatusError: the server refused, or wants to redirect.
        UnableError: it sends more.
    """
    answer = await asked(session, method, url, allow_redirects=False, **arguments)
    async with answer:
        if 300 <= answer.status < 400:
            raise StatusError(answer.status, "the server redirects, which is not followed")
        return await _answered(answer, most)


async def _answered(answer: Any, most: int) -> Answer:
    if answer.status >= 400:
        body = await _beginning(answer)
        refuse(answer.status, body.decode(errors="replace") or answer.reason or "")
    return Answer(answer.headers, await body_of(answer, most), answer.url.path)


async def body_of(answer: Any, most: int) -> bytes:
    """The body of an answer of aiohttp.

    Raises:
        UnableError: it is longer than `most` bytes; no more than these were taken.
    """
    if (answer.content_length or 0) > most and answer.method != "HEAD":
        answer.close()
        raise _too_much(most)
    pieces: list[bytes] = []
    size = 0
    async for piece in answer.content.iter_chunked(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            answer.close()
            raise _too_much(most)
    return b"".join(pieces)


def _too_much(most: int) -> UnableError:
    return UnableError(f"the server sends more than the {most:,} bytes that there can be")


async def _beginning(answer: Any) -> bytes:
    """What a server says first of an error, which nobody reads to its end."""
    body: bytes = await answer.content.read(_SAID)
    if not answer.content.at_eof():
        answer.close()
    return body


def refuse(status: int, reason: str) -> None:
    """Raise what an HTTP status says, if it tells of an error."""
    if status >= 400:
        raise StatusError(status, " ".join(reason.split())[:200])


def range_header(start: int, end: int | None) -> str:
    """The bytes [start, end) as HTTP asks for them."""
    return f"bytes={start}-" if end is None else f"bytes={start}-{end - 1}"


async def _cut(answer: Any, start: int, end: int | None) -> bytes:
    """A range of an answer that is the whole object, read no further than needed."""
    kept = bytearray()
    position = 0
    async for piece in answer.content.iter_chunked(_PIECE):
        kept += piece[max(0, start - position) : None if end is None else max(0, end - position)]
        position += len(piece)
        if position > MAX_OBJECT:
            answer.close()
            raise _too_much(MAX_OBJECT)
        if end is not None and position >= end:
            answer.close()
            break
    return bytes(kept)


def _check_range(header: str, start: int) -> None:
    found = _RANGE.match(header)
    if not found or int(found[1]) != start:
        raise UnableError("the server answers with other bytes than asked for")


def _links(page: str, path: str) -> Iterator[str]:
    """The names in a folder that its index page links to, each once; folders with their "/"."""
    links = [html.unescape(link) for link in _LINK.findall(page)]
    folder = unquote(path) if path.endswith("/") else posixpath.dirname(unquote(path)) + "/"
    # A link with a query sorts the page, it names no file.
    targets = [urlsplit(urljoin(path, link)) for link in links if "?" not in link]
    found = {unquote(target.path): None for target in targets}
    for target in found:
        name = target.removeprefix(folder)
        if target.startswith(folder) and name and "/" not in name.rstrip("/"):
            yield name


def _length(answer: Answer) -> int:
    told = answer.headers.get("Content-Length", "0").strip()
    if not _LENGTH.fullmatch(told):
        raise UnableError("the server tells no length that an object can have")
    return int(told)


def _modified(answer: Answer) -> float:
    # Takes as long to import as this package, and nobody else has a use for it.
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return 0.0  # none, or none that there can be
