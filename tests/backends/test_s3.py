"""Listings that come in pages, and a botocore too old for conditions: both played by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from datasets_vc.backends.failures import UnableError
from datasets_vc.backends.s3 import S3Files

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


class PagedFilesystem:
    """Lists two objects a page, as far as the token says."""

    retries = 5

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys
        self.requests: list[dict[str, Any]] = []

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call_s3(self, method: str, **request: Any) -> dict[str, Any]:
        assert method == "list_objects_v2"
        self.requests.append(request)
        first = int(request.get("ContinuationToken", 0))
        page = self.keys[first : first + 2]
        rows = [{"Key": key, "Size": 3, "LastModified": NOON} for key in page]
        answer: dict[str, Any] = {"Contents": rows, "IsTruncated": first + 2 < len(self.keys)}
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = str(first + 2)
        return answer


def test_all_pages_of_a_listing() -> None:
    filesystem = PagedFilesystem([f"store/packs/{letter}" for letter in "abcde"])
    found = list(S3Files(filesystem).list("bucket/store/packs/"))
    assert [row.name for row in found] == [f"bucket/store/packs/{letter}" for letter in "abcde"]
    assert {row.modified for row in found} == {NOON.timestamp()}
    assert len(filesystem.requests) == 3
    assert {request["Prefix"] for request in filesystem.requests} == {"store/packs/"}


def test_a_client_without_conditions_is_not_trusted() -> None:
    operation = SimpleNamespace(input_shape=SimpleNamespace(members={"Body": None}))
    model = SimpleNamespace(operation_model=lambda _: operation)
    client = SimpleNamespace(meta=SimpleNamespace(service_model=model))
    filesystem = SimpleNamespace(retries=5, s3=client)
    for expected in (None, '"etag"'):
        with pytest.raises(UnableError, match="conditional writes"):
            S3Files(filesystem).swap("bucket/root.json", b"", expected)
