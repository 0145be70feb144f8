"""Where a web server may send us: on with nothing of ours, and not into our own network."""

from __future__ import annotations

import asyncio
import http.server
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from datasets_vc.backends import FsspecBackend, following
from datasets_vc.backends.following import MAX_REDIRECTS, Guard, is_named_inside, is_outside
from datasets_vc.errors import RemoteError
from tests.backends.test_remote import Answer, server

INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "no address",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside(address: str) -> None:
    assert not is_outside(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_outside(address: str) -> None:
    assert is_outside(address)
    assert not is_named_inside(address)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "[::1]",
        "::1",
        "metadata.google.internal",
    ],
)
def test_names_inside(host: str) -> None:
    assert is_named_inside(host)


class Seen:
    """What two servers were asked: the one that redirects, and the other."""

    def __init__(self) -> None:
        self.first: list[dict[str, str]] = []
        self.other: list[dict[str, str]] = []


def redirects(seen: Seen, where: str, status: int = 302) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        seen.first.append(dict(request.headers))
        request.send_response(status)
        request.send_header("Location", where)
        request.send_header("Set-Cookie", "id=1; Domain=127.0.0.1")
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def gives(seen: Seen, data: bytes) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        seen.other.append(dict(request.headers))
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    return answer


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_it_is_followed_with_nothing_of_ours(stack: ExitStack, status: int) -> None:
    seen = Seen()
    there = stack.enter_context(server(gives(seen, b"data")))
    here = stack.enter_context(server(redirects(seen, f"{there}/x?signed=1", status)))
    assert FsspecBackend(f"{here}/store").get("packs/a") == b"data"
    (sent,) = seen.other
    assert {name.lower() for name in sent} <= {"host", "accept", "accept-encoding", "user-agent"}


def as_outside(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Take some of this machine's addresses for ones outside."""
    real = following._is_global
    monkeypatch.setattr(
        following, "_is_global", lambda address: str(address) in hosts or real(address)
    )


@pytest.mark.parametrize(
    "where",
    [
        "http://localhost:1/x",
        "http://127.0.0.2:1/x",
        "http://[::1]:1/",
        "http://10.0.0.1/x",
    ],
)
def test_not_into_our_network(
    monkeypatch: pytest.MonkeyPatch, stack: ExitStack, where: str
) -> None:
    as_outside(monkeypatch, "127.0.0.1")
    seen = Seen()
    here = stack.enter_context(server(redirects(seen, where)))
    with pytest.raises(RemoteError, match="inside of this network") as found:
        FsspecBackend(f"{here}/store").get("packs/a")
    assert not found.value.transient
    assert len(seen.first) == 1


def test_not_by_a_name_that_leads_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may be looked up by nobody but the one that connects: here that is refused."""

    class Names:
        def __init__(self, **addresses: list[str]) -> None:
            self.addresses = addresses

        async def resolve(self, host: str, port: int, family: int) -> list[dict[str, Any]]:
            del port, family
            return [{"host": address} for address in self.addresses[host]]

    guard = Guard()
    guard._resolver = Names(
        remote=["1.1.1.1"], evil=["127.0.0.1"], both=["10.0.0.1", "1.1.1.1"], proxy=["10.0.0.2"]
    )

    def hosts(name: str) -> list[str]:
        return [row["host"] for row in asyncio.run(guard.resolve(name))]

    guard.begin("remote")
    guard.trust("proxy")
    assert hosts("remote") == ["1.1.1.1"]
    assert hosts("proxy") == ["10.0.0.2"]
    assert hosts("both") == ["1.1.1.1"]
    with pytest.raises(OSError, match="inside of this network"):
        hosts("evil")
    # A name that leads elsewhere later makes nothing else allowed.
    guard._resolver.addresses["remote"] = ["127.0.0.1"]
    assert hosts("remote") == ["127.0.0.1"]
    with pytest.raises(OSError, match="inside of this network"):
        hosts("evil")
    inside = Guard()
    inside._resolver = Names(remote=["192.168.0.1"], other=["192.168.0.2"])
    inside.begin("remote")
    asyncio.run(inside.resolve("remote"))
    assert asyncio.run(inside.resolve("other")) == [{"host": "192.168.0.2"}]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("file:///etc/passwd", "no web server"),
        ("gopher://127.0.0.1/x", "no web server"),
        ("http://ada:secret@127.0.0.1/x", "a name or a password"),
        ("http://[/", "no address"),
    ],
)
def test_not_to_what_is_no_web_server(stack: ExitStack, where: str, words: str) -> None:
    here = stack.enter_context(server(redirects(Seen(), where)))
    with pytest.raises(RemoteError, match=words) as found:
        FsspecBackend(f"{here}/store").get("packs/a")
    assert "secret" not in str(found.value)


def test_not_without_end(stack: ExitStack) -> None:
    seen = Seen()
    here = stack.enter_context(server(redirects(seen, "again")))
    with pytest.raises(RemoteError, match="redirects more than"):
        FsspecBackend(f"{here}/store").get("packs/a")
    assert len(seen.first) == MAX_REDIRECTS + 1


def test_not_from_tls_to_none() -> None:
    import yarl

    with pytest.raises(OSError, match="from https to http"):
        following._check(yarl.URL("https://a.example"), yarl.URL("http://a.example/x"), Guard())


def test_google_is_never_followed(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gcsfs")
    monkeypatch.setenv("NO_PROXY", "*")
    seen = Seen()
    there = stack.enter_context(server(gives(seen, b"data")))
    here = stack.enter_context(server(redirects(seen, there, 307)))
    backend = FsspecBackend("gs://bucket/x", {"endpoint_url": here, "token": "anon"})
    with pytest.raises(RemoteError, match="redirects"):
        backend.get("packs/a")
    assert seen.other == []


@pytest.mark.usefixtures("s3_environment")
def test_neither_is_s3(stack: ExitStack) -> None:
    seen = Seen()
    there = stack.enter_context(server(gives(seen, b"data")))
    here = stack.enter_context(server(redirects(seen, f"{there}/bucket/x", 307)))
    with pytest.raises(RemoteError):
        FsspecBackend("s3://bucket/x", {"endpoint_url": here}).get("packs/a")
    assert seen.other == []


def test_neither_is_azure(stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("adlfs")
    seen = Seen()
    there = stack.enter_context(server(gives(seen, b"data")))
    here = stack.enter_context(server(redirects(seen, f"{there}/bucket/x", 307)))
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"AccountName=a;AccountKey=c2VjcmV0;BlobEndpoint={here}/a;DefaultEndpointsProtocol=http",
    )
    with pytest.raises(RemoteError):
        FsspecBackend("az://bucket/x").get("packs/a")
    assert seen.other == []
