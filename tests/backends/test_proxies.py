"""Requests go through the proxy that the usual variables name, and its password stays unseen."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets_vc.backends import FsspecBackend, LocalBackend
from datasets_vc.backends.proxies import proxy_of, shown_proxy
from datasets_vc.errors import InvalidInputError, RemoteError
from tests.backends.test_remote import closed_port
from tests.servers.gcs import FakeGcs
from tests.servers.proxy import proxy
from tests.servers.web import web

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
SECRET = "Hs3cr3t"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    LocalBackend(tmp_path / "store", create=True).put("packs/a", b"data")
    with web(tmp_path) as url:
        yield f"{url.replace('127.0.0.1', 'data.example')}/store"


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy", "ALL_PROXY", "HTTP_PROXY"])
def test_a_plain_request_goes_through_it(
    monkeypatch: pytest.MonkeyPatch, url: str, name: str
) -> None:
    with proxy() as seen:
        monkeypatch.setenv(name, seen.url)
        assert FsspecBackend(url).get("packs/a", 1, 3) == b"at"
        assert [each.name for each in FsspecBackend(url).list("packs/")] == ["packs/a"]
    assert seen.asked[0] == f"GET {url}/packs/a"
    assert seen.said == [None] * len(seen.said)


def test_one_without_a_scheme_is_one_too(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with proxy() as seen:
        monkeypatch.setenv("http_proxy", seen.url.removeprefix("http://"))
        assert FsspecBackend(url).get("packs/a") == b"data"


def test_a_name_and_a_password_are_for_the_proxy_alone(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with proxy() as seen:
        monkeypatch.setenv("http_proxy", seen.url.replace("//", f"//ada:{SECRET}%40@"))
        assert FsspecBackend(url).get("packs/a") == b"data"
    assert seen.said == ["Basic " + base64.b64encode(f"ada:{SECRET}@".encode()).decode()]
    assert "Authorization" not in seen.headers[0]


@pytest.mark.parametrize("name", ["https_proxy", "all_proxy", "HTTPS_PROXY"])
def test_a_tunnel_is_asked_for_where_the_remote_has_tls(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with proxy(refuses=403) as seen:
        monkeypatch.setenv(name, seen.url.replace("//", f"//ada:{SECRET}@"))
        with pytest.raises(
            RemoteError, match=r"the proxy 'http://127.0.0.1:.*refuses: HTTP 403"
        ) as found:
            FsspecBackend("https://data.example/x").get("root.json")
    assert seen.asked == ["CONNECT data.example:443"]
    assert seen.said[0] is not None
    assert SECRET not in str(found.value) + str(found.value.hint)
    assert not found.value.transient


@pytest.mark.parametrize("status", [404, 407, 410, 502])
def test_what_a_proxy_says_is_not_what_the_remote_says(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with proxy(refuses=status) as seen:
        monkeypatch.setenv("https_proxy", seen.url)
        with pytest.raises(RemoteError, match=f"proxy .* refuses: HTTP {status}"):
            FsspecBackend("https://data.example/x").read_root("root.json")


def test_a_proxy_that_wants_a_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with proxy(refuses=407) as seen:
        monkeypatch.setenv("http_proxy", seen.url)
        with pytest.raises(RemoteError, match=r"the proxy .* refuses: HTTP 407"):
            FsspecBackend(url).get("packs/a")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    port = closed_port()
    monkeypatch.setenv(f"{scheme}_proxy", f"http://ada:{SECRET}@127.0.0.1:{port}")
    with pytest.raises(
        RemoteError, match=f"proxy 'http://127.0.0.1:{port}' cannot be reached"
    ) as found:
        FsspecBackend(f"{scheme}://data.example/x").get("root.json")
    assert SECRET not in str(found.value) + str(found.value.hint)


def test_hosts_that_need_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    LocalBackend(tmp_path / "store", create=True).put("packs/a", b"data")
    with web(tmp_path) as url, proxy() as seen:
        monkeypatch.setenv("http_proxy", seen.url)
        for hosts in ("127.0.0.1", "x.example, 127.0.0.1", url.removeprefix("http://"), "*"):
            monkeypatch.setenv("no_proxy", hosts)
            assert FsspecBackend(f"{url}/store").get("packs/a") == b"data"
        assert seen.asked == []
        monkeypatch.setenv("no_proxy", "example")
        assert FsspecBackend(f"{url}/store").get("packs/a") == b"data"
        assert len(seen.asked) == 1


def test_which_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_of("https://data.example/x") is None
    monkeypatch.setenv("all_proxy", "http://all")
    monkeypatch.setenv("https_proxy", "http://secure")
    monkeypatch.setenv("no_proxy", ".internal.example,other.example:8443")
    assert proxy_of("https://data.example/x") == "http://secure"
    assert proxy_of("http://data.example/x") == "http://all"
    assert proxy_of("http://a.internal.example/x") is None
    assert proxy_of("https://other.example:8443/x") is None
    assert proxy_of("https://other.example/x") == "http://secure"


@pytest.mark.parametrize("value", ["socks5://ada:Hs3cr3t@127.0.0.1:1", "http://", "http://a:b:c"])
def test_one_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(InvalidInputError, match=r"proxy .* cannot be used") as found:
        FsspecBackend("http://data.example/x").get("root.json")
    assert SECRET not in str(found.value)


def test_what_is_shown_of_one() -> None:
    assert shown_proxy(f"http://ada:{SECRET}/{SECRET}@proxy:3128/") == "http://proxy:3128"


def test_google_goes_through_it_too(monkeypatch: pytest.MonkeyPatch, gcs_server: FakeGcs) -> None:
    with proxy() as seen:
        monkeypatch.setenv("http_proxy", seen.url)
        endpoint = gcs_server.endpoint.replace("127.0.0.1", "google.example")
        backend = FsspecBackend("gs://bucket/x", {"endpoint_url": endpoint, "token": "anon"})
        with pytest.raises(RemoteError, match=r"bucket .* does not exist"):
            backend.read_root("root.json")
    assert seen.asked[0].startswith(f"GET {endpoint}/")


@pytest.mark.parametrize("password", ["p@qx/w0rd", "918/w@rd", "918?w0rd", "918#w0rd", "a@b?c@d"])
@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_a_password_that_is_not_escaped_is_no_host(
    monkeypatch: pytest.MonkeyPatch, scheme: str, password: str
) -> None:
    monkeypatch.setenv("http_proxy", f"http://bob:{password}@127.0.0.1:{closed_port()}")
    backend = FsspecBackend(f"{scheme}://data.example/store")
    with pytest.raises(InvalidInputError, match="not escaped") as caught:
        backend.get("packs/a")
    said = f"{caught.value.message} {caught.value.hint}"
    for piece in ("bob", *password.replace("@", "/").replace("?", "/").split("/")[:2]):
        assert len(piece) < 2 or piece not in said, said


def test_a_password_that_is_escaped_goes_on(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with proxy() as seen:
        monkeypatch.setenv("http_proxy", seen.url.replace("//", "//bob:p@ss%2Fw0rd%3F@") + "/")
        assert FsspecBackend(url).get("packs/a") == b"data"
