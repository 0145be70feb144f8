"""What a web server says in its headers may be anything: it gets one short sentence of ours."""

from __future__ import annotations

import http.server
from collections.abc import Callable

import pytest

from datasets_vc.backends import FsspecBackend
from datasets_vc.errors import DatasetError
from tests.backends.test_remote import server

DIGITS = "9" * 5_000
RAW = ("codec", "C int", "integer is greater", "999999999", "Error", "Traceback")


def answering(status: int, body: bytes = b"{}", **headers: str) -> Callable[..., None]:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
        request.close_connection = True

    return answer


@pytest.mark.parametrize(
    "when",
    [
        "Mon, 01 Jan 2001 00:00:00 +99999999999999999999",
        "Mon, 01 Jan 9999999 00:00:00 GMT",
        f"Mon, 01 Jan {DIGITS[:4000]} 00:00:00 GMT",
        "yesterday",
        "",
    ],
)
def test_a_time_that_is_none_costs_nothing(when: str) -> None:
    with server(answering(200, Last_Modified=when)) as endpoint:
        found = FsspecBackend(f"{endpoint}/store").stat("runs/a")
    assert (found.size, found.modified) == (2, 0.0)


@pytest.mark.parametrize(
    "answer",
    [
        answering(206, Content_Range=f"bytes {DIGITS}-"),
        answering(206, Content_Range="bytes \u00b2-"),
        answering(302, Location="http://a..b/"),
        answering(302, Location=f"http://{'a' * 64}.example/"),
        answering(200, Content_Length=DIGITS),
        answering(200, Content_Length="-1"),
        answering(200, b"9" * 4_000 + b"\r\n{}", Transfer_Encoding="chunked", Content_Length=""),
        answering(200, b"2;\r\n{}", Content_Length="x"),
    ],
    ids=["range", "digit", "redirect", "label", "length", "negative", "chunk", "word"],
)
@pytest.mark.parametrize("act", ["get", "stat"])
def test_what_cannot_be_understood_is_told_briefly(answer: Callable[..., None], act: str) -> None:
    with server(answer) as endpoint:
        backend = FsspecBackend(f"{endpoint}/store")
        error = told(lambda: backend.get("packs/a", 3, 9) if act == "get" else backend.stat("a"))
    if error is None:
        assert act == "stat"
        return
    assert error.hint
    assert len(error.message) < 500
    assert not [word for word in RAW if word in error.message], error.message


def told(act: Callable[[], object]) -> DatasetError | None:
    try:
        act()
    except DatasetError as error:
        return error
    return None
