"""What the many client libraries of remotes raise, turned into our errors.

Each of them has exceptions of its own (botocore, aiohttp, gcsfs, azure, paramiko). They are told
apart by HTTP status, error number and class name, so that none of these libraries is imported here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from datasets_vc.addresses import without_secrets
from datasets_vc.errors import DatasetError, InvalidInputError, NotFoundError, RemoteError

_BROKEN = frozenset({errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT})
_TIMEOUTS = frozenset({"TimeoutError", "ConnectTimeoutError", "ReadTimeoutError", "FSTimeoutError"})
_CUT_SHORT = frozenset(
    {
        "ConnectionClosedError",
        "ServerDisconnectedError",
        "ClientPayloadError",
        "ResponseStreamingError",
        "IncompleteReadError",
        "IncompleteRead",
        "ResponseParserError",
        "ServiceResponseError",
        # SSH: the connection, or one channel of it.
        "ConnectionLost",
        "SFTPConnectionLost",
        "SFTPNoConnection",
        "ChannelOpenError",
    }
)
_NO_CREDENTIALS = frozenset(
    {
        "CredentialUnavailableError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "ProfileNotFound",
        "DefaultCredentialsError",
    }
)
_NO_CONNECTION = frozenset(
    {
        "EndpointConnectionError",
        "ClientConnectorError",
        "ServiceRequestError",
        "TransportError",
        "gaierror",
    }
)
_DENIED = frozenset(
    {"PermissionDenied", "RefreshError", "SFTPPermissionDenied", "SFTPWriteProtect"}
)
# Azure's word for both: a server that refuses, and nothing to show to one.
_NOT_LET_IN = frozenset({"ClientAuthenticationError"})
_ABSENT = frozenset({"SFTPNoSuchFile", "SFTPNoSuchPath"})
_UNABLE = frozenset({"SFTPOpUnsupported"})
# aiohttp's, of an answer that is no HTTP.
_GARBLED = frozenset({"HttpProcessingError"})
# Of our reading, or a client library's, of what an answer says.
_NOT_UNDERSTOOD = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError)
_LONGEST_REASON = 300
_STRANGERS = frozenset({"HostKeyNotVerifiable"})
# botocore's, before anything is sent: no bucket and no endpoint can be called so.
_MALFORMED = frozenset({"ParamValidationError", "InvalidEndpointDiscoveryConfigurationError"})
_WRONG_ADDRESS = "Check the address: its kind, the name of the place, and the folder in it."
_NO_BUCKET = {"NoSuchBucket": "bucket", "ContainerNotFound": "container"}
_DENIED_CODES = frozenset(
    {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
)
_CLOCK_CODES = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
_CLOCK_WORDS = (
    "certificate is not yet valid",
    "Token used too early",
    "Request date header too old",
    "system time is set correctly",
)
_CONFLICT_CODES = frozenset(
    {"PreconditionFailed", "ConditionalRequestConflict", "BlobAlreadyExists"}
)


class ReadOnlyError(OSError):
    """A write to where nobody can write."""


class UnableError(OSError):
    """The server, or the client library, lacks what was asked of it."""


def remote_error(
    error: Exception, url: str, name: str = "", *, writing: bool = False
) -> DatasetError:
    """The error of ours that says what `error` means.

    Args:
        error: what the client library raised.
        url: the remote.
        name: the object of it that was asked for.
        writing: it was to be written, so that it cannot be missing.
    """
    shown = without_secrets(url)
    code = code_of(error)
    status = status_of(error)
    if code in _NO_BUCKET:
        return RemoteError(
            f"The {_NO_BUCKET[code]} of '{shown}' does not exist.", "Make it, or check the URL."
        )
    if _is_any(error, _MALFORMED):
        return InvalidInputError(
            f"'{shown}' cannot be a remote: {_reason(error).partition(': Bucket name')[0]}.",
            _WRONG_ADDRESS,
        )
    if isinstance(error, ReadOnlyError):
        return RemoteError(f"'{shown}' can only be read.", "Push to a remote of another kind.")
    if is_absent(error):
        if not writing:
            return NotFoundError(f"There is no '{shown}/{name}'.")
        return RemoteError(
            f"'{shown}' takes no objects: {_reason(error)}.", "Some remotes can only be read."
        )
    if _is_any(error, _STRANGERS):
        return RemoteError(
            f"'{shown}' is a machine that '~/.ssh/known_hosts' does not know.",
            "Log in there once with 'ssh', and check its fingerprint.",
        )
    if _is_any(error, _NO_CREDENTIALS) or (_is_any(error, _NOT_LET_IN) and not status):
        return RemoteError(
            f"'{shown}' needs credentials, and none were found.",
            "Set them up as for the remote's own command line tool.",
        )
    if is_clock(error):
        return RemoteError(
            f"'{shown}' refuses access: the clock of this machine is wrong, it says "
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC ({_reason(error)}).",
            "Set it right, then try again.",
        )
    if is_denied(error):
        return RemoteError(
            f"'{shown}' refuses access: {_reason(error)}.",
            "Check the credentials, and that they may read, write and list there.",
        )
    if is_unable(error):
        return RemoteError(
            f"'{shown}' cannot do what was asked of it: {_reason(error)}.",
            "Some remotes cannot be written, or not be read in parts.",
        )
    if status in (408, 429) or 500 <= status < 600:
        return RemoteError(f"'{shown}' failed: {_reason(error)}.", "Try again.", transient=True)
    if _is_any(error, _TIMEOUTS):
        return RemoteError(f"'{shown}' did not answer in time.", "Try again.", transient=True)
    if _is_cut_short(error):
        return RemoteError(f"The connection to '{shown}' broke.", "Try again.", transient=True)
    if _is_any(error, _NO_CONNECTION) or isinstance(error, ConnectionError):
        return RemoteError(
            f"'{shown}' cannot be reached: {_reason(error)}.",
            "Check the URL, the endpoint and the network.",
        )
    if _is_any(error, _GARBLED) or isinstance(error, _NOT_UNDERSTOOD):
        return RemoteError(
            f"'{shown}' answers with what cannot be understood: {_reason(error)}.",
            "Check the URL: another server, or a proxy, may be what answers.",
        )
    return RemoteError(
        f"'{shown}' cannot be used: {_reason(error)}.",
        "Check the URL, and that it is the server that it should be.",
    )


def opening_error(error: Exception, url: str, extra: str = "") -> DatasetError:
    """The error of ours for a remote whose client cannot even be made.

    Args:
        error: what was raised.
        url: the remote.
        extra: the extra of this package that brings the client, if one does.
    """
    shown = without_secrets(url)
    if isinstance(error, ImportError):
        hint = f"Install it: pip install 'datasets-vc[{extra}]'" if extra else ""
        return InvalidInputError(
            f"'{shown}' needs a package that is not installed: {_reason(error)}.", hint
        )
    if isinstance(error, ValueError):
        return InvalidInputError(f"'{shown}' cannot be a remote: {_reason(error)}.", _WRONG_ADDRESS)
    if isinstance(error, (TypeError, AttributeError, LookupError, AssertionError)):
        return InvalidInputError(
            f"'{shown}' cannot be a remote: its client library needs more than an address "
            f"({_reason(error)}).",
            _WRONG_ADDRESS,
        )
    return remote_error(error, url)


def is_denied(error: BaseException) -> bool:
    """Whether the remote answered, and refused."""
    return any(
        isinstance(link, PermissionError) or _status(link) in (401, 403) for link in _chain(error)
    ) or (code_of(error) in _DENIED_CODES or _is_any(error, _DENIED))


def is_clock(error: BaseException) -> bool:
    """Whether the remote was refused, or refuses, for the time that this machine thinks it is.

    A certificate that is not valid yet is as a rule one from the future of a clock that is behind.
    """
    told = any(word in str(link) for link in _chain(error) for word in _CLOCK_WORDS)
    return told or code_of(error) in _CLOCK_CODES


def is_unable(error: BaseException) -> bool:
    """Whether the remote, or its client library, does not know how to do what was asked."""
    # fsspec raises NotImplementedError for what one of its file systems lacks.
    told = isinstance(error, (UnableError, NotImplementedError))
    return told or status_of(error) == 501 or _is_any(error, _UNABLE)


def is_absent(error: BaseException) -> bool:
    """Whether the remote answered that it has no such object."""
    if isinstance(error, (FileNotFoundError, IsADirectoryError, NotADirectoryError)):
        return True
    return status_of(error) in (404, 410) or _is_any(error, _ABSENT)


def is_conflict(error: BaseException) -> bool:
    """Whether a conditional write was refused because its condition did not hold."""
    return (
        isinstance(error, FileExistsError)
        or code_of(error) in _CONFLICT_CODES
        or status_of(error) == 412
    )


def is_beyond_end(error: BaseException) -> bool:
    """Whether a range was refused because the object ends before it."""
    return code_of(error) == "InvalidRange" or status_of(error) == 416


def status_of(error: BaseException) -> int:
    """The HTTP status in `error` or in what caused it; 0 if there is none."""
    return next((status for link in _chain(error) if (status := _status(link))), 0)


def code_of(error: BaseException) -> str:
    """The word that an S3, Azure or Google server gave for an error; empty if there is none."""
    for link in _chain(error):
        if code := getattr(link, "error_code", ""):
            return str(getattr(code, "value", code))
        response = getattr(link, "response", None)
        if isinstance(response, Mapping) and "Error" in response:
            return str(response["Error"].get("Code", ""))
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error` and its causes; not its context, which the caller may be handling just now."""
    link: object = error
    while isinstance(link, BaseException):
        yield link
        link = link.__cause__ or getattr(link, "kwargs", {}).get("error")  # botocore's way


def _status(link: BaseException) -> int:
    response = getattr(link, "response", None)
    if isinstance(response, Mapping):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return int(found) or _number(response.get("Error", {}).get("Code"))
    for attribute in ("status", "status_code", "code"):
        if status := _number(getattr(link, attribute, None)):
            return status
    return 0


def _number(value: object) -> int:
    """`value` if it is an HTTP status that tells of an error, else 0."""
    if isinstance(value, str) and len(value) == 3 and value.isdecimal():
        value = int(value)
    return value if isinstance(value, int) and 300 <= value < 600 else 0


def _is_any(error: BaseException, names: frozenset[str]) -> bool:
    return any(kind.__name__ in names for link in _chain(error) for kind in type(link).__mro__)


def _is_cut_short(error: BaseException) -> bool:
    broken = any(getattr(link, "errno", None) in _BROKEN for link in _chain(error))
    return broken or _is_any(error, _CUT_SHORT)


def _reason(error: BaseException) -> str:
    # What it quotes is the server's, and may be any bytes.
    garbled = next((link for link in _chain(error) if _is_any(link, _GARBLED)), None)
    said = str(getattr(garbled, "message", "") or error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = lines[:1] if garbled else lines
    if not lines:
        return type(error).__name__
    # What only announces the next line says nothing by itself.
    said = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    told = without_secrets(said)
    if len(told) > _LONGEST_REASON:
        return f"{told[:_LONGEST_REASON]}..."
    return told.rstrip(".:")
