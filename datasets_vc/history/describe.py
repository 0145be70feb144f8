"""Commits called by the nearest tag before them: `v1.0-3-g1a2b3c4d`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datasets_vc.digest import MIN_PREFIX, Digest
from datasets_vc.format.commit import encode_time
from datasets_vc.format.tag import Tag
from datasets_vc.history.commits import walk
from datasets_vc.history.cut import CutHistoryError
from datasets_vc.store import Store


@dataclass(frozen=True, slots=True)
class Description:
    """A commit, the tag nearest before it, and how many commits lie after that tag.

    `tag` is empty where there is none; the distance then counts all commits up to this one.
    """

    commit: Digest
    tag: str
    distance: int

    def __str__(self) -> str:
        short = self.commit.hex()[:MIN_PREFIX]
        if not self.tag:
            return short
        return f"{self.tag}-{self.distance}-g{short}" if self.distance else self.tag


def describe(
    store: Store, commit: Digest, tags: Mapping[str, Digest], annotations: Mapping[str, Tag]
) -> Description:
    """Describe a commit as `git describe --tags` does.

    The nearest tag is the one with the fewest commits that `commit` reaches and it does not; of
    equals the newest. A commit with several tags goes by an annotated one, the latest made.

    Args:
        tags: the commits that tags name.
        annotations: what the annotated ones say.

    Raises:
        CutHistoryError: a way that leads to no tag ends where history is cut.
    """
    names = _best_names(tags, annotations)
    candidates: list[str] = []
    distances: list[int] = []
    waiting: dict[Digest, int] = {commit: 0}  # not met yet: which candidates reach it, as bits
    met = 0
    for digest, found in walk(store, [commit]):
        reached = waiting.pop(digest)
        for number in range(len(candidates)):
            distances[number] += not reached >> number & 1
        if digest in names and not reached:
            reached = 1 << len(candidates)
            candidates.append(names[digest])
            distances.append(met)
        met += 1
        for parent in found.parents:
            waiting[parent] = waiting.get(parent, 0) | reached
        if not candidates:
            continue
        best = distances.index(min(distances))
        # What is still waiting adds nothing to the best one, and others do not come nearer.
        if all(bits >> best & 1 for bits in waiting.values()):
            return Description(commit, candidates[best], distances[best])
    if waiting:
        raise CutHistoryError(
            f"Which tag comes before commit {commit.hex()[:MIN_PREFIX]} cannot be known here: the "
            "history of this store is cut."
        )
    return Description(commit, "", met)


def _best_names(tags: Mapping[str, Digest], annotations: Mapping[str, Tag]) -> dict[Digest, str]:
    def rank(name: str) -> str:
        return encode_time(annotations[name].time) if name in annotations else ""

    best: dict[Digest, str] = {}
    for name, commit in sorted(tags.items()):
        if commit not in best or rank(name) > rank(best[commit]):
            best[commit] = name
    return best
