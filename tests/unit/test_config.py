from __future__ import annotations

from pathlib import Path

import pytest

from datasets_vc import config
from datasets_vc.addresses import Access
from datasets_vc.config import Config, Head, RemoteConfig
from datasets_vc.digest import digest_of
from datasets_vc.errors import (
    AlreadyExistsError,
    IntegrityError,
    InvalidInputError,
    NotARepositoryError,
    NotFoundError,
)

OTHER = digest_of(b"other")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".dsvc").mkdir()
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / ".dsvc" / "config.toml").write_text(text)


def test_finds_the_nearest_workspace_upwards(folder: Path) -> None:
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    assert config.find_workspace(inner) == folder
    (folder / "a" / ".dsvc").mkdir()
    assert config.find_workspace(inner) == folder / "a"


def test_a_start_that_does_not_exist_still_finds_what_is_above(folder: Path) -> None:
    assert config.find_workspace(folder / "none" / "such") == folder


def test_a_file_called_like_the_folder_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / ".dsvc").write_text("")
    with pytest.raises(NotARepositoryError) as caught:
        config.find_workspace(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "dsvc init" in caught.value.hint


def test_without_a_file_everything_is_default(folder: Path) -> None:
    assert config.read_config(folder) == Config()
    assert config.store_location(folder) == str(folder / ".dsvc" / "store")


def test_reads_what_is_there_and_leaves_what_it_does_not_know(folder: Path) -> None:
    write(
        folder,
        'store = "/data/s"\nauthor = "A <a@b>"\nfuture = 3\n'
        '[remote.origin]\nurl = "s3://b/x"\nsingle_writer = true\ncolour = "red"\n'
        '[remote.near]\nurl = "/mnt/n"\n',
    )
    assert config.read_config(folder) == Config(
        "/data/s",
        "A <a@b>",
        remotes={
            "origin": RemoteConfig("origin", "s3://b/x", True),
            "near": RemoteConfig("near", "/mnt/n", False),
        },
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("author = \n", "line 1"),
        ("author = 3\n", "'author' must be text"),
        ("remote = []\n", "'remote' must be a table"),
        ("remote.x = 1\n", "'remote.x' must be a table"),
        ("[remote.x]\n", "'remote.x.url'"),
        ("[remote.x]\nurl = 1\n", "'remote.x.url' must be text"),
        ("[remote.x]\nurl = '/a'\nsingle_writer = 1\n", "'remote.x.single_writer' must be true"),
        ("[remote.x]\nurl = '/a'\nregion = 1\n", "'remote.x.region' must be text"),
        ("[remote.x]\nurl = 's3://a'\nendpoint = 'minio:9000'\n", "not an endpoint"),
        ("[remote.x]\nurl = 's3://a'\nprofile = ' '\n", "profile of a remote cannot be empty"),
        ("[remote.'a/b']\nurl = '/a'\n", "'a/b'"),
        ("store = ''\n", "not a URL or path"),
    ],
)
def test_a_bad_file_is_named_with_its_key(folder: Path, text: str, words: str) -> None:
    write(folder, text)
    with pytest.raises(InvalidInputError) as caught:
        config.read_config(folder)
    assert words in caught.value.message
    assert "config.toml" in caught.value.message


def test_a_mark_that_an_editor_put_before_the_text_is_no_fault(folder: Path) -> None:
    write(folder, '\ufeffauthor = "Ada"\n')
    assert config.read_config(folder).author == "Ada"
    config.set_files(folder, False)
    assert config.read_config(folder) == Config(author="Ada", files=False)


def test_a_file_that_is_no_toml_is_named_with_the_place(folder: Path) -> None:
    write(folder, "author = Ada\n")
    with pytest.raises(InvalidInputError, match=r"line 1, column 10") as caught:
        config.read_config(folder)
    assert caught.value.hint == "Mend it."


def test_a_file_that_is_not_utf_8_is_refused(folder: Path) -> None:
    (folder / ".dsvc" / "config.toml").write_bytes(b"author = '\xff'\n")
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        config.read_config(folder)


def test_editing_keeps_comments_and_strange_keys(folder: Path) -> None:
    write(folder, '# mine\nauthor = "A"  # me\n\n[tool]\nx = 1\n')
    config.add_remote(folder, RemoteConfig("origin", "s3://b/x"))
    config.add_remote(folder, RemoteConfig("my.far-one", "gs://b/x", single_writer=True))
    config.set_author(folder, 'B "the" \\ <b@c>')
    config.set_store(folder, "/data/store")
    text = (folder / ".dsvc" / "config.toml").read_text()
    assert "# mine" in text
    assert "# me" in text
    assert "[tool]\nx = 1" in text
    assert config.read_config(folder) == Config(
        "/data/store",
        'B "the" \\ <b@c>',
        remotes={
            "origin": RemoteConfig("origin", "s3://b/x"),
            "my.far-one": RemoteConfig("my.far-one", "gs://b/x", True),
        },
    )


def test_a_workspace_can_be_without_files(folder: Path) -> None:
    config.set_files(folder, True)
    assert not (folder / ".dsvc" / "config.toml").exists()
    config.set_files(folder, False)
    config.add_remote(folder, RemoteConfig("origin", "/x"))
    assert not config.read_config(folder).files
    config.set_files(folder, True)
    assert config.read_config(folder).files
    assert list(config.read_config(folder).remotes) == ["origin"]


def test_a_remote_is_added_once_and_removed_once(folder: Path) -> None:
    remote = RemoteConfig("origin", "/mnt/x")
    config.add_remote(folder, remote)
    with pytest.raises(AlreadyExistsError, match="origin"):
        config.add_remote(folder, remote)
    config.remove_remote(folder, "origin")
    assert config.read_config(folder).remotes == {}
    with pytest.raises(NotFoundError, match="origin"):
        config.remove_remote(folder, "origin")


def test_an_invalid_file_is_not_rewritten(folder: Path) -> None:
    write(folder, "author = 3\n")
    with pytest.raises(InvalidInputError):
        config.add_remote(folder, RemoteConfig("origin", "/x"))
    assert (folder / ".dsvc" / "config.toml").read_text() == "author = 3\n"


@pytest.mark.parametrize("name", ["", "a/b", "-a", ".a", "a b", "ä", "a\n", "a.lock"])
def test_bad_names_of_remotes_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="name of a remote"):
        config.add_remote(folder, RemoteConfig(name, "/x"))


def test_a_password_in_a_url_is_refused_and_not_repeated(folder: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        config.add_remote(folder, RemoteConfig("origin", "s3://KEY:s3cret@bucket/x"))
    assert "s3cret" not in caught.value.message
    assert "bucket" in caught.value.message
    assert "SDK" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["abfs://box@account.dfs.core.windows.net/x", "/a/b@c:d", "sftp://me@host/x"]
)
def test_an_at_sign_is_no_password(folder: Path, url: str) -> None:
    config.add_remote(folder, RemoteConfig("origin", url))
    assert config.read_config(folder).remotes["origin"].url == url


def test_how_to_get_to_a_remote_is_kept_and_nothing_is_written_of_what_is_usual(
    folder: Path,
) -> None:
    access = Access("https://minio.example:9000", "eu-1", "lab", True)
    config.add_remote(folder, RemoteConfig("far", "s3://b/x", access=access))
    config.add_remote(folder, RemoteConfig("near", "s3://b/y"))
    text = (folder / ".dsvc" / "config.toml").read_text()
    assert config.read_config(folder).remotes["far"].access == access
    assert config.read_config(folder).remotes["near"].access == Access()
    assert text.count("endpoint") == text.count("anonymous") == 1


def test_an_endpoint_with_a_password_is_refused(folder: Path) -> None:
    remote = RemoteConfig("far", "s3://b/x", access=Access("https://me:s3cret@minio.example"))
    with pytest.raises(InvalidInputError, match="carries a password") as caught:
        config.add_remote(folder, remote)
    assert "s3cret" not in caught.value.message
    write(folder, '[remote.far]\nurl = "s3://b/x"\nendpoint = "https://me:s3cret@minio"\n')
    with pytest.raises(InvalidInputError, match="carries a password") as caught:
        config.read_config(folder)
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize(
    ("store", "place"),
    [("s3://b/x", "s3://b/x"), ("/data/s", "/data/s"), ("../near", "{folder}/../near")],
)
def test_a_store_may_lie_elsewhere(folder: Path, store: str, place: str) -> None:
    config.set_store(folder, store)
    assert config.store_location(folder) == place.format(folder=folder)


@pytest.mark.parametrize(
    "head",
    [
        Head("main", None),
        Head("a/b", None),
        Head(None, digest_of(b"")),
        Head("main", digest_of(b"")),
    ],
)
def test_head_is_read_back(folder: Path, head: Head) -> None:
    config.write_head(folder, head)
    assert config.read_head(folder) == head


@pytest.mark.parametrize(
    "text", [None, "", "ref: ", "main", "ab" * 31, "AB" * 32, "ref: main\nab", "ab" * 32 + "\nx"]
)
def test_a_broken_head_is_named(folder: Path, text: str | None) -> None:
    if text is not None:
        (folder / ".dsvc" / "HEAD").write_text(text)
    with pytest.raises(InvalidInputError, match="HEAD"):
        config.read_head(folder)


def test_head_must_say_something(folder: Path) -> None:
    with pytest.raises(InvalidInputError):
        config.write_head(folder, Head(None, None))


@pytest.mark.parametrize("head", [Head("main", None), Head("team/a", OTHER), Head(None, OTHER)])
def test_a_flipped_bit_in_head_is_found(folder: Path, head: Head) -> None:
    config.write_head(folder, head)
    path = folder / ".dsvc" / "HEAD"
    sound = path.read_bytes()
    assert config.read_head(folder) == head
    for bit in range(8 * len(sound)):
        path.write_bytes(_flipped(sound, bit))
        with pytest.raises((IntegrityError, InvalidInputError)):
            config.read_head(folder)


def test_head_can_be_written_by_hand(folder: Path) -> None:
    path = folder / ".dsvc" / "HEAD"
    path.write_text(f"ref: main\n{OTHER.hex()}\n")
    assert config.read_head(folder) == Head("main", OTHER)


def _flipped(data: bytes, bit: int) -> bytes:
    byte, place = divmod(bit, 8)
    return data[:byte] + bytes([data[byte] ^ (1 << place)]) + data[byte + 1 :]
