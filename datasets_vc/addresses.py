"""Addresses of stores: what may be written down of them, what may be shown, how to get there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from datasets_vc.errors import InvalidInputError

_WEB = frozenset({"http", "https"})
_WORD = re.compile(r"[^\s'\"<>]+")
# What begins a query, a fragment, or parameters of a path; also as it is written inside of a URL.
_PARAMETERS = re.compile(r"[?#;]|%(?:25)*(?:3[fb]|23)", re.IGNORECASE)
_VALUE = re.compile(r"=|%(?:25)*3d", re.IGNORECASE)
_AT = re.compile(r".*(?:@|%40)", re.IGNORECASE | re.DOTALL)
# What looks like a port is the beginning of a password that has a slash in it, as secret keys do.
_PASSWORD = re.compile(r"([^/@:\[]*)(?::|%3a)(?!\d*(?:/|$))", re.IGNORECASE)
_NAMED = re.compile(
    r"((?:sig|signature|token|credential|password|passwd|secret|(?:account|access|api)_?key)"
    r"(?:=|%(?:25)*3d))[^\s'\"<>&;,)]+",
    re.IGNORECASE,
)
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
        urlsplit(url)
    except ValueError as error:
        raise InvalidInputError(f"{without_secrets(url)!a} is not a URL: {error}.") from error
    for said in _readings(url):
        if _has_password(said):
            raise _carries(url, "a password")
        what = _carried(said, whole=said == url)
        if what:
            raise _carries(url, f"{what}, as signatures and tokens are written")
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
    """`text` as it may be shown.

    URLs in it have no password, no query, and no other parameters; what is called a token, a
    signature, a key or the like has no value.
    """
    return _NAMED.sub(r"\1***", _WORD.sub(lambda word: _masked(word[0]), text))


def _masked(word: str) -> str:
    """A word without secrets, if it is a URL or ends with one."""
    before, separator, rest = word.partition("://")
    if not separator:
        return word
    web = before.lower().endswith(tuple(_WEB))
    found = _PARAMETERS.search(rest)
    place, tail = (rest[: found.start()], rest[found.start() :]) if found else (rest, "")
    if found and _is_secret(tail, web=web):
        tail = f"{found[0]}***"
    return f"{before}://{_without_password(place, web=web)}{tail}"


def _is_secret(tail: str, *, web: bool) -> bool:
    """Whether what follows a path may be one: a query, or anything that has values."""
    mark, more = tail[0], tail[1:]
    return bool(more) and (mark == "?" or (mark == "#" and web) or _VALUE.search(more) is not None)


def _without_password(place: str, *, web: bool) -> str:
    found = _PASSWORD.match(place)
    if found:
        at = _AT.match(place, found.end())
        end = at.end() if at else (place + "/").index("/", found.end())
        name = "" if web and at else f"{found[1]}:"
        return f"{name}***{'@' if at else ''}{place[end:]}"
    host, slash, path = place.partition("/")
    at = _AT.match(host) if web else None
    return f"***@{host[at.end() :]}{slash}{path}" if at else place


def _readings(url: str) -> list[str]:
    """A URL as it is, and as those may read it who decode what is written as %XX in it."""
    once = unquote(url)
    return list(dict.fromkeys((url, once, unquote(once))))


def _carried(url: str, *, whole: bool) -> str:
    """What a URL carries besides a place that may be a secret; empty if there is nothing.

    Args:
        whole: it is as it was written: a query is one, whatever is in it.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        return ""
    if parts.query and (whole or "=" in parts.query):
        return "a query"
    if parts.fragment and (parts.scheme in _WEB or "=" in parts.fragment):
        return "a fragment"
    return "parameters" if "=" in parts.path.partition(";")[2] else ""


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
