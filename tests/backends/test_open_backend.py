from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc.backends import (
    FsspecBackend,
    LocalBackend,
    RetryingBackend,
    is_remote,
    kinds,
    open_backend,
    probe,
)
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.locations import SCHEMES


def test_a_folder_by_path_and_by_url(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    for url in (str(folder), folder.as_uri()):
        backend = open_backend(url)
        assert isinstance(backend, LocalBackend)
        assert backend.folder == folder.resolve()


def test_the_url_of_a_folder_opens_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = open_backend("store", create=True)
    monkeypatch.chdir("/")
    assert open_backend(backend.url).url == backend.url


def test_a_missing_folder_is_made_only_on_request(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with pytest.raises(NotFoundError, match="no folder") as caught:
        open_backend(str(folder))
    assert caught.value.hint
    assert not folder.parent.exists()
    with pytest.raises(NotFoundError, match="in which 'b' could be made") as caught:
        open_backend(str(folder), create=True)
    assert "mounted" in caught.value.hint
    assert not folder.parent.exists()
    folder.parent.mkdir()
    open_backend(str(folder), create=True)
    assert folder.is_dir()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InvalidInputError, match="is not a folder"):
        open_backend(str(file), create=True)


def test_a_remote_is_retried_and_not_contacted() -> None:
    backend = open_backend(
        "s3://no-such-bucket/prefix/", options={"endpoint_url": "http://[::1]:1"}
    )
    assert isinstance(backend, RetryingBackend)
    assert isinstance(backend.inner, FsspecBackend)
    assert backend.url == "s3://no-such-bucket/prefix"


def test_an_unknown_scheme_names_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="unknown kind") as caught:
        open_backend("ssh+magic://host/x")
    assert "s3" in caught.value.hint


@pytest.mark.parametrize("url", ["s3://", "s3:///", "simplecache::s3://bucket/x"])
def test_urls_that_name_no_place(url: str) -> None:
    with pytest.raises(InvalidInputError):
        open_backend(url)


@pytest.mark.parametrize("scheme", ["memory", "data", "dir", "reference", "cached", "zip", "dask"])
def test_what_is_no_place_that_lasts(scheme: str) -> None:
    with pytest.raises(InvalidInputError, match="is not the address of a store") as caught:
        open_backend(f"{scheme}://x", create=True)
    assert "s3://bucket" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://b%20c", "Invalid bucket name"),
        ("s3://é/x", "Invalid bucket name"),
        ("github://x", "needs more than an address"),
        ("jupyter://x", "needs more than an address"),
    ],
)
def test_an_address_that_the_client_library_refuses(url: str, words: str) -> None:
    for act in (probe, lambda backend: backend.get("x"), lambda backend: backend.put("x", b"")):
        with pytest.raises(InvalidInputError, match=words) as caught:
            act(open_backend(url))
        assert caught.value.hint
        assert not caught.value.message.endswith(":.")


def test_no_hint_names_what_does_not_last() -> None:
    with pytest.raises(InvalidInputError) as caught:
        open_backend("memori://x")
    assert "memory" not in caught.value.hint


def test_a_folder_of_another_machine() -> None:
    with pytest.raises(InvalidInputError, match="another machine"):
        open_backend("file://server/share")


def test_what_is_a_remote() -> None:
    assert not is_remote("data")
    assert not is_remote("file:///data")
    assert is_remote("s3://bucket")


@pytest.mark.parametrize(
    ("scheme", "meant"), [("s4", "s3"), ("htps", "https"), ("scp", "sftp"), ("sfpt", "sftp")]
)
def test_an_unknown_scheme_that_resembles_one(scheme: str, meant: str) -> None:
    with pytest.raises(InvalidInputError, match="unknown kind") as caught:
        open_backend(f"{scheme}://host/x", create=True)
    assert f"{meant}://" in caught.value.hint


def test_what_looks_like_a_scheme_is_what_can_be_reached() -> None:
    assert frozenset(SCHEMES) == kinds.SCHEMES
