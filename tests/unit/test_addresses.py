"""What may be written down of an address, and what is shown of it."""

from __future__ import annotations

import pytest

from datasets_vc.addresses import check_url, without_secrets
from datasets_vc.errors import InvalidInputError

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "/a/b@c:d",
        "C:\\data",
        "s3://bucket/a b",
        "s3://bucket/a:b@c",
        "abfs://box@account.dfs.core.windows.net/x",
        "sftp://me@host/x",
        "sftp://me@host:2222/x@y",
        "https://[::1]:8080/x",
        "https://host:8080/x",
        "file:///a?b=c",
    ],
)
def test_no_secret(url: str) -> None:
    assert check_url(url) == url
    if "?" not in url:
        assert without_secrets(f"'{url}' is gone.") == f"'{url}' is gone."


@pytest.mark.parametrize(
    "url",
    [
        f"s3://KEY:{SECRET}@bucket/x",
        f"s3://KEY:{SECRET}/with/slashes@bucket/x",
        f"sftp://me:{SECRET}@host:22/x",
        f"https://{SECRET}@host/x",
        f"https://me:{SECRET}@host/x",
        f"https://bucket.s3.amazonaws.com/x?X-Amz-Signature={SECRET}",
        f"https://account.blob.core.windows.net/box?sv=2024&sig={SECRET}",
        f"az://box/x?sig={SECRET}",
        f"gs://bucket/x?X-Goog-Signature={SECRET}",
    ],
)
def test_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInputError, match="carries a") as caught:
        check_url(url)
    assert SECRET not in caught.value.message + caught.value.hint
    for text in (url, f"'{url}' is gone.", f"Cannot read {url}: no such file"):
        assert SECRET not in without_secrets(text)


@pytest.mark.parametrize("url", ["", "  ", "s3://[x/y", "/a\nb", f"s3://a:{SECRET}@b\nc"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_url(url)
    assert SECRET not in caught.value.message
