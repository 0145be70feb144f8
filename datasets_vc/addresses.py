"""Addresses of stores: what may be written down of them, what may be shown, how to get there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from datasets_vc.errors import InvalidInputError

_WEB = frozenset({"http", "https"})
_END = r"[^\s'\"<>]"
# A secret key may have slashes in it, so that a password reaches up to the last "@".
_PASSWORD = re.compile(rf"(://[^/@:\s'\"]*):(?!\d+(?:/|\?|$)){_END}*@")
_WEB_USER = re.compile(r"(https?://)[^/@\s'\"]+@")
_QUERY = re.compile(rf"(://[^?\s'\"<>]*)\?{_END}+")
_PORT = re.compile(r"\d{0,5}")


@dataclass(frozen=True, slots=True)
class Access:
    """How to get to a remote, where its URL does not say it. None of it is a secret.

    Args:
        endpoint: the URL of the server, where it is not the cloud's own.
        region: of the cloud.
        profile: which of the credentials that the cloud's own tools keep on this machine.
        anonymous: ask without credentials, as everybody may at a public remote.
    """

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False


PLAIN = Access()
"""Nothing besides the URL and what the environment of the SDKs says."""


def check_url(url: str) -> str:
    """Return `url` if it may be written down.

    Raises:
        InvalidInputError: it is empty, malformed, or carries a password or a signature.
    """
    if not url.strip() or "\n" in url:
        raise InvalidInputError(f"{without_secrets(url)!a} is not a URL or path of a store.")
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInputError(f"{without_secrets(url)!a} is not a URL: {error}.") from error
    if _has_password(url):
        raise _carries(url, "a password")
    if parts.query and parts.scheme != "file":
        raise _carries(url, "a query, as signatures and tokens are written")
    return url


def check_access(access: Access) -> Access:
    """Return `access` if it may be written down.

    Raises:
        InvalidInputError: the endpoint is no URL of a web server, or carries a secret; the region
            or the profile is empty.
    """
    endpoint = access.endpoint
    if endpoint is not None:
        check_url(endpoint)
        if not endpoint.startswith(("http://", "https://")):
            raise InvalidInputError(
                f"{without_secrets(endpoint)!a} is not an endpoint.",
                "Give the URL of the server: https://HOST or https://HOST:PORT",
            )
    for word in ("region", "profile"):
        if getattr(access, word) is not None and not getattr(access, word).strip():
            raise InvalidInputError(f"The {word} of a remote cannot be empty.", "Leave it out.")
    return access


def without_secrets(text: str) -> str:
    """`text` as it may be shown: URLs in it have no password and no query."""
    text = _PASSWORD.sub(r"\1:***@", text)
    text = _WEB_USER.sub(r"\1***@", text)
    return _QUERY.sub(r"\1?***", text)


def _has_password(url: str) -> bool:
    """A user's name alone is no secret, and abfs:// has its container there; a web token is one."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    if ":" in user or (at and parts.scheme in _WEB):
        return True
    # What looks like a port is the beginning of a password that has a slash in it.
    host = parts.netloc.rpartition("@")[2]
    port = "" if host.endswith("]") else host.partition(":")[2] if host[:1] != "[" else ""
    return not _PORT.fullmatch(port)


def _carries(url: str, what: str) -> InvalidInputError:
    # Not the URL itself: messages end up in logs.
    return InvalidInputError(
        f"The URL '{without_secrets(url)}' carries {what}, which does not belong into a file.",
        "Leave it out: the storage's own SDK finds credentials (environment, profile, role).",
    )
