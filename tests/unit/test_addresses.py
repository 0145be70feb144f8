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
        f"https://host/x#access_token={SECRET}",
        f"https://host/x#{SECRET}",
        f"s3://bucket/x#token={SECRET}",
        f"https://host/x;sig={SECRET}",
        f"https://host/x;jsessionid={SECRET}/y",
        f"az://box/x;sv=1;sig={SECRET}/y",
        f"https://host/x%3Fsig%3D{SECRET}",
        f"https://host/x%253Fsig%253D{SECRET}",
        f"https://host/x%3bsig={SECRET}",
        f"https://host/x%23t%3d{SECRET}",
        f"s3://KEY%3A{SECRET}@bucket/x",
        f"s3://KEY%3a{SECRET}%40bucket/x",
        f"https://me%3A{SECRET}%40host/x",
        f"https://me:{SECRET}%40host/x",
        f"https://{SECRET}%40host/x",
        f"https://me:{SECRET}",
        f"https://me:?{SECRET}@host/x",
    ],
)
def test_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"carries (?:a |parameters)") as caught:
        check_url(url)
    assert SECRET not in caught.value.message + caught.value.hint
    for text in (url, f"'{url}' is gone.", f"Cannot read {url}: no such file"):
        assert SECRET not in without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        f"HTTP 403: X-Amz-Security-Token={SECRET}&X-Amz-Date=1",
        f"AccountName=a;AccountKey={SECRET};EndpointSuffix=x",
        f"SharedAccessSignature=sv=1&sig={SECRET}",
        f"the proxy http://ada:{SECRET}@proxy:3128 refuses",
        f"git+https://{SECRET}@host/x",
        f"password={SECRET}, and more",
    ],
)
def test_what_a_server_or_a_client_says_of_one(text: str) -> None:
    assert SECRET not in without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a/b: gone.",
        "see https://host/x; then go on",
        "s3://bucket/a#1 is gone",
        "'https://[::1]:80/x'",
        "abfs://box@account.dfs.core.windows.net/x",
        "https://host:443",
        "sftp://me@host:22/~/x",
    ],
)
def test_what_is_none_is_shown(text: str) -> None:
    assert without_secrets(text) == text


def test_masking_looks_at_each_letter_a_few_times() -> None:
    for text in ("://" * 200_000, "https://a" * 60_000, ":@" * 300_000, "sig" * 200_000):
        assert without_secrets(text)


@pytest.mark.parametrize("url", ["", "  ", "s3://[x/y", "/a\nb", f"s3://a:{SECRET}@b\nc"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_url(url)
    assert SECRET not in caught.value.message
