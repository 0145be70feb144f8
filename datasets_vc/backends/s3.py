"""Objects of an S3 bucket: single requests, conditional writes, and nothing remembered.

s3fs's own verbs read a large object in several requests and remember listings. Here every read is
one `GetObject`, whose answer holds bytes and ETag of the same state, and every listing is fresh.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from datasets_vc.addresses import Access
from datasets_vc.backends.base import MAX_OBJECT, MAX_ROOT, ObjectInfo, Readable, Versioned
from datasets_vc.backends.failures import UnableError, code_of, is_beyond_end
from datasets_vc.backends.files import pages
from datasets_vc.backends.loop import begin, result_of, wait_for
from datasets_vc.backends.web import range_header
from datasets_vc.digest import Buffer
from datasets_vc.memory import ViewFile

SINGLE_PUT_LIMIT = 256 * 2**20
"""Bytes that are sent in one request; larger objects go up in parts."""

CLIENT_OPTIONS: dict[str, Any] = {
    # Many S3-compatible servers know none of the newer checksums; ours guard every byte anyway.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    "max_pool_connections": 32,
    "read_timeout": 60,
    # RetryingBackend is where patience lies.
    "retries": {"mode": "standard", "total_max_attempts": 2},
    # Hashing what is sent for the sake of the signature takes longer than sending it: the digest in
    # an object's name says what it has to be, and whoever reads it looks.
    "s3": {"payload_signing_enabled": False},
}

_PIECE = 1 << 20
"""Bytes of an object that are handed out at a time."""


def options_of(access: Access) -> dict[str, Any]:
    """What s3fs calls the ways of access."""
    options: dict[str, Any] = {
        "config_kwargs": {**CLIENT_OPTIONS, "http_session_cls": _session_class()}
    }
    if access.endpoint:
        options["endpoint_url"] = access.endpoint
    if access.region:
        options["client_kwargs"] = {"region_name": access.region}
    if access.profile:
        options["profile"] = access.profile
    if access.anonymous:
        options["anon"] = True
    return options


def _session_class() -> type[Any]:
    """aiobotocore's session, but that it follows no redirection, as botocore's own does not.

    aiohttp would follow with the token of a role in the headers. What S3 means by one, another
    region, botocore finds out by itself.
    """
    theirs = import_module("aiobotocore.httpsession").AIOHTTPSession

    async def get_session(self: Any, proxy_url: str | None) -> Any:
        session = await theirs._get_session(self, proxy_url)
        return SimpleNamespace(request=partial(session.request, allow_redirects=False))

    return type("Session", (theirs,), {"_get_session": get_session})


class S3Files:
    """The objects that an s3fs file system reaches, by their full path.

    Args:
        filesystem: an `s3fs.S3FileSystem`, used in the process that made it only.
    """

    def __init__(self, filesystem: Any) -> None:
        filesystem.retries = 1
        self._filesystem = filesystem

    def read(self, path: str, start: int, end: int | None) -> bytes:
        limits = {} if (start, end) == (0, None) else {"Range": range_header(start, end)}
        most = (MAX_OBJECT if end is None else end) - start
        try:
            data, _ = self._get(path, limits, most)
        except OSError as error:
            if limits and is_beyond_end(error):
                return b""
            raise
        return data

    def stream(self, path: str, start: int) -> Iterator[Buffer]:
        limits = {"Range": range_header(start, None)} if start else {}
        try:
            answer = wait_for(self._filesystem.loop, self._request(path, limits))
        except OSError as error:
            if start and is_beyond_end(error):
                return
            raise
        body = answer["Body"]
        # While a piece is looked at, the next one comes.
        coming = begin(self._filesystem.loop, _piece(body))
        try:
            if limits and "ContentRange" not in answer:
                raise UnableError("the server ignores ranges of bytes")
            while piece := result_of(coming):
                coming = begin(self._filesystem.loop, _piece(body))
                yield piece
        finally:
            coming.cancel()
            # The connection is the loop's, which must not be touched from here.
            self._filesystem.loop.call_soon_threadsafe(body.close)

    def write(self, path: str, data: bytes) -> None:
        self.write_from(path, ViewFile(data))

    def write_from(self, path: str, file: Readable) -> None:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size > SINGLE_PUT_LIMIT:
            self._filesystem.pipe_file(path, file.read())
            return
        self._call("put_object", path, Body=file)

    def info(self, path: str) -> ObjectInfo:
        answer = self._call("head_object", path)
        return ObjectInfo(path, answer["ContentLength"], answer["LastModified"].timestamp())

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        bucket, start = self._split(prefix)
        request = {"Bucket": bucket, "Prefix": start}
        for _ in pages():
            page = self._filesystem.call_s3("list_objects_v2", **request)
            for row in page.get("Contents", ()):
                modified = row["LastModified"].timestamp()
                yield ObjectInfo(f"{bucket}/{row['Key']}", row["Size"], modified)
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, path: str) -> None:
        self._call("delete_object", path)

    def read_root(self, path: str) -> Versioned:
        data, answer = self._get(path, {}, MAX_ROOT)
        return Versioned(data, answer["ETag"])

    def swap(self, path: str, data: bytes, expected: object | None) -> None:
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        self._require_known(next(iter(condition)))
        try:
            self._call("put_object", path, Body=data, **condition)
        except FileNotFoundError as error:
            if expected is None or code_of(error) == "NoSuchBucket":
                raise
            raise FileExistsError("the root was deleted") from error

    def _require_known(self, parameter: str) -> None:
        """An older botocore does not know conditions, and s3fs drops what it does not know."""
        model = self._filesystem.s3.meta.service_model.operation_model("PutObject")
        if parameter not in model.input_shape.members:
            raise UnableError("the installed botocore has no conditional writes")

    def _get(self, path: str, limits: dict[str, str], most: int) -> tuple[bytes, dict[str, Any]]:
        async def request() -> tuple[bytes, dict[str, Any]]:
            answer = await self._request(path, limits)
            try:
                if limits and "ContentRange" not in answer:
                    raise UnableError("the server ignores ranges of bytes")
                return await _body(answer["Body"], most), answer
            finally:
                answer["Body"].close()

        return wait_for(self._filesystem.loop, request())

    async def _request(self, path: str, limits: dict[str, str]) -> dict[str, Any]:
        bucket, key = self._split(path)
        answer: dict[str, Any] = await self._filesystem._call_s3(
            "get_object", Bucket=bucket, Key=key, **limits
        )
        return answer

    def _call(self, method: str, path: str, **arguments: object) -> Any:
        bucket, key = self._split(path)
        return self._filesystem.call_s3(method, Bucket=bucket, Key=key, **arguments)

    def _split(self, path: str) -> tuple[str, str]:
        bucket, key, _ = self._filesystem.split_path(path)
        return bucket, key


async def _body(body: Any, most: int) -> bytes:
    """An answer to its end.

    Raises:
        UnableError: it is longer than `most` bytes; no more than a piece beyond these is taken.
    """
    parts: list[bytes] = []
    size = 0
    while part := await body.read(_PIECE):
        parts.append(part)
        size += len(part)
        if size > most:
            raise UnableError(f"it sends more than the {most:,} bytes that there can be")
    return b"".join(parts)


async def _piece(body: Any) -> bytes:
    """The next piece of an answer; nothing at its end."""
    parts: list[bytes] = []
    size = 0
    while size < _PIECE and (part := await body.read(_PIECE - size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)
