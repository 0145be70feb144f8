"""Blobs of an Azure container: single requests, and swaps by ETag.

adlfs lends its client, made with its credentials. Its own verbs remember listings and know no
conditions (https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from datasets_vc.addresses import Access
from datasets_vc.backends.base import MAX_LISTED, MAX_OBJECT, MAX_ROOT, ObjectInfo, Versioned
from datasets_vc.backends.failures import UnableError, code_of, is_beyond_end
from datasets_vc.backends.loop import wait_for
from datasets_vc.errors import InvalidInputError

# An account with a hierarchical namespace lists its folders too.
_FOLDER = "hdi_isfolder"
_CONNECTIONS = 4
# RetryingBackend is where patience lies; the SDK's own waits for a quarter of a minute.
# A redirection would be followed with what the request has in its URL and headers.
_ONCE: dict[str, Any] = {
    "retry_total": 0,
    "connection_timeout": 20,
    "read_timeout": 60,
    "permit_redirects": False,
}

Result = TypeVar("Result")


def options_of(access: Access) -> dict[str, Any]:
    """What adlfs calls the ways of access.

    Raises:
        InvalidInputError: the endpoint is one that adlfs cannot be told of.
    """
    options: dict[str, Any] = {}
    if access.endpoint:
        if not access.endpoint.startswith("https://"):
            raise InvalidInputError(
                f"'{access.endpoint}' cannot be the endpoint of an Azure account: it needs https.",
                "Name a local emulator in AZURE_STORAGE_CONNECTION_STRING instead.",
            )
        options["account_host"] = access.endpoint.removeprefix("https://").rstrip("/")
    if access.anonymous:
        options["anon"] = True
    return options


def files_of(connect: Callable[[], Any]) -> AzureFiles:
    """The blobs of an account.

    Raises:
        InvalidInputError: nothing says which account.
    """
    try:
        return AzureFiles(connect())
    except ValueError as error:
        if "account_name" not in str(error):
            raise
        raise InvalidInputError(
            "Nothing says which Azure account the container is in.",
            "Write az://CONTAINER@ACCOUNT.blob.core.windows.net/PREFIX, or set "
            "AZURE_STORAGE_ACCOUNT_NAME.",
        ) from error


class AzureFiles:
    """The blobs that an adlfs file system reaches, by their full path.

    Args:
        filesystem: an `adlfs.AzureBlobFileSystem`.
    """

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem

    def read(self, path: str, start: int, end: int | None) -> bytes:
        length = None if end is None else end - start
        offset = None if (start, end) == (0, None) else start
        try:
            return self._wait_for(self._download(path, offset, length)).data
        except Exception as error:
            if offset is not None and is_beyond_end(error):
                return b""
            raise

    def write(self, path: str, data: bytes) -> None:
        self._wait_for(self._upload(path, data, overwrite=True))

    def info(self, path: str) -> ObjectInfo:
        found = self._wait_for(self._blob(path).get_blob_properties(**_ONCE))
        return ObjectInfo(path, found.size, found.last_modified.timestamp())

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        container, _, start = prefix.partition("/")
        return iter(self._wait_for(self._listed(container, start)))

    def delete(self, path: str) -> None:
        try:
            self._wait_for(self._blob(path).delete_blob(**_ONCE))
        except Exception as error:
            if code_of(error) != "BlobNotFound":
                raise

    def read_root(self, path: str) -> Versioned:
        return self._wait_for(self._download(path, None, None, MAX_ROOT))

    def swap(self, path: str, data: bytes, expected: object | None) -> None:
        from azure.core import MatchConditions

        if expected is None:
            self._wait_for(self._upload(path, data, overwrite=False))
            return
        same = {"etag": expected, "match_condition": MatchConditions.IfNotModified}
        try:
            self._wait_for(self._upload(path, data, overwrite=True, **same))
        except Exception as error:
            if code_of(error) == "BlobNotFound":
                raise FileExistsError("the root was deleted") from error
            raise

    async def _download(
        self, path: str, offset: int | None, length: int | None, most: int = MAX_OBJECT
    ) -> Versioned:
        stream = await self._blob(path).download_blob(
            offset=offset, length=length, max_concurrency=_CONNECTIONS, **_ONCE
        )
        # Known once the first part is there; the SDK gathers all of it.
        if stream.size > most:
            raise UnableError(f"it has more than the {most:,} bytes that there can be")
        return Versioned(await stream.readall(), stream.properties.etag)

    async def _upload(self, path: str, data: bytes, **condition: Any) -> None:
        await self._blob(path).upload_blob(data, max_concurrency=_CONNECTIONS, **condition, **_ONCE)

    async def _listed(self, container: str, start: str) -> Sequence[ObjectInfo]:
        client = self._filesystem.service_client.get_container_client(container)
        rows = client.list_blobs(name_starts_with=start, include=["metadata"], **_ONCE)
        found = []
        async for row in rows:
            if _FOLDER not in (row.metadata or {}):
                modified = row.last_modified.timestamp()
                found.append(ObjectInfo(f"{container}/{row.name}", row.size, modified))
            if len(found) > MAX_LISTED:
                break
        return found

    def _blob(self, path: str) -> Any:
        container, _, name = path.partition("/")
        return self._filesystem.service_client.get_blob_client(container, name)

    def _wait_for(self, request: Coroutine[Any, Any, Result]) -> Result:
        return wait_for(self._filesystem.loop, request)
