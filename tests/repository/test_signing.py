"""Signed versions of a repository: who made them, and what is not taken from others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from datasets_vc.digest import Digest, digest_of
from datasets_vc.errors import (
    CommandFailedError,
    DatasetError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    UnsavedChangesError,
    UntrustedError,
)
from datasets_vc.format.entries import FILE
from datasets_vc.format.json import canonical
from datasets_vc.history.commits import read_commit
from datasets_vc.history.tagobjects import read_tag
from datasets_vc.repository import Repository
from datasets_vc.signing import Signer, SigningSettings
from tests.integration.trees import AUTHOR, Tree, committed_tree, make_tree, tree_of
from tests.signing.keys import Key, Keys

TIME = datetime(2026, 11, 1, 12, tzinfo=UTC)


def files(**contents: str) -> Tree:
    return {name.replace("__", "/"): (FILE, text.encode()) for name, text in contents.items()}


def configure(repository: Repository, **settings: str | bool) -> None:
    """Write [signing] into its configuration."""
    path = repository.folder / ".dsvc" / "config.toml"
    rest = path.read_text().partition("[signing]")[0] if path.exists() else ""
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    path.write_text(f"{rest}[signing]\n{table}")


def commit(
    repository: Repository, tree: Tree, message: str = "more", key: Key | None = None, **others: Any
) -> Digest:
    make_tree(repository.folder, tree)
    signer = Signer(str(key.private)) if key else None
    return repository.commit(message, author=AUTHOR, signer=signer, **others).commit


@pytest.fixture
def trust(keys: Keys, tmp_path: Path) -> Path:
    """Ada may sign."""
    path = tmp_path / "whom to trust"
    path.write_text(keys.ada.of("ada@example.org"))
    return path


@pytest.fixture
def work(tmp_path: Path, trust: Path) -> Repository:
    """Trusts Ada; has no commit, and an empty remote."""
    repository = Repository.init(tmp_path / "work")
    repository.remotes.add("origin", str(tmp_path / "remote"))
    configure(repository, allowed_signers=str(trust))
    return repository


@pytest.fixture
def other(work: Repository, tmp_path: Path, trust: Path, keys: Keys) -> Repository:
    """A clone of `work` after its first commit, signed by Ada; trusts her, too."""
    commit(work, files(a="1", b="1"), "one", keys.ada)
    work.push()
    Repository.clone(str(tmp_path / "remote"), tmp_path / "other")
    repository = Repository.open(tmp_path / "other")
    configure(repository, allowed_signers=str(trust))
    return repository


def status_of(repository: Repository, revision: str = "HEAD") -> str:
    return repository.signing.verify(revision).verdict.status


def put(repository: Repository, data: bytes) -> Digest:
    """Let `main` of a repository name an object of any bytes."""
    writer = repository.store.writer()
    digest = writer.add_meta(data)
    repository.store.publish(
        writer.finish(), lambda root: replace(root, branches=dict(root.branches) | {"main": digest})
    )
    return digest


def changed(repository: Repository, **members: object) -> bytes:
    """The bytes of HEAD's commit with other members and the same signature."""
    return canonical(json.loads(bytes(repository.store.read(repository.head.commit))) | members)


# Making and checking


def test_a_signed_commit_is_the_same_dataset(work: Repository, keys: Keys) -> None:
    tree = files(a="1", d__b="2")
    digest = commit(work, tree, key=keys.ada, time=TIME)
    found = work.signing.verify()

    made = read_commit(work.store, digest)
    assert (found.revision, found.kind, found.digest) == ("HEAD", "commit", digest)
    assert (found.verdict.status, found.verdict.principal) == ("good", "ada@example.org")
    assert made.signature
    plain = Repository.init(work.folder.parent / "plain")
    assert commit(plain, tree, time=TIME) != digest
    assert plain.head.commit
    assert read_commit(plain.store, plain.head.commit) == replace(made, signature=None)
    assert status_of(plain) == "unsigned"
    assert [info.signed for info in (*work.log(), *plain.log())] == [True, False]


@pytest.mark.parametrize(
    "members",
    [
        {"message": "other"},
        {"author": "Eve"},
        {"time": "2026-11-01T12:00:01Z"},
        {"parents": ["ab" * 32]},
        {"dataset": "cd" * 32},
        {"later": True},
        {"signature": "good"},
    ],
    ids=str,
)
def test_a_tampered_commit_is_bad(work: Repository, keys: Keys, members: dict[str, object]) -> None:
    commit(work, files(a="1"), key=keys.ada)
    digest = put(work, changed(work, **members))

    assert status_of(work, digest.hex()) == "bad"
    assert status_of(work) == "good"


def test_what_has_a_member_twice_is_no_commit(work: Repository, keys: Keys) -> None:
    commit(work, files(a="1"), key=keys.ada)
    data = bytes(work.store.read(work.head.commit))
    digest = put(work, b'{"message":"another",' + data[1:])

    with pytest.raises(NotFoundError):
        status_of(work, digest.hex())


def test_a_key_counts_as_of_the_time_of_the_commit(
    work: Repository, keys: Keys, trust: Path
) -> None:
    trust.write_text(keys.ada.of("ada", 'valid-before="20261102"'))
    commit(work, files(a="1"), key=keys.ada, time=TIME)
    commit(work, files(a="2"), key=keys.ada, time=TIME.replace(day=4))

    assert [status_of(work, revision) for revision in ("HEAD~1", "HEAD")] == ["good", "expired"]


def test_a_revoked_key_counts_no_more(work: Repository, keys: Keys, trust: Path) -> None:
    commit(work, files(a="1"), key=keys.ada)
    configure(work, allowed_signers=str(trust), revoked_keys=str(keys.ada.public))

    assert status_of(work) == "revoked"


def test_a_passphrase_that_was_mistyped_costs_nothing(work: Repository, keys: Keys) -> None:
    tree = files(**{f"f{number}": "x" * 100 + str(number) for number in range(50)})
    with pytest.raises(CommandFailedError, match="passphrase"):
        commit(work, tree, key=keys.eve)
    assert work.head.commit is None
    assert work.branches.list() == {}
    packs = {path.name for path in (work.folder / ".dsvc/store/packs").iterdir()}

    result = work.commit("again", author=AUTHOR, signer=Signer(str(keys.ada.private)))

    assert result.added == 50
    assert result.bytes_written < 1500
    assert packs < {path.name for path in (work.folder / ".dsvc/store/packs").iterdir()}
    assert committed_tree(work) == tree


def test_a_key_that_is_not_there_is_found_out_first(work: Repository, tmp_path: Path) -> None:
    make_tree(work.folder, files(a="1"))
    with pytest.raises(InvalidInputError, match="no key"):
        work.commit("one", author=AUTHOR, signer=Signer(str(tmp_path / "no key")))
    assert not list(work.folder.glob(".dsvc/store/packs/*"))


# Merges and what is like them


@pytest.fixture
def apart(work: Repository, keys: Keys) -> Repository:
    """On `main`, with a branch `side`; both changed `a`, and other files each."""
    commit(work, files(a="1", b="1", c="1"))
    work.checkout("main", create="side")
    commit(work, files(a="1", b="2", c="1"), "side b", keys.bob)
    commit(work, files(a="2", b="2", c="1"), "side a", keys.bob)
    work.checkout("main")
    commit(work, files(a="3", b="1", c="1"), "main")
    return work


def test_what_is_merged_picked_and_reverted_is_signed(apart: Repository, keys: Keys) -> None:
    signer = Signer(str(keys.ada.private))
    merging = apart.merging

    picked = merging.cherry_pick("side~1", author="Bob", signer=signer)
    assert status_of(apart) == "good"
    assert picked.commit
    assert read_commit(apart.store, picked.commit).author == AUTHOR
    merging.revert("HEAD", author=AUTHOR, signer=signer)
    assert status_of(apart) == "good"
    merged = merging.merge("side", author=AUTHOR, signer=signer)
    assert [conflict.path for conflict in merged.conflicts] == ["a"]
    merging.resolve(["a"], "theirs")
    done = merging.resume(author=AUTHOR, signer=signer)
    assert len(next(apart.log()).parents) == 2
    assert (status_of(apart), done.conflicts) == ("good", ())
    merging.revert("HEAD", author=AUTHOR, mainline=1)
    assert status_of(apart) == "unsigned"


def test_a_merge_with_a_key_that_is_not_there_does_nothing(apart: Repository) -> None:
    before, tree = apart.head, tree_of(apart.folder)
    signer = Signer(str(apart.folder.parent / "no key"))
    for start in (apart.merging.merge, apart.merging.cherry_pick):
        with pytest.raises(InvalidInputError, match="no key"):
            start("side", author=AUTHOR, signer=signer)
    assert (apart.head, tree_of(apart.folder)) == (before, tree)
    assert apart.merging.state() is None


def test_merging_what_nobody_trusted_has_signed(apart: Repository) -> None:
    before, tree = apart.head, tree_of(apart.folder)
    for verify in (True, None):
        with pytest.raises(UntrustedError, match="no allowed signer has the key") as caught:
            apart.merging.merge("side", author=AUTHOR, verify=verify)
        assert "dsvc merge --no-verify" in caught.value.hint
        assert (apart.head, tree_of(apart.folder)) == (before, tree)
        assert apart.merging.state() is None
        allowed = apart.folder.parent / "whom to trust"
        configure(apart, allowed_signers=str(allowed), verify=True)
    assert apart.merging.merge("side", author=AUTHOR, verify=False).conflicts


# Tags


def test_a_signed_tag(work: Repository, keys: Keys) -> None:
    signer = Signer(str(keys.ada.private))
    commit(work, files(a="1"))
    work.tags.annotate("v1", message="One", tagger=AUTHOR, sign=signer)
    work.tags.annotate("v2", message="Two", tagger=AUTHOR)
    work.tags.create("v3")

    found = work.signing.verify("v1")
    assert (found.kind, found.verdict.status) == ("tag", "good")
    assert read_tag(work.store, found.digest).signature
    assert status_of(work, found.digest.hex()) == "good"
    assert [status_of(work, name) for name in ("v1^0", "v2", "v3")] == ["unsigned"] * 3
    version = work.show("v1")
    assert version.tag_signature
    assert (version.tag_signature.good, version.signature) == (True, None)
    with pytest.raises(InvalidInputError, match="dataset"):
        work.signing.verify(version.dataset.hex())


def test_a_signed_tag_under_another_name_is_bad(work: Repository, keys: Keys) -> None:
    commit(work, files(a="1"))
    work.tags.annotate("v1", message="x", tagger=AUTHOR, sign=Signer(str(keys.ada.private)))
    work.store.swap_root(lambda root: replace(root, tags=dict(root.tags) | {"v2": root.tags["v1"]}))

    found = work.signing.verify("v2").verdict

    assert (found.status, "'v1'" in found.reason) == ("bad", True)
    assert status_of(work, "v1") == "good"
    assert work.show("v2").tag_signature == found


# Pull


def _refused(
    repository: Repository, kind: type[DatasetError], words: str, tree: Tree, **options: Any
) -> DatasetError:
    """A pull that is refused with nothing moved."""
    before = (repository.head, repository.branches.list(), repository.signing.verify("main"))
    config = (repository.folder / ".dsvc/config.toml").read_bytes()
    with pytest.raises(kind, match=words) as caught:
        repository.pull(author=AUTHOR, **options)
    assert type(caught.value) is kind
    assert (
        repository.head,
        repository.branches.list(),
        repository.signing.verify("main"),
    ) == before
    assert tree_of(repository.folder) == tree
    assert repository.merging.state() is None
    assert (repository.folder / ".dsvc/config.toml").read_bytes() == config
    return caught.value


@pytest.mark.parametrize("signed_by", [None, "bob"])
def test_a_pull_refuses_what_nobody_trusted_has_signed(
    work: Repository, other: Repository, keys: Keys, signed_by: str | None
) -> None:
    key = keys.bob if signed_by else None
    digest = commit(work, files(a="2", b="1"), key=key)
    work.push()
    tree = tree_of(other.folder)

    error = _refused(other, UntrustedError, "'origin/main'", tree, verify=True)

    assert "dsvc pull --no-verify" in error.hint
    # It may be looked at; its files were not brought.
    assert other.store.root().tracking["origin/main"] == digest
    assert status_of(other, "origin/main") == ("untrusted" if signed_by else "unsigned")
    assert other.store.find(digest_of(b"2")) is None
    configure(other, allowed_signers=str(other.folder.parent / "whom to trust"), verify=True)
    _refused(other, UntrustedError, "'origin/main'", tree)
    other.pull(author=AUTHOR, verify=False)
    assert other.head.commit == digest
    # What is there already is looked at, too: who pulls with --verify may rely on it.
    _refused(other, UntrustedError, "'origin/main'", tree_of(work.folder))


def test_a_pull_takes_what_is_signed_and_all_before_it(
    work: Repository, other: Repository, keys: Keys
) -> None:
    commit(work, files(a="2", b="1"))
    commit(work, files(a="3", b="1"), key=keys.ada)
    work.push()

    other.pull(verify=True)

    assert tree_of(other.folder) == tree_of(work.folder)
    assert status_of(other) == "good"
    assert other.head == work.head
    assert not other.pull(verify=True).updated


def test_a_pull_refuses_a_tampered_tip(work: Repository, other: Repository, keys: Keys) -> None:
    work.push()
    parent = work.head.commit
    assert parent
    remote = Repository.open(work.folder)
    data = changed(work, message="tampered", parents=[parent.hex()])
    digest = put(remote, data)
    work.push()

    _refused(other, IntegrityError, "bad", tree_of(other.folder), verify=True)
    assert other.store.root().tracking["origin/main"] == digest


def test_a_tag_that_is_called_like_a_branch_vouches_for_nothing(
    work: Repository, other: Repository, keys: Keys, tmp_path: Path
) -> None:
    """A remote chooses the names of its tags; nobody takes one for a branch."""
    signer = Signer(str(keys.ada.private))
    work.tags.annotate("origin/main", message="x", tagger=AUTHOR, sign=signer)
    commit(work, files(a="2", b="1"))
    work.push()

    _refused(other, UntrustedError, "'origin/main'", tree_of(other.folder), verify=True)

    assert "origin/main" not in other.tags.list()
    assert status_of(other, "origin/main") == "unsigned"
    with pytest.raises(UntrustedError):
        Repository.clone(
            str(tmp_path / "remote"),
            tmp_path / "new",
            allowed_signers=tmp_path / "whom to trust",
        )


def test_a_branch_that_names_a_tag_object_is_refused(
    work: Repository, other: Repository, keys: Keys
) -> None:
    signer = Signer(str(keys.ada.private))
    work.tags.annotate("v1", message="x", tagger=AUTHOR, sign=signer)
    work.push()
    there = work.remotes.connect("origin").store
    there.swap_root(lambda root: replace(root, branches={"main": root.tags["v1"]}))

    _refused(other, IntegrityError, "not a dsvc-commit", tree_of(other.folder), verify=True)


def test_a_pull_that_would_merge_is_refused_before(
    work: Repository, other: Repository, keys: Keys
) -> None:
    commit(work, files(a="2", b="1"))
    work.push()
    commit(other, files(a="1", b="2"))
    _refused(other, UntrustedError, "not signed", tree_of(other.folder), verify=True)

    commit(work, files(a="2", b="1", c="1"), key=keys.ada)
    work.push()
    result = other.pull(author=AUTHOR, verify=True, signer=Signer(str(keys.ada.private)))

    assert result.merge
    assert tree_of(other.folder) == files(a="2", b="2", c="1")
    assert status_of(other) == "good"


def test_who_is_trusted_must_be_known(other: Repository, tmp_path: Path) -> None:
    tree = tree_of(other.folder)
    configure(other, allowed_signers=str(tmp_path / "nothing"))
    with pytest.raises(InvalidInputError, match="allowed signers"):
        other.pull(verify=True)
    configure(other)
    with pytest.raises(InvalidInputError, match="whose signatures count") as caught:
        other.pull(verify=True)
    assert "allowed_signers" in caught.value.hint
    assert tree_of(other.folder) == tree


def test_uncommitted_work_stays_whatever_is_signed(
    work: Repository, other: Repository, keys: Keys
) -> None:
    commit(work, files(a="2", b="1"), key=keys.ada)
    work.push()
    (other.folder / "a").write_bytes(b"mine")
    with pytest.raises(UnsavedChangesError):
        other.pull(verify=True)
    assert (other.folder / "a").read_bytes() == b"mine"


# Settings


def test_a_list_among_the_files_of_the_dataset_is_not_trusted(
    work: Repository, keys: Keys, trust: Path
) -> None:
    inside = work.folder / "keys" / "allowed"
    inside.parent.mkdir()
    inside.write_text(keys.bob.of("bob"))
    commit(work, files(a="1", keys__allowed=inside.read_text()), key=keys.bob)
    link = work.folder.parent / "link"
    link.symlink_to(inside)
    for path in ("keys/allowed", str(inside), str(link), ".dsvc/../keys/allowed"):
        for setting in ("allowed_signers", "revoked_keys"):
            configure(work, **{"allowed_signers": str(trust), setting: path})
            with pytest.raises(InvalidInputError, match="files of the dataset"):
                work.signing.verify()
    assert work.show("HEAD").signature
    assert work.show("HEAD").signature.status == "unchecked"  # type: ignore[union-attr]
    own = work.folder / ".dsvc" / "allowed"
    own.write_text(inside.read_text())
    configure(work, allowed_signers=".dsvc/allowed")
    assert status_of(work) == "good"
    # Whoever names it in so many words has looked at it.
    assert work.signing.verify(verifier=work.signing.verifier(inside)).verdict.good


def test_which_key_signs(work: Repository, keys: Keys, tmp_path: Path) -> None:
    signing = work.signing
    assert signing.signer("commit") is None
    with pytest.raises(InvalidInputError, match="no key"):
        signing.signer("commit", wanted=True)
    assert signing.signer("tag", key="/k") == Signer("/k")
    configure(work, key="k.pub", commits=True)
    mine = Signer(str(work.folder / "k.pub"))
    assert signing.signer("commit") == signing.signer("tag", wanted=True) == mine
    assert signing.signer("tag") is None
    assert signing.signer("commit", wanted=False) is None
    assert signing.signer("commit", key="key::ssh-ed25519 AA") == Signer("key::ssh-ed25519 AA")
    configure(work, key="~/.ssh/k", tags=True)
    with pytest.raises(InvalidInputError, match="home"):
        signing.signer("tag")
    at_home = Repository.open(work.folder, tmp_path / "home").signing
    assert at_home.signer("tag") == Signer(str(tmp_path / "home" / ".ssh" / "k"))
    assert at_home.signer("commit") is None


def test_a_setting_of_the_wrong_kind_is_found_in_its_file(work: Repository) -> None:
    configure(work, verify="yes")
    with pytest.raises(InvalidInputError, match=r"config\.toml.*signing\.verify"):
        work.pull()
    assert SigningSettings().verify is False


# Signatures travel


def test_signatures_survive_every_way_there_is(
    work: Repository, keys: Keys, tmp_path: Path, ask: Callable[[Repository], list[str]]
) -> None:
    signer = Signer(str(keys.ada.private))
    for number in range(4):
        commit(work, files(a=str(number)), key=keys.ada)
    work.tags.annotate("v1", message="One", tagger=AUTHOR, sign=signer)
    work.push()
    Repository.clone(str(tmp_path / "remote"), tmp_path / "third", checkout=False)
    third = Repository.open(tmp_path / "third")
    configure(third, allowed_signers=str(tmp_path / "whom to trust"))

    assert ask(third) == ask(work) == ["good"] * 5
    was = third.tags.delete("v1")
    third.tags.create("v1", was.hex())
    assert ask(third) == ["good"] * 5


@pytest.fixture
def ask() -> Callable[[Repository], list[str]]:
    return lambda repository: [
        status_of(repository, revision) for revision in ("v1", "main", "main~1", "main~2", "main~3")
    ]


# Clone


def test_a_clone_that_trusts_only_some(
    work: Repository, keys: Keys, tmp_path: Path, trust: Path
) -> None:
    signer = Signer(str(keys.ada.private))
    commit(work, files(a="1"))
    work.tags.annotate("v1", message="One", tagger=AUTHOR, sign=signer)
    commit(work, files(a="2"))
    work.push()
    url = str(tmp_path / "remote")
    for revision in (None, "main~1"):
        with pytest.raises(UntrustedError, match="not signed") as caught:
            Repository.clone(url, tmp_path / "new", revision=revision, allowed_signers=trust)
        assert "--no-verify" not in caught.value.hint
        assert not (tmp_path / "new").exists()

    # A signed tag answers for its commit.
    Repository.clone(url, tmp_path / "tag", revision="v1", allowed_signers=trust)
    assert tree_of(tmp_path / "tag") == files(a="1")

    commit(work, files(a="3"), key=keys.ada)
    work.push()
    Repository.clone(url, tmp_path / "new", allowed_signers=trust)
    new = Repository.open(tmp_path / "new")
    assert (tree_of(new.folder), status_of(new)) == (files(a="3"), "good")
    commit(work, files(a="4"))
    work.push()
    _refused(new, UntrustedError, "not signed", files(a="3"))


def test_a_clone_needs_the_list_that_it_is_given(
    work: Repository, keys: Keys, tmp_path: Path
) -> None:
    commit(work, files(a="1"), key=keys.ada)
    work.push()
    for path in (tmp_path / "nothing", tmp_path / "new" / "allowed"):
        with pytest.raises(InvalidInputError):
            Repository.clone(str(tmp_path / "remote"), tmp_path / "new", allowed_signers=path)
        assert not (tmp_path / "new").exists()


def test_merging_a_tag_that_is_signed(apart: Repository, keys: Keys) -> None:
    signer = Signer(str(keys.ada.private))
    apart.tags.annotate("v1", "side~1", message="One", tagger=AUTHOR, sign=signer)
    with pytest.raises(UntrustedError):
        apart.merging.merge("side~1", author=AUTHOR, verify=True)
    assert apart.merging.merge("v1", author=AUTHOR, verify=True).commit == apart.head.commit
