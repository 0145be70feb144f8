"""Which proxy a request goes through: what `http_proxy` and its kin say, as the clouds' SDKs do.

Python's own `urllib` knows where a system keeps that: in the environment, on macOS and Windows in
its settings too. It is what botocore asks for S3; here it is asked for web remotes and Google's.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from datasets_vc.errors import InvalidInputError

_KINDS = ("http", "https")
_END = re.compile(r"[/?#]|$")
"""Where the name of a host, and what stands before it, ends."""


class ProxyError(ConnectionError):
    """The proxy cannot be reached, or does not let a request through."""


def proxy_of(url: str) -> str | None:
    """The proxy for a URL as it was set, which may hold a password; None if there is none.

    `https_proxy` or `http_proxy`, else `all_proxy`, in lower or upper case, unless `no_proxy`
    names the host.
    """
    # Takes 30 ms to import, and verbs that reach no web server have no use for it.
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    # Some lists have the port in them.
    if not found or proxy_bypass(host) or (parts.port and proxy_bypass(f"{host}:{parts.port}")):
        return None
    return found if "://" in found else f"http://{found}"


def shown_proxy(proxy: str) -> str:
    """A proxy as it may be shown: without the name and the password that it is given."""
    scheme, _, place = proxy.partition("://")
    return f"{scheme}://{_END.split(place.rpartition('@')[2])[0]}"


def check_proxies() -> None:
    """Check the proxies that are set, before a client library reads them by itself.

    Raises:
        InvalidInputError: one has a name or password that is not escaped: what stands in it would
            be taken for a host, and shown.
    """
    from urllib.request import getproxies

    for kind, proxy in getproxies().items():
        if kind in (*_KINDS, "all"):
            _check_escaped(proxy if "://" in proxy else f"http://{proxy}")


def _check_escaped(proxy: str) -> None:
    place = proxy.partition("://")[2]
    if "@" in place[_END.search(place).start() :]:  # type: ignore[union-attr]
        raise InvalidInputError(
            f"The proxy '{shown_proxy(proxy)}' cannot be used: its name or password has a '/', '?' "
            "or '#' that is not escaped.",
            "Write them as %2F, %3F and %23 in http_proxy, https_proxy and all_proxy.",
        )


def proxy_arguments(url: str) -> dict[str, Any]:
    """What a request of aiohttp is told of its proxy.

    Raises:
        InvalidInputError: the proxy that is set is none that can be used, or has a name or password
            that is not escaped.
    """
    proxy = proxy_of(url)
    if proxy is None:
        return {}
    _check_escaped(proxy)
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in _KINDS and parts.hostname and parts.port is not False
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInputError(
            f"The proxy '{shown_proxy(proxy)}' cannot be used: web remotes go through those whose "
            "URL begins with http:// or https://.",
            "Set http_proxy and https_proxy to such a one, or name the host in no_proxy.",
        )
    return {"proxy": proxy}
