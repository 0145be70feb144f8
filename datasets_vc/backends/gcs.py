"""Objects of a Google Cloud Storage bucket: single requests, and swaps by generation.

gcsfs lends its session, its credentials and its endpoint. Its own verbs try again by themselves for
a minute, write what went wrong into a log, and take a missing bucket for a missing object.

Every write of an object gives it a new generation; `ifGenerationMatch` makes the write depend on
the old one, 0 meaning that there is none
(https://cloud.google.com/storage/docs/request-preconditions).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from datasets_vc.addresses import Access
from datasets_vc.backends.base import MAX_OBJECT, MAX_ROOT, ObjectInfo, Versioned
from datasets_vc.backends.files import pages
from datasets_vc.backends.loop import wait_for
from datasets_vc.backends.web import Answer, StatusError, client_options, fetch, range_header
from datasets_vc.decoding import load_json

NO_BUCKET = "NoSuchBucket"

_ABSENT = "0"
_INFO = "name,size,updated"
_MAX_SAID = 64 * 2**20


def options_of(access: Access) -> dict[str, Any]:
    """What gcsfs calls the ways of access."""
    options: dict[str, Any] = {"session_kwargs": client_options()}
    if access.endpoint:
        options["endpoint_url"] = access.endpoint.rstrip("/")
    if access.anonymous:
        options["token"] = "anon"
    return options


class GcsFiles:
    """The objects that a gcsfs file system reaches, by their full path.

    Args:
        filesystem: a `gcsfs.GCSFileSystem`.
    """

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem

    def read(self, path: str, start: int, end: int | None) -> bytes:
        whole = (start, end) == (0, None)
        headers = {} if whole else {"Range": range_header(start, end)}
        most = (MAX_OBJECT if end is None else end) - start
        try:
            return self._get(path, headers, most).body
        except StatusError as error:
            if error.status == 416:
                return b""
            raise

    def write(self, path: str, data: bytes) -> None:
        self._upload(path, data, {})

    def info(self, path: str) -> ObjectInfo:
        answer = self._ask("GET", self._object(path), {"fields": _INFO})
        return _info(path.partition("/")[0], load_json(answer.body))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        bucket, _, start = prefix.partition("/")
        url = f"{self._filesystem.base}b/{quote(bucket)}/o"
        parameters = {"prefix": start, "fields": f"items({_INFO}),nextPageToken"}
        for _ in pages():
            page = load_json(self._ask("GET", url, parameters).body)
            for row in page.get("items", ()):
                yield _info(bucket, row)
            if not page.get("nextPageToken"):
                return
            parameters["pageToken"] = page["nextPageToken"]

    def delete(self, path: str) -> None:
        try:
            self._ask("DELETE", self._object(path), {})
        except StatusError as error:
            if error.status != 404 or error.error_code == NO_BUCKET:
                raise

    def read_root(self, path: str) -> Versioned:
        answer = self._get(path, {}, MAX_ROOT)
        return Versioned(answer.body, answer.headers["X-Goog-Generation"])

    def swap(self, path: str, data: bytes, expected: object | None) -> None:
        generation = _ABSENT if expected is None else str(expected)
        self._upload(path, data, {"ifGenerationMatch": generation})

    def _get(self, path: str, headers: Mapping[str, str], most: int) -> Answer:
        return self._ask("GET", self._object(path), {"alt": "media"}, headers=headers, most=most)

    def _upload(self, path: str, data: bytes, condition: Mapping[str, str]) -> None:
        bucket, _, name = path.partition("/")
        url = f"{self._filesystem._location}/upload/storage/v1/b/{quote(bucket)}/o"
        parameters = {"uploadType": "media", "name": name, **condition}
        headers = {"Content-Type": "application/octet-stream"}
        # aiohttp sends a file piece by piece, and bytes in one go that keeps all others waiting.
        self._ask("POST", url, parameters, headers=headers, data=io.BytesIO(data))

    def _object(self, path: str) -> str:
        bucket, _, name = path.partition("/")
        return f"{self._filesystem.base}b/{quote(bucket)}/o/{quote(name, safe='')}"

    def _ask(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        data: io.BytesIO | None = None,
        most: int = _MAX_SAID,
    ) -> Answer:
        return wait_for(
            self._filesystem.loop, self._request(method, url, parameters, headers, data, most)
        )

    async def _request(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        headers: Mapping[str, str] | None,
        data: io.BytesIO | None,
        most: int,
    ) -> Answer:
        import yarl

        session = await self._filesystem._set_session()
        # The names in it are quoted already, their slashes too.
        target = yarl.URL(url, encoded=True)
        target = target.extend_query(self._filesystem._get_params(dict(parameters)))
        sent = self._filesystem._get_headers(dict(headers or {}))
        try:
            return await fetch(session, method, target, headers=sent, data=data, most=most)
        except StatusError as error:
            if error.status == 404 and "bucket does not exist" in str(error):
                error.error_code = NO_BUCKET
            raise


def _info(bucket: str, row: Mapping[str, Any]) -> ObjectInfo:
    modified = datetime.fromisoformat(row["updated"]).timestamp()
    return ObjectInfo(f"{bucket}/{row['name']}", int(row["size"]), modified)
