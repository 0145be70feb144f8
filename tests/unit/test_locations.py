"""An address is a folder or a remote; what might be either is refused, with what was meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datasets_vc.errors import InvalidInputError
from datasets_vc.locations import (
    SCHEMES,
    Folder,
    Url,
    absolute_address,
    parse_address,
    relative_address,
)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("signs", "signs"),
        ("data/signs", "data/signs"),
        ("data/a:b", "data/a:b"),
        ("./a:b", "./a:b"),
        ("./s3://bucket", "./s3://bucket"),
        ("./~", "./~"),
        ("./C:\\x", "./C:\\x"),
        ("..", ".."),
        ("../a:b", "../a:b"),
        ("/mnt/disk/signs", "/mnt/disk/signs"),
        ("/a/b@c:d", "/a/b@c:d"),
        ("/a\nb", "/a\nb"),
        ("s3", "s3"),
        ("s3/x", "s3/x"),
        ("a b", "a b"),
        ("data//signs", "data//signs"),
        ("file:///mnt/a%20b", "/mnt/a b"),
        ("file://localhost/mnt/%C3%A4%25", "/mnt/ä%"),
        ("file:///C:/x", "/C:/x"),
    ],
)
def test_folders(text: str, path: str) -> None:
    assert parse_address(text, windows=False) == Folder(path)


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket",
        "s3://bucket/a b",
        "gs://bucket/x",
        "sftp://me@host:2222/~/x",
        "https://[::1]:8080/x",
        "abfs://box@account.dfs.core.windows.net/x",
        "memory://x",
        "webdav://host/x",
    ],
)
def test_remotes(text: str) -> None:
    assert parse_address(text) == Url(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("s3:/bucket/signs", "s3://bucket/signs"),
        ("s3:bucket/signs", "s3://bucket/signs"),
        ("s3:\\\\bucket\\signs", "s3://bucket/signs"),
        ("s3:///bucket/signs", "s3://bucket/signs"),
        ("s3//bucket/signs", "s3://bucket/signs"),
        ("s3;//bucket/signs", "s3://bucket/signs"),
        ("s3\uff1a//bucket/signs", "s3://bucket/signs"),
        ("s3 ://bucket", "s3://bucket"),
        ("S3://bucket", "s3://bucket"),
        ("S3:/bucket", "s3://bucket"),
        (" s3://bucket", "s3://bucket"),
        ("s3://bucket\t", "s3://bucket"),
        ("'s3://bucket/x'", "s3://bucket/x"),
        ("url=s3://bucket/x", "s3://bucket/x"),
        ("simplecache::s3://bucket/x", "s3://bucket/x"),
        ("data/s3://bucket/x", "s3://bucket/x"),
        ("gs:/bucket", "gs://bucket"),
        ("az:box/x", "az://box/x"),
        ("https:/host/x", "https://host/x"),
        ("htps:/host/x", "https://host/x"),
        ("https//host/x", "https://host/x"),
        ("Http:host", "http://host"),
        ("sftp:host/x", "sftp://host/x"),
        ("ssh:/host/x", "ssh://host/x"),
        ("ftp:/host/x", "ftp://host/x"),
        ("file:/mnt/x", "file:///mnt/x"),
        ("FILE:///mnt/x", "file:///mnt/x"),
        ("file://mnt/x", "file:///mnt/x"),
        ("local:///mnt/x", "file:///mnt/x"),
        ("user@host:/srv/signs", "sftp://user@host/srv/signs"),
        ("host:/srv/signs", "sftp://host/srv/signs"),
        ("host:signs", "sftp://host/~/signs"),
        ("host:~/signs", "sftp://host/~/signs"),
        ("[::1]:/srv", "sftp://[::1]/srv"),
        ("host:2222/srv", "sftp://host:2222/srv"),
        ("git@example.org:team/signs", "sftp://git@example.org/~/team/signs"),
        ("C:\\data\\signs", "/mnt/c/data/signs"),
        ("c:/data", "/mnt/c/data"),
        ("data\\signs", "data/signs"),
    ],
)
def test_what_was_meant_is_told(text: str, meant: str) -> None:
    with pytest.raises(InvalidInputError, match="not the address of a store") as caught:
        parse_address(text, windows=False)
    said = caught.value.hint
    assert re.search(rf"(?:Perhaps|or) {re.escape(meant)} was meant", said), said


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\n", "a\nb", "/a\0b", "a\rb", "/a\udcff"),
        *(".", "./", "./.", "/", "//", "/./", "file:///", "file://", "file:"),
        *("~", "~/signs", "~ada/signs", "$HOME/signs", "${DATA}/x", "%USERPROFILE%\\x"),
        *("s3:", "s3://", "s3:///", "://bucket", ":x", "host:", "sftp://", "rclone:r:p"),
        *("file:///a?b", "file:///a#b", "file:///%zz", "file:///a%2Fb", "file:///%ff"),
        *("x" * 4097, "a" + "-" * 60_000, "/" + ":@" * 60_000),
        *("\\\\server\\share", "data/x://y"),
    ],
)
def test_what_means_nothing(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_address(text, windows=False)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "me:s3cr3t@host:/x",
        "s3:/KEY:s3cr3t@bucket/x",
        "s3:/KEY:a/s3cr3t@bucket/x",
        "S3://KEY:s3cr3t@bucket/x",
        "https:/me:s3cr3t@host/x",
        "https//host/x?token=s3cr3t",
        "file://me:s3cr3t@host/x",
        " https://s3cr3t@host/x",
    ],
)
def test_a_secret_in_what_is_no_address_is_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_address(text)
    assert "s3cr3t" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("C:\\data", "C:\\data"),
        ("C:/data", "C:/data"),
        ("c://data", "c://data"),
        ("data\\signs", "data\\signs"),
        (".\\a", ".\\a"),
        ("..\\a", "..\\a"),
        ("\\\\server\\share", "\\\\server\\share"),
        ("file:///C:/a%20b", "C:/a b"),
    ],
)
def test_folders_of_windows(text: str, path: str) -> None:
    assert parse_address(text, windows=True) == Folder(path)


@pytest.mark.parametrize("text", ["C:data", "C:\\", "\\", ".\\", "host:/x", "s3:/b"])
def test_what_means_nothing_on_windows_either(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_address(text, windows=True)


_PIECES = st.sampled_from(
    [
        *SCHEMES,
        "S3",
        "x",
        "ä",
        " ",
        ":",
        "::",
        "/",
        "//",
        "\\",
        "@",
        "~",
        "$",
        ".",
        "..",
        "%20",
        "?",
    ]
)
_TEXTS = st.lists(_PIECES, max_size=7).map("".join) | st.text(max_size=12)


@given(_TEXTS, st.booleans())
@example("a://b", False)
@example("c:\\x", True)
def test_no_address_is_both(text: str, windows: bool) -> None:
    try:
        found = parse_address(text, windows=windows)
    except InvalidInputError:
        return
    if isinstance(found, Url):
        assert found.text == text
        assert re.match("[a-z][a-z0-9+.-]+://.", text, re.DOTALL)
        assert not text.startswith(("file:", "local:"))
        return
    assert found.path
    if text.startswith(("/", "./", "../", "file://")) or text == ".." or windows:
        return
    # What is no path by its beginning has nothing in it that a URL, a machine or a shell has.
    assert found.path == text == text.strip()
    assert "://" not in text
    assert ":" not in text.partition("/")[0]
    assert not text.startswith("~")


@given(_TEXTS)
def test_a_folder_of_any_name_can_be_said(name: str) -> None:
    path = relative_address(name)
    try:
        found = parse_address(path)
    except InvalidInputError:
        assert any(each in name for each in "\n\r\0") or not Path(f"./{name}").parts
        return
    assert found in (Folder(name), Folder(f"./{name}"))


@given(_TEXTS)
def test_an_absolute_address_means_the_same_again(text: str) -> None:
    try:
        whole = absolute_address(text, Path("/base"))
    except InvalidInputError:
        return
    assert absolute_address(whole, Path("/other")) == whole
    assert type(parse_address(whole)) is type(parse_address(text))
