"""Commits called by the nearest tag, as git calls them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets_vc.digest import Buffer, Digest
from datasets_vc.errors import InvalidInputError, NotFoundError
from datasets_vc.history.commits import read_commit
from datasets_vc.history.describe import Description
from datasets_vc.history.revisions import resolve
from datasets_vc.history.tags import Tags
from datasets_vc.store import Store
from tests.history.gitrepo import Planned, histories, make_twins, needs_git
from tests.sync.stores import commit, new_store

NAMES = ("v1", "v2", "v3", "v4")
TIME = datetime(2026, 12, 1, tzinfo=UTC)


@needs_git
@settings(deadline=None, max_examples=20)
@given(
    plan=histories(12),
    tags=st.lists(st.tuples(st.integers(0, 11), st.booleans()), min_size=1, max_size=4),
)
def test_commits_are_described_as_git_describes_them(
    plan: list[Planned], tags: list[tuple[int, bool]]
) -> None:
    with TemporaryDirectory() as folder:
        twins = make_twins(plan, Path(folder))
        ours = Tags(twins.store)
        for day, (name, (number, annotated)) in enumerate(zip(NAMES, tags, strict=False)):
            place = twins.commits[number % len(plan)].hex()
            branch = f"b{number % len(plan)}"
            if annotated:
                time = TIME + timedelta(days=day)
                ours.annotate(name, place, message="so", tagger="Ada", time=time)
                twins.git("tag", name, branch, "-m", "so", time=time)
            else:
                ours.create(name, place)
                twins.git("tag", name, branch)
        tip = len(plan) - 1
        found = ours.describe(twins.commits[tip].hex())
        theirs = twins.git("describe", "--tags", "--long", "--always", f"b{tip}").strip()
        described = theirs.rpartition("-g")[0]  # nothing where there is no tag
        assert described == (f"{found.tag}-{found.distance}" if found.tag else "")


@pytest.fixture
def line() -> tuple[Store, list[Digest]]:
    store = new_store()
    commits: list[Digest] = []
    for step in range(5):
        commits.append(commit(store, {"f": b"%d" % step}, commits[-1:], step=step))
    return store, commits


def test_what_describe_says_is_understood(line: tuple[Store, list[Digest]]) -> None:
    store, commits = line
    tags = Tags(store)
    tags.create("team/v1.0", "main~3")
    for back, text in enumerate(["team/v1.0-3-g{}", "team/v1.0-2-g{}", "team/v1.0-1-g{}"]):
        found = tags.describe(f"main~{back}")
        digest = commits[-1 - back]
        assert str(found) == text.format(digest.hex()[:8])
        assert resolve(store, str(found)).commit == digest
        assert resolve(store, f"{found}~1").commit == commits[-2 - back]
    assert str(tags.describe("main~3")) == "team/v1.0"
    assert tags.describe("main~4") == Description(commits[0], "", 1)
    assert str(tags.describe("main~4")) == commits[0].hex()[:8]


def test_names_go_before_descriptions(line: tuple[Store, list[Digest]]) -> None:
    store, commits = line
    name = f"v1-1-g{commits[0].hex()[:8]}"
    assert resolve(store, name).commit == commits[0]
    Tags(store).create(name, "main")
    assert resolve(store, name).commit == commits[-1]


def test_a_description_names_commits_only(line: tuple[Store, list[Digest]]) -> None:
    store, commits = line
    dataset = read_commit(store, commits[0]).dataset.hex()
    for text in (f"v1-1-g{dataset[:8]}", "v1-1-g00000000", "v1-g00000000", "v1-1-g123"):
        with pytest.raises(NotFoundError):
            resolve(store, text)
    with pytest.raises(InvalidInputError):
        Tags(store).describe(dataset)


def test_history_beyond_the_nearest_tag_is_not_read(line: tuple[Store, list[Digest]]) -> None:
    store, commits = line
    tags = Tags(store)
    tags.create("v1", "main~1")
    read: list[Digest] = []
    original = store.read_many

    def reading(digests: Sequence[Digest]) -> list[Buffer]:
        read.extend(digests)
        return original(digests)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "read_many", reading)
        assert tags.describe("main").distance == 1
    assert commits[-1] in read
    assert not {*commits[:3]} & {*read}
