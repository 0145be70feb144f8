"""Errors of client libraries, built by hand in the shapes that these libraries give them."""

from __future__ import annotations

import errno
import ssl

import pytest

from datasets_vc.backends.failures import (
    ReadOnlyError,
    UnableError,
    is_beyond_end,
    is_conflict,
    is_denied,
    opening_error,
    remote_error,
)
from datasets_vc.errors import InvalidInputError, NotFoundError, RemoteError

URL = "s3://bucket/store"


class BotoError(Exception):
    """Has the shape of botocore's ClientError."""

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(f"An error occurred ({code}): it says so")
        self.response = {
            "Error": {"Code": code or str(status)},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }


class StatusError(Exception):
    """Has the shape of aiohttp's and Azure's errors."""

    def __init__(self, **attributes: int | str) -> None:
        super().__init__("the server said no.\nMore lines follow.")
        self.__dict__.update(attributes)


class EndpointConnectionError(Exception):
    """Has the shape of botocore's: the cause is an argument."""

    def __init__(self, error: Exception) -> None:
        super().__init__("Could not connect to the endpoint URL")
        self.kwargs = {"error": error}


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def named(name: str) -> Exception:
    error: Exception = type(name, (Exception,), {})("it says so")
    return error


@pytest.mark.parametrize(
    "error",
    [
        caused(OSError(errno.EIO, "x"), BotoError(500, "InternalError")),
        caused(OSError(errno.EBUSY, "x"), BotoError(503, "SlowDown")),
        StatusError(status=502),
        StatusError(status_code=504),
        StatusError(code=429),
        StatusError(code="408"),
        TimeoutError(),
        named("ReadTimeoutError"),
        named("ConnectionClosedError"),
        named("ClientPayloadError"),
        named("ServiceResponseError"),
        named("ConnectionLost"),
        named("SFTPConnectionLost"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        BrokenPipeError(errno.EPIPE, "broken"),
        EndpointConnectionError(ConnectionResetError(errno.ECONNRESET, "reset")),
    ],
    ids=repr,
)
def test_passing_failures(error: Exception) -> None:
    ours = remote_error(error, URL)
    assert isinstance(ours, RemoteError)
    assert ours.transient
    assert URL in ours.message
    assert ours.message.endswith(".")
    assert "\n" not in ours.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EndpointConnectionError(ConnectionRefusedError(errno.ECONNREFUSED, "x")), "be reached"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "be reached"),
        (named("gaierror"), "be reached"),
        (named("NoCredentialsError"), "credentials"),
        (PermissionError("Forbidden"), "refuses access"),
        (caused(PermissionError("x"), BotoError(403, "AccessDenied")), "refuses access"),
        (StatusError(status=401), "refuses access"),
        (caused(OSError("x"), BotoError(400, "InvalidToken")), "refuses access"),
        (caused(FileNotFoundError("x"), BotoError(404, "NoSuchBucket")), "bucket .* not exist"),
        (StatusError(status_code=404, error_code="ContainerNotFound"), "container .* not exist"),
        (named("DefaultCredentialsError"), "none were found"),
        (named("ClientAuthenticationError"), "none were found"),
        (named("RefreshError"), "refuses access"),
        (named("PermissionDenied"), "refuses access"),
        (named("SFTPPermissionDenied"), "refuses access"),
        (named("TransportError"), "be reached"),
        (named("ServiceRequestError"), "be reached"),
        (named("HostKeyNotVerifiable"), "does not know"),
        (named("SFTPOpUnsupported"), "cannot do"),
        (ReadOnlyError("no"), "can only be read"),
        (UnableError("no ranges"), "cannot do"),
        (NotImplementedError("no writes"), "cannot do"),
        (StatusError(status=501), "cannot do"),
        (named("SSLError"), "cannot be used: it says so"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
    ids=repr,
)
def test_lasting_failures(error: Exception, words: str) -> None:
    ours = remote_error(error, URL)
    assert isinstance(ours, RemoteError)
    assert not ours.transient
    with pytest.raises(RemoteError, match=words):
        raise ours


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("x"),
        IsADirectoryError("x"),
        caused(FileNotFoundError("x"), BotoError(404, "NoSuchKey")),
        StatusError(status=404),
    ],
    ids=repr,
)
def test_absent_objects(error: Exception) -> None:
    ours = remote_error(error, URL, "packs/a")
    assert isinstance(ours, NotFoundError)
    assert "s3://bucket/store/packs/a" in ours.message


def test_what_the_caller_handles_does_not_count() -> None:
    """An error raised while another is being handled has that one as its context."""
    try:
        try:
            raise BotoError(503, "SlowDown")
        except BotoError:
            raise OSError(errno.EIO, "something else")  # noqa: B904
    except OSError as error:
        ours = remote_error(error, URL)
    assert isinstance(ours, RemoteError)
    assert not ours.transient


def test_refused_conditions() -> None:
    assert is_conflict(FileExistsError("x"))
    assert is_conflict(caused(OSError(errno.EINVAL, "x"), BotoError(412, "PreconditionFailed")))
    assert is_conflict(caused(OSError("x"), BotoError(409, "ConditionalRequestConflict")))
    assert not is_conflict(caused(OSError("x"), BotoError(409, "OperationAborted")))
    assert not is_conflict(caused(OSError("x"), BotoError(503)))


def test_refused_ranges() -> None:
    assert is_beyond_end(caused(OSError("x"), BotoError(416, "InvalidRange")))
    assert not is_beyond_end(caused(OSError("x"), BotoError(400)))


def test_denied_is_an_answer_and_refused_is_none() -> None:
    assert is_denied(caused(PermissionError("x"), BotoError(403, "AccessDenied")))
    assert not is_denied(ConnectionRefusedError("x"))


def test_passwords_are_not_shown() -> None:
    ours = remote_error(OSError("sftp://me:secret@host/x failed"), "sftp://me:secret@host/x")
    assert "secret" not in ours.message
    assert "me:***@host" in ours.message


@pytest.mark.parametrize(
    ("error", "words"),
    [(ImportError("Install gcsfs to use it"), "Install gcsfs"), (ValueError("bad port"), "bad")],
    ids=repr,
)
def test_clients_that_cannot_be_made(error: Exception, words: str) -> None:
    ours = opening_error(error, "gs://bucket")
    assert isinstance(ours, InvalidInputError)
    assert words in ours.message


@pytest.mark.parametrize(
    "error",
    [
        BotoError(403, "RequestTimeTooSkewed"),
        caused(
            named("ClientConnectorError"),
            ssl.SSLError(1, "certificate verify failed: certificate is not yet valid"),
        ),
        Exception(
            "Token used too early, 1 < 2. Check that your computer's clock is set correctly."
        ),
    ],
)
def test_a_wrong_clock_is_named_as_such(error: Exception) -> None:
    found = remote_error(error, URL)

    assert isinstance(found, RemoteError)
    assert not found.transient
    assert "the clock of this machine is wrong, it says 20" in found.message
