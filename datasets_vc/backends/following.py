"""Requests to a web server: through the proxy that is set, and on to where it redirects, with care.

A server that nobody has to trust may answer with any address. It is followed with nothing of ours:
no credentials, no cookies, no query; not from https to http; and not from a server outside to one
that only this machine or its network can reach, which would make us its hands there
(https://owasp.org/www-community/attacks/Server_Side_Request_Forgery).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from datasets_vc.addresses import without_secrets
from datasets_vc.backends.failures import UnableError
from datasets_vc.backends.proxies import ProxyError, proxy_arguments, shown_proxy

MAX_REDIRECTS = 10

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PROXY_WANTS_MORE = 407
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Guard:
    """Resolves names for one remote, and knows to which addresses it may lead.

    A host that the user has named, the remote's or a proxy's, may be anywhere.
    """

    def __init__(self) -> None:
        self._remote = ""
        self._trusted: set[str] = set()
        self._inside: bool | None = None
        self._resolver: Any = None

    @property
    def inside(self) -> bool:
        """Whether the remote itself is on this machine or its network."""
        return bool(self._inside)

    def begin(self, remote: str) -> None:
        """The host of the remote, to which every first request goes."""
        self._remote = remote.lower()
        self._trusted.add(self._remote)
        if is_named_inside(remote):
            self._inside = True

    def trust(self, proxy: str) -> None:
        """Let requests go to the host of a proxy."""
        self._trusted.add(proxy.lower())

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[Any]:
        """The addresses of a host, as aiohttp asks for them.

        Raises:
            OSError: it has none, or none that the remote may lead to.
        """
        if self._resolver is None:
            import aiohttp

            self._resolver = aiohttp.DefaultResolver()
        found: list[Any] = await self._resolver.resolve(host, port, family)
        if host.lower() == self._remote and self._inside is None:
            # Once: who answers for a name may answer otherwise later.
            self._inside = not any(is_outside(row["host"]) for row in found)
        if host.lower() in self._trusted:
            return found
        allowed = [row for row in found if self.inside or is_outside(row["host"])]
        if not allowed:
            raise OSError(f"'{host}' is inside of this network, where it must not lead")
        return allowed

    async def close(self) -> None:
        if self._resolver is not None:
            await self._resolver.close()


def is_outside(address: str) -> bool:
    """Whether an address can be reached from everywhere: no private, local or reserved one."""
    try:
        return _is_global(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False


def is_named_inside(host: str) -> bool:
    """Whether a host, without being looked up, is on this machine or its network."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not _is_global(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        return False


@asynccontextmanager
async def following(
    session: Any, method: str, url: Any, guard: Guard, headers: Mapping[str, str]
) -> AsyncIterator[Any]:
    """The answer of an aiohttp session to a request, wherever it is in the end.

    Args:
        session: whose names `guard` resolves.
        url: a `yarl.URL`.
        headers: nothing secret may be among them: whoever is redirected to gets them.

    Raises:
        UnableError: it is redirected to where it must not lead, or without end.
        ProxyError: the proxy cannot be reached, or refuses.
    """
    guard.begin(url.host or "")
    for _ in range(MAX_REDIRECTS + 1):
        answer = await asked(session, method, url, guard, headers=headers, allow_redirects=False)
        target = _target(answer, url)
        if target is None:
            async with answer:
                yield answer
            return
        answer.close()
        _check(url, target, guard)
        url = target
    raise UnableError(f"it redirects more than {MAX_REDIRECTS} times")


async def asked(
    session: Any, method: str, url: Any, guard: Guard | None = None, **arguments: Any
) -> Any:
    """The answer to one request, through the proxy that is set for it.

    Raises:
        ProxyError: the proxy cannot be reached, or refuses.
    """
    import aiohttp
    import yarl

    through = proxy_arguments(str(url))
    if not through:
        return await session.request(method, url, **arguments)
    if guard is not None:
        guard.trust(yarl.URL(through["proxy"]).host or "")
    proxy = shown_proxy(through["proxy"])
    try:
        answer = await session.request(method, url, **arguments, **through)
    except aiohttp.ClientHttpProxyError as error:
        # Not chained: its status is the proxy's, and says nothing of the remote.
        raise ProxyError(f"the proxy '{proxy}' refuses: {_told(error)}") from None
    except aiohttp.ClientProxyConnectionError as error:
        reason = error.os_error.strerror or error.os_error
        raise ProxyError(f"the proxy '{proxy}' cannot be reached: {reason}") from None
    if answer.status == _PROXY_WANTS_MORE:
        answer.close()
        raise ProxyError(f"the proxy '{proxy}' refuses: HTTP 407 {answer.reason or ''}".rstrip())
    return answer


def _told(error: Any) -> str:
    return f"HTTP {error.status} {error.message}".rstrip()


def _target(answer: Any, url: Any) -> Any:
    """Where an answer redirects to; None if it does not."""
    where = answer.headers.get("Location")
    if answer.status not in _REDIRECTS or not where:
        return None
    import yarl

    try:
        target = url.join(yarl.URL(where)).with_fragment(None)
        # As whoever looks the name up encodes it; an empty label is none.
        (target.host or "").encode("idna")
        return target
    except ValueError:
        raise UnableError("it redirects to what is no address") from None


def _check(source: Any, target: Any, guard: Guard) -> None:
    shown = without_secrets(str(target))[:200]
    if target.scheme not in ("http", "https") or not target.host:
        raise UnableError(f"it redirects to '{shown}', which is no web server")
    if source.scheme == "https" and target.scheme == "http":
        raise UnableError(f"it redirects to '{shown}', from https to http")
    if target.user is not None or target.password is not None:
        raise UnableError("it redirects to an address with a name or a password in it")
    if not guard.inside and is_named_inside(target.host):
        raise UnableError(f"it redirects to '{shown}', which is inside of this network")


def _is_global(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        hidden = address.ipv4_mapped or address.sixtofour
        if hidden is None and address in _TRANSLATED:
            hidden = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if hidden is not None:
            return _is_global(hidden)
    return address.is_global and not address.is_multicast
